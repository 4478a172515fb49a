# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site has from the beginning beside its hosts: addresses of cards, shared storage, groups, VMs."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from .site_reader import Reader, SiteError

POWER = ("Running", "Halted", "Suspended", "Paused")
PLACEMENTS = ("anti_affinity", "normal")


@dataclass(frozen=True)
class Addresses:
    """Static addresses for one card of every host: the N-th gets the subnet's N-th after 100."""

    device: str
    subnet: str


@dataclass(frozen=True)
class Store:
    """An SR the first host makes, plugged everywhere."""

    name: str
    type: str
    device_config: dict[str, str]
    default: bool


@dataclass(frozen=True)
class Guest:
    """VMs of one kind; ``count`` of them are numbered. ``storage``: an SR by name, or local; "" for no disk."""

    name: str
    count: int
    host: str
    memory: int
    vcpus: int
    disk: int
    storage: str
    network: str
    disc: str
    group: str
    pci: str
    affinity: str
    power: str
    auto_power_on: bool
    xenstore_data: dict[str, str]


@dataclass(frozen=True)
class Seed:
    """Everything of a site's ``seed``."""

    addresses: tuple[Addresses, ...] = ()
    stores: tuple[Store, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    guests: tuple[Guest, ...] = ()


def seeds(r: Reader) -> Seed:
    """The ``seed`` of a site."""
    stores = r.each("storage", lambda s: Store(s.text("name"), s.text("type"), _texts(s, "device_config"), s.flag("default", False)))
    groups = r.each("groups", lambda g: (g.text("name"), g.choice("placement", "anti_affinity", PLACEMENTS, "placement")))
    return Seed(tuple(r.each("addresses", _addresses)), tuple(stores), tuple(groups), tuple(r.each("vms", _guest)))


def _texts(r: Reader, key: str) -> dict[str, str]:
    found = r.raw(key, {})
    if not isinstance(found, dict):
        raise SiteError(r.at(key), f"a mapping is needed here, not {found!r}")
    return {str(name): str(value) for name, value in found.items()}


def _addresses(r: Reader) -> Addresses:
    subnet = r.text("subnet")
    try:
        ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise SiteError(r.at("subnet"), str(error)) from None
    return Addresses(r.text("device"), subnet)


def _guest(r: Reader) -> Guest:
    found: dict[str, t.Any] = {key: r.text(key, "") for key in ("host", "storage", "network", "disc", "group", "pci", "affinity")}
    return Guest(
        name=r.text("name"), count=r.number("count", 1), memory=r.size("memory", "2GiB"), vcpus=r.number("vcpus", 1),
        disk=r.size("disk", "1GiB"), power=r.choice("power", "Running", POWER, "power state"), auto_power_on=r.flag("auto_power_on", False),
        xenstore_data=_texts(r, "xenstore_data"), **found,
    )  # fmt: skip
