# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CDs that tie running VMs to some of the hosts are ejected, and inserted again. Rules: xen-api, xapi_vbd.ml, xapi_vbd_helpers.ml."""

from __future__ import annotations

import typing as t

from .. import hosts
from ..plan import Plan
from ..reasons import name
from ..refs import NULL, Objects, Record
from ..vms import guests
from . import marks

RUNNING = ("Running", "Paused")


class Disc(t.NamedTuple):
    """A CD drive and its VM: references, and records."""

    ref: str
    vbd: Record
    vm: Record


def drives(objects: Objects) -> list[Disc]:
    """CD drives of VMs, by name of VM and place."""
    vms = guests(objects)
    rows = [Disc(ref, vbd, vms[vbd["VM"]]) for ref, vbd in objects.all("VBD").items() if vbd["type"] == "CD" and vbd["VM"] in vms]
    return sorted(rows, key=lambda disc: (disc.vm["name_label"], disc.vm["uuid"], disc.vbd["userdevice"]))


def ejected(objects: Objects) -> list[Disc]:
    """Empty drives whose disc is aside."""
    return [disc for disc in drives(objects) if marks.disc(disc.vbd) and disc.vbd["empty"]]


def in_the_way(objects: Objects) -> list[Disc]:
    """Drives of running VMs with a disc that some host could not read."""
    vdis, seen = objects.all("VDI"), everywhere(objects)
    loaded = [disc for disc in drives(objects) if disc.vm["power_state"] in RUNNING and not disc.vbd["empty"] and disc.vbd["VDI"] in vdis]
    return [disc for disc in loaded if vdis[disc.vbd["VDI"]]["SR"] not in seen]


def everywhere(objects: Objects) -> set[str]:
    """SRs that every host has. A host that is down has what it will attach when it comes back."""
    seen: dict[str, set[str]] = {}
    for pbd in objects.all("PBD").values():
        if pbd["currently_attached"] or not hosts.is_live(objects, pbd["host"]):
            seen.setdefault(pbd["SR"], set()).add(pbd["host"])
    every = set(objects.all("host"))
    return {sr for sr, there in seen.items() if there >= every}


def told(objects: Objects, found: t.Iterable[Disc]) -> list[dict[str, str]]:
    """For people: the VM and its disc, whether it is in the drive or aside."""
    known = _by_uuid(objects)
    return [{"vm": disc.vm["name_label"], "disc": _title(objects, disc, known)} for disc in found]


def _by_uuid(objects: Objects) -> dict[str, str]:
    """References of disks."""
    return {vdi["uuid"]: ref for ref, vdi in objects.all("VDI").items()}


def _title(objects: Objects, disc: Disc, known: t.Mapping[str, str]) -> str:
    ref = disc.vbd["VDI"] if not disc.vbd["empty"] else known.get(marks.disc(disc.vbd), NULL)
    record = objects.all("VDI").get(ref)
    return str(record["name_label"] or record["uuid"]) if record else marks.disc(disc.vbd)


# planning --------------------------------------------------------------------------
def plan_out(plan: Plan, objects: Objects) -> list[Disc]:
    """What is in the way goes, each noted before; what was done. A drive that cannot be opened is told in the plan's warnings."""
    gone = []
    for disc in in_the_way(objects):
        if "eject" not in disc.vbd["allowed_operations"]:
            plan.warnings.append(f"The disc of {name(disc.vm)} cannot be ejected now: the VM can only be on hosts that have its SR.")
            continue
        uuid, label = objects.get("VDI", disc.vbd["VDI"])["uuid"], f"the CD drive of {name(disc.vm)}"
        marks.write(plan, "VBD", disc.ref, disc.vbd, marks.DISC, uuid, label=label)
        plan.add("VBD.eject", disc.ref, what=f"eject the disc of {name(disc.vm)}")
        gone.append(disc)
    return gone


def plan_back(plan: Plan, objects: Objects) -> tuple[list[Disc], list[str]]:
    """What was ejected is inserted again, then the note goes; those that stay out, and why, each in a sentence."""
    kept, why, known = [], [], _by_uuid(objects)
    for disc in drives(objects):
        uuid = marks.disc(disc.vbd)
        if not uuid:
            continue
        vdi = known.get(uuid, NULL)
        if disc.vbd["empty"] and (obstacle := _obstacle(objects, disc, vdi)):
            kept.append(disc)
            why.append(obstacle)
            continue
        if disc.vbd["empty"] and vdi != NULL:
            plan.add("VBD.insert", disc.ref, vdi, what=f"insert the disc of {name(disc.vm)} again")
        elif disc.vbd["empty"]:
            plan.warnings.append(f"The disc {uuid} of {name(disc.vm)} is not there any more: its drive stays empty.")
        marks.take_off(plan, "VBD", disc.ref, disc.vbd, marks.DISC, label=f"the CD drive of {name(disc.vm)}")
    return kept, why


def _obstacle(objects: Objects, disc: Disc, ref: str) -> str:
    """Why a disc cannot be inserted now; "" if it can, or is not there any more."""
    vdi = objects.all("VDI").get(ref)
    if vdi is None:
        return ""
    stays = f"The disc {vdi['name_label']!r} of {name(disc.vm)} stays out of its drive"
    if disc.vm["power_state"] == "Suspended":
        return f"{stays}: the VM is suspended. Resume it, then run the task again."
    attached = {pbd["SR"] for pbd in objects.all("PBD").values() if pbd["host"] == disc.vm["resident_on"] and pbd["currently_attached"]}
    if disc.vm["power_state"] in RUNNING and vdi["SR"] not in attached:
        host, sr = hosts.name_of(objects, disc.vm["resident_on"]), objects.label("SR", vdi["SR"])
        return f"{stays}: host {host!r} does not have SR {sr!r}. Move the VM to one that has it, then run the task again."
    return ""
