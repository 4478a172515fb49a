# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs leave as files (xen-api: ocaml/xapi/export.ml)."""

from __future__ import annotations

import typing as t
import zlib

from .. import tasks, vm_operations, xva
from ..dispatch import Call
from ..errors import Fault
from ..vm_running import running
from . import Exchange, Refused, Reply, handler, task_of

TYPE = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="export.xva"', "Server": "xapi"}
GZIP = 31  # zlib's window bits for a gzip wrapper


def call_of(exchange: Exchange, method: str, label: str) -> Call:
    """The work in a task: the client's, or one of its own."""
    call = Call(exchange.world, exchange.machine, exchange.session, method)
    call.task = task_of(exchange) or tasks.create(call, label)
    return call


def finish(call: Call, status: str, **fields: t.Any) -> None:
    """The task ends."""
    assert call.task
    tasks.finish(call.db, call.task, call.world.clock.iso(), status, **fields)


def _snapshots(exchange: Exchange, vm: str) -> list[str]:
    wanted = exchange.query.get("export_snapshots", "true") == "true"
    return list(exchange.db.get("VM", vm)["snapshots"]) if wanted else []


def _described(exchange: Exchange) -> list[str]:
    """The VMs a metadata export is about, with their snapshots."""
    if exchange.query.get("all") == "true":
        with_dom0 = exchange.query.get("include_dom0", "true") == "true"
        return [vm for vm, record in exchange.db.all("VM").items() if with_dom0 or not record["is_control_domain"]]
    vm = exchange.object("VM", "uuid", "ref")
    return [vm, *_snapshots(exchange, vm)]


@handler("GET", "/export_metadata", "vm-admin")
def export_metadata(exchange: Exchange) -> Reply:
    """Descriptions alone."""
    with exchange.world.lock:
        vms = _described(exchange)
        call = call_of(exchange, "VM.export_metadata", "Export VM metadata")
        try:
            if exchange.query.get("all") != "true":
                vm_operations.check(exchange.db, vms[0], "metadata_export")
            contents = xva.Contents(exchange.world, exchange.db, vms)
            keep = exchange.query.get("preserve_power_state", "true") == "true"
            ova = contents.ova(preserve_power_state=keep, keep_metadata=True)
        except Fault as fault:
            finish(call, "failure", error_info=fault.description)
            raise
        finish(call, "success")
    return Reply(body=b"".join(xva.whole(ova)), headers={**TYPE, "task-id": str(call.task)})


@handler("GET", "/export", "vm-admin")
def export(exchange: Exchange) -> Reply:
    """One VM with its disks; it must be halted or suspended."""
    compress = _compressor(exchange.query.get("use_compression", "false"))
    with exchange.world.lock:
        vm = exchange.object("VM", "uuid", "ref")
        call = call_of(exchange, "VM.export", "Export VM")
        try:
            vm_operations.check(exchange.db, vm, "export")
        except Fault as fault:
            finish(call, "failure", error_info=fault.description)
            raise
    return Reply(body=compress(_stream(exchange, call, vm)), headers={**TYPE, "task-id": str(call.task)})


def _stream(exchange: Exchange, call: Call, vm: str) -> t.Iterator[bytes]:
    """The file; the VM counts as being exported until it is read."""
    with exchange.world.lock:
        marked = running(call, vm, "export")
        marked.__enter__()
        contents = xva.Contents(exchange.world, exchange.db, [vm])
        keep = exchange.query.get("preserve_power_state") == "true"
        pieces = xva.whole(contents.ova(preserve_power_state=keep, keep_metadata=False), contents.disks())
    try:
        yield from pieces
    finally:
        with exchange.world.lock:
            marked.__exit__(None, None, None)
            finish(call, "success")


def _compressor(wanted: str) -> t.Callable[[t.Iterator[bytes]], t.Iterator[bytes]]:
    if wanted in ("true", "gzip"):
        return _gzip
    if wanted == "zstd":
        raise Refused(500, "NOT_IMPLEMENTED: [ zstd compression is not simulated ]")
    return lambda pieces: pieces


def _gzip(pieces: t.Iterator[bytes]) -> t.Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
