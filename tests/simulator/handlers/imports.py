# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs come as files. The status is 200 whatever becomes of it: result and error are the task's (xen-api: ocaml/xapi/import.ml)."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import typing as t
import zlib

from .. import sr_operations, wire_xml, xva, xxh64
from ..errors import Fault
from ..importing import Import, Wanted, parse
from ..modeltypes import NULL, Type
from . import Exchange, Refused, Reply, fail_task, handler
from .export import call_of, finish

if t.TYPE_CHECKING:
    from ..dispatch import Call

ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b"
DIGESTS: dict[str, t.Callable[[bytes], str]] = {
    "checksum": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "xxhash": xxh64.digest,
}


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
        wanted = Wanted(_target(exchange), _flag(exchange, "restore"), _flag(exchange, "force"))
        call = call_of(exchange, "VM.import", "VM.import")
    return _run(exchange, call, wanted)


@handler("PUT", "/import_metadata", "vm-admin")
def import_metadata(exchange: Exchange) -> Reply:
    """VMs whose disks are there already; with ``dry_run`` only a look whether that would work."""
    with exchange.world.lock:
        call = call_of(exchange, "VM.import_metadata", "VM.import_metadata")
    return _run(exchange, call, Wanted(NULL, _flag(exchange, "restore"), _flag(exchange, "force")))


def _run(exchange: Exchange, call: Call, wanted: Wanted) -> Reply:
    try:
        vms = _receive(exchange, call, wanted)
    except Fault as fault:
        with exchange.world.lock:
            finish(call, "failure", error_info=fault.description)
    else:
        with exchange.world.lock:
            result = wire_xml.value(Type("set", items=(Type("ref", "VM"),)), vms, exchange.world.schema)
            finish(call, "success", result=result)
            exchange.world.save()
    return Reply(headers={"task-id": str(call.task)})


def _receive(exchange: Exchange, call: Call, wanted: Wanted) -> list[str]:
    entries = _entries(exchange.body)
    name, ova = next(entries, ("", b""))
    if name != "ova.xml":
        raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", name) if name else Fault("IMPORT_ERROR_PREMATURE_EOF")
    with exchange.world.lock:
        work = Import(call, parse(call, ova), wanted)
        vms = work.run()
        if call.task and exchange.db.exists("task", call.task):
            exchange.db.add_to_map("task", call.task, "other_config", "object_creation", "complete")
    try:
        _read_disks(entries, work.disks if wanted.sr != NULL else {}, force=wanted.force)
    except Fault:
        with exchange.world.lock:
            work.undo()
        raise
    with exchange.world.lock:
        work.finish()
        if _flag(exchange, "dry_run"):
            work.undo()
            return []
    return vms


def _entries(body: t.Iterator[bytes]) -> t.Iterator[tuple[str, bytes]]:
    """Files of the tar, however it is packed. Raises IMPORT_ERROR, IMPORT_ERROR_PREMATURE_EOF."""
    stream = xva.as_file(body)
    start = stream.peek(4)
    if start.startswith(ZSTD):
        raise Fault("NOT_IMPLEMENTED", "zstd compression is not simulated")
    packed: t.IO[bytes] = t.cast("t.IO[bytes]", gzip.GzipFile(fileobj=stream)) if start.startswith(GZIP) else stream
    try:
        yield from xva.read_entries(packed)
    except (EOFError, tarfile.ReadError) as e:
        raise Fault("IMPORT_ERROR_PREMATURE_EOF") if start else Fault("IMPORT_ERROR", "empty") from e
    except (OSError, zlib.error, tarfile.TarError) as e:
        raise Fault("IMPORT_ERROR", str(e)) from e


def _read_disks(entries: t.Iterator[tuple[str, bytes]], disks: t.Container[str], *, force: bool) -> None:
    """Chunks in rising order, each followed by its checksum. Raises IMPORT_ERROR_UNEXPECTED_FILE, IMPORT_ERROR_SOME_CHECKSUMS_FAILED."""
    chunk, data = "", b""
    for name, content in entries:
        before, _dot, kind = name.partition(".")
        disk, _slash, number = before.partition("/")
        if disk not in disks or not number.isdigit() or (kind and (before != chunk or kind not in DIGESTS)):
            raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", chunk or "a disk's chunk", name)
        if not kind:
            if chunk.startswith(f"{disk}/") and before <= chunk:
                raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", f"after {chunk}", name)
            chunk, data = before, content
        elif DIGESTS[kind](data) != content.decode(errors="replace").strip() and not force:
            raise Fault("IMPORT_ERROR_SOME_CHECKSUMS_FAILED")
