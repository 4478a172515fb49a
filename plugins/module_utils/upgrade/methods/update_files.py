# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Updates by what the user calls them: a record of the pool, a disk that holds one, a file; and how the pool gets them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ... import stream
from ...client import Session
from ...errors import InvalidChange, NotFound
from ...plan import Later, Plan
from ...refs import Objects, Record
from ...storage import Storage
from . import update_file

UPLOADED = "domzero.xen:update"  # in VDI.other_config: uuid of the update the disk was made for
PUT = "http/put_import_raw_vdi"  # as xapi calls the permission


@dataclass(frozen=True)
class Wanted:
    """ref: of the pool_update, "" before it is introduced; ready: whether it can be applied; guidance: None if it is not known yet;
    vdi: a disk that holds it; path: a file, size of it in bytes; ours: whether we put it into the pool, or will.
    """

    label: str
    uuid: str = ""
    ref: str = ""
    ready: bool = False
    guidance: tuple[str, ...] | None = None
    vdi: str = ""
    path: str = ""
    size: int = 0
    ours: bool = False


def wanted(objects: Objects, text: str) -> Wanted:
    """Raises NotFound, Ambiguous, InvalidChange."""
    if "/" in text:
        return _of_file(objects, text)
    if objects.named("pool_update", text):
        return _of_record(objects, objects.resolve("pool_update", text))
    if not objects.named("VDI", text):
        known = sorted(record["name_label"] for record in objects.all("pool_update").values())
        hint = f"The pool knows {', '.join(known)}." if known else "The pool knows no update yet."
        raise NotFound(f"No update and no disk is named {text!r} or has it as uuid.", hint=f"{hint} A path has a slash.")
    vdi = objects.resolve("VDI", text)
    held = [ref for ref, record in objects.all("pool_update").items() if record["vdi"] == vdi]
    return _of_record(objects, held[0]) if held else Wanted(text, vdi=vdi)


def _of_record(objects: Objects, ref: str) -> Wanted:
    record = objects.get("pool_update", ref)
    disk: Record = objects.all("VDI").get(record["vdi"], {})
    return Wanted(
        record["name_label"], record["uuid"], ref, ready=bool(disk), guidance=tuple(record["after_apply_guidance"]),
        ours=disk.get("other_config", {}).get(UPLOADED) == record["uuid"],
    )  # fmt: skip


def _of_file(objects: Objects, path: str) -> Wanted:
    told = update_file.read(path)
    known = next((ref for ref, record in objects.all("pool_update").items() if record["uuid"] == told.uuid), "")
    if known and _of_record(objects, known).ready:
        return _of_record(objects, known)
    return Wanted(told.name, told.uuid, known, guidance=told.guidance, path=path, size=told.size, ours=True)


def put(plan: Plan, objects: Objects, session: Session, one: Wanted) -> None:
    """The pool gets an update. A disk that an earlier run made for it is used. Raises InvalidChange where it cannot."""
    vdi: str | Later = one.vdi
    if not one.vdi and not one.path:
        told = f"Update {one.label!r} is known to the pool, but its file was removed."
        raise InvalidChange(told, hint="Give the path of its file instead.", code="CANNOT_FIND_UPDATE")
    if one.path:
        held = [ref for ref, record in objects.all("VDI").items() if record["other_config"].get(UPLOADED) == one.uuid]
        vdi = held[0] if held else plan.add("VDI.create", _disk(objects, one), what=f"make a disk for update {one.label!r}")
        plan.add(PUT, vdi, what=f"upload update {one.label!r}", run=lambda ref: _send(session, ref, one))
    plan.add("pool_update.introduce", vdi, what=f"introduce update {one.label!r}", slow=True)


def _disk(objects: Objects, one: Wanted) -> dict[str, t.Any]:
    return {
        "name_label": one.label, "name_description": "Update file", "SR": Storage(objects).for_disks(None), "virtual_size": one.size,
        "type": "user", "sharable": False, "read_only": False, "other_config": {UPLOADED: one.uuid}, "xenstore_data": {}, "sm_config": {},
        "tags": [],
    }  # fmt: skip


def _send(session: Session, vdi: str, one: Wanted) -> None:
    query = {"vdi": vdi, "format": "raw"}
    stream.upload(session, "/import_raw_vdi", query, one.path, one.size, what=f"Upload of update {one.label}")
