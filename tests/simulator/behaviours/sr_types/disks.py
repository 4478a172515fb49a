# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices of a host, as the local drivers check them (xapi-project/sm SR.py, lvutil.py)."""

from __future__ import annotations

from ...sm_errors import backend
from ...storage import Place
from .base import Context


def devices(ctx: Context) -> list[str]:
    """Paths in device_config; 90 if there are none, 91 for what is no path."""
    paths = [path.strip() for path in ctx.option("device", 90).split(",")]
    for path in paths:
        if not path.startswith("/"):
            raise backend(91, f"path is {path}")
    return paths


def check_devices(ctx: Context) -> list[Place]:
    """The disks behind them; 19 for one that is not there, 105 for the system's own."""
    found = []
    for path in devices(ctx):
        place = ctx.storage.local_place(ctx.machine.name, "disk", path)
        if place is None:
            raise backend(19, f"Device {path} does not exist")
        if place.root:
            raise backend(105, f"Device {path} contains core system files, please use another device")
        found.append(place)
    return found


def device_place(ctx: Context) -> Place:
    """Where an SR on these devices is kept: the first of them."""
    return check_devices(ctx)[0]


def refuse_devices_in_use(ctx: Context) -> None:
    """SR_DEVICE_IN_USE when another SR of this host has one of the devices."""
    wanted = set(devices(ctx))
    for pbd, record in ctx.db.all("PBD").items():
        mine = record["host"] == ctx.machine.host_ref and pbd != ctx.pbd
        if mine and wanted & set(record["device_config"].get("device", "").split(",")):
            raise backend(16)
