# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs come as files. The status is 200 whatever becomes of it: result and error are the task's (xen-api: ocaml/xapi/import.ml)."""

from __future__ import annotations

import typing as t

from .. import sr_operations, wire_xml
from ..disks import arrival, attached, tar
from ..disks.packing import BadPacking, unpack
from ..disks.pieces import Pieces
from ..errors import Fault
from ..importing import Import, Wanted, parse
from ..modeltypes import NULL, Type
from . import Exchange, Refused, Reply, fail_task, handler
from .export import call_of, finish, see

if t.TYPE_CHECKING:
    from ..dispatch import Call


def _refuse(exchange: Exchange, status: int, fault: Fault) -> Refused:
    fail_task(exchange, fault)
    return Refused(status)


def _target(exchange: Exchange) -> str:
    """The SR the disks go to. Raises DEFAULT_SR_NOT_FOUND [sr]; refused with 400 for a library of discs."""
    db = exchange.db
    named = exchange.query.get("sr_id") or exchange.query.get("sr_uuid") or ""
    sr = (
        named
        if db.exists("SR", named)
        else next(iter(db.find("SR", uuid=named)), NULL)
        if named
        else exchange.machine.pool.pool["default_SR"]
    )
    if not db.exists("SR", sr):
        raise Fault("DEFAULT_SR_NOT_FOUND", named or sr)
    if db.get("SR", sr)["content_type"] == "iso":
        raise _refuse(exchange, 400, Fault("SR_OPERATION_NOT_SUPPORTED", sr))
    return str(sr)


def _flag(exchange: Exchange, name: str) -> bool:
    return exchange.query.get(name) == "true"


@handler("PUT", "/import", "vm-admin")
def import_vm(exchange: Exchange) -> Reply:
    """VMs with their disks."""
    if exchange.headers.get("Transfer-Encoding", "").lower() == "chunked":
        raise _refuse(exchange, 403, Fault("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"))
    with exchange.world.lock:
        if sr_operations.upgrading(exchange.db):
            raise _refuse(exchange, 400, Fault("NOT_SUPPORTED_DURING_UPGRADE"))
        sr = _target(exchange)
        see(exchange, [sr])
        wanted = Wanted(sr, _flag(exchange, "restore"), _flag(exchange, "force"))
        call = call_of(exchange, "VM.import", "VM.import")
    return _run(exchange, call, wanted)


@handler("PUT", "/import_metadata", "vm-admin")
def import_metadata(exchange: Exchange) -> Reply:
    """VMs whose disks are there already; with ``dry_run`` only a look whether that would work."""
    with exchange.world.lock:
        call = call_of(exchange, "VM.import_metadata", "VM.import_metadata")
    return _run(exchange, call, Wanted(NULL, _flag(exchange, "restore"), _flag(exchange, "force")))


def _run(exchange: Exchange, call: Call, wanted: Wanted) -> Reply:
    return Reply(body=_work(exchange, call, wanted), headers={"task-id": str(call.task)})


def _work(exchange: Exchange, call: Call, wanted: Wanted) -> t.Iterator[bytes]:
    """Reads the body; there is nothing to answer."""
    try:
        vms = receive(call, exchange.body, wanted, dry=_flag(exchange, "dry_run"))
    except Fault as fault:
        with exchange.world.lock:
            finish(call, "failure", error_info=fault.description)
            exchange.world.save()
    else:
        with exchange.world.lock:
            result = wire_xml.value(Type("set", items=(Type("ref", "VM"),)), vms, exchange.world.schema)
            finish(call, "success", result=result)
            exchange.world.save()
    yield from ()


def receive(call: Call, body: t.Iterator[bytes], wanted: Wanted, *, dry: bool = False) -> list[str]:
    """The VMs a file holds; the world's lock is not held. Raises Fault, and then nothing is left of them."""
    files = _files(body)
    name, ova = next(files, ("", b""))
    if name != "ova.xml":
        raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", name) if name else Fault("IMPORT_ERROR_PREMATURE_EOF")
    with call.world.lock:
        work = Import(call, parse(call, bytes(ova)), wanted)
        vms = work.run()
        if call.task and call.db.exists("task", call.task):
            call.db.add_to_map("task", call.task, "other_config", "object_creation", "complete")
        call.world.save()
    try:
        if wanted.sr != NULL:
            arrival.read(files, work.disks, lambda name: attached.writing(call, work.disks[name]), force=wanted.force)
        else:
            for file in files:
                raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", "the end", file.name)
    except Fault:
        with call.world.lock:
            work.undo()
        raise
    with call.world.lock:
        work.finish()
        if dry:
            work.undo()
            return []
    return vms


def _files(body: t.Iterator[bytes]) -> t.Iterator[tar.File]:
    """Files of the tar, however it is packed. Raises IMPORT_ERROR, IMPORT_ERROR_PREMATURE_EOF."""
    try:
        yield from tar.files(Pieces(unpack(body)))
    except (EOFError, ConnectionError) as e:
        raise Fault("IMPORT_ERROR_PREMATURE_EOF") from e
    except (BadPacking, tar.NoTar) as e:
        raise Fault("IMPORT_ERROR", str(e)) from e
