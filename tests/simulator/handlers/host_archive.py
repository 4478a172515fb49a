# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control domain of the host that is asked, out and in (xen-api: ocaml/xapi/xapi_host_backup.ml). How it ended is the task's."""

from __future__ import annotations

import typing as t

from .. import host_archive
from ..errors import Fault
from . import Exchange, Reply, handler
from .export import call_of, finish

BROKEN = Fault("BACKUP_SCRIPT_FAILED", "tar: -: Cannot write: Broken pipe\ntar: Error is not recoverable: exiting now\n")


@handler("GET", "/host_backup", "pool-admin")
def host_backup(exchange: Exchange) -> Reply:
    """A stream without a length."""
    with exchange.world.lock:
        call = call_of(exchange, "host.backup", "Downloading host backup")
        fault = exchange.world.faults.transfer_fault(exchange.path)
    failed: list[Fault] = []

    def archive() -> t.Iterator[bytes]:
        """What fails ends too soon; the connection ends as it would otherwise."""
        try:
            yield from host_archive.stream(exchange.machine, fault)
        except Fault as e:
            failed.append(e)

    def finished(sent: bool) -> None:
        error = failed[0] if failed else None if sent else BROKEN
        with exchange.world.lock:
            finish(call, "failure" if error else "success", **({"error_info": error.description} if error else {}))

    return Reply(body=archive(), headers={"task-id": str(call.task)}, finished=finished)


@handler("PUT", "/host_restore", "pool-admin")
def host_restore(exchange: Exchange) -> Reply:
    """Status 200 is sent first."""
    with exchange.world.lock:
        call = call_of(exchange, "host.restore", "Uploading host backup")
        fault = exchange.world.faults.transfer_fault(exchange.path)

    def work() -> t.Iterator[bytes]:
        try:
            host_archive.receive(exchange.machine, exchange.body, fault)
        except Fault as e:
            for _piece in _rest(exchange):
                pass
            outcome: dict[str, t.Any] = {"status": "failure", "error_info": e.description}
        else:
            outcome = {"status": "success"}
        with exchange.world.lock:
            finish(call, **outcome)
            exchange.world.save()
        yield from ()

    return Reply(body=work(), headers={"task-id": str(call.task)})


def _rest(exchange: Exchange) -> t.Iterator[bytes]:
    """What the script did not want to read any more."""
    try:
        yield from exchange.body
    except ConnectionError:
        return
