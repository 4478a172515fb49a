# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a description and a host to the change between them."""

from __future__ import annotations

import json
import typing as t

from ...errors import InvalidChange
from . import by_ifupdown, by_networkd, interfaces, networkd, services
from .change import IFUPDOWN, NETWORKD, Change, Command, Facts, may, must
from .device import OVS, Addressing, Wanted
from .sound import fits, reaches
from .taking import note, resolve

NOTE = f"{services.CONF}/network.json"


def plan(wanted: Wanted, facts: Facts) -> Change:
    """Raises InvalidChange or NotFound for what the host cannot have."""
    noted = facts.noted
    if noted.manager not in ("", facts.manager) and noted.devices:
        raise InvalidChange(
            f"The network of this host was built with {noted.manager}, and {facts.manager} is asked for.",
            hint=f"Set manager: {noted.manager}, or describe no devices once before the other takes over.",
        )
    fits(wanted, facts.live, frozenset(name for name, kind in noted.devices.items() if kind != "nic"))
    if facts.manager == NETWORKD:
        wanted = networkd.completed(wanted)
    resolved = resolve(wanted, facts.live, noted)
    reaches(wanted, facts.live, resolved, frozenset(by_ifupdown.leaving(wanted, facts)))
    new = files(wanted, resolved, facts)
    change = Change(files=different(facts.texts, new))
    change.warnings += shadowed(wanted, facts)
    service_stops(change, facts, new)
    commands = by_networkd.commands if facts.manager == NETWORKD else by_ifupdown.commands
    names = commands(change, wanted, resolved, facts, new)
    service_starts(change, wanted, facts, new)
    change.verify += expected(names, resolved)
    return change


def is_ours(path: str) -> bool:
    """Whether a file is one this makes, and takes away again."""
    own_network = path.startswith(f"{networkd.FOLDER}/{networkd.PREFIX}")
    own_unit = path.startswith(f"{services.UNITS}/domzero-xen-")
    return (
        own_network
        or own_unit
        or path in (interfaces.OURS, services.SYSCTL, services.NAT, NOTE)
        or path.startswith(f"{services.CONF}/dhcp-")
    )


def files(wanted: Wanted, resolved: t.Mapping[str, Addressing], facts: Facts) -> dict[str, str]:
    """All files there are to be, by path."""
    ours = interfaces.rendered(wanted, resolved) if facts.manager == IFUPDOWN else ""
    made = {path: told for path, told in facts.texts.items() if not is_ours(path)}
    made |= by_ifupdown.edited(facts.texts, wanted, ours, facts.manager)
    if ours:
        made[interfaces.OURS] = ours
    if facts.manager == NETWORKD:
        made |= networkd.files(wanted, resolved, facts.live)
    made |= services.files(wanted, resolved, facts.manager)
    if wanted.devices:
        made[NOTE] = json.dumps(note(wanted, resolved, facts.manager), indent=2, sort_keys=False) + "\n"
    return made


def different(old: t.Mapping[str, str], new: t.Mapping[str, str]) -> dict[str, str | None]:
    gone: dict[str, str | None] = {path: None for path in old if path not in new}
    return {**{path: told for path, told in new.items() if old.get(path) != told}, **gone}


def shadowed(wanted: Wanted, facts: Facts) -> list[str]:
    """Raises InvalidChange for a file of others that networkd would read instead of ours. Else warnings."""
    others = {path: told for path, told in facts.texts.items() if not is_ours(path) and path.endswith(".network")}
    if facts.manager == NETWORKD:
        for name in by_ifupdown.names_of(wanted):
            path = networkd.shadowing(others, name)
            if path:
                raise InvalidChange(f"{path} is read before ours and describes {name}.", hint="Rename it to come after 05-, or remove it.")
    lost = by_ifupdown.stanzas({path: told for path, told in facts.texts.items() if path != interfaces.OURS})
    known = ("iface", "auto", "address", "netmask", "gateway", "dns-nameservers", "broadcast", "network", "bridge_ports", "allow-hotplug")
    found = []
    for name in by_ifupdown.names_of(wanted):
        more = [line for line in lost.get(name, ()) if line.split()[0] not in known]
        if more:
            found.append(f"These lines of {name} in {interfaces.MAIN} are no longer used: {'; '.join(more)}.")
    return found


def service_stops(change: Change, facts: Facts, new: t.Mapping[str, str]) -> None:
    """Services that nothing needs any more end before their files go."""
    for unit in reversed(services.units(facts.texts)):
        if unit not in services.units(new):
            change.stop.append(may("systemctl", "disable", "--now", unit))
            change.undo_start.append(may("systemctl", "enable", "--now", unit))


def service_starts(change: Change, wanted: Wanted, facts: Facts, new: t.Mapping[str, str]) -> None:
    settings = {key: str(value) for key, value in services.sysctl(wanted).items()}
    if services.SYSCTL in change.files or any(facts.sysctl.get(key, value) != value for key, value in settings.items()):
        if settings:
            change.start.append(must("sysctl", "--quiet", "--load", services.SYSCTL))
        had = [f"{key}={facts.sysctl[key]}" for key, value in settings.items() if facts.sysctl.get(key, value) != value]
        change.undo_start += [may("sysctl", "--quiet", "--write", *had)] if had else []
    begin = [unit for unit in services.units(new) if unit not in facts.active or set(services.behind(unit)) & set(change.files)]
    # bridges of Open vSwitch come before their addresses, the rest after
    early, late = ([unit for unit in begin if (unit == services.OVS_UNIT) is first] for first in (True, False))
    change.start = [*started(early), *change.start, *started(late)]
    had_before = [unit for unit in begin if unit in services.units(facts.texts)]
    fresh = [unit for unit in begin if unit not in had_before]
    if had_before:
        change.undo_start.append(may("systemctl", "restart", *had_before))
    if fresh:
        change.undo_stop.insert(0, may("systemctl", "disable", "--now", *fresh))
    if any(one.kind == OVS for one in wanted.devices) and services.VSWITCH not in facts.active:
        change.start.insert(0, must("systemctl", "enable", "--now", services.VSWITCH))
    if any(path.startswith(f"{services.UNITS}/") for path in change.files):
        change.start.insert(0, must("systemctl", "daemon-reload"))
        change.undo_start.insert(0, may("systemctl", "daemon-reload"))


def started(units: t.Sequence[str]) -> list[Command]:
    """Now and whenever the host starts."""
    return [must("systemctl", "enable", *units), must("systemctl", "restart", *units)] if units else []


def expected(names: t.Sequence[str], resolved: t.Mapping[str, Addressing]) -> list[tuple[str, str]]:
    """Addresses that have to be there before anybody is asked to confirm."""
    found: list[tuple[str, str]] = []
    for name in names:
        told = resolved.get(name, Addressing())
        found += [(name, one) for one in told.addresses] + ([(name, "")] if told.dhcp else [])
    return found
