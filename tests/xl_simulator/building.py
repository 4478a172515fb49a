# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What xl makes of an xl.cfg: libxl's domain configuration, in the order of libxl_types.idl, as `create -n` and `list -l` print it."""

from __future__ import annotations

import os
import re
import typing as t

from . import devices
from .config import Settings, Value
from .errors import Failed, NotSimulated

Json = dict[str, t.Any]
MAP = 8  # the bits of a map of CPUs on a host with up to eight
ACTIONS = ("destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart", "soft-reset")
EVENTS = {"on_poweroff": "destroy", "on_reboot": "restart", "on_watchdog": "destroy", "on_crash": "destroy", "on_soft_reset": "soft-reset"}


def new_uuid() -> str:
    """Of version 4; the module uuid takes longer to load than the rest."""
    number = os.urandom(16).hex()
    return f"{number[:8]}-{number[8:12]}-4{number[13:16]}-a{number[17:20]}-{number[20:]}"


def text(settings: Settings, key: str) -> str | None:
    value = settings.get(key)
    return None if value is None or isinstance(value, list) else str(value)


def number(settings: Settings, key: str, where: str, warnings: list[str]) -> int | None:
    """None also for what is no number, which xl only complains about."""
    value = settings.get(key)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"0x[0-9a-fA-F]+|\d+", value):
        return int(value, 0)
    warnings.append(f"{where}:{settings.lines.get(key, 0)}: warning: parameter `{key}' is not a valid number")
    return None


def strings(settings: Settings, key: str) -> list[str]:
    value = settings.get(key)
    if isinstance(value, str):
        return [value] if value else []
    return [str(one) for one in value] if isinstance(value, list) else []


def type_of(settings: Settings) -> str:
    said = text(settings, "type")
    if said is None:
        return "hvm" if text(settings, "builder") == "hvm" else "pv"
    if said not in ("pv", "pvh", "hvm"):
        raise Failed(1, f"Invalid domain type {said}.")
    return said


def built(settings: Settings, where: str, warnings: list[str]) -> Json:
    """libxl_domain_config. Raises Failed in xl's order of checks (parse_config_data of tools/xl/xl_parse.c)."""
    kind = type_of(settings)
    name = text(settings, "name")
    if not name:
        raise Failed(1, "Domain name must be specified.")
    own = text(settings, "uuid")
    if own and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", own):
        raise Failed(1, *warnings, f"Failed to parse UUID: {own}")
    c_info: Json = {"type": kind, "name": name, "uuid": own or new_uuid()}
    if text(settings, "pool"):
        c_info["pool_name"] = text(settings, "pool")
    c_info["run_hotplug_scripts"] = "True"
    b_info = build_info(settings, kind, where, warnings)
    config: Json = {"c_info": c_info, "b_info": b_info}
    config["disks"] = [devices.disk(one, where) for one in strings(settings, "disk")]
    config["nics"] = [devices.nic(one, place, warnings) for place, one in enumerate(strings(settings, "vif"))]
    for key in ("disks", "nics"):
        if not config[key]:
            del config[key]
    for event, default in EVENTS.items():
        action = text(settings, event) or default
        if action not in ACTIONS:
            raise Failed(1, f'Unknown {event} action "{action}" specified')
        if action != "destroy":
            config[event] = action.replace("-", "_")
    return config


def build_info(settings: Settings, kind: str, where: str, warnings: list[str]) -> Json:
    b_info: Json = {}
    vcpus, maxvcpus = number(settings, "vcpus", where, warnings), number(settings, "maxvcpus", where, warnings)
    online = vcpus or 1
    if maxvcpus is not None and maxvcpus < online:
        raise Failed(1, "xl: maxvcpus < vcpus")
    if vcpus is not None or maxvcpus is not None:
        b_info |= {"max_vcpus": maxvcpus or online, "avail_vcpus": list(range(online))}
    for key, kept in (("cpus", "vcpu_hard_affinity"), ("cpus_soft", "vcpu_soft_affinity")):
        if key in settings:
            b_info[kept] = affinity(settings[key], maxvcpus or online)
            if isinstance(settings[key], list):
                b_info["numa_placement"] = "False"
    memory, maxmem = number(settings, "memory", where, warnings), number(settings, "maxmem", where, warnings)
    if memory is not None:
        b_info |= {"max_memkb": (maxmem or memory) * 1024, "target_memkb": memory * 1024}
    for key, kept in (("localtime", "localtime"), ("nomigrate", "disable_migrate")):
        if number(settings, key, where, warnings):
            b_info[kept] = "True"
    params = {"weight": number(settings, "cpu_weight", where, warnings), "cap": number(settings, "cap", where, warnings)}
    b_info["sched_params"] = {key: value for key, value in params.items() if value is not None}
    b_info["claim_mode"] = "True"
    kernel, extra = text(settings, "kernel"), text(settings, "cmdline")
    if extra is not None:
        if "root" in settings or "extra" in settings:
            warnings.append("Warning: ignoring root= and extra= in favour of cmdline=")
    else:
        root = text(settings, "root")
        extra = " ".join(filter(None, [f"root={root}" if root else None, text(settings, "extra")])) or None
    loader = text(settings, "bootloader")
    if kind != "hvm" and not kernel and not loader:
        raise Failed(1, "Neither kernel nor bootloader specified")
    texts = {"kernel": kernel, "cmdline": extra, "ramdisk": text(settings, "ramdisk"), "bootloader": loader}
    b_info |= {key: value for key, value in texts.items() if value}
    if loader and "bootloader_args" in settings:
        b_info["bootloader_args"] = strings(settings, "bootloader_args")
    b_info |= {f"type.{kind}": hvm(settings) if kind == "hvm" else {}, "arch_arm": {}, "arch_x86": {}}
    return b_info


def hvm(settings: Settings) -> Json:
    """Of the many keys of an HVM domain those that were recorded."""
    firmwares = {"uefi": "ovmf", "ovmf": "ovmf", "bios": "seabios", "seabios": "seabios"}
    bios = firmwares.get(text(settings, "firmware") or text(settings, "bios") or "")
    told: Json = {"bios": bios, "vga": {}, "vnc": {}, "sdl": {}, "spice": {}, "serial": text(settings, "serial")}
    told["boot"] = text(settings, "boot")
    told |= {"usb": "True" if settings.get("usb") else None, "rdm": {}}
    return {key: value for key, value in told.items() if value is not None}


def affinity(value: Value, vcpus: int) -> list[list[int]]:
    """Only lists of numbers and ranges: `0-1,3`."""
    per = value if isinstance(value, list) else [value] * vcpus
    return [cpus(str(one)) for one in per]


def cpus(said: str) -> list[int]:
    if said == "all":
        return list(range(MAP))
    found: set[int] = set()
    for part in said.split(","):
        match = re.fullmatch(r"(\^?)(\d+)(?:-(\d+))?", part.strip())
        if not match:
            raise NotSimulated(f"CPUs {said}")
        some = set(range(int(match.group(2)), int(match.group(3) or match.group(2)) + 1))
        found = found - some if match.group(1) else found | some
    return sorted(cpu for cpu in found if cpu < MAP)


def shown(value: t.Any, depth: int = 0) -> str:
    """JSON as yajl prints it for xl: four blanks, and an empty line in an empty map."""
    pad, inner = "    " * depth, "    " * (depth + 1)
    if isinstance(value, dict):
        lines = [f'{inner}"{key}": {shown(one, depth + 1)}' for key, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"
    if isinstance(value, list):
        lines = [f"{inner}{shown(one, depth + 1)}" for one in value]
        return "[\n" + ",\n".join(lines) + f"\n{pad}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
