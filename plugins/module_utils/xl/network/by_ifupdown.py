# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing devices down and up with ifupdown."""

from __future__ import annotations

import typing as t

from . import interfaces
from .change import IFUPDOWN, Change, Command, Facts, may, must
from .deviating import as_before, destroy, deviates, flush, guests_back, standing_on
from .device import NIC, OVS, Addressing, Device, Wanted


def is_interfaces(path: str) -> bool:
    return path == interfaces.MAIN or path.startswith("/etc/network/")


def stanzas(texts: t.Mapping[str, str]) -> dict[str, list[str]]:
    """Of all files of interfaces(5) together."""
    found: dict[str, list[str]] = {}
    for path in sorted(texts):
        if is_interfaces(path):
            for name, lines in interfaces.stanzas(texts[path]).items():
                found.setdefault(name, []).extend(lines)
    return found


def names_of(wanted: Wanted) -> list[str]:
    """All devices of a description in the order in which they come up, with ports that are not described."""
    ports = [name for device in wanted.devices for name in device.ports if not wanted.device(name)]
    return list(dict.fromkeys([*ports, *(device.name for device in wanted.in_order())]))


def edited(texts: t.Mapping[str, str], wanted: Wanted, ours: str, manager: str) -> dict[str, str]:
    """The files of others without what is ours now."""
    names = names_of(wanted)
    made = {path: interfaces.without(told, names) for path, told in texts.items() if is_interfaces(path) and path != interfaces.OURS}
    if ours and manager == IFUPDOWN:
        made[interfaces.MAIN] = interfaces.sourced(made.get(interfaces.MAIN, ""))
    return made


def touched(wanted: Wanted, resolved: t.Mapping[str, Addressing], facts: Facts, new: t.Mapping[str, str]) -> list[str]:
    """Devices to be brought down and up, in the order in which they come up."""
    had, has = stanzas(facts.texts), stanzas(new)
    off = {one.name for one in wanted.devices if deviates(one, resolved[one.name], facts.live)}
    changed = {name for name in names_of(wanted) if had.get(name) != has.get(name)}
    return [name for name in names_of(wanted) if name in standing_on(off | changed, wanted)]


def commands(change: Change, wanted: Wanted, resolved: t.Mapping[str, Addressing], facts: Facts, new: t.Mapping[str, str]) -> list[str]:
    """Adds the commands to a change; returns the devices it touches."""
    live, had = facts.live, stanzas(facts.texts)
    names = touched(wanted, resolved, facts, new)
    going = leaving(wanted, facts)
    down = [*(name for name in going if name in had), *(name for name in reversed(names) if name in had)]
    change.stop += [may("ifdown", "--force", name) for name in down]
    change.stop += flush([*going, *names], live)
    for name in going:
        change.stop += destroy(name, facts.noted.devices[name])
    change.stop += [one for name in names for one in leftovers(name, wanted, facts)]
    change.start += [must("ifup", "--force", name) for name in names if not with_bridge(name, wanted)]
    change.start += guests_back(names, live, wanted)
    change.undo_stop += [may("ifdown", "--force", name) for name in reversed(names)]
    change.undo_stop += [may("ip", "address", "flush", "dev", name) for name in names if name in live.links]
    for device in reversed(wanted.in_order()):
        if device.name in names and device.name not in live.links:
            change.undo_stop += destroy(device.name, device.kind)
    change.undo_start += [may("ifup", "--force", name) for name in reversed(down)]
    change.undo_start += as_before([*going, *names], live) + guests_back([*going, *names], live, None)
    return names


def leaving(wanted: Wanted, facts: Facts) -> list[str]:
    """Devices of an earlier description that are no longer described, those that stand on others first."""
    return [name for name, _kind in reversed(list(facts.noted.devices.items())) if not wanted.device(name) and not wanted.above(name)]


def leftovers(name: str, wanted: Wanted, facts: Facts) -> list[Command]:
    """A device that is there is taken away, where ifdown has not: by it, or because something else made it."""
    device, link = wanted.device(name), facts.live.links.get(name)
    if not device or not link or device.kind == NIC:
        return []
    return destroy(name, OVS if name in facts.live.ovs else link.kind)


def with_bridge(name: str, wanted: Wanted) -> bool:
    """A port of Open vSwitch comes up with its bridge."""
    upper: Device | None = wanted.above(name)
    return bool(upper and upper.kind == OVS)
