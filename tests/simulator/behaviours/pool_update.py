# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update files of XenServer 7.1 to 8.2, and the older class that stands for the same. Rules: xen-api ocaml/xapi/xapi_pool_update.ml."""

from __future__ import annotations

import contextlib
import typing as t

from .. import evacuation, software, update_files
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL
from ..updates import File
from ..vm_operations import runs_hvm
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

APPLYING = 60.0  # virtual seconds on a host
PATCHED_LIVE = "ok_livepatch_complete"


def _file(call: Call, update: str) -> File:
    """What is known of an update beside its record."""
    number = call.db.get("pool_update", update)["uuid"]
    return next((file for file in call.world.updates.files if file.uuid == number), File(number, ""))


@message("pool_update.introduce")
def introduce(call: Call, vdi: str) -> str:
    """Raises INVALID_UPDATE [text], UPDATE_ALREADY_EXISTS [uuid]. One whose disk was cleaned away gets this one."""
    db = call.db
    found = update_files.read(call, vdi)
    for ref in db.find("pool_update", uuid=found.uuid):
        if db.exists("VDI", db.get("pool_update", ref)["vdi"]):
            raise Fault("UPDATE_ALREADY_EXISTS", found.uuid)
        db.set("pool_update", ref, vdi=vdi)
        return ref
    if all(file.uuid != found.uuid for file in call.world.updates.files):
        call.world.updates.files.append(found)
    named = {"name_label": found.name, "name_description": found.description, "version": found.version}
    update = db.create(
        "pool_update", **named, uuid=found.uuid, installation_size=found.size, key=found.key, after_apply_guidance=found.guidance, vdi=vdi,
        enforce_homogeneity=found.enforce_homogeneity,
    )  # fmt: skip
    twin = update_files.patch_uuid(found.uuid)
    db.create("pool_patch", **named, uuid=twin, size=found.size, after_apply_guidance=found.guidance, pool_update=update)
    return update


@message("pool_update.precheck")
def precheck(call: Call, self: str, host: str) -> str:
    """Raises UPDATE_ALREADY_APPLIED [update], CANNOT_FIND_UPDATE, UPDATE_PRECHECK_FAILED_PREREQUISITE_MISSING [update, uuid]."""
    db = call.db
    record = db.get("pool_update", self)
    at_host(call, host)
    held = db.get("host", host)["updates"]
    if self in held:
        raise Fault("UPDATE_ALREADY_APPLIED", self)
    if not db.exists("VDI", record["vdi"]):
        raise Fault("CANNOT_FIND_UPDATE")
    uuids = {db.get("pool_update", update)["uuid"] for update in held}
    for needed in _file(call, self).requires:
        if needed not in uuids:
            raise Fault("UPDATE_PRECHECK_FAILED_PREREQUISITE_MISSING", self, needed)
    return _file(call, self).livepatch


@message("pool_update.apply")
def apply(call: Call, self: str, host: str) -> None:
    """The host has it, and tells if it needs a reboot for that."""
    db = call.db
    answer = precheck(call, self, host)
    call.sleep(APPLYING)
    machine = at_host(call, host)
    software.put_on_disk(machine, _file(call, self).software)
    db.set("host", host, updates=[*db.get("host", host)["updates"], self])
    guidance = db.get("pool_update", self)["after_apply_guidance"]
    if "restartHost" in guidance and answer != PATCHED_LIVE:
        db.set("host", host, updates_requiring_reboot=[*db.get("host", host)["updates_requiring_reboot"], self])
    for vm in evacuation.guests(db, host):
        if ("restartHVM" if runs_hvm(db.get("VM", vm)) else "restartPV") in guidance:
            db.set("VM", vm, requires_reboot=True)
    for patch in db.find("pool_patch", pool_update=self):
        record = db.get("pool_patch", patch)
        named = {name: record[name] for name in ("name_label", "name_description", "version", "size")}
        db.create("host_patch", **named, host=host, pool_patch=patch, applied=True, timestamp_applied=call.world.clock.iso())
        db.set("pool_patch", patch, pool_applied=len(db.get("pool_update", self)["hosts"]) == len(db.all("host")))


@message("pool_update.pool_apply")
def pool_apply(call: Call, self: str) -> None:
    """To the hosts that lack it. Raises UPDATE_ALREADY_APPLIED_IN_POOL [update], UPDATE_POOL_APPLY_FAILED [host, ...]."""
    held = call.db.get("pool_update", self)["hosts"]
    lacking = [host for host in call.db.all("host") if host not in held]
    if not lacking:
        raise Fault("UPDATE_ALREADY_APPLIED_IN_POOL", self)
    failed = []
    for host in lacking:
        try:
            apply(call, self, host)
        except Fault:
            failed.append(host)
    if failed:
        raise Fault("UPDATE_POOL_APPLY_FAILED", *failed)


@message("pool_update.pool_clean")
def pool_clean(call: Call, self: str) -> None:
    """Its disk goes; a record nobody has applied goes too."""
    vdi = call.db.get("pool_update", self)["vdi"]
    call.db.set("pool_update", self, vdi=NULL)
    if call.db.exists("VDI", vdi):
        with contextlib.suppress(Fault):
            call.call("VDI.destroy", vdi)
    if not call.db.get("pool_update", self)["hosts"]:
        _forget(call, self)


@message("pool_update.destroy")
def destroy(call: Call, self: str) -> None:
    """Raises UPDATE_IS_APPLIED."""
    if call.db.get("pool_update", self)["hosts"]:
        raise Fault("UPDATE_IS_APPLIED")
    pool_clean(call, self)


def _forget(call: Call, update: str) -> None:
    for patch in call.db.find("pool_patch", pool_update=update):
        call.db.destroy("pool_patch", patch)
    call.db.destroy("pool_update", update)


# the older class -----------------------------------------------------------------------------------------------------
def _update(call: Call, patch: str) -> str:
    """The update a patch stands for."""
    found = call.db.get("pool_patch", patch)["pool_update"]
    call.db.get("pool_update", found)
    return str(found)


@message("pool_patch.precheck")
def patch_precheck(call: Call, self: str, host: str) -> str:
    """As of its update."""
    precheck(call, _update(call, self), host)
    return ""


@message("pool_patch.apply")
def patch_apply(call: Call, self: str, host: str) -> str:
    """As of its update."""
    apply(call, _update(call, self), host)
    return ""


@message("pool_patch.pool_apply")
def patch_pool_apply(call: Call, self: str) -> None:
    """As of its update."""
    pool_apply(call, _update(call, self))


@message("pool_patch.clean")
def patch_clean(call: Call, self: str) -> None:
    """The disk stays, as other hosts may need it."""
    call.db.get("pool_patch", self)


@message("pool_patch.clean_on_host")
def patch_clean_on_host(call: Call, self: str, host: str) -> None:
    """The disk stays, as other hosts may need it."""
    call.db.get("pool_patch", self)
    call.db.get("host", host)


@message("pool_patch.pool_clean")
def patch_pool_clean(call: Call, self: str) -> None:
    """As of its update."""
    pool_clean(call, _update(call, self))


@message("pool_patch.destroy")
def patch_destroy(call: Call, self: str) -> None:
    """As of its update."""
    destroy(call, _update(call, self))
