# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs leave as files (xen-api: ocaml/xapi/export.ml)."""

from __future__ import annotations

import typing as t

from .. import sr_operations, tasks, vm_operations, xva
from ..disks import attached, tar
from ..disks.packing import pack
from ..dispatch import Call
from ..errors import Fault
from ..vm_running import running
from . import Exchange, Reply, handler, task_of

TYPE = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="export.xva"'}
PACKED = {"true": "gzip", "gzip": "gzip", "zstd": "zstd"}
GONE = Fault("INTERNAL_ERROR", 'Unix.Unix_error(Unix.EPIPE, "write", "")')  # the client did not read to the end


def call_of(exchange: Exchange, method: str, label: str) -> Call:
    """The work in a task: the client's, or one of its own."""
    call = Call(exchange.world, exchange.machine, exchange.session, method)
    call.task = task_of(exchange) or tasks.create(call, label)
    return call


def finish(call: Call, status: str, **fields: t.Any) -> None:
    """The task ends."""
    assert call.task
    tasks.finish(call.db, call.task, call.world.clock.iso(), status, **fields)


def _vm(exchange: Exchange) -> str:
    """The one that is asked for. Raises HANDLE_INVALID, UUID_INVALID."""
    query = exchange.query
    if query.get("ref"):
        exchange.db.get("VM", query["ref"])
        return query["ref"]
    found = exchange.db.find("VM", uuid=query.get("uuid", ""))
    if found:
        return found[0]
    raise Fault("UUID_INVALID", "VM", query["uuid"]) if "uuid" in query else Fault("INTERNAL_ERROR", "Not_found")


def _headers(exchange: Exchange, call: Call) -> dict[str, str]:
    version = exchange.db.get("host", exchange.machine.host_ref)["software_version"].get("xapi", "")
    return {**TYPE, "Server": f"xapi/{version}", "task-id": str(call.task)}


def _snapshots(exchange: Exchange, vm: str) -> list[str]:
    wanted = exchange.query.get("export_snapshots", "true") == "true"
    return list(exchange.db.get("VM", vm)["snapshots"]) if wanted else []


def _described(exchange: Exchange) -> list[str]:
    """The VMs a metadata export is about, with their snapshots."""
    if exchange.query.get("all") == "true":
        with_dom0 = exchange.query.get("include_dom0", "true") == "true"
        return [vm for vm, record in exchange.db.all("VM").items() if with_dom0 or not record["is_control_domain"]]
    vm = _vm(exchange)
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
    body = tar.entry("ova.xml", ova) + tar.END
    headers = {**_headers(exchange, call), "Content-Length": str(len(body))}
    return Reply(body=iter((body,)), headers=headers, finished=_finished(exchange, call))


def _finished(exchange: Exchange, call: Call, ended: t.Callable[[], object] = lambda: None) -> t.Callable[[bool], None]:
    """The task ends, and what is to end with it."""

    def finished(sent: bool) -> None:
        with exchange.world.lock:
            ended()
            finish(call, "success" if sent else "failure", **({} if sent else {"error_info": GONE.description}))

    return finished


def see(exchange: Exchange, srs: t.Iterable[str]) -> None:
    """Sends the client to a host that has all the SRs attached where this one has not. Raises SR_HAS_NO_PBDS [sr]."""
    hosts = list(dict.fromkeys((exchange.machine.host_ref, *exchange.db.all("host"))))
    for sr in srs:
        attached_at = {exchange.db.get("PBD", pbd)["host"] for pbd in sr_operations.attached_pbds(exchange.db, sr)}
        hosts = [host for host in hosts if host in attached_at]
        if not hosts:
            raise Fault("SR_HAS_NO_PBDS", sr)
    if exchange.machine.host_ref not in hosts:
        raise exchange.elsewhere(hosts[0])


@handler("GET", "/export", "vm-admin")
def export(exchange: Exchange) -> Reply:
    """One VM with its disks; it must be halted or suspended."""
    packed = PACKED.get(exchange.query.get("use_compression", "false"), "")
    with exchange.world.lock:
        vm = _vm(exchange)
        contents = xva.Contents(exchange.world, exchange.db, [vm])
        see(exchange, {exchange.db.get("VDI", vdi)["SR"] for _name, vdi in contents.disks()})
        call = call_of(exchange, "VM.export", "Export VM")
        marked = running(call, vm, "export")
        try:
            marked.__enter__()
        except Fault as fault:
            finish(call, "failure", error_info=fault.description)
            raise
        ova = contents.ova(preserve_power_state=exchange.query.get("preserve_power_state") == "true", keep_metadata=False)

    finished = _finished(exchange, call, lambda: marked.__exit__(None, None, None))
    return Reply(body=pack(packed, _stream(call, ova, contents.disks())), headers=_headers(exchange, call), finished=finished)


def _stream(call: Call, ova: bytes, disks: list[tuple[str, str]]) -> t.Iterator[bytes]:
    """The file; each disk is attached to the control domain while it is read."""
    yield tar.entry("ova.xml", ova)
    for number, (name, vdi) in enumerate(disks):
        with attached.reading(call, vdi) as chain:
            yield from tar.chunks(name, chain)
        with call.world.lock:
            tasks.progress(call, (number + 1) / len(disks))
    yield tar.END
