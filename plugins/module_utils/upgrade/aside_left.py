# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade has left undone: hosts that are disabled, VMs that were stopped or are not at home."""

from __future__ import annotations

import typing as t

from .. import hosts
from ..plan import Plan
from ..reasons import name
from ..refs import Objects, Record
from ..vms import guests
from . import marks

DOWN = ("Halted", "Suspended")


def disabled(objects: Objects) -> list[str]:
    """References of hosts that are up and take no guests, by name."""
    found = [ref for ref, host in objects.all("host").items() if not host["enabled"] and hosts.is_live(objects, ref)]
    return sorted(found, key=lambda ref: hosts.name_of(objects, ref))


def names(objects: Objects, refs: t.Iterable[str]) -> list[str]:
    """Of hosts."""
    return sorted(hosts.name_of(objects, ref) for ref in refs)


def by_uuid(objects: Objects) -> dict[str, str]:
    """Names of the hosts."""
    return {host["uuid"]: hosts.name_of(objects, ref) for ref, host in objects.all("host").items()}


def away(objects: Objects) -> dict[str, str]:
    """VMs that are to be brought home, and the host that is it; one that is there already is left out."""
    known = by_uuid(objects)
    found = {str(vm["name_label"]): known.get(marks.home(vm), marks.home(vm)) for vm in guests(objects).values() if is_away(objects, vm)}
    return dict(sorted(found.items()))


def is_away(objects: Objects, vm: Record) -> bool:
    """Whether it is to be brought home, and is not there."""
    host = objects.all("host").get(vm["resident_on"])
    return marks.home(vm) not in ("", host["uuid"] if host else "")


def stopped(objects: Objects) -> dict[str, dict[str, str]]:
    """VMs that were stopped, how, and on which host they ran; one that runs again is left out."""
    known = by_uuid(objects)
    found = {}
    for vm in guests(objects).values():
        mark = marks.stopped(vm)
        if mark and vm["power_state"] in DOWN:
            found[str(vm["name_label"])] = {"how": mark.how, "host": known.get(mark.host, mark.host)}
    return dict(sorted(found.items()))


def undone(objects: Objects) -> list[str]:
    """In sentences."""
    homes = [f"VM {vm!r} is not at home on host {host!r}." for vm, host in away(objects).items()]
    down = [f"Host {host!r} is down." for host in hosts.down(objects)]
    stops = [f"VM {vm!r} was stopped ({mark['how']}) on host {mark['host']!r}." for vm, mark in stopped(objects).items()]
    return [*down, *homes, *stops]


def plan_forget(plan: Plan, objects: Objects, *, homes: bool) -> None:
    """Marks of VMs that run again or are at home; homes: of those that did not get there, too."""
    for ref, vm in guests(objects).items():
        label = name(vm)
        if homes or not is_away(objects, vm):
            marks.take_off(plan, "VM", ref, vm, marks.HOME, label=label)
        if vm["power_state"] not in DOWN:
            marks.take_off(plan, "VM", ref, vm, marks.STOPPED, label=label)
