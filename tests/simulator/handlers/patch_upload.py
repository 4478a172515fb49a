# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update file arrives as a patch: a disk is made for it and introduced (xen-api: ocaml/xapi/xapi_pool_patch.ml)."""

from __future__ import annotations

import typing as t

from .. import wire_xml
from ..disks import access
from ..dispatch import Call
from ..errors import Fault
from ..modeltypes import Type
from . import Exchange, Reply, handler
from .export import call_of, finish

DISK: dict[str, t.Any] = {
    "name_label": "Uploaded update", "name_description": "", "type": "user", "sharable": False, "read_only": False, "other_config": {},
    "xenstore_data": {}, "sm_config": {}, "tags": [],
}  # fmt: skip


@handler("PUT", "/pool_patch_upload", "pool-operator")
def pool_patch_upload(exchange: Exchange) -> Reply:
    """``sr_id`` names where the disk goes, the pool's default SR unless given. The task's result is the pool_patch."""
    with exchange.world.lock:
        call = call_of(exchange, "pool_patch_upload", "Upload of a patch")
    return Reply(body=_receive(exchange, call), headers={"task-id": str(call.task)})


def _receive(exchange: Exchange, call: Call) -> t.Iterator[bytes]:
    """Reads the body; there is nothing to answer."""
    try:
        data = b"".join(exchange.body)
        with exchange.world.lock:
            patch = _introduce(exchange, call, data)
            finish(call, "success", result=wire_xml.value(Type("ref", "pool_patch"), patch, exchange.world.schema))
    except (Fault, ConnectionError) as e:
        fault = e if isinstance(e, Fault) else Fault("INTERNAL_ERROR", "the upload ended too soon")
        with exchange.world.lock:
            finish(call, "failure", error_info=fault.description)
    with exchange.world.lock:
        exchange.world.save()
    yield from ()


def _introduce(exchange: Exchange, call: Call, data: bytes) -> str:
    """A disk that turns out to hold no update goes again."""
    db = exchange.db
    sr = exchange.query.get("sr_id") or call.pool.pool["default_SR"]
    vdi = str(call.call("VDI.create", {**DISK, "SR": sr, "virtual_size": len(data)}))
    try:
        with access.writing(exchange.machine, vdi) as writer:
            writer.write(0, data)
        update = call.call("pool_update.introduce", vdi)
    except Fault:
        call.call("VDI.destroy", vdi)
        raise
    return db.find("pool_patch", pool_update=update)[0]
