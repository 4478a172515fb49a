# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP handlers beside the API: one file per subject, each registered by method and path (xen-api: ocaml/idl/datamodel.ml)."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlencode

from .. import tasks
from ..errors import Fault
from ..sessions import role_names

if t.TYPE_CHECKING:
    from ..database import Database
    from ..world import Machine, World


@dataclass
class Reply:
    """The answer; ``body`` may come in pieces. A request's own body may be read meanwhile: the status is out before.

    ``finished`` is called in the end, whatever happened: with True when everything was sent.
    """

    status: int = 200
    body: bytes | t.Iterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    finished: t.Callable[[bool], None] = lambda _sent: None


class Refused(Exception):
    """An HTTP status instead of an answer; ``detail`` goes into the page of a 500, and is the new address of a 302."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail


@dataclass
class Exchange:
    """What a handler gets: who was asked, by which session, with which query, headers and body (read once, in pieces)."""

    machine: Machine
    session: str
    method: str
    path: str
    query: dict[str, str]
    headers: t.Mapping[str, str]
    body: t.Iterator[bytes]

    @property
    def world(self) -> World:
        """The world; a handler holds its lock only where it asks for it."""
        return self.machine.world

    @property
    def db(self) -> Database:
        """The pool's objects."""
        return self.machine.pool.db

    def object(self, cls: str, *keys: str) -> str:
        """The object a query parameter names by reference or uuid; refused with 404 if there is none."""
        for key in keys or ("ref", "uuid"):
            wanted = self.query.get(key)
            if wanted and self.db.exists(cls, wanted):
                return wanted
            found = self.db.find(cls, uuid=wanted) if wanted else []
            if found:
                return found[0]
        raise Refused(404)

    def elsewhere(self, host: str) -> Refused:
        """What sends the client to another host of the pool, with the same query."""
        return Refused(302, f"https://{self.db.get('host', host)['address']}{self.path}?{urlencode(self.query)}")


Handler = t.Callable[[Exchange], Reply]


@dataclass(frozen=True)
class Route:
    """A handler, the lowest role that may use it (None: it checks for itself), the realm it asks a password for."""

    handler: Handler
    role: str | None
    realm: str


ROUTES: dict[tuple[str, str], Route] = {}
ROLE_ORDER = ("pool-admin", "pool-operator", "vm-power-admin", "vm-admin", "vm-operator", "read-only")


def handler(method: str, path: str, role: str | None, realm: str = "") -> t.Callable[[Handler], Handler]:
    """Registers what answers a path and what lies below it."""

    def register(function: Handler) -> Handler:
        ROUTES[method, path] = Route(function, role, realm or function.__name__)
        return function

    return register


@functools.cache
def load() -> None:
    """Imports every file of this folder, once."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    for name in sorted(names, key=lambda name: name == "small"):  # it fills what the others leave open
        importlib.import_module(f"{__name__}.{name}")


def find(method: str, path: str) -> Route:
    """The longest registered path that leads there; refused with 501 (no such method) or 403 (no such path)."""
    load()
    if method not in ("GET", "PUT", "POST", "CONNECT", "OPTIONS"):
        raise Refused(501)
    fitting = [p for m, p in ROUTES if m == method and (path == p or (p != "/" and path.startswith(p.rstrip("/") + "/")))]
    if not fitting:
        raise Refused(403)
    return ROUTES[method, max(fitting, key=len)]


def allowed(exchange: Exchange, route: Route) -> bool:
    """Whether the session's roles reach the route's."""
    if route.role is None:
        return True
    record = exchange.db.get("session", exchange.session)
    if record["is_local_superuser"]:
        return True
    high_enough = ROLE_ORDER[: ROLE_ORDER.index(route.role) + 1]
    return bool(role_names(exchange.db, record["subject"]) & set(high_enough))


def fail_task(exchange: Exchange, fault: Fault) -> None:
    """The client's task, if it gave one, ends with the error."""
    with exchange.world.lock:
        ref = task_of(exchange)
        if ref:
            tasks.finish(exchange.db, ref, exchange.world.clock.iso(), "failure", error_info=fault.description)


def task_of(exchange: Exchange) -> str | None:
    """The client's task this exchange is to report to."""
    ref = exchange.query.get("task_id", "")
    return ref if exchange.db.exists("task", ref) else None


def fault_page(fault: Fault) -> str:
    """How a handler's uncaught error reads."""
    return f"{fault.code}: [ {'; '.join(fault.params)} ]"
