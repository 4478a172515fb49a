# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would keep a domain from starting, found before anything is changed; xl itself tells of it when the domain is half made.

Pure but for the two questions a Host answers about files and bridges.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ..cfg import Cfg
from .meaning import Config, at, flat
from .reading import Domain

MIN_DOM0 = 128  # MiB that ballooning leaves Dom0 (LIBXL_MIN_DOM0_MEM)
BRIDGING = ("", "vif-bridge", "vif-openvswitch")


@dataclasses.dataclass(frozen=True)
class Problem:
    """Attributes: sentence (naming the object), hint (what to do)."""

    sentence: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Host:
    """Attributes: info (`xl info`), domains (the others), files (by path), autoballoon (xl.conf's), exists, has_interface."""

    info: t.Mapping[str, t.Any]
    domains: t.Sequence[Domain]
    files: t.Mapping[str, Cfg]
    autoballoon: str
    exists: t.Callable[[str], bool]
    has_interface: t.Callable[[str], bool]

    @property
    def free(self) -> int:
        """MiB that domains can get."""
        free = int(self.info.get("free_memory", 0)) - int(self.info.get("outstanding_claims", 0) or 0)
        if self.autoballoon in ("on", "1") or (self.autoballoon == "auto" and "dom0_mem=" not in str(self.info.get("xen_commandline", ""))):
            free += max(0, next((one.memory for one in self.domains if one.domid == 0), 0) - MIN_DOM0)
        return free


def of_start(config: Config, name: str, host: Host) -> list[Problem]:
    """Of the parts that a start needs."""
    return [*of_type(config, name, host), *of_files(config, name, host), *of_disks(config, name, host), *of_bridges(config, name, host)]


def of_type(config: Config, name: str, host: Host) -> list[Problem]:
    kind, capable = at(config, "c_info/type"), host.info.get("virt_caps", [])
    if kind in ("pvh", "hvm") and "hvm" not in capable:
        return [
            Problem(
                f"{name} is of type {kind}, and this host has no hardware virtualisation.", "Turn it on in the firmware, or use type: pv."
            )
        ]
    return []


def of_files(config: Config, name: str, host: Host) -> list[Problem]:
    found = []
    values = flat(config)
    for word, path in (("kernel", "b_info/kernel"), ("ramdisk", "b_info/ramdisk"), ("bootloader", "b_info/bootloader")):
        file = values.get(path)
        if isinstance(file, str) and file.startswith("/") and not host.exists(file):
            found.append(Problem(f"The {word} of {name}, {file}, is not on this host.", f"Put it there, or give another {word}."))
    return found


def of_disks(config: Config, name: str, host: Host) -> list[Problem]:
    found = []
    for disk in config.get("disks", []):
        path, vdev = disk.get("pdev_path"), disk.get("vdev")
        elsewhere = disk.get("script") or disk.get("backend_domname") not in (None, "", "0", "Domain-0")
        if not path or elsewhere or not str(path).startswith("/"):
            continue
        if not host.exists(path):
            found.append(
                Problem(f"The disk {vdev} of {name}, {path}, is not on this host.", "Make it (xl_volume), or give another target.")
            )
        user = writer(path, host) if disk.get("readwrite") else ""
        if user:
            found.append(
                Problem(
                    f"The disk {vdev} of {name}, {path}, is written by {user}, which runs.",
                    "Two that write one disk destroy what is on it.",
                )
            )
    return found


def writer(path: str, host: Host) -> str:
    """The other domain that has a disk for writing; empty for none."""
    real = os.path.realpath(path)
    for one in host.domains:
        for disk in one.config.get("disks", []):
            if disk.get("readwrite") and disk.get("pdev_path") and os.path.realpath(disk["pdev_path"]) == real:
                return one.name
    return ""


def of_bridges(config: Config, name: str, host: Host) -> list[Problem]:
    found = []
    for number, nic in enumerate(config.get("nics", [])):
        bridge = nic.get("bridge") or ""
        script = os.path.basename(nic.get("script") or "")
        if not bridge or script not in BRIDGING or nic.get("backend_domname") not in (None, "", "0", "Domain-0"):
            continue
        if not host.has_interface(re.split(r"[.:]", bridge)[0]) and not host.has_interface(bridge):
            which = nic.get("mac") or f"number {number}"
            found.append(
                Problem(
                    f"The bridge {bridge} of {name}'s network interface {which} is not on this host.", "Make it, or give another bridge."
                )
            )
    return found


def of_sizes(config: Config, name: str) -> list[Problem]:
    memory, limit = at(config, "b_info/target_memkb"), at(config, "b_info/max_memkb")
    if memory and limit and limit < memory:
        return [Problem(f"{name}: maxmem ({limit // 1024} MiB) is less than memory ({memory // 1024} MiB).", "Give it at least as much.")]
    if not memory and not at(config, "b_info/vnuma_nodes"):
        return [Problem(f"{name} has no memory.", "Give memory.")]
    return []


def of_memory(needed: int, name: str, host: Host) -> list[Problem]:
    """Args: needed (MiB that are to come from what is free)."""
    if needed <= host.free:
        return []
    hint = "Give it less memory, shut another domain down, or make Dom0 smaller (xl mem-set 0)."
    return [Problem(f"{name} needs {needed} MiB of memory, and {host.free} MiB are free.", hint)]


def needed(config: Config) -> int:
    """MiB that a start takes: memory, and what Xen needs for it (libxl_domain_need_memory and libxl_get_required_shadow_memory)."""
    memory = int(at(config, "b_info/target_memkb") or 0)
    if at(config, "c_info/type") == "pv":
        return memory // 1024 + 1
    shadow = int(at(config, "b_info/shadow_memkb") or 4 * (256 * int(at(config, "b_info/max_vcpus") or 1) + 2 * (memory // 1024)))
    return (memory + shadow) // 1024 + 2


def of_name(name: str, uuid: str, host: Host) -> list[Problem]:
    """Another domain that has its name."""
    return [
        Problem(f"A domain {name} runs that is another one: its UUID is {one.uuid}, and not {uuid}.", "Give this one another name.")
        for one in host.domains if one.name == name
    ]  # fmt: skip


def of_identity(config: Config, uuid: str, host: Host) -> list[Problem]:
    """What may be there once only. Args: uuid (of the file; empty for none)."""
    name = str(at(config, "c_info/name"))
    found = of_name(name, uuid, host)
    macs = [str(nic["mac"]).lower() for nic in config.get("nics", []) if nic.get("mac")]
    twice = {mac for mac in macs if macs.count(mac) > 1}
    found += [Problem(f"{name} has two network interfaces with the MAC {mac}.", "Give each its own.") for mac in sorted(twice)]
    for one in host.domains:
        used = {str(nic.get("mac", "")).lower() for nic in one.config.get("nics", [])}
        found += [
            Problem(f"The MAC {mac} of {name} is that of {one.name}, which runs.", "Give another one.") for mac in sorted(used & set(macs))
        ]
    return found


def of_neighbours(config: Config, uuid: str, path: str, host: Host) -> list[str]:
    """What other files say that may be there once only; told, since they may not be meant to run at the same time."""
    macs = {str(nic["mac"]).lower() for nic in config.get("nics", []) if nic.get("mac")}
    found = []
    for other, cfg in host.files.items():
        if other == path:
            continue
        if uuid and str(cfg.get("uuid", "")).lower() == uuid:
            found.append(f"{other} has the same uuid as {path}.")
        vifs = cfg.get("vif", [])
        text = " ".join(map(str, vifs) if isinstance(vifs, list) else []).lower()
        found += [f"{other} has the MAC {mac} too." for mac in sorted(macs) if mac in text]
    return found
