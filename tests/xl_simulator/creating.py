# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain is made: what is checked, in libxl's order, and what its configuration is then."""

from __future__ import annotations

import copy
import os
import time
import typing as t

from . import devices
from .errors import Failed, NotSimulated
from .state import domain_named, free_memory, there

Json = dict[str, t.Any]


def begin(state: Json, config: Json, *, paused: bool = False) -> Json:
    """libxl_domain_create_new: what is checked stands in the order of initiate_domain_create. Raises Failed."""
    make_room(state, config)
    domid = state["next_domid"]
    state["next_domid"] = domid + 1
    name = config["c_info"]["name"]
    if domain_named(state, name) and not name.isdigit():
        raise given_up(
            domid, f'libxl: error: libxl_domain.c:81:libxl__domain_rename: Domain {domid}:Domain with name "{name}" already exists.',
            f"libxl: error: libxl_create.c:1296:initiate_domain_create: Domain {domid}:cannot make domain: -6",
        )  # fmt: skip
    for place, disk in enumerate(config.get("disks", [])):
        path = disk.get("pdev_path")
        if path and not there(state, path):
            raise given_up(
                domid,
                "libxl: error: libxl_device.c:455:libxl__device_disk_set_backend: "
                f"Disk vdev={disk['vdev']} failed to stat: {path}: No such file or directory",
                f"libxl: error: libxl_create.c:1318:initiate_domain_create: Domain {domid}:Unable to set disk defaults for disk {place}",
            )  # fmt: skip
    build(state, config, domid)
    for nic in config.get("nics", []):
        if nic.get("bridge", "xenbr0") not in state["bridges"]:
            raise given_up(domid, *no_bridge(domid, nic["bridge"]))
    return added(state, config, domid, paused=paused)


def make_room(state: Json, config: Json) -> None:
    """freemem of xl_vmcontrol.c: where Dom0 may give memory, all is checked and filled in before the domain is made."""
    pool = config["c_info"].get("pool_name", "Pool-0")
    known = pool in [one["name"] for one in state["cpupools"]]
    if not ballooning(state):
        if not known:
            raise NotSimulated("a pool that is not there, with dom0_mem")
        return
    if not known:
        raise Failed(
            3, f"libxl: error: libxl_create.c:1134:libxl__domain_config_setdefault: Illegal pool specified: {pool}",
            "failed to free memory for the domain",
        )  # fmt: skip
    if config["b_info"].get("target_memkb", 32768) // 1024 > free_memory(state):
        raise Failed(
            3, "libxl: error: libxl_mem.c:287:libxl_set_memory_target: New target 0 for dom0 is below the minimum threshold",
            "failed to free memory for the domain",
        )  # fmt: skip


def ballooning(state: Json) -> bool:
    return "dom0_mem=" not in state["info"]["xen_commandline"]


MISSING = {
    ("pv", "kernel"): ("646:libxl__build_pv", False), ("pv", "ramdisk"): ("659:libxl__build_pv", False),
    ("pvh", "kernel"): ("909:libxl__domain_firmware", True), ("pvh", "ramdisk"): ("926:libxl__domain_firmware", True),
}  # fmt: skip


def build(state: Json, config: Json, domid: int) -> None:
    b_info, kind = config["b_info"], config["c_info"]["type"]
    rebuild = f"libxl: error: libxl_create.c:1640:domcreate_rebuild_done: Domain {domid}:cannot (re-)build domain:"
    for key in ("kernel", "ramdisk"):
        path = b_info.get(key)
        if path and not there(state, path):
            if (kind, key) not in MISSING:
                raise NotSimulated(f"a missing {key} of a {kind} domain")
            place, firmware = MISSING[kind, key]
            raise given_up(
                domid,
                f"xc: error: panic: xg_dom_core.c:205: failed to open file '{path}': No such file or directory: Internal error",
                f"libxl: error: libxl_dom.c:{place}: xc_dom_{key}_file failed: No such file or directory",
                *(["libxl: error: libxl_dom.c:1075:libxl__build_hvm: initializing domain firmware failed"] if firmware else []),
                f"{rebuild} {-1 if firmware else -3}",
            )
    if b_info.get("target_memkb", 32768) // 1024 > free_memory(state):
        raise given_up(
            domid,
            "xc: error: panic: xg_dom_boot.c:119: xc_dom_boot_mem_init: can't allocate low memory for domain: Out of memory",
            "libxl: error: libxl_dom.c:586:libxl__build_dom: xc_dom_boot_mem_init failed: Cannot allocate memory", f"{rebuild} -3",
        )  # fmt: skip


def given_up(domid: int, *lines: str) -> Failed:
    return Failed(
        3, *lines, f"libxl: error: libxl_domain.c:1183:libxl__destroy_domid: Domain {domid}:Non-existant domain",
        f"libxl: error: libxl_domain.c:1137:domain_destroy_callback: Domain {domid}:Unable to destroy guest",
        f"libxl: error: libxl_domain.c:1064:domain_destroy_cb: Domain {domid}:Destruction of domain failed",
    )  # fmt: skip


def no_bridge(domid: int, bridge: str) -> list[str]:
    script = "libxl: error: libxl_exec.c:117:libxl_report_child_exitstatus: /etc/xen/scripts/vif-bridge"
    reason = f"libxl: error: libxl_device.c:1337:device_hotplug_child_death_cb: script: Could not find bridge device {bridge}"
    attach = f"libxl: error: libxl_create.c:1921:domcreate_attach_devices: Domain {domid}:unable to add vif devices"
    return [
        f"{script} online [2457] exited with error status 1",
        reason,
        attach,
        f"{script} offline [2495] exited with error status 1",
        reason,
    ]


def added(state: Json, config: Json, domid: int, *, paused: bool = False) -> Json:
    """A domain that runs; what libxl fills in is in its configuration."""
    config = copy.deepcopy(config)
    c_info, given = config["c_info"], config["b_info"]
    config["c_info"] = {"type": c_info["type"], "name": c_info["name"], "domid": 4294967295, **c_info}
    vcpus = given.get("max_vcpus", 1)
    online = given.get("avail_vcpus", [0])
    memory = given.get("target_memkb", 32768)
    hard, soft = given.get("vcpu_hard_affinity", [None] * vcpus), given.get("vcpu_soft_affinity", [None] * vcpus)
    first = {"max_vcpus": vcpus, "avail_vcpus": online}
    first |= {key: given[key] for key in ("vcpu_hard_affinity", "vcpu_soft_affinity") if key in given}
    first |= {"max_memkb": given.get("max_memkb", memory), "target_memkb": memory, "video_memkb": 0}
    first["sched_params"] = {"sched": "credit2", "weight": 256, "cap": 0, **given["sched_params"]}
    config["b_info"] = {**first, **{key: value for key, value in given.items() if key not in first}}
    config["b_info"]["arch_x86"] = {"msr_relaxed": "False", **given["arch_x86"]}
    if ballooning(state):
        fill(config, given.get("max_vcpus", 0))
    for disk in config.get("disks", []):
        disk["colo_restore_enable"] = "False"
    for nic in config.get("nics", []):
        completed(nic)
    domain = {
        "domid": domid, "config": config, "memkb": memory, "paused": paused, "reason": None, "started": time.time(), "ghosts": 0,
        "vcpus": [{"online": place in online, "cpu": place % 2, "hard": hard[place], "soft": soft[place]} for place in range(vcpus)],
        "tty": f"/dev/pts/{state['ptys']}", "seconds": 3.0, "frames": config["b_info"]["max_memkb"] // 4,
    }  # fmt: skip
    state["ptys"] += 1
    state["domains"][str(domid)] = domain
    return domain


# What libxl fills in where the defaults were asked for before the domain was made, in the order of libxl_types.idl.
C_INFO = [
    "type",
    "hap",
    "oos",
    "ssidref",
    "name",
    "domid",
    "uuid",
    "pool_name",
    "run_hotplug_scripts",
    "driver_domain",
    "passthrough",
    "xend_suspend_evtchn_compat",
]
B_INFO = [
    "max_vcpus",
    "avail_vcpus",
    "vcpu_hard_affinity",
    "vcpu_soft_affinity",
    "numa_placement",
    "max_memkb",
    "target_memkb",
    "video_memkb",
    "shadow_memkb",
    "iommu_memkb",
    "localtime",
    "disable_migrate",
    "blkdev_start",
    "max_grant_version",
    "device_model_version",
    "device_model_stubdomain",
    "stubdomain_memkb",
    "sched_params",
    "claim_mode",
    "event_channels",
    "kernel",
    "cmdline",
    "ramdisk",
    "acpi",
    "bootloader",
    "bootloader_args",
    "timer_mode",
    "nested_hvm",
    "apic",
    "dm_restrict",
    "type.pv",
    "type.pvh",
    "type.hvm",
    "arch_arm",
    "arch_x86",
    "vpmu",
]


def fill(config: Json, given_vcpus: int) -> None:
    """What was recorded of PV and PVH domains."""
    kind, b_info = config["c_info"]["type"], config["b_info"]
    if kind == "hvm":
        raise NotSimulated("an HVM domain where Dom0 may give memory")
    pvh = kind == "pvh"
    c_more: Json = {"ssidref": 12, "driver_domain": "False", "passthrough": "disabled", "xend_suspend_evtchn_compat": "False"}
    shadow = 4 * (256 * given_vcpus + b_info["max_memkb"] // 1024)
    more: Json = {"numa_placement": "True", "shadow_memkb": shadow, "iommu_memkb": 0}
    more |= {"localtime": "False", "disable_migrate": "False", "blkdev_start": "xvda", "max_grant_version": 2, "stubdomain_memkb": 0}
    more |= {"device_model_version": "qemu_xen", "device_model_stubdomain": "False", "event_channels": 1023, "acpi": "True"}
    more |= {"dm_restrict": "False", "vpmu": "False"}
    if pvh:
        c_more |= {"hap": "True", "oos": "True"}
        more |= {"timer_mode": "no_delay_for_missed_ticks", "nested_hvm": "False", "apic": "True", "type.pvh": {"pvshim": "False"}}
    else:
        more["type.pv"] = {"slack_memkb": 0, "e820_host": "False"}
    for part, added_keys, order in ((config["c_info"], c_more, C_INFO), (b_info, more, B_INFO)):
        told = {**added_keys, **{key: value for key, value in part.items() if value != {} or key not in added_keys}}
        part.clear()
        part.update({key: told[key] for key in (*order, *(key for key in told if key not in order)) if key in told})


def completed(nic: Json) -> None:
    """What libxl__device_nic_setdefault adds."""
    kept = {"devid": nic["devid"], "mac": nic.get("mac") or "00:16:3e:" + os.urandom(3).hex(":")}
    filled = {"nictype": "vif", **kept, **{key: value for key, value in nic.items() if key not in ("devid", "mac")}}
    nic.clear()
    nic.update({key: filled[key] for key in devices.NIC_ORDER if key in filled})
