# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks leave and come as they are, or as VHD or tar (xen-api: ocaml/xapi/export_raw_vdi.ml, import_raw_vdi.ml).

As for VMs the status of an import is 200 before the body is read: result and error are the task's.
"""

from __future__ import annotations

import typing as t

from .. import wire_xml
from ..disks import access, attached, formats
from ..disks.pieces import Pieces
from ..dispatch import Call
from ..errors import Fault
from ..modeltypes import NULL, Type
from ..protocol import ENDLESS
from . import Exchange, Refused, Reply, fail_task, fault_page, handler, task_of
from .export import call_of, finish, see

NAME = "Imported VDI"
GONE = Fault("VDI_IO_ERROR", "Device I/O errors")  # the other end is gone


def _format(exchange: Exchange) -> formats.Format:
    name = exchange.query.get("format", "raw")
    if name == "qcow2":
        raise Refused(500, f"NOT_IMPLEMENTED: [ {exchange.path} with format qcow2 is not simulated ]")
    if name not in formats.FORMATS:
        fail_task(exchange, Fault("INTERNAL_ERROR", f"Unknown format {name}"))
        raise Refused(404)
    return formats.FORMATS[name]


def _vdi(exchange: Exchange, key: str) -> str:
    """A VDI by reference or uuid. Raises UUID_INVALID ["VDI", text]."""
    wanted = exchange.query[key]
    found = [wanted] if exchange.db.exists("VDI", wanted) else exchange.db.find("VDI", uuid=wanted)
    if not found:
        raise Fault("UUID_INVALID", "VDI", wanted)
    return found[0]


def _begin(exchange: Exchange, label: str, vdi: str, mode: str) -> tuple[Call, str]:
    """The task, and the VDI attached to this host's control domain."""
    call = call_of(exchange, label, label)
    try:
        return call, attached.attach(call, vdi, mode)
    except Fault as fault:
        finish(call, "failure", error_info=fault.description)
        raise


# out -----------------------------------------------------------------------------------------------------------------
@handler("GET", "/export_raw_vdi", "vm-admin")
def export_raw_vdi(exchange: Exchange) -> Reply:
    """One disk; as VHD with ``base`` only what differs from that disk."""
    form = _format(exchange)
    with exchange.world.lock:
        if "vdi" not in exchange.query:
            raise Fault("INTERNAL_ERROR", "Not_found")
        vdi = _vdi(exchange, "vdi")
        record = exchange.db.get("VDI", vdi)
        see(exchange, [record["SR"]])
        against = _vdi(exchange, "base") if exchange.query.get("base") else None
        base = access.chain(exchange.machine, against) if against else None
        parent = exchange.db.get("VDI", against)["uuid"] if against else ""
        form.check(record, base)
        call, vbd = _begin(exchange, "Exporting raw VDI", vdi, "RO")
        chain = access.chain(exchange.machine, vdi)

    def finished(sent: bool) -> None:
        with exchange.world.lock:
            attached.detach(call, vbd)
            finish(call, "success" if sent else "failure", **({} if sent else {"error_info": GONE.description}))
            exchange.world.save()

    named = {"Content-Disposition": f'attachment; filename="{record["uuid"]}.{form.name}"', "Content-Type": form.content_type}
    return Reply(body=form.write(chain, record, base, parent), headers={**named, "task-id": str(call.task)}, finished=finished)


# in ------------------------------------------------------------------------------------------------------------------
@handler("PUT", "/import_raw_vdi", "vm-admin")
def import_raw_vdi(exchange: Exchange) -> Reply:
    """Over a disk that is there, or for raw data whose length is known into a new one."""
    form = _format(exchange)
    with exchange.world.lock:
        made = "vdi" not in exchange.query
        vdi = _new_vdi(exchange, form) if made else _vdi(exchange, "vdi")
        see(exchange, [exchange.db.get("VDI", vdi)["SR"]])
        call, vbd = _begin(exchange, "Importing raw VDI", vdi, "RW")
    chunked = "chunked" in exchange.query and form.name == "raw"
    return Reply(body=_receive(exchange, call, vdi, vbd, formats.FRAMES if chunked else form, made), headers={"task-id": str(call.task)})


def _new_vdi(exchange: Exchange, form: formats.Format) -> str:
    """Refused with 400 where it is not known how large it is to be, or where."""
    named = exchange.query.get("sr_id") or exchange.query.get("sr_uuid") or ""
    length = _length(exchange)
    sr = named if exchange.db.exists("SR", named) else next(iter(exchange.db.find("SR", uuid=named)), NULL)
    if form.name != "raw" or length is None or sr == NULL:
        fault = Fault("VDI_MISSING", sr, "")
        fail_task(exchange, fault)
        raise Refused(400, fault_page(fault))
    see(exchange, [sr])
    plain: dict[str, t.Any] = {"sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": []}
    call = Call(exchange.world, exchange.machine, exchange.session, "VDI.create", task_of(exchange))
    fields = {"name_label": NAME, "name_description": "", "type": "user", "virtual_size": length}
    return str(call.call("VDI.create", {**plain, **fields, "SR": sr}))


def _receive(exchange: Exchange, call: Call, vdi: str, vbd: str, form: formats.Format, made: bool) -> t.Iterator[bytes]:
    """Reads the body; there is nothing to answer."""
    fault = None
    try:
        with access.writing(exchange.machine, vdi) as writer:
            form.read(Pieces(exchange.body), writer, _length(exchange))
    except Fault as e:
        fault = e
    except (EOFError, ConnectionError):
        fault = GONE
    except formats.Unreadable as e:
        fault = Fault("INTERNAL_ERROR", str(e))
    with exchange.world.lock:
        attached.detach(call, vbd)
        if fault:
            finish(call, "failure", error_info=fault.description)
            if made and call.db.exists("VDI", vdi):
                call.call("VDI.destroy", vdi)
        else:
            finish(call, "success", result=wire_xml.value(Type("ref", "VDI"), vdi, exchange.world.schema))
        exchange.world.save()
    yield from ()


def _length(exchange: Exchange) -> int | None:
    text = exchange.headers.get("Content-Length", "")
    return int(text) if text.isdigit() and int(text) < ENDLESS else None
