# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks of a VM that moves: where each is to go, and what speaks against it (xen-api: ocaml/xapi/xapi_vm_migrate.ml)."""

from __future__ import annotations

import typing as t

from ... import movable
from ...errors import Ambiguous, InvalidChange, NotFound
from ...formats.sizes import readable_size
from ...hosts import pool_of
from ...reasons import Reason, Reasons, name
from ...refs import Objects, Record
from ...storage import Storage

MAP = t.Mapping[str, str]
AT_ONCE = 3  # storage migrations of one host
# XenServer up to 7 moves the storage of VMs with these numbers at most (its administrator's guide, "Storage XenMotion")
OLD_PLATFORM, OLD_SNAPSHOTS, OLD_DISKS = 3, 1, 6
SOURCE_NEEDS, TARGET_NEEDS = ("VDI_SNAPSHOT", "VDI_MIRROR"), ("VDI_SNAPSHOT", "VDI_MIRROR_IN")


class Disk(t.NamedTuple):
    """A disk of the VM: device as the user counts them, its VDI and record, the SR it is in."""

    device: str
    vdi: str
    record: Record
    sr: str


def of(objects: Objects, vm: Record) -> list[Disk]:
    """In the order of their places, drives left out."""
    vdis = objects.all("VDI")
    rows = [vbd for vbd in movable.drives(objects, vm).values() if vbd["type"] == "Disk" and vbd["VDI"] in vdis]
    return [Disk(vbd["userdevice"], vbd["VDI"], vdis[vbd["VDI"]], vdis[vbd["VDI"]]["SR"]) for vbd in rows]


class Wishes(t.NamedTuple):
    """The options sr, disks and srs."""

    sr: str
    disks: MAP
    srs: MAP

    def __bool__(self) -> bool:
        return bool(self.sr or self.disks or self.srs)


def goals(disks: t.Sequence[Disk], wishes: Wishes, ours: Objects, theirs: Objects, host: str) -> tuple[dict[str, str], list[Reason]]:
    """The SR for each VDI that a wish names, the most particular wish first; and the disks no wish tells about in another pool.

    host: where the SR must be attached when several have that name ("" for any). Raises NotFound, Ambiguous, InvalidChange.
    """
    keys = {key: disk for disk in disks for key in (disk.record["uuid"], disk.record["name_label"], disk.device) if key}
    if unknown := sorted(set(wishes.disks) - set(keys)):
        known = ", ".join(f"{d.device} ({d.record['name_label'] or d.record['uuid']})" for d in disks)
        raise NotFound(f"disks names {', '.join(map(repr, unknown))}, which the VM does not have.", hint=f"It has: {known or 'none'}.")
    _refuse_unknown_srs(disks, wishes, ours)
    out: dict[str, str] = {}
    for disk in disks:
        names = [wishes.disks[key] for key in (disk.device, disk.record["name_label"], disk.record["uuid"]) if key in wishes.disks]
        sr = ours.get("SR", disk.sr)
        names += [wishes.srs[key] for key in (sr["uuid"], sr["name_label"]) if key in wishes.srs]
        if chosen := [*names, *filter(None, [wishes.sr])]:
            out[disk.vdi] = _sr(theirs, chosen[0], host)
    left = [d for d in disks if d.vdi not in out] if theirs is not ours else []
    return out, [Reason("VDI_NOT_IN_MAP", f"Nothing says which SR of the other pool disk {d.device} is to go to, "
                        f"now in {ours.label('SR', d.sr)!r}.", "Set sr, srs or disks.") for d in left]  # fmt: skip


def _refuse_unknown_srs(disks: t.Sequence[Disk], wishes: Wishes, ours: Objects) -> None:
    """A misspelt key of srs would leave a disk where it is."""
    known = {key for row in ours.all("SR").values() for key in (row["uuid"], row["name_label"])}
    if unknown := sorted(set(wishes.srs) - known):
        used = sorted({ours.label("SR", disk.sr) for disk in disks})
        raise NotFound(f"srs names {', '.join(map(repr, unknown))}, which this pool does not have.", hint=f"The VM's: {', '.join(used)}.")


def _sr(theirs: Objects, text: str, host: str) -> str:
    """By name or uuid; of several that the target host has."""
    try:
        found = theirs.resolve("SR", text)
    except Ambiguous:
        here = [ref for ref in theirs.named("SR", text) if host and movable.plugged(theirs, ref, host)]
        if len(here) != 1:
            raise
        found = here[0]
    if theirs.get("SR", found)["content_type"] == "iso":
        raise InvalidChange(f"SR {text!r} is a library of discs; it takes no disks.")
    return found


def obstacles(ours: Objects, vm: Record, moved: t.Mapping[str, str], theirs: Objects, host: str) -> list[Reason]:
    """What speaks against moving these VDIs to those SRs. host: the one that will run the VM ("" for none)."""
    rows = [disk for disk in of(ours, vm) if disk.vdi in moved]
    return [
        *[reason for disk in rows for reason in _disk(ours, vm, disk)],
        *[reason for sr in dict.fromkeys(d.sr for d in rows) for reason in _features(ours, sr, SOURCE_NEEDS)],
        *[reason for sr in dict.fromkeys(moved.values()) for reason in _target(ours, theirs, sr, host, vm)],
        *_space(ours, rows, moved, theirs),
        *_old_release(ours, vm, rows),
        *_too_many(ours, vm),
    ]


def _disk(ours: Objects, vm: Record, disk: Disk) -> Reasons:
    label, record = f"Disk {disk.device} of {name(vm)}", disk.record
    if record.get("cbt_enabled"):
        yield Reason("VDI_CBT_ENABLED", f"{label} has changed block tracking on.", "Turn it off (xen_vdi with cbt_enabled: false).")
    if "key_hash" in record["sm_config"]:
        yield Reason("VDI_IS_ENCRYPTED", f"{label} is encrypted.", "Export it and import it where it is to be.")
    if record["on_boot"] == "reset":
        yield Reason("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", f"{label} is reset at each boot.", "Set its on_boot to persist.")
    vbds, vms = ours.all("VBD"), ours.all("VM")
    users = [vms[vbds[vbd]["VM"]] for vbd in record["VBDs"] if vbd in vbds and vbds[vbd]["VM"] in vms]
    if others := sorted({name(u) for u in users if u["uuid"] != vm["uuid"] and not u["is_a_snapshot"]}):
        yield Reason("VDI_IN_USE", f"{label} is attached to {', '.join(others)} as well.", "Detach it there first.")


def _features(objects: Objects, sr: str, needed: t.Collection[str]) -> Reasons:
    """An SR whose driver is not listed is left to xapi. Drivers with one word for both directions name the first only."""
    have = Storage(objects).features(sr)
    have |= {"VDI_MIRROR_IN"} if "VDI_MIRROR" in have else set()
    if have and (missing := sorted(set(needed) - have)):
        yield Reason("SR_DOES_NOT_SUPPORT_MIGRATION",
                     f"SR {objects.label('SR', sr)!r} of type {objects.get('SR', sr)['type']} cannot take part in storage migration "
                     f"(it lacks {', '.join(missing)}).", "Choose another SR, or export the VM and import it.")  # fmt: skip


def _target(ours: Objects, theirs: Objects, sr: str, host: str, vm: Record) -> Reasons:
    yield from _features(theirs, sr, TARGET_NEEDS)
    label, record = theirs.label("SR", sr), theirs.get("SR", sr)
    if host and not movable.plugged(theirs, sr, host):
        yield Reason(
            "VM_REQUIRES_SR", f"Host {theirs.label('host', host)!r} does not have SR {label!r}.", "Attach it there or choose another SR."
        )
    protected = movable.is_protected(vm) and pool_of(ours)[1]["ha_enabled"]
    if theirs is ours and protected and not record["shared"]:
        yield Reason("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED",
                     f"{name(vm)} is protected by high availability, and SR {label!r} is not shared.",
                     "Choose a shared SR, or end the VM's protection.")  # fmt: skip


def _space(ours: Objects, rows: t.Sequence[Disk], moved: t.Mapping[str, str], theirs: Objects) -> Reasons:
    for sr in dict.fromkeys(moved.values()):
        storage = Storage(theirs)
        free, thick = storage.free(sr), storage.is_thick(sr)
        coming = sum(_weight(ours, disk, thick=thick) for disk in rows if moved[disk.vdi] == sr)
        if free is not None and coming > free:
            yield Reason("SR_FULL", f"SR {theirs.label('SR', sr)!r} has {readable_size(free)} free, the disks "
                         f"{'take' if thick else 'hold'} {readable_size(coming)}.", "Make room there or choose another SR.")  # fmt: skip


def _weight(ours: Objects, disk: Disk, *, thick: bool) -> int:
    """Bytes a disk surely takes on thick storage or on thin: what one that comes from thick storage holds xapi does not tell."""
    if thick:
        return int(disk.record["virtual_size"])
    return 0 if Storage(ours).is_thick(disk.sr) else int(disk.record["physical_utilisation"])


def _old_release(ours: Objects, vm: Record, rows: t.Sequence[Disk]) -> Reasons:
    host = ours.all("host").get(vm["resident_on"]) or ours.get("host", pool_of(ours)[1]["master"])
    major = host["software_version"].get("platform_version", "").partition(".")[0]
    if not major.isdecimal() or int(major) >= OLD_PLATFORM:
        return
    if len(vm["snapshots"]) > OLD_SNAPSHOTS:
        yield Reason("VM_HAS_TOO_MANY_SNAPSHOTS", f"{name(vm)} has {len(vm['snapshots'])} snapshots; "
                     f"this release moves the storage of VMs with one at most.", "Delete the others first.")  # fmt: skip
    if len(rows) > OLD_DISKS:
        yield Reason("OPERATION_NOT_ALLOWED", f"{name(vm)} has {len(rows)} disks to move; this release moves six at most.",
                     "Move some of them while it is halted.")  # fmt: skip


def _too_many(ours: Objects, vm: Record) -> Reasons:
    others = [v for v in ours.all("VM").values() if v["resident_on"] == vm["resident_on"] and v["uuid"] != vm["uuid"]]
    running = sum("migrate_send" in v["current_operations"].values() for v in others)
    if vm["resident_on"] in ours.all("host") and running >= AT_ONCE:
        yield Reason("TOO_MANY_STORAGE_MIGRATES", f"{running} storage migrations are running on the host of {name(vm)}.",
                     "Run the task again when one has finished.")  # fmt: skip
