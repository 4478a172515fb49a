# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files a guest is configured by, as texts. Nothing is read or written here."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ...errors import InvalidChange


@dataclass(frozen=True)
class Interface:
    """name: as the guest calls it; address: "10.0.0.5/24" or "dhcp" ("" leaves it down); mac: "" if any; gateway: "" if none."""

    name: str
    address: str = "dhcp"
    gateway: str = ""
    mac: str = ""

    @property
    def static(self) -> bool:
        return self.address not in ("", "dhcp")

    @property
    def family(self) -> str:
        return "inet6" if self.static and ipaddress.ip_interface(self.address).version == 6 else "inet"


def checked(interface: Interface) -> Interface:
    """Raises InvalidChange for addresses that are none, or a gateway outside the network."""
    if not interface.static:
        if interface.gateway:
            raise InvalidChange(f"Interface {interface.name} has a gateway, but no address of its own.", hint="DHCP tells the gateway.")
        return interface
    try:
        own = ipaddress.ip_interface(interface.address)
        gateway = ipaddress.ip_address(interface.gateway) if interface.gateway else None
    except ValueError as e:
        raise InvalidChange(f"Interface {interface.name}: {e}.", hint="An address is written as 192.0.2.10/24, or dhcp.") from e
    if "/" not in interface.address:
        raise InvalidChange(f"Interface {interface.name}: {interface.address} says no length of its network.", hint="Write 192.0.2.10/24.")
    if own.network.num_addresses > 2 and own.version == 4 and own.ip in (own.network.network_address, own.network.broadcast_address):
        raise InvalidChange(f"Interface {interface.name}: {interface.address} is the network itself, or its broadcast address.")
    if gateway and (gateway.version != own.version or (gateway not in own.network and not gateway.is_link_local)):
        raise InvalidChange(f"Interface {interface.name}: the gateway {gateway} is not in {own.network}.")
    if gateway and gateway == own.ip:
        raise InvalidChange(f"Interface {interface.name}: the gateway {gateway} is its own address.")
    return interface


@dataclass(frozen=True)
class Mount:
    """A row of /etc/fstab. spec: UUID=... or a device."""

    spec: str
    path: str
    type: str
    options: str = "defaults"
    check: int = 2

    def __str__(self) -> str:
        return f"{self.spec} {self.path.replace(' ', chr(92) + '040')} {self.type} {self.options} 0 {self.check}"


OPTIONS_OF_ROOT = {"ext4": "errors=remount-ro", "ext3": "errors=remount-ro", "ext2": "errors=remount-ro"}


def root_row(uuid: str, type: str) -> Mount:
    return Mount(f"UUID={uuid}", "/", type, OPTIONS_OF_ROOT.get(type, "defaults"), 1 if type.startswith("ext") else 0)


def swap_row(uuid: str) -> Mount:
    return Mount(f"UUID={uuid}", "none", "swap", "sw", 0)


def fstab(rows: t.Iterable[Mount], before: str = "") -> str:
    """The text of /etc/fstab: what `before` says of other places stays as it is, with its comments."""
    rows = list(rows)
    specs, places = {row.spec for row in rows}, {row.path for row in rows if row.type != "swap"}

    def kept(line: str) -> bool:
        words = line.split("#")[0].split()
        return len(words) < 2 or (words[0] not in specs and words[1] not in places)

    lines = [line for line in before.splitlines() if kept(line)]
    return "\n".join([*lines, *map(str, rows)]) + "\n"


def hosts(hostname: str, domain: str = "") -> str:
    names = f"{hostname}.{domain} {hostname}" if domain else hostname
    return (
        f"127.0.0.1 localhost\n127.0.1.1 {names}\n\n"
        "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    )


def resolv_conf(nameservers: t.Iterable[str], domain: str = "") -> str:
    return "".join([f"search {domain}\n" if domain else "", *(f"nameserver {server}\n" for server in nameservers)])


def interfaces(rows: t.Iterable[Interface]) -> str:
    """/etc/network/interfaces of ifupdown."""
    blocks = ["auto lo\niface lo inet loopback"]
    for row in rows:
        head = f"auto {row.name}\niface {row.name} {row.family} "
        if row.static:
            lines = [f"    address {row.address}", *([f"    gateway {row.gateway}"] if row.gateway else [])]
            blocks.append("\n".join([head + "static", *lines]))
        else:
            blocks.append(head + ("dhcp" if row.address == "dhcp" else "manual"))
    return "\n\n".join(blocks) + "\n"


def networkd(row: Interface, nameservers: t.Iterable[str] = (), domain: str = "") -> str:
    """A .network file of systemd-networkd, which knows the interface by its MAC where there is one."""
    lines = ["[Match]", f"MACAddress={row.mac}" if row.mac else f"Name={row.name}", "", "[Network]"]
    if row.static:
        lines += [f"Address={row.address}", *([f"Gateway={row.gateway}"] if row.gateway else [])]
        lines += [f"DNS={server}" for server in nameservers] + ([f"Domains={domain}"] if domain else [])
    else:
        lines += ["DHCP=yes"] if row.address == "dhcp" else ["LinkLocalAddressing=no"]
    return "\n".join(lines) + "\n"


def grub_cfg(entries: t.Sequence[tuple[str, str, str]], uuid: str, arguments: str, timeout: int = 1) -> str:
    """/boot/grub/grub.cfg for pygrub and for GRUB in Xen's form (pvgrub). entries: title, kernel, initrd ("" if none)."""
    lines = [
        "# Made when the guest was installed. The kernels are links that follow its packages.",
        "set default=0",
        f"set timeout={timeout}",
        "",
    ]
    for title, kernel, initrd in entries:
        lines += [f"menuentry '{title}' {{", f"  search --no-floppy --fs-uuid --set=root {uuid}", f"  linux {kernel} {arguments}"]
        lines += [f"  initrd {initrd}"] if initrd else []
        lines += ["}", ""]
    return "\n".join(lines)


def extlinux_conf(entries: t.Sequence[tuple[str, str, str]], arguments: str) -> str:
    """/boot/extlinux/extlinux.conf, which pygrub reads too."""
    lines = ["default 0", "timeout 10", ""]
    for number, (title, kernel, initrd) in enumerate(entries):
        lines += [f"label {number}", f"  menu label {title}", f"  kernel {kernel}", f"  append {arguments}"]
        lines += [f"  initrd {initrd}"] if initrd else []
    return "\n".join(lines) + "\n"


def shadow(before: str, user: str, hashed: str) -> str:
    """/etc/shadow with the password of a user replaced. Raises InvalidChange if there is no such user."""
    lines, found = before.splitlines(), False
    for number, line in enumerate(lines):
        fields = line.split(":")
        if fields[0] == user and len(fields) > 1:
            lines[number], found = ":".join([user, hashed, *fields[2:]]), True
    if not found:
        raise InvalidChange(f"The system has no user {user} whose password could be set.")
    return "\n".join(lines) + "\n"


def added(before: str, lines: t.Iterable[str]) -> str:
    """The text with the lines it lacks at its end."""
    have = {line.strip() for line in before.splitlines()}
    more = [line.strip() for line in lines if line.strip() and line.strip() not in have]
    return (before if before.endswith("\n") or not before else before + "\n") + "".join(f"{line}\n" for line in more)


HVC0 = "hvc0:2345:respawn:/sbin/getty 38400 hvc0"


def inittab(before: str) -> str:
    """/etc/inittab of a guest without systemd: somebody can log in on Xen's console."""
    if any(line.partition("#")[0].strip().endswith("hvc0") for line in before.splitlines()):
        return before
    return added(before, [HVC0])
