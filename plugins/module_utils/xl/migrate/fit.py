# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the other host can run the domain: said before anything is begun."""

from __future__ import annotations

import re
import typing as t

from ...errors import InvalidChange, XenError
from ...formats.sizes import readable_size
from ..cfg import Cfg
from ..output.domains import configurations
from .ends import Disk, End, same

Json = dict[str, t.Any]
BRIDGED = ("", "vif-bridge", "vif-openvswitch")  # the scripts whose vifs need a bridge
PCI, NO_SHADOW = "pcidevs", "shadow"


def config_of(long: str, name: str) -> Json:
    """libxl's configuration of a running domain, from `xl list -l`. Raises InvalidChange where it is not in it."""
    for one in configurations(long):
        if one["config"]["c_info"].get("name") == name:
            return t.cast("Json", one["config"])
    raise InvalidChange(f"xl list -l does not tell the configuration of {name}.", hint="Look at `xl list -l` on this host.")


def uuid_of(long: str, name: str) -> str:
    """Empty where it is not in the list."""
    found = [one["config"]["c_info"] for one in configurations(long)]
    return next((str(one.get("uuid", "")) for one in found if one.get("name") == name), "")


def of_another(config: str | None, long: str, name: str) -> bool:
    """Whether the file is surely not that of the domain of its name in the list: both have a UUID, and not the same."""
    try:
        own = str(Cfg.parse(config or "").get("uuid", "")).lower()
    except XenError:
        return False
    theirs = uuid_of(long, name).lower()
    return bool(own and theirs and own != theirs)


def disk_paths(config: Json) -> tuple[str, ...]:
    """What is on this host, in the order of the disks; of a disk by a script of its own only that script knows."""
    told = [
        disk for disk in config.get("disks", []) if disk.get("pdev_path") and not disk.get("script") and not disk.get("backend_domname")
    ]
    return tuple(dict.fromkeys(str(disk["pdev_path"]) for disk in told))


def bridge_names(config: Json) -> tuple[str, ...]:
    nics = [
        nic for nic in config.get("nics", []) if (nic.get("script") or "").rpartition("/")[2] in BRIDGED and not nic.get("backend_domname")
    ]
    return tuple(dict.fromkeys(str(nic["bridge"]) for nic in nics if nic.get("bridge")))


def check(name: str, address: str, config: Json, here: End, there: End, *, trusted: bool) -> list[str]:
    """Warnings. Raises InvalidChange with everything that stands in the way. trusted: disks of one path are one storage."""
    wrong = [*host_wrong(address, here, there), *domain_wrong(name, config, here)]
    if not wrong:
        wrong += [
            *name_taken(name, address, config, there), *memory_wrong(address, config, there),
            *disks_wrong(address, config, here, there, trusted=trusted), *bridges_wrong(address, config, there),
        ]  # fmt: skip
    if wrong:
        raise InvalidChange(f"{name} cannot migrate to {address}: {' '.join(wrong)}")
    return warnings(address, config, here, there)


def host_wrong(address: str, here: End, there: End) -> t.Iterator[str]:
    if not there.xl:
        yield f"There is no xl on {address}."
    elif there.user != "0":
        yield f"The login on {address} is not root's, and only root can use xl there."
    elif "xen_version" not in there.info or not there.table:
        yield f"{address} does not run Xen, or its xl does not work: {said(there)}"
    elif release(there) < release(here):
        yield (
            f"Xen on {address} is {there.info['xen_version']}, older than {here.info.get('xen_version', '?')} here; "
            "a running domain only moves to the same release or a later one."
        )


def said(end: End) -> str:
    return " ".join(str(end.info.get("xl", "")).split()) or "`xl list` fails there."


def release(end: End) -> tuple[int, int]:
    return int(end.info.get("xen_major", 0)), int(end.info.get("xen_minor", 0))


def domain_wrong(name: str, config: Json, here: End) -> t.Iterator[str]:
    """libxl__domain_suspend and xc_shadow_control refuse these, but late."""
    if config.get(PCI):
        yield "It has a PCI device of this host; detach it first."
    if config["b_info"].get("disable_migrate") == "True":
        yield "Its configuration says nomigrate."
    capabilities = here.info.get("virt_caps", [])
    # since Xen 4.15 the list has "pv" or "shadow" where there is such; before, it said nothing of either
    if config["c_info"].get("type") == "pv" and ("hap" in capabilities or "pv" in capabilities) and NO_SHADOW not in capabilities:
        yield (
            "It is a PV domain, and Xen on this host has no shadow paging (virt_caps of `xl info`), which live migration of those "
            "needs; Debian builds Xen without it. Save it, copy the file and restore it there, or make it PVH."
        )


def name_taken(name: str, address: str, config: Json, there: End) -> t.Iterator[str]:
    own = config["c_info"].get("uuid")
    for one in configurations(there.long):
        if own and one["config"]["c_info"].get("uuid") == own:
            yield f"Domain {one['config']['c_info'].get('name')} on {address} has its UUID {own}."


def memory_wrong(address: str, config: Json, there: End) -> t.Iterator[str]:
    if ballooning(there):
        return
    needed, free = memory_needed(config), memory_free(there)
    if needed > free:
        yield f"It needs {needed} MiB of memory, and {address} has {max(free, 0)} MiB free."


def memory_needed(config: Json) -> int:
    """MiB, with what libxl adds for page tables (libxl__get_required_paging_memory: 1 MiB a vCPU and 4 KiB for each MiB)."""
    b_info = config["b_info"]
    most = int(b_info.get("target_memkb") or b_info.get("max_memkb") or 0) // 1024
    paged = 0 if config["c_info"].get("type") == "pv" else int(b_info.get("max_vcpus", 1)) + (int(b_info.get("max_memkb", 0)) >> 18) + 1
    return most + paged


def memory_free(end: End) -> int:
    return int(end.info.get("free_memory", 0)) - int(end.info.get("outstanding_claims", 0))


def ballooning(end: End) -> bool:
    """Whether xl there takes what is missing from Dom0 (xl.conf(5): autoballoon; auto is off where dom0_mem was given to Xen)."""
    said = re.findall(r"^\s*autoballoon\s*=\s*[\"']?(\w+)", end.conf, re.MULTILINE)
    choice = said[-1] if said else "auto"
    return choice in ("on", "1") or (choice == "auto" and "dom0_mem=" not in end.info.get("xen_commandline", ""))


def disks_wrong(address: str, config: Json, here: End, there: End, *, trusted: bool) -> t.Iterator[str]:
    for path in disk_paths(config):
        mine, theirs = here.disks.get(path, Disk(False)), there.disks.get(path, Disk(False))
        if not theirs.there:
            yield f"Its disk {path} is not on {address}; both hosts need the same storage."
        elif mine.size != theirs.size:
            yield f"{path} is {readable_size(mine.size)} here and {readable_size(theirs.size)} on {address}."
        elif not trusted and same(mine, theirs) is False:
            kinds = " and ".join(key for key, value in mine.marks if dict(theirs.marks).get(key, value) != value)
            yield f"{path} on {address} is another one of the same size ({kinds} differ), not the same storage."
        elif not trusted and same(mine, theirs) is None:
            yield f"Nothing tells whether {path} on {address} is the same storage; say same_disks if you know that it is."


def bridges_wrong(address: str, config: Json, there: End) -> t.Iterator[str]:
    for name in bridge_names(config):
        if name not in there.bridges:
            yield f"Its bridge {name} is not on {address}."


def warnings(address: str, config: Json, here: End, there: End) -> list[str]:
    told = []
    if ballooning(there) and memory_needed(config) > memory_free(there):
        told.append(f"{address} has less free memory than the domain needs; its Dom0 has to give some (autoballoon).")
    if here.info.get("hw_caps") != there.info.get("hw_caps"):
        told.append(
            f"The CPUs of {address} have other features than those here (hw_caps of `xl info`); the domain goes on with those it knows."
        )
    others = [disk["vdev"] for disk in config.get("disks", []) if disk.get("script") or disk.get("backend_domname")]
    if others:
        told.append(f"Whether {address} has {', '.join(others)} was not looked at: a script of its own or another domain provides it.")
    return told
