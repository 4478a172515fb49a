# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the description of a guest to the options of the modules that make it: its volumes, its system, its domain, how it is waited for.

Nothing is looked at here.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass

from ...errors import InvalidChange
from ...formats.sizes import size
from .texts import Interface, checked
from .wanted import LABEL, NAME, SOURCES

Given = t.Mapping[str, t.Any]
Options = dict[str, t.Any]

PVGRUB = {"pv": "/usr/lib/grub-xen/grub-x86_64-xen.bin", "pvh": "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"}
BOOTS = {"dom0": "dom0", "guest": "guest", "pygrub": "grub", "pvgrub": "grub", "none": "none"}
STATES = ("running", "stopped", "absent")
WAITS = ("ssh", "console", "running", "none")
SYSTEM = (
    "hostname", "domain", "nameservers", "network_style", "authorized_keys", "root_password_hash", "timezone",
    "packages", "commands", "configure",
)  # fmt: skip
INSTALL = (*SOURCES, "method", "modules", "root_partition", "overwrite")
GUEST = (
    "name", "type", "memory", "vcpus", "root", "swap", "data", "install", "system", "boot", "kernel_arguments", "nics",
    "options", "autostart", "state", "wait", "wait_timeout", "shutdown_timeout", "remove_volumes", "vg", "image_dir", "pool",
    "address", "restart",
)  # fmt: skip
VOLUME = ("size", "filesystem", "partitioned", "vg", "image_dir", "pool", "path")
DATA = (*VOLUME, "name", "mount", "options")
NIC = ("bridge", "mac", "address", "gateway", "name")
START = {"type": "pvh", "memory": "512", "vcpus": 1, "boot": "dom0", "state": "running", "wait": "ssh", "wait_timeout": 300}


@dataclass(frozen=True)
class Volume:
    """role: root, swap or data; path: on Dom0; device: as the guest calls it; managed: made and grown here (it has a size)."""

    role: str
    path: str
    device: str
    options: Options
    bytes: int
    filesystem: str
    partitioned: bool = False
    mount: str = ""


@dataclass(frozen=True)
class Guest:
    """What one guest needs, as options of modules."""

    name: str
    state: str
    volumes: tuple[Volume, ...]
    os: Options
    domain: Options
    wait: Options
    bridges: tuple[str, ...]
    address: str
    overwrite: bool
    remove_volumes: bool

    @property
    def memory(self) -> int:
        """Bytes it is started with."""
        return mib(self.domain["memory"]) << 20


def mib(text: t.Any) -> int:
    """Plain numbers are MiB, as in xl.cfg."""
    return int(text) if re.fullmatch(r"\d+", str(text)) else size(text) >> 20


def merged(defaults: Given, own: Given) -> Options:
    """What all guests have, and this one's own: dictionaries are joined, anything else is replaced."""
    result = dict(defaults)
    for key, value in own.items():
        joined = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if joined else value
    return result


def known(what: str, given: t.Any, keys: t.Iterable[str]) -> Options:
    """Raises InvalidChange for keys that there are not."""
    if not isinstance(given, dict):
        raise InvalidChange(f"{what} is not a dictionary.")
    wrong = sorted(set(given) - set(keys))
    if wrong:
        raise InvalidChange(f"{what} has no key {', '.join(wrong)}.", hint=f"There are {', '.join(sorted(keys))}.")
    return {key: value for key, value in given.items() if value is not None}


def one_of(what: str, value: t.Any, choices: t.Iterable[str]) -> str:
    if value not in choices:
        raise InvalidChange(f"{what} is {value!r}.", hint=f"It is one of {', '.join(choices)}.")
    return str(value)


def mac(name: str, number: int) -> str:
    """An address of Xen's own range that stays the same from run to run."""
    digest = hashlib.sha256(f"{name}/{number}".encode()).digest()
    return f"00:16:3e:{digest[0] & 0x7F:02x}:{digest[1]:02x}:{digest[2]:02x}"


def described(defaults: Given, own: Given) -> Guest:
    """Raises InvalidChange with what is wrong in the description, whatever there is on Dom0."""
    name = own.get("name")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise InvalidChange(f"{name!r} cannot be the name of a guest.", hint="Letters, digits and . _ + - make one.")
    told = f"Guest {name}"
    given = {**START, **known(told, merged(defaults, own), GUEST)}
    state, boot = one_of(f"{told}: state", given["state"], STATES), one_of(f"{told}: boot", given["boot"], BOOTS)
    kind, wait = one_of(f"{told}: type", given["type"], ("pv", "pvh", "hvm")), one_of(f"{told}: wait", given["wait"], WAITS)
    if boot == "pvgrub" and kind == "hvm":
        raise InvalidChange(f"{told}: an HVM domain boots by its own BIOS, not by pvgrub.", hint="boot: none, or type: pvh.")
    volumes = all_volumes(told, given)
    nics = [one_nic(told, name, number, nic) for number, nic in enumerate(given.get("nics", []))]
    system = known(f"{told}: system", given.get("system", {}), SYSTEM)
    hostname = system.get("hostname", name)
    if not re.fullmatch(LABEL, str(hostname)):
        raise InvalidChange(
            f"{told}: {hostname!r} cannot be a host name.", hint="Letters, digits and - make one; system.hostname gives it another."
        )
    os = system_of(told, given, volumes, nics, system, BOOTS[boot])
    address = given.get("address") or next((nic.address.partition("/")[0] for nic, _vif in nics if nic.static), "")
    waiting = {"name": name, "wait_for": wait, "wait_timeout": given["wait_timeout"], "macs": [nic.mac for nic, _vif in nics]}
    bridges = tuple(vif["bridge"] for _nic, vif in nics if vif.get("bridge"))
    domain, remove = domain_of(given, volumes, nics, boot, kind), bool(given.get("remove_volumes"))
    return Guest(name, state, volumes, os, domain, {**waiting, "address": address}, bridges, address, bool(os.get("overwrite")), remove)


def all_volumes(told: str, given: Given) -> tuple[Volume, ...]:
    """The root is xvda, swap xvdb, data from xvdc on: places do not move when a volume is added."""
    if "root" not in given:
        raise InvalidChange(f"{told} has no root.", hint="root: {size: 10 GiB} gives it one.")
    found = [volume(told, given, "root", "root", "xvda", known(f"{told}: root", given["root"], VOLUME))]
    if given.get("swap"):
        swap = given["swap"] if isinstance(given["swap"], dict) else {"size": given["swap"]}
        found.append(volume(told, given, "swap", "swap", "xvdb", known(f"{told}: swap", swap, VOLUME)))
    names = set()
    for number, data in enumerate(given.get("data", [])):
        row = known(f"{told}: data", data, DATA)
        name = str(row.get("name", f"data{number}"))
        if name in names or name in ("root", "swap"):
            raise InvalidChange(f"{told} has two volumes {name}.")
        names.add(name)
        found.append(volume(told, given, "data", name, f"xvd{chr(ord('c') + number)}", row))
    return tuple(found)


def volume(told: str, given: Given, role: str, name: str, device: str, row: Options) -> Volume:
    filesystem = "swap" if role == "swap" else row.get("filesystem", "ext4")
    rest = (filesystem, bool(row.get("partitioned")), row.get("mount", ""))
    wanted = size(row["size"]) if row.get("size") else 0
    if row.get("path"):
        return Volume(role, row["path"], device, {}, wanted, *rest)
    if not wanted:
        raise InvalidChange(f"{told}: the volume {name} has no size.", hint="Or a path, if it is there already.")
    full, place = f"{given['name']}-{name}", {key: row.get(key, given.get(key)) for key in ("vg", "image_dir", "pool")}
    if place["vg"]:
        options = {"vg": place["vg"], "name": full, "pool": place["pool"], "path": None, "format": "lvm", "size": str(wanted)}
        return Volume(role, f"/dev/{place['vg']}/{full}", device, options, wanted, *rest)
    if not place["image_dir"]:
        raise InvalidChange(f"{told}: where shall the volume {name} lie?", hint="vg is a volume group, image_dir a folder.")
    path = f"{place['image_dir'].rstrip('/')}/{full}.img"
    return Volume(
        role, path, device, {"vg": None, "name": None, "pool": None, "path": path, "format": "raw", "size": str(wanted)}, wanted, *rest
    )


def one_nic(told: str, guest: str, number: int, given: t.Any) -> tuple[Interface, Options]:
    """The interface as the guest has it, and its vif: keys that only one of them knows are the other's."""
    if not isinstance(given, dict):
        raise InvalidChange(f"{told}: a NIC is a dictionary.")
    row = {key: value for key, value in given.items() if value is not None}
    row.setdefault("mac", mac(guest, number))
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", str(row["mac"])) or int(str(row["mac"])[:2], 16) & 1:
        raise InvalidChange(f"{told}: {row['mac']!r} is no MAC address of a NIC.", hint="00:16:3e:12:34:56 is one.")
    own = checked(Interface(row.get("name", f"eth{number}"), row.get("address", "dhcp"), row.get("gateway", ""), row["mac"].lower()))
    return own, {key: value for key, value in row.items() if key not in ("address", "gateway", "name")}


def system_of(
    told: str, given: Given, volumes: t.Sequence[Volume], nics: t.Sequence[tuple[Interface, Options]], system: Options, kernel: str
) -> Options:
    """The options of xl_guest_os. Empty if nothing is installed: the root is there already."""
    if not given.get("install"):
        return {}
    install = known(f"{told}: install", given["install"], INSTALL)
    if "method" not in install:
        raise InvalidChange(f"{told}: install has no method.", hint="debootstrap, tarball, image, xen_tools or installer.")
    root, rest = volumes[0], volumes[1:]
    further = [
        {"path": one.path, "device": one.device, "filesystem": one.filesystem, "mount": one.mount} for one in rest if one.role == "data"
    ]
    for one, row in zip(further, given.get("data", [])):
        one["options"] = row.get("options", "defaults")
    swap = next(({"path": one.path, "device": one.device} for one in rest if one.role == "swap"), None)
    interfaces = [{"name": n.name, "address": n.address, "gateway": n.gateway or None, "mac": n.mac} for n, _vif in nics]
    if install["method"] == "installer" and not install.get("root_partition"):
        install["root_partition"] = 1
    arguments = {"arguments": given["kernel_arguments"]} if given.get("kernel_arguments") is not None else {}
    return {
        **install, **system, **arguments, "name": given["name"], "path": root.path, "size": str(root.bytes) if root.bytes else None,
        "filesystem": root.filesystem, "partitioned": root.partitioned, "device": root.device, "kernel": kernel,
        "swap": swap, "data": further, "interfaces": interfaces,
    }  # fmt: skip


def domain_of(given: Given, volumes: t.Sequence[Volume], nics: t.Sequence[tuple[Interface, Options]], boot: str, kind: str) -> Options:
    """The options of xl_domain; those under `options` come last. The kernel of a system that is installed is told by xl_guest_os."""
    disks = [{"target": one.path, "format": "raw", "vdev": one.device, "access": "rw"} for one in volumes]
    found = {
        "name": given["name"], "type": kind, "memory": str(mib(given["memory"])), "vcpus": int(given["vcpus"]), "disk": disks,
        "vif": [vif for _nic, vif in nics],
    }  # fmt: skip
    found |= {key: given[key] for key in ("autostart", "shutdown_timeout", "restart") if given.get(key) is not None}
    if boot == "pygrub":
        found["bootloader"] = "pygrub"
    elif boot == "pvgrub":
        found["kernel"] = PVGRUB[kind]
    return {**found, **given.get("options", {})}
