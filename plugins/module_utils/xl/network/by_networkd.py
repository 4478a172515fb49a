# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Having systemd-networkd take over changed files."""

from __future__ import annotations

import typing as t

from . import networkd
from .by_ifupdown import leaving, names_of, stanzas
from .change import Change, Facts, may, must
from .deviating import as_before, destroy, deviates, flush, guests_back, standing_on
from .device import NIC, OVS, Addressing, Wanted

SERVICE = "systemd-networkd.service"


def touched(wanted: Wanted, resolved: t.Mapping[str, Addressing], facts: Facts, new: t.Mapping[str, str]) -> list[str]:
    """Devices whose files change, or that are not as described."""
    found = {one.name for one in wanted.devices if deviates(one, resolved[one.name], facts.live)}
    for name in names_of(wanted):
        paths = [f"{networkd.FOLDER}/{networkd.PREFIX}{name}.{kind}" for kind in ("network", "netdev")]
        if any(facts.texts.get(path) != new.get(path) for path in paths):
            found.add(name)
    return [name for name in names_of(wanted) if name in found]


def made_anew(names: t.Sequence[str], wanted: Wanted, facts: Facts, new: t.Mapping[str, str]) -> list[str]:
    """networkd does not change the kind or the settings of a device that is there."""
    found: set[str] = set()
    for name in names:
        path = f"{networkd.FOLDER}/{networkd.PREFIX}{name}.netdev"
        device, link = wanted.device(name), facts.live.links.get(name)
        other = device and link and device.kind not in (NIC, OVS) and link.kind != device.kind
        if link and (other or (path in new and facts.texts.get(path) != new[path])):
            found.add(name)
    return [name for name in names if name in found]


def commands(change: Change, wanted: Wanted, resolved: t.Mapping[str, Addressing], facts: Facts, new: t.Mapping[str, str]) -> list[str]:
    """Adds the commands to a change; returns the devices it touches."""
    live, had = facts.live, stanzas(facts.texts)
    names, going = touched(wanted, resolved, facts, new), leaving(wanted, facts)
    anew = made_anew(names, wanted, facts, new)
    names = [name for name in names_of(wanted) if name in standing_on(anew, wanted) | set(names)]
    running = SERVICE in facts.active
    from_ifupdown = [name for name in reversed(names) if name in had]
    change.stop += [may("ifdown", "--force", name) for name in from_ifupdown]
    change.stop += flush([name for name in names if name not in wanted_alone(wanted) or name in from_ifupdown], live)
    for name in (*going, *anew):
        kind = facts.noted.devices.get(name) or ("openvswitch" if name in live.ovs else live.links[name].kind)
        change.stop += destroy(name, kind)
    known = [name for name in names if name in live.links and name not in anew]
    again = [may("networkctl", "reconfigure", *known)] if known else []
    if names or going:
        change.start += [must("networkctl", "reload"), *again] if running else [
            must("systemctl", "enable", SERVICE), must("systemctl", "restart", SERVICE)
        ]  # fmt: skip
        change.start += guests_back(anew, live, wanted)
        for device in reversed(wanted.in_order()):
            if device.name in names and (device.name not in live.links or device.name in anew):
                change.undo_stop += destroy(device.name, device.kind)
        off = may("systemctl", "disable", "--now", SERVICE, "systemd-networkd.socket")
        change.undo_start += [may("networkctl", "reload"), *again] if running else [off]
        alone = [name for name in names if name in live.links and not live.master_of(name)]
        change.undo_start += [may("ip", "link", "set", "dev", name, "nomaster") for name in alone]
        change.undo_start += [may("ifup", "--force", name) for name in reversed(from_ifupdown)]
        change.undo_start += as_before([*going, *names], live) + guests_back([*going, *anew], live, None)
    return names


def wanted_alone(wanted: Wanted) -> set[str]:
    """Devices that are no ports: networkd looks after their addresses."""
    return {device.name for device in wanted.devices if not wanted.above(device.name)}
