# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domains: those that are there and those that only have a file, each with what xl_domain takes and what is so at the moment."""

from __future__ import annotations

import os
import typing as t

from ...errors import XenError
from ..cfg import Cfg
from ..domain.files import Place
from ..domain.settings import told
from ..output.domains import shutdown_reason
from .source import Source

Row = dict[str, t.Any]
Store = t.Mapping[str, str]
# xenbus_state of Xen's public/io/xenbus.h
STATES = {
    "1": "initialising", "2": "initwait", "3": "initialised", "4": "connected", "5": "closing", "6": "closed", "7": "reconfiguring",
    "8": "reconfigured",
}  # fmt: skip


def every(source: Source, folder: str, name: str | None, warnings: list[str]) -> list[Row]:
    """Domains in the order of their names; Dom0 is not one of them. Raises XenError."""
    files = by_name(folder, warnings)
    there = {row["name"]: row for row in source.rows if row["domid"] != 0 and row["name"] != NAMELESS}
    for row in source.rows:
        if row["name"] == NAMELESS:
            warnings.append(
                f"Domain {row['domid']} has no name: it is being made or taken away, or was left so; `xl destroy {row['domid']}` ends it."
            )
    wanted = sorted({*files, *there}) if name is None else [name] if name in files or name in there else []
    return [one(source, folder, each, files.get(each), there.get(each)) for each in wanted]


def by_name(folder: str, warnings: list[str]) -> dict[str, tuple[str, Cfg]]:
    """The files of domains by the name that they give; of several for one name, the one that bears it."""
    found: dict[str, tuple[str, Cfg]] = {}
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, entry)
        if not entry.endswith(".cfg") or not os.path.isfile(path):
            continue
        try:
            cfg = Cfg.read(path)
        except XenError as e:
            warnings.append(f"{e} What it defines is not told.")
            continue
        name = cfg.get("name")
        if isinstance(name, str) and (name not in found or entry == f"{name}.cfg"):
            found[name] = (path, cfg)
    return found


def one(source: Source, folder: str, name: str, file: tuple[str, Cfg] | None, row: Row | None) -> Row:
    config = source.configurations.get(row["domid"], {}) if row else {}
    domain = {**told(file[1] if file else None, config), "name": name, "autostart": bool(Place(folder, name).links())}
    uuid = config.get("c_info", {}).get("uuid") or (str(file[1].get("uuid", "")) if file else "")
    result = {"name": name, "uuid": uuid, "config_file": file[0] if file else "", "domain": domain}
    return {**result, **(alive(source, row, config) if row else STOPPED)}


NAMELESS = "(null)"  # what xl calls a domain that xenstore does not know
STOPPED: Row = {
    "domid": None, "power_state": "stopped", "shutdown_reason": "", "type": None, "memory": 0, "vcpus": [], "disks": [], "nics": [],
    "console": {}, "uptime": 0, "cpu_seconds": 0.0, "pool": "",
}  # fmt: skip


def alive(source: Source, row: Row, config: Row) -> Row:
    domid = row["domid"]
    return {
        "domid": domid, "power_state": row["power_state"], "shutdown_reason": shutdown_reason(row["state"]),
        "type": config.get("c_info", {}).get("type"), "memory": row["memory"],
        "vcpus": [vcpu(each) for each in source.vcpus.get(domid, [])], "disks": disks(source.store, domid, config),
        "nics": nics(source.store, domid), "console": console(source.store, domid), "uptime": source.uptimes.get(row["name"], 0),
        "cpu_seconds": row["time"], "pool": row["pool"],
    }  # fmt: skip


def vcpu(row: Row) -> Row:
    told = {"number": row["vcpu"], "online": row["online"], "cpu": row["cpu"], "cpu_seconds": row["time"]}
    return {**told, "hard": row["hard"], "soft": row["soft"]}


def numbers_below(store: Store, path: str) -> list[str]:
    """The devices of a class; a path may be of a domain without any."""
    names = {key[len(path) + 1 :].split("/", 1)[0] for key in store if key.startswith(path + "/")}
    return sorted(names, key=lambda text: (not text.isdigit(), int(text) if text.isdigit() else 0))


def number_of(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def state_of(store: Store, front: str) -> str:
    return STATES.get(store.get(f"{front}/state", ""), "unknown")


def disks(store: Store, domid: int, config: Row) -> list[Row]:
    formats = {disk.get("vdev"): disk.get("format", "") for disk in config.get("disks", [])}
    folder = f"/local/domain/{domid}/device/vbd"
    return [disk(store, f"{folder}/{number}", number, formats) for number in numbers_below(store, folder)]


def disk(store: Store, front: str, number: str, formats: t.Mapping[str, str]) -> Row:
    back = store.get(f"{front}/backend", "")
    vdev, target = store.get(f"{back}/dev", ""), store.get(f"{back}/params", "")
    if store.get(f"{back}/type") not in ("phy", None):  # qemu's: aio:/path, qcow2:/path
        target = target.partition(":")[2] or target
    access = "rw" if store.get(f"{back}/mode") == "w" else "ro"
    told = {"vdev": vdev, "devid": number_of(number), "target": target, "format": formats.get(vdev, ""), "access": access}
    return {**told, "cdrom": store.get(f"{back}/device-type") == "cdrom", "state": state_of(store, front), "backend": back}


def nics(store: Store, domid: int) -> list[Row]:
    folder = f"/local/domain/{domid}/device/vif"
    return [nic(store, f"{folder}/{number}", number, domid) for number in numbers_below(store, folder)]


def nic(store: Store, front: str, number: str, domid: int) -> Row:
    back = store.get(f"{front}/backend", "")
    told = {"devid": number_of(number), "mac": store.get(f"{front}/mac", ""), "bridge": store.get(f"{back}/bridge", "")}
    told |= {"vifname": store.get(f"{back}/vifname") or f"vif{domid}.{number}", "ip": store.get(f"{back}/ip", "")}
    return {**told, "state": state_of(store, front), "backend": back}


def console(store: Store, domid: int) -> Row:
    """Where its console is, and its display if it has one."""
    path = f"/local/domain/{domid}/console"
    told = {"type": store.get(f"{path}/type", ""), "tty": store.get(f"{path}/tty", "")}
    if store.get(f"{path}/vnc-port"):
        told["vnc"] = f"{store.get(f'{path}/vnc-listen', '')}:{store[f'{path}/vnc-port']}"
    return told
