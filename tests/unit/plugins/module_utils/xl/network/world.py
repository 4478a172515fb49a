# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's network without a host: what a change makes of it when its commands do what they say."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.xl.network import services
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.change import Change, Facts
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.device import Addressing, Link, Live, Wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.host import noted_in
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.networkd import completed
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.plan import NOTE, plan
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.taking import resolve

MAIN = "auto lo\niface lo inet loopback\n\nauto ens3\niface ens3 inet static\n    address 10.0.2.15/24\n    gateway 10.0.2.2\n"
NICS = ("ens3", "ens4", "ens5", "ens6")


def host(manager: str = "ifupdown", *, nics: t.Sequence[str] = NICS, dhcp: bool = False, main: str = MAIN) -> Facts:
    """A host that is reached by ens3, with 10.0.2.15."""
    links = {name: Link(name, mac=f"52:54:00:12:34:{place:02x}", mtu=1500) for place, name in enumerate(nics)}
    links["ens3"] = dataclasses.replace(links["ens3"], addresses=("10.0.2.15/24",), dynamic=dhcp)
    links["lo"] = Link("lo", mtu=65536)
    active: frozenset[str] = frozenset({"systemd-networkd.service"} if manager == "networkd" else ())
    texts = {"/etc/network/interfaces": main} if manager == "ifupdown" else {}
    return Facts(
        manager,
        Live(links, {"ens3": "10.0.2.2"}),
        texts=texts,
        active=active,
        sysctl={"net.ipv4.ip_forward": "0"},
    )


def after(wanted: Wanted, facts: Facts) -> Facts:
    """The host when the change is made."""
    change = plan(wanted, facts)
    if facts.manager == "networkd":
        wanted = completed(wanted)
    resolved = resolve(wanted, facts.live, facts.noted)
    texts = dict(facts.texts)
    for path, text in change.files.items():
        if text is None:
            del texts[path]
        else:
            texts[path] = text
    settings = {**facts.sysctl, **{key: str(value) for key, value in services.sysctl(wanted).items()}}
    switch = [services.VSWITCH] if any(device.kind == "openvswitch" for device in wanted.devices) else []
    active = {*facts.active, *switch, *services.units(texts)} - (set(services.units(facts.texts)) - set(services.units(texts)))
    return Facts(facts.manager, live_after(wanted, resolved, facts), noted_in(texts.get(NOTE, "")), texts, frozenset(active), settings)


def live_after(wanted: Wanted, resolved: t.Mapping[str, Addressing], facts: Facts) -> Live:
    links = {name: link for name, link in facts.live.links.items() if link.physical or name == "lo"}
    ports = [name for device in wanted.devices for name in device.ports]
    for name in [*ports, *(device.name for device in wanted.devices)]:
        links[name] = dataclasses.replace(links.get(name, Link(name, mtu=1500)), addresses=(), dynamic=False, master="")
    gateways: dict[str, str] = {} if any(name in facts.live.gateways for name in [*ports, *resolved]) else dict(facts.live.gateways)
    routes = {}
    for device in wanted.in_order():
        told = resolved[device.name]
        kind = "" if device.kind == "nic" else device.kind
        found = dataclasses.replace(
            links[device.name], kind=kind, parent=device.parent, vlan=device.vlan, bond_mode=dict(device.bond).get("mode", ""),
            addresses=("10.0.2.99/24",) if told.dhcp else told.addresses, dynamic=told.dhcp, mtu=device.mtu or links[device.name].mtu,
        )  # fmt: skip
        links[device.name] = found
        for port in device.ports if device.kind != "openvswitch" else ():
            links[port] = dataclasses.replace(links[port], master=device.name)
        if told.gateway or told.dhcp:
            gateways[device.name] = told.gateway or "10.0.2.2"
        routes[device.name] = told.routes
    ovs = {device.name: device.ports for device in wanted.devices if device.kind == "openvswitch"}
    return Live(links, gateways, {}, routes, ovs, facts.live.dns)


def told(change: Change) -> str:
    return json.dumps([change.files, change.commands, change.warnings], indent=1)
