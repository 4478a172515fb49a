# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and NICs are attached to a domain that runs, and detached."""

from __future__ import annotations

import typing as t

from . import devices
from .commands import command, read, the_domain
from .creating import completed, no_bridge
from .errors import Failed, NotSimulated
from .state import Host, domain_named, there

Json = dict[str, t.Any]
ADD_FAILED = "libxl: error: libxl_device.c:1486:device_addrm_aocomplete: unable to add device"


@command("block-attach", changing=True)
def block_attach(host: Host, words: list[str]) -> int:
    _options, rest = read(words, "")
    with host.locked() as state:
        domain = domain_named(state, rest[0])
        if domain is None:
            raise Failed(1, f"{rest[0]} is an invalid domain identifier")
        disk = devices.disk(",".join(rest[1:]), "command line")
        number = devices.vdev_number(disk["vdev"])
        path = disk.get("pdev_path", "")
        if path and not there(state, path):
            raise Failed(
                1,
                "libxl: error: libxl_device.c:455:libxl__device_disk_set_backend: "
                f"Disk vdev={disk['vdev']} failed to stat: {path}: No such file or directory",
                ADD_FAILED, "libxl_device_disk_add failed.",
            )  # fmt: skip
        disks = domain["config"].setdefault("disks", [])
        if any(devices.vdev_number(other["vdev"]) == number for other in disks):
            told = f"libxl: error: libxl_disk.c:343:device_disk_add: Domain {domain['domid']}:device already exists in xenstore"
            raise Failed(1, told, ADD_FAILED, "libxl_device_disk_add failed.")
        disks.append(disk)
    return 0


@command("block-detach", changing=True)
def block_detach(host: Host, words: list[str]) -> int:
    _options, rest = read(words, "force")
    name, vdev = rest
    with host.locked() as state:
        domain = the_domain(state, name)
        number = int(vdev) if vdev.isdigit() else devices.vdev_number(vdev)
        disks = domain["config"].get("disks", [])
        left = [disk for disk in disks if devices.vdev_number(disk["vdev"]) != number]
        if len(left) == len(disks):
            raise Failed(
                1,
                "libxl: error: libxl_disk.c:516:libxl__disk_from_xenstore: "
                f"disk /libxl/{domain['domid']}/device/vbd/{number} does not exist (no backend path",
                f"Error: Device {vdev} not connected.",
            )
        domain["config"]["disks"] = left
        domain["ghosts"] += 1
        if not left:
            del domain["config"]["disks"]
    return 0


@command("network-attach", changing=True)
def network_attach(host: Host, words: list[str]) -> int:
    _options, rest = read(words, "")
    with host.locked() as state:
        domain = the_domain(state, rest[0])
        nics = domain["config"].setdefault("nics", [])
        taken = {nic["devid"] for nic in nics}
        warnings: list[str] = []
        nic = devices.nic(",".join(rest[1:]), next(n for n in range(len(taken) + 1) if n not in taken), warnings)
        if warnings:
            raise Failed(1, *warnings)
        completed(nic)
        nics.append(nic)
        if nic.get("bridge", "xenbr0") not in state["bridges"]:  # and it stays, as was seen
            lines = no_bridge(domain["domid"], nic["bridge"])[:2]
            failed = f"Domain {domain['domid']}:Unable to add vif with id {nic['devid']}"
            raise Failed(1, *lines, f"libxl: error: libxl_device.c:1481:device_addrm_aocomplete: {failed}", "libxl_device_nic_add failed.")
    return 0


@command("network-detach", changing=True)
def network_detach(host: Host, words: list[str]) -> int:
    _options, rest = read(words, "force")
    name, which = rest
    with host.locked() as state:
        domain = the_domain(state, name)
        nics = domain["config"].get("nics", [])
        gone = next((nic for nic in nics if which in (str(nic["devid"]), nic["mac"])), None)
        if gone is None:
            place = f"/libxl/{domain['domid']}/device/vif/{which}"
            path = f"libxl: error: libxl_xshelp.c:206:libxl__xs_read_mandatory: xenstore read failed: `{place}': No such file or directory"
            raise Failed(1, *([path] if which.isdigit() else []), f"Unknown device {which}.")
        left = [nic for nic in nics if nic is not gone]
        domain["config"]["nics"] = left
        domain["ghosts"] += 1
        if not left:
            del domain["config"]["nics"]
    return 0


@command("cd-insert", changing=True)
def cd_insert(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        drive = drive_of(the_domain(state, words[0]), words[1])
        if words[2] and not there(state, words[2]):
            raise NotSimulated("cd-insert of an image that is not there")
        drive |= {"pdev_path": words[2], "format": "raw"}
    return 0


@command("cd-eject", changing=True)
def cd_eject(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        drive = drive_of(the_domain(state, words[0]), words[1])
        drive.pop("pdev_path", None)
        drive["format"] = "empty"
    return 0


def drive_of(domain: Json, vdev: str) -> Json:
    if domain["config"]["c_info"]["type"] != "hvm":
        domid = domain["domid"]
        raise Failed(1, f"libxl: error: libxl_disk.c:838:libxl_cdrom_insert: Domain {domid}:cdrom-insert requires an HVM domain")
    for disk in domain["config"].get("disks", []):
        if disk["vdev"] == vdev and disk.get("is_cdrom"):
            return t.cast("Json", disk)
    raise NotSimulated("a CD for a drive that is not there")
