# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before an upgrade: what is to be set aside, what is under way, and what VMs need care."""

from __future__ import annotations

import re
import typing as t

from .. import hosts, movable
from ..errors import Ambiguous, NotFound
from ..refs import NULL
from ..vms import Vms, guests
from . import aside, aside_discs, preflight_self
from .preflight_look import Finding, Findings, Look, listed, vms

# tasks that lose their work when a host goes down, or hold VMs and disks where they are
HOLDING = re.compile(
    r"export|import|backup|replicat|cop(y|ies)|clon|migrat|snapshot|checkpoint|evacuat|updat|upload|apply|patch|eject|join|recover", re.I
)
BACK = "It is set aside while the upgrade runs, and given back."


def set_aside(look: Look) -> Findings:
    """What is on and would act on its own while hosts come and go."""
    pool = look.pool
    on = (
        ("ha", pool["ha_enabled"], "High availability is on.", "turn it off (xen_pool with ha: {enabled: false})"),
        ("wlb", pool.get("wlb_enabled"), "Workload balancing is on.", "turn it off"),
        ("auto_poweron", aside.is_auto(pool), "VMs start with their hosts (auto_poweron of the pool).", "remove that key of other_config"),
    )
    for option, is_on, text, remedy in on:
        if is_on and look.options[option]:
            yield Finding(False, text, BACK)
        elif is_on:
            yield Finding(option == "ha", text, f"Leave {option}: true, or {remedy}.")
    if found := aside_discs.in_the_way(look.objects):
        text = vms((disc.vm["name_label"] for disc in found), "has a CD that some hosts lack.", "have CDs that some hosts lack.")
        eject = look.options["eject"]
        yield Finding(not eject, text, "It is ejected, and inserted again at the end." if eject else "Leave eject: true, or eject it.")


def under_way(look: Look) -> Findings:
    """Tasks, and operations of VMs that have none. Those of an earlier run are waited for by the one that goes on."""
    tasks = {ref: task for ref, task in look.objects.all("task").items() if task["status"] in ("pending", "cancelling")}
    names = [task["name_label"] for task in tasks.values() if task["subtask_of"] in (NULL, "") or task["subtask_of"] not in tasks]
    holding = [name for name in names if HOLDING.search(name)]
    others = [name for name in names if name not in holding]
    if holding:
        yield Finding(not look.resumes, f"Under way: {listed(holding)}.", "Wait until that has ended, or cancel it.")
    if others:
        yield Finding(False, f"Under way: {listed(others)}.", "Who started it may want to wait.")
    busy = {
        f"{vm['name_label']} ({operation})"
        for vm in guests(look.objects).values()
        for task, operation in vm["current_operations"].items()
        if task not in tasks
    }
    if busy:
        yield Finding(not look.resumes, vms(busy, "is busy.", "are busy."), "Wait until that has ended.")


def care(look: Look) -> Findings:
    """VMs that cannot simply move. Why a VM keeps its host from being upgraded is told by the plan."""
    rows = guests(look.objects)
    running = {ref: vm for ref, vm in rows.items() if vm["power_state"] == "Running"}
    mute = [
        vm["name_label"]
        for ref, vm in running.items()
        if any(reason.code == "VM_LACKS_FEATURE" for reason in movable.stays(look.objects, ref))
    ]
    if mute:
        text = vms(mute, "has no guest tools running: it cannot move.", "have no guest tools running: they cannot move.")
        yield Finding(False, text, "Install them, or say with unmovable what is to happen.")
    if asleep := [vm["name_label"] for vm in rows.values() if vm["power_state"] == "Suspended"]:
        text = vms(asleep, "is suspended.", "are suspended.")
        yield Finding(False, text, "Resume and shut down what must surely start afterwards: memory of an older release may not be taken.")
    if paused := [vm["name_label"] for vm in rows.values() if vm["power_state"] == "Paused"]:
        yield Finding(False, vms(paused, "is paused: it cannot move.", "are paused: they cannot move."), "Unpause or stop them.")
    yield from _suspending(look, running)


def _suspending(look: Look, running: t.Iterable[str]) -> Findings:
    """Where the memory of VMs goes that are to be suspended."""
    if look.options.get("unmovable") != "suspend":
        return
    srs, chosen = look.objects.all("SR"), look.pool["suspend_image_SR"]
    staying = [look.objects.get("VM", ref) for ref in running if movable.stays(look.objects, ref)]
    need = sum(int(vm["memory_static_max"]) for vm in staying)
    if need and chosen not in srs:
        yield Finding(False, "The pool has no SR for suspended VMs.", "Set one (xen_pool with suspend_image_sr).")
    elif need and int(srs[chosen]["physical_size"]) - int(srs[chosen]["physical_utilisation"]) < need:
        named = listed(vm["name_label"] for vm in staying)
        yield Finding(
            True,
            f"SR {srs[chosen]['name_label']!r} has not enough room to suspend {named}.",
            "Make room there, or set another one (xen_pool).",
        )


def on_a_host(look: Look) -> Findings:
    """The task may run in a control domain."""
    here = preflight_self.addresses()
    for ref in look.by_name():
        if look.objects.get("host", ref)["address"] in here:
            yield Finding(
                ref in look.only,
                f"This task runs on host {look.host(ref)} itself, which is to be rebooted.",
                "Run it elsewhere, or leave the host out with hosts.",
            )


def control_node(look: Look) -> tuple[str, list[Finding]]:
    """The name of the VM that the task runs in, "" for none; and what is wrong with that."""
    said, found = look.options.get("control_node_last"), preflight_self.find(look.objects)
    if said:
        try:
            ref = Vms(look.objects).resolve(said)
        except (NotFound, Ambiguous) as e:
            return "", [Finding(True, f"control_node_last: {e}", "")]
        return said, [*_elsewhere(look, ref, found), *_at_the_coordinator(look, ref)]
    if found is None or said == "":
        return "", []
    label = found.vm["name_label"]
    return label, [
        Finding(
            True,
            f"This task runs in VM {label!r} of the pool ({found.how}), which is to be moved or stopped itself.",
            "Run it elsewhere, or name the VM in control_node_last: then its host comes last.",
        )
    ]


def _elsewhere(look: Look, ref: str, found: preflight_self.Found | None) -> Findings:
    if found and found.ref != ref:
        yield Finding(
            True,
            f"This task runs in VM {found.vm['name_label']!r} ({found.how}), not in the one that control_node_last names.",
            "Correct it.",
        )


def _at_the_coordinator(look: Look, ref: str) -> Findings:
    vm, first = look.objects.get("VM", ref), hosts.coordinator(look.objects)
    if vm["resident_on"] == first and first in look.only:
        yield Finding(
            False, f"VM {vm['name_label']!r}, where this runs, is on the coordinator, which comes first.", "Move it to another host before."
        )
