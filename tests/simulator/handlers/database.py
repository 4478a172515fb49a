# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole database as XML (xen-api: ocaml/xapi/pool_db_backup.ml). Status 200 is sent first: how it ended is the task's."""

from __future__ import annotations

import contextlib
import typing as t

from .. import agent, db_restore, dump_db
from ..errors import Fault, NotSimulated
from ..world import scheduled
from . import Exchange, Refused, Reply, handler, task_of
from .export import GONE, call_of, finish

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import World

PIECE = 1 << 16
MOMENT, MOMENTS = 0.01, 50  # real seconds


@handler("GET", "/pool/xmldbdump", "pool-admin", "get_pool_xml_db_sync")
def get(exchange: Exchange) -> Reply:
    """As the coordinator holds it now."""
    with exchange.world.lock:
        call = call_of(exchange, "pool.dump_db", "Dumping database as XML")
        text = dump_db.dump(exchange.db).encode()

    def finished(sent: bool) -> None:
        with exchange.world.lock:
            finish(call, "success" if sent else "failure", **({} if sent else {"error_info": GONE.description}))

    pieces = (text[at : at + PIECE] for at in range(0, len(text), PIECE))
    return Reply(body=pieces, headers={"task-id": str(call.task)}, finished=finished)


@handler("PUT", "/pool/xmldbdump", "pool-admin", "put_pool_xml_db_sync")
def put(exchange: Exchange) -> Reply:
    """With ``dry_run=true`` a look whether it would work; else the coordinator reboots with it."""
    with exchange.world.lock:
        call = call_of(exchange, "pool.restore_db", "Reading database as XML")
        if "Content-Length" not in exchange.headers:
            finish(call, "success")  # nothing was tried, nothing failed
            raise Refused(400)
    return Reply(body=_work(exchange, call), headers={"task-id": str(call.task)})


def _work(exchange: Exchange, call: Call) -> t.Iterator[bytes]:
    """Reads the body; there is nothing to answer."""
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionError):  # what has come is looked at, and is no whole document
        parts.extend(exchange.body)
    with exchange.world.lock:
        try:
            _restore(exchange, b"".join(parts))
        except (Fault, NotSimulated) as e:
            finish(call, "failure", error_info=(e.as_fault() if isinstance(e, NotSimulated) else e).description)
        else:
            finish(call, "success")
        exchange.world.save()
    yield from ()


def _restore(exchange: Exchange, body: bytes) -> None:
    """Raises Fault, NotSimulated."""
    machine = exchange.machine
    database = db_restore.prepared(machine, body)
    if exchange.query.get("dry_run") != "true":
        db_restore.put_aside(machine, database)
        exchange.world.after(db_restore.FUSE, "fuse burnt", machine=machine.name, task=task_of(exchange) or "")


@scheduled("fuse burnt")
def fuse_burnt(world: World, machine: str, task: str) -> None:
    """The coordinator reboots. Where no time passes the client still has the time to read its task, as it would have otherwise."""
    leaving = world.machines[machine]
    for _moment in range(MOMENTS if not world.clock.speed else 0):
        if not leaving.pool.db.exists("task", task):
            break
        world.pause(MOMENT)
    agent.agent_leaves(world, machine, agent.boot_seconds(leaving), rebooted=True)
