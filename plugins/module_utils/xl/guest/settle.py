# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of a guest: files written inside its root. Everything here runs there (see machine.inside)."""

from __future__ import annotations

import glob
import json
import os
import typing as t

from ...errors import InvalidChange
from . import texts
from .look import MARK
from .wanted import Order

INTERFACES, NETWORKD, NETPLAN = "/etc/network/interfaces", "/etc/systemd/network", "/etc/netplan/60-domzero.yaml"
TOOLS = {
    "ifupdown": ("/usr/sbin/ifup", "/sbin/ifup"), "netplan": ("/usr/sbin/netplan",),
    "networkd": ("/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd"),
}  # fmt: skip
WANTS = "/etc/systemd/system/multi-user.target.wants"


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str, mode: int | None = None) -> None:
    """A file there keeps its owner and mode; what is a link is replaced, not followed."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(path):
        os.remove(path)
    there = os.path.exists(path)
    with open(path, "w", encoding="utf-8", errors="surrogateescape", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)
    if mode is not None or not there:
        os.chmod(path, 0o644 if mode is None else mode)


def settle(asked: Order, uuids: t.Mapping[str, str], root_type: str) -> None:
    """uuids: of the file systems and the swap space, by device as the guest calls it. Raises InvalidChange."""
    if not any(os.path.lexists(place) for place in ("/sbin/init", "/bin/sh", "/usr/bin/sh")):
        raise InvalidChange("there is no system: neither /sbin/init nor /bin/sh.")
    hostname = asked.hostname or asked.name
    write("/etc/hostname", hostname + "\n")
    if asked.method != "image" or not read("/etc/hosts"):
        write("/etc/hosts", texts.hosts(hostname, asked.domain))
    write("/etc/fstab", texts.fstab(rows(asked, uuids, root_type), read("/etc/fstab") if asked.method in ("image", "installer") else ""))
    network(asked)
    if asked.authorized_keys:
        os.makedirs("/root/.ssh", mode=0o700, exist_ok=True)
        write("/root/.ssh/authorized_keys", texts.added(read("/root/.ssh/authorized_keys"), asked.authorized_keys), 0o600)
    if asked.root_password_hash:
        write("/etc/shadow", texts.shadow(read("/etc/shadow"), "root", asked.root_password_hash))
    if asked.timezone:
        zone(asked.timezone)
    console()
    cloud_init(asked, hostname)
    write("/etc/machine-id", "", 0o444)  # made at the first boot, so that no two guests have the same
    if os.path.exists("/var/lib/dbus/machine-id") and not os.path.islink("/var/lib/dbus/machine-id"):
        os.remove("/var/lib/dbus/machine-id")
    for key in glob.glob("/etc/ssh/ssh_host_*"):
        os.remove(key)


def rows(asked: Order, uuids: t.Mapping[str, str], root_type: str) -> list[texts.Mount]:
    found = [] if asked.method in ("image", "installer") else [texts.root_row(uuids[asked.root_device], root_type)]
    if asked.swap:
        found.append(texts.swap_row(uuids[f"/dev/{asked.swap.device}"]))
    for data in asked.data:
        if data.mount:
            os.makedirs(data.mount, exist_ok=True)
            found.append(texts.Mount(f"UUID={uuids[f'/dev/{data.device}']}", data.mount, data.filesystem, data.options))
    return found


def style(wanted: str) -> str:
    """Which program configures the network of this system. Raises InvalidChange if the one asked for is not there, or none is."""
    there = [name for name, places in TOOLS.items() if any(os.path.lexists(place) for place in places)]
    if wanted == "auto":
        order = ["netplan", "ifupdown", "networkd"]
        wanted = next((name for name in order if name in there), "")
        if not wanted:
            raise InvalidChange("nothing here configures a network: neither ifupdown nor systemd-networkd nor netplan.")
    if wanted not in there:
        raise InvalidChange(f"{wanted} is not installed, which was to configure the network.")
    return wanted


def network(asked: Order) -> None:
    if asked.network_style == "none" or not asked.interfaces:
        return
    kind = style(asked.network_style)
    if kind == "ifupdown":
        write(INTERFACES, texts.interfaces(asked.interfaces))
    elif kind == "netplan":
        write(NETPLAN, netplan(asked), 0o600)
    else:
        for number, row in enumerate(asked.interfaces):
            write(f"{NETWORKD}/{10 + number}-{row.name}.network", texts.networkd(row, asked.nameservers, asked.domain))
        os.makedirs(WANTS, exist_ok=True)
        link("/lib/systemd/system/systemd-networkd.service", f"{WANTS}/systemd-networkd.service")
    static = any(row.static for row in asked.interfaces)
    if asked.nameservers and static and not (os.path.islink("/etc/resolv.conf") and "resolve" in os.readlink("/etc/resolv.conf")):
        write("/etc/resolv.conf", texts.resolv_conf(asked.nameservers, asked.domain))


def netplan(asked: Order) -> str:
    """JSON is YAML."""
    found = {}
    for row in asked.interfaces:
        entry: dict[str, t.Any] = {"dhcp4": row.address == "dhcp"}
        if row.mac:
            entry |= {"match": {"macaddress": row.mac}}
        if row.static:
            entry |= {"addresses": [row.address], "nameservers": {"addresses": list(asked.nameservers)}}
            entry |= {"routes": [{"to": "default", "via": row.gateway}]} if row.gateway else {}
        found[row.name] = entry
    return json.dumps({"network": {"version": 2, "ethernets": found}}, indent=2) + "\n"


def link(target: str, path: str) -> None:
    if os.path.lexists(path):
        os.remove(path)
    os.symlink(target, path)


def zone(name: str) -> None:
    if not os.path.isfile(f"/usr/share/zoneinfo/{name}"):
        raise InvalidChange(f"there is no time zone {name}.")
    link(f"/usr/share/zoneinfo/{name}", "/etc/localtime")
    write("/etc/timezone", name + "\n")


def console() -> None:
    """systemd asks for a login on hvc0 by itself, since the kernel's console is there."""
    if os.path.isfile("/etc/inittab"):
        write("/etc/inittab", texts.inittab(read("/etc/inittab")))
    if os.path.isfile("/etc/securetty"):
        write("/etc/securetty", texts.added(read("/etc/securetty"), ["hvc0"]))


def cloud_init(asked: Order, hostname: str) -> None:
    """An image with cloud-init is told that it has what it needs, and does not look for it on the network."""
    if not os.path.isdir("/etc/cloud/cloud.cfg.d"):
        return
    user = {"disable_root": False, "preserve_hostname": True, "ssh_authorized_keys": list(asked.authorized_keys)}
    write("/var/lib/cloud/seed/nocloud/meta-data", f"instance-id: {asked.name}\nlocal-hostname: {hostname}\n")
    write("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\n" + json.dumps(user) + "\n", 0o600)
    if asked.interfaces and asked.network_style != "none":
        write("/etc/cloud/cloud.cfg.d/99-domzero.cfg", "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n")


def mark(asked: Order) -> None:
    write(MARK, json.dumps({"name": asked.name, "method": asked.method}) + "\n")


def kernels() -> list[str]:
    """The kernel and the initial RAM disk to boot ("" if there is none) as paths from the root; links that follow the packages first."""
    for folder in ("", "/boot"):
        if os.path.exists(f"{folder}/vmlinuz"):
            ramdisk = f"{folder}/initrd.img"
            return [f"{folder}/vmlinuz", ramdisk if os.path.exists(ramdisk) else ""]
    found = sorted(glob.glob("/boot/vmlinuz-*"), key=lambda path: (os.path.getmtime(path), path))
    if not found:
        raise InvalidChange("there is no kernel below /boot.")
    version = found[-1].partition("vmlinuz-")[2]
    names = (f"/boot/initrd.img-{version}", f"/boot/initramfs-{version}.img", f"/boot/initrd-{version}")
    return [found[-1], next((name for name in names if os.path.exists(name)), "")]


def grub(asked: Order, uuid: str) -> None:
    """A menu for pygrub and pvgrub, unless the system has one of its own. Only the links to the kernel, which follow its packages."""
    menu = "/boot/grub/grub.cfg"
    if os.path.isfile(menu) or os.path.isfile("/boot/grub2/grub.cfg"):
        return
    kernel, ramdisk = kernels()
    arguments = f"root=UUID={uuid} ro {asked.arguments}".rstrip()
    write(menu, texts.grub_cfg([(asked.hostname or asked.name, kernel, ramdisk)], uuid, arguments))
