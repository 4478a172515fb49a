# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade has left undone: hosts that are disabled, VMs that were stopped or are not at home."""

from __future__ import annotations

import typing as t

from .. import hosts
from ..refs import Objects
from ..vms import guests
from . import marks


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
    known, rows = by_uuid(objects), objects.all("host")
    found = {}
    for vm in guests(objects).values():
        home = marks.home(vm)
        there = rows[vm["resident_on"]]["uuid"] if vm["resident_on"] in rows else ""
        if home and home != there:
            found[str(vm["name_label"])] = known.get(home, home)
    return dict(sorted(found.items()))


def stopped(objects: Objects) -> dict[str, dict[str, str]]:
    """VMs that were stopped, how, and on which host they ran; one that runs again is left out."""
    known = by_uuid(objects)
    found = {}
    for vm in guests(objects).values():
        mark = marks.stopped(vm)
        if mark and vm["power_state"] in ("Halted", "Suspended"):
            found[str(vm["name_label"])] = {"how": mark.how, "host": known.get(mark.host, mark.host)}
    return dict(sorted(found.items()))


def undone(objects: Objects) -> list[str]:
    """In sentences."""
    homes = [f"VM {vm!r} is not at home on host {host!r}." for vm, host in away(objects).items()]
    down = [f"Host {host!r} is down." for host in hosts.down(objects)]
    stops = [f"VM {vm!r} was stopped ({mark['how']}) on host {mark['host']!r}." for vm, mark in stopped(objects).items()]
    return [*down, *homes, *stops]
