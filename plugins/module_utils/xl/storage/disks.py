# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on a block device, and who uses it."""

from __future__ import annotations

import glob
import json
import os
import stat
import typing as t

from ...errors import NotFound, XenError
from ..tool import Tool
from .groups import Device

# of Linux's xen-blkback (xenbus.c, VBD_SHOW), which does not take a device for itself alone with every kernel
GIVEN_AWAY = "/sys/bus/xen-backend/devices/*/physical_device"


def device(tool: Tool, path: str) -> Device:
    """Raises NotFound for what is no block device."""
    real = os.path.realpath(path)
    try:
        block = stat.S_ISBLK(os.stat(real).st_mode)
    except OSError:
        block = False
    if not block:
        lack = f"{path} is no block device." if os.path.exists(real) else f"There is no device {path}."
        raise NotFound(lack, hint=f"The host has {', '.join(disks(tool)) or 'no disks'}.")
    entry = listed(tool, real)
    return Device(real, int(entry.get("size") or 0), holds(tool, real, entry), used(entry))


def disks(tool: Tool) -> list[str]:
    told = tool.command(["lsblk", "--json", "--nodeps", "--paths", "--output", "NAME,TYPE"], check=False)
    entries = json.loads(told.out or "{}").get("blockdevices", [])
    return [entry["name"] for entry in entries if entry["type"] in ("disk", "loop") and not entry["name"].startswith("/dev/fd")]


def listed(tool: Tool, path: str) -> dict[str, t.Any]:
    columns = "NAME,TYPE,SIZE,MOUNTPOINT"
    told = json.loads(tool.command(["lsblk", "--json", "--bytes", "--paths", "--output", columns, path]).out)
    return dict(told["blockdevices"][0])


def holds(tool: Tool, path: str, entry: t.Mapping[str, t.Any]) -> str:
    """In words; "" for a device on which nothing is known to lie. The device itself is read, not what udev noted. Raises XenError."""
    done = tool.command(["blkid", "--probe", "--output", "export", path], check=False)
    if done.status not in (0, 2, 8):
        raise XenError(f"What is on {path} cannot be learnt: {' '.join(done.err.split())}")
    known = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    parts = [child["name"] for child in entry.get("children", ()) if child["type"] == "part"]
    if parts:
        return f"partitions ({', '.join(parts)})"
    if "PTTYPE" in known:
        return f"a partition table ({known['PTTYPE']})"
    if done.status == 8:  # blkid(8): "ambivalent"
        return "signatures of several kinds"
    label = f" {known['LABEL']!r}" if known.get("LABEL") else ""
    return f"{known['TYPE']}{label}" if known.get("TYPE") else ""


def used(entry: t.Mapping[str, t.Any]) -> str:
    """A mounted file system, swap, or a device made of it. "" if nobody opened it for himself alone."""
    if entry.get("mountpoint"):
        return f"{entry['name']} is mounted at {entry['mountpoint']}"
    for child in entry.get("children", ()):
        found = used(child)
        if found:
            return found
        if child["type"] != "part":
            return f"{child['name']} lies on it"
    return "" if free(entry["name"]) else f"{entry['name']} is held by a guest or a program"


def free(path: str) -> bool:
    """Whether it can be had alone: a mounted file system, LVM and md each keep it so; a guest of Xen has to be asked for."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError:
        return False
    return not given_away(path)


def given_away(path: str) -> bool:
    """Whether a guest that runs has the device, or a partition of it, as a disk."""
    told = os.stat(path)
    if not stat.S_ISBLK(told.st_mode):
        return False
    place = f"{os.major(told.st_rdev)}:{os.minor(told.st_rdev)}"
    parts = {line(name) for name in glob.glob(f"/sys/dev/block/{place}/*/dev")}
    used = [line(name).split(":") for name in glob.glob(GIVEN_AWAY)]
    return any(f"{int(one[0], 16)}:{int(one[1], 16)}" in {place, *parts} for one in used if len(one) == 2)


def line(path: str) -> str:
    """Of a small file; "" for one that has just gone."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
