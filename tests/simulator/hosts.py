# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host answers, and which machine it is."""

from __future__ import annotations

import typing as t

from .errors import Fault
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call
    from .world import Machine


def is_live(db: Database, host: str) -> bool:
    """What the coordinator believes: the live flag of the host's metrics."""
    metrics = db.get("host", host)["metrics"]
    return db.exists("host_metrics", metrics) and bool(db.get("host_metrics", metrics)["live"])


def set_live(db: Database, host: str, live: bool, date: str) -> None:
    """The heartbeat came, or stopped: then the date of the last one stays."""
    metrics = db.get("host", host)["metrics"]
    if db.exists("host_metrics", metrics):
        db.set("host_metrics", metrics, live=live, **({"last_updated": date} if live else {}))


def at_host(call: Call, host: str) -> Machine:
    """The machine a call is passed on to. Raises HOST_OFFLINE [host] when the pool knows that it is away,
    CANNOT_CONTACT_HOST [host] when nobody answers there (xen-api: ocaml/xapi/message_forwarding.ml)."""
    call.db.get("host", host)
    if not is_live(call.db, host):
        raise Fault("HOST_OFFLINE", host)
    machine = call.world.machine_of(call.pool, host)
    if machine.power != "on":
        raise Fault("CANNOT_CONTACT_HOST", host)
    return machine


def alert(db: Database, date: str, name: str, cls: str, obj_uuid: str, body: str, *, priority: int = 3) -> str:
    """A message object."""
    return db.create("message", name=name, priority=priority, cls=cls, obj_uuid=obj_uuid, timestamp=date, body=body)


def current_task(call: Call) -> str:
    """The key an operation is listed under."""
    return call.task or NULL
