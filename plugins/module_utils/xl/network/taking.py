# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses a device has whose description says nothing of them: those of what it stands on go over to it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...errors import InvalidChange
from .device import BOND, BRIDGE, NIC, OVS, Addressing, Device, Live, Wanted


@dataclass(frozen=True)
class Noted:
    """What an earlier run noted: its devices with their kinds, and the addresses it took over."""

    devices: t.Mapping[str, str] = field(default_factory=dict)
    taken: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    manager: str = ""


def resolve(wanted: Wanted, live: Live, noted: Noted) -> dict[str, Addressing]:
    """Addresses of every device that is described. Raises InvalidChange where it is not clear which to take."""
    return {
        device.name: device.addressing if device.addressing is not None else take(device, wanted, live, noted) for device in wanted.devices
    }


def take(device: Device, wanted: Wanted, live: Live, noted: Noted) -> Addressing:
    if wanted.above(device.name):
        return Addressing()
    if device.name in noted.taken:
        return Addressing.of(noted.taken[device.name])
    own = of_device(device.name, live)
    if own:
        return own
    found = {name: of_device(name, live) for name in sources(device, wanted, live)}
    having = {name: one for name, one in found.items() if one}
    if len(having) > 1:
        raise InvalidChange(
            f"{device.name} could take over the addresses of {' or '.join(having)}.", hint="Say which addresses it is to have."
        )
    return next(iter(having.values()), Addressing())


def sources(device: Device, wanted: Wanted, live: Live) -> list[str]:
    """Devices whose addresses may go over to it."""
    if device.kind in (BRIDGE, OVS, BOND):
        found: list[str] = []
        for port in device.ports:
            lower = wanted.device(port)
            upper = live.master_of(port)
            found += [port, *(sources(lower, wanted, live) if lower else []), *([upper] if upper and not wanted.device(upper) else [])]
        return list(dict.fromkeys(name for name in found if name != device.name))
    if device.kind == NIC:
        found, name = [], live.master_of(device.name)
        while name and name not in found:
            found.append(name)
            name = live.master_of(name)
        return [name for name in found if not wanted.device(name)]
    return []


def of_device(name: str, live: Live) -> Addressing:
    """What a device has now."""
    link = live.links.get(name)
    if not link or not link.addresses:
        return Addressing()
    dns = live.dns.get(name, ())
    if link.dynamic:
        return Addressing(dhcp=True, routes=live.routes.get(name, ()), dns=dns)
    return Addressing(link.addresses, live.gateways.get(name, ""), live.gateways6.get(name, ""), routes=live.routes.get(name, ()), dns=dns)


def note(wanted: Wanted, resolved: t.Mapping[str, Addressing], manager: str) -> dict[str, t.Any]:
    """What the next run has to know, for JSON."""
    taken = {one.name: resolved[one.name].plain() for one in wanted.devices if one.addressing is None and resolved[one.name]}
    return {"manager": manager, "devices": {one.name: one.kind for one in wanted.in_order()}, "taken": taken}
