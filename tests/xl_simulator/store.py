# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xenstore, as far as libxl and the backends fill it; made from the state of the host whenever somebody looks."""

from __future__ import annotations

import typing as t

from .commands import name_of
from .commands import read as words_of
from .devices import vdev_number
from .errors import Failed, NotSimulated
from .state import Host

Json = dict[str, t.Any]
Tree = dict[str, t.Any]  # name -> Tree; "" holds the value


def put(tree: Tree, path: str, **values: t.Any) -> Tree:
    """The node of that path, made if need be, with these values below it."""
    node = tree
    for part in path.strip("/").split("/"):
        node = node.setdefault(part, {})
    for key, value in values.items():
        node.setdefault(key.replace("_", "-"), {})[""] = str(value)
    return node


def tree_of(state: Json) -> Tree:
    tree: Tree = {"@introduceDomain": {}, "@releaseDomain": {}, "libxl": {}, "local": {}}
    control = {"feature_poweroff": 1, "feature_reboot": 1, "feature_suspend": 1}
    put(tree, "local/domain/0/control", **control)
    put(tree, "local/domain/0/device-model/0/backends")
    for backend in ("9pfs", "console", "qnic", "qusb", "vfb", "vkbd"):
        put(tree, f"local/domain/0/device-model/0/backends/{backend}")
    put(tree, "local/domain/0/device-model/0", state="running")
    memory = state["memory_of_dom0"] * 1024
    put(tree, "local/domain/0", domid=0, name="Domain-0")
    put(tree, "local/domain/0/memory", static_max=memory, target=memory)
    for number, pool in enumerate(state["cpupools"]):
        put(tree, f"local/pool/{number}", name=pool["name"])
    put(tree, "tool", xenstored="/usr/lib/xen-4.17/bin/oxenstored")
    put(tree, "vm")
    for domain in state["domains"].values():
        add_domain(tree, domain, control)
    return tree


def add_domain(tree: Tree, domain: Json, control: Json) -> None:
    number, config = domain["domid"], domain["config"]
    own, b_info = config["c_info"]["uuid"], config["b_info"]
    put(tree, f"libxl/{number}", dm_version="qemu_xen", type=config["c_info"]["type"])
    home = f"local/domain/{number}"
    front = {"frontend": f"/{home}/console", "frontend_id": number, "online": 1, "protocol": "vt100", "state": 1}
    backend = f"/local/domain/0/backend/console/{number}/0"
    put(tree, f"libxl/{number}/device/console/0", backend=backend, **front)
    put(tree, backend, **front)
    put(tree, f"{home}/console", backend=backend, backend_id=0, limit=1048576, output="pty", port=2, ring_ref=1296386, tty=domain["tty"])
    put(tree, f"{home}/console", type="xenconsoled")
    put(tree, f"{home}/control", **control, platform_feature_multiprocessor_suspend=1, platform_feature_xs_reset_watches=1)
    put(tree, f"{home}/control", shutdown="", sysrq="")
    online = domain.get("wanted_vcpus", b_info["avail_vcpus"])
    for vcpu in range(b_info["max_vcpus"]):
        put(tree, f"{home}/cpu/{vcpu}", availability="online" if vcpu in online else "offline")
    put(tree, f"{home}/memory", static_max=b_info["max_memkb"], target=b_info["target_memkb"], videoram=0)
    put(tree, home, domid=number, name=name_of(domain), vm=f"/vm/{own}")
    put(tree, f"{home}/store", port=1, ring_ref=1296385)
    for empty in ("attr", "data", "device/suspend/event-channel", "drivers", "error", "feature"):
        put(tree, f"{home}/{empty}")
    for disk in config.get("disks", []):
        add_disk(tree, number, disk)
    for nic in config.get("nics", []):
        add_nic(tree, number, nic)
    put(tree, f"vm/{own}", name=name_of(domain), start_time=f"{domain['started']:.2f}", uuid=own)
    image = {key: b_info[key] for key in ("cmdline", "kernel", "ramdisk") if key in b_info}
    put(tree, f"vm/{own}/image", ostype="linux", **image)


def add_disk(tree: Tree, number: int, disk: Json) -> None:
    dev = vdev_number(disk["vdev"])
    backend, frontend = f"/local/domain/0/backend/vbd/{number}/{dev}", f"/local/domain/{number}/device/vbd/{dev}"
    mode = "w" if disk.get("readwrite") else "r"
    cdrom = disk.get("is_cdrom")
    told = {"bootable": 1, "dev": disk["vdev"], "device_type": "cdrom" if cdrom else "disk", "discard_enable": 1, "frontend": frontend}
    told |= {"frontend_id": number, "mode": mode, "online": 1, "params": disk.get("pdev_path", ""), "removable": 1 if cdrom else 0}
    told |= {"script": "/etc/xen/scripts/block", "specification": "xen", "type": "phy"}
    put(tree, f"libxl/{number}/device/vbd/{dev}", backend=backend, state=1, **told)
    put(tree, backend, state=4, hotplug_status="connected", **told)
    put(tree, frontend, backend=backend, backend_id=0, device_type=told["device_type"], state=4, virtual_device=dev)


def add_nic(tree: Tree, number: int, nic: Json) -> None:
    devid = nic["devid"]
    backend, frontend = f"/local/domain/0/backend/vif/{number}/{devid}", f"/local/domain/{number}/device/vif/{devid}"
    told = {
        "bridge": nic.get("bridge", "xenbr0"),
        "frontend": frontend,
        "frontend_id": number,
        "handle": devid,
        "mac": nic["mac"],
        "online": 1,
    }
    told |= {"script": "/etc/xen/scripts/vif-bridge", "type": "vif", **({"vifname": nic["ifname"]} if "ifname" in nic else {})}
    put(tree, f"libxl/{number}/device/vif/{devid}", backend=backend, hotplug_status="", state=1, **told)
    put(tree, backend, hotplug_status="connected", state=4, **told)
    put(tree, frontend, backend=backend, backend_id=0, handle=devid, mac=nic["mac"], mtu=1500, state=4)


def find(host: Host, path: str) -> Tree | None:
    with host.locked() as state:
        node = tree_of(state)
    for part in filter(None, path.split("/")):
        if part not in node:
            return None
        node = node[part]
    return node


def names(node: Tree) -> list[str]:
    return sorted(name for name in node if name)


def ls(host: Host, words: list[str]) -> int:
    options, rest = words_of(words, "f p")
    if len(rest) > 1:
        raise NotSimulated("xenstore-ls of several paths")
    path = rest[0] if rest else "/"
    node = find(host, path)
    if node is None:
        raise Failed(1, f"xenstore-ls: xs_directory ({path}): No such file or directory")
    show(node, path.rstrip("/"), 0, full="f" in options, rights="p" in options)
    return 0


def show(node: Tree, path: str, depth: int, *, full: bool, rights: bool) -> None:
    for name in names(node):
        told = f"{path}/{name}" if full else " " * depth + name
        print(f'{told} = "{node[name].get("", "")}"' + ("   (n0)" if rights else ""))
        show(node[name], f"{path}/{name}", depth + 1, full=full, rights=rights)


def children(host: Host, words: list[str]) -> int:
    options, rest = words_of(words, "p")
    if options or len(rest) != 1:
        raise NotSimulated("xenstore-list with options")
    node = find(host, rest[0])
    if node is None:
        raise Failed(1, f"xenstore-list: could not list path {rest[0]}")
    for name in names(node):
        print(name)
    return 0


def read(host: Host, words: list[str]) -> int:
    options, rest = words_of(words, "p")
    if options:
        raise NotSimulated("xenstore-read with options")
    for path in rest:
        node = find(host, path)
        if node is None:
            raise Failed(1, f"xenstore-read: couldn't read path {path}")
        print(node.get("", ""))
    return 0
