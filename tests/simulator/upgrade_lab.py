# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site upgrade-lab in the release each way to upgrade is for."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from . import site

if t.TYPE_CHECKING:
    from .site import Site
    from .world import World

RELEASES = {
    "packages": "xcp-ng-8.3", "repository": "xenserver-8", "pool_update": "xenserver-7.6", "installer": "xcp-ng-8.2",
    "reboot": "xcp-ng-8.3",
}  # fmt: skip
REPOSITORY = "https://repo.example.com/xs8/normal"
TOOLSTACK = "https://repo.example.com/xs8/toolstack"  # needs no reboot
INSTALLER = "http://mirror.example.com/xcp-ng-8.3"
SPECIAL = "special-"


def plan(kind: str = "packages", *, special: bool = True) -> Site:
    """The site; without the special VMs every VM can move."""
    found = site.with_release(site.load("upgrade-lab"), RELEASES[kind])
    guests = tuple(guest for guest in found.seed.guests if special or not guest.name.startswith(SPECIAL))
    return replace(found, seed=replace(found.seed, guests=guests))


def build(kind: str = "packages", *, special: bool = True, speed: float = 0) -> World:
    """Its world: four hosts, lab0 the coordinator, and 24 VMs (19 without the special ones)."""
    return site.build(plan(kind, special=special), speed=speed)
