# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's installer, booted as the domain: its kernel, its RAM disk with a preseed file in it, and how far it has come.

The RAM disk of the installer reads /preseed.cfg; the kernel unpacks several cpio archives that follow one another
(Documentation/driver-api/early-userspace/buffer-format.rst), so the file is one more of them.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ...errors import InvalidChange, XenError
from ..step import Step
from .look import Journal, Seen
from .machine import PLACE, Machine, inside
from .wanted import Order
from .ways import mounting

NETBOOT = "dists/{suite}/main/installer-amd64/current/images/netboot/xen/{name}"
LOGS = "/var/log/installer"  # the installer copies its logs there when all else is done
ARGUMENTS = "auto=true priority=critical console=hvc0 net.ifnames=0"
TRAILER = "TRAILER!!!"


def cpio(name: str, content: bytes) -> bytes:
    """An archive (newc) of one file."""
    return _entry(name, content, 0o100644) + _entry(TRAILER, b"", 0)


def _entry(name: str, content: bytes, mode: int) -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def sources(asked: Order) -> dict[str, str]:
    """Where kernel and RAM disk come from: files of Dom0 or URLs. Raises InvalidChange without a mirror."""
    found = {}
    for key, name in (("installer_kernel", "vmlinuz"), ("installer_ramdisk", "initrd.gz")):
        place = asked.source.get(key)
        if not place:
            if not asked.source.get("mirror"):
                raise InvalidChange(f"Guest {asked.name}: the method installer needs mirror, or installer_kernel and installer_ramdisk.")
            place = f"{asked.source['mirror'].rstrip('/')}/{NETBOOT.format(suite=asked.source['suite'], name=name)}"
        found[key] = place
    return found


def check(asked: Order) -> None:
    """Raises InvalidChange if the installer is not to be had."""
    for place in sources(asked).values():
        if "://" not in place and not os.path.isfile(place):
            raise InvalidChange(f"Guest {asked.name}: there is no {place} on Dom0.")
    preseed(asked)


def preseed(asked: Order) -> bytes:
    """The answers to the installer's questions. What is configured afterwards is not asked for."""
    if asked.source.get("preseed"):
        return t.cast("str", asked.source["preseed"]).encode()
    mirror = urllib.parse.urlsplit(asked.source.get("mirror", ""))
    if mirror.scheme not in ("http", "https"):
        raise InvalidChange(f"Guest {asked.name}: the installer needs a mirror by HTTP.", hint="Or a preseed text of your own.")
    own = asked.interfaces[0] if asked.interfaces else None
    answers = [
        "debian-installer/locale string C.UTF-8",
        "keyboard-configuration/xkb-keymap select us",
        "netcfg/choose_interface select auto",
    ]
    if own and own.static:
        address = own.address.split("/", maxsplit=1)[0]
        answers += [
            "netcfg/disable_autoconfig boolean true",
            f"netcfg/get_ipaddress string {address}",
            f"netcfg/get_netmask string {netmask(own.address)}",
        ]
        answers += [f"netcfg/get_gateway string {own.gateway or 'none'}", f"netcfg/get_nameservers string {' '.join(asked.nameservers)}"]
        answers += ["netcfg/confirm_static boolean true"]
    answers += [f"netcfg/get_hostname string {asked.hostname or asked.name}", f"netcfg/get_domain string {asked.domain}"]
    answers += [f"mirror/protocol select {mirror.scheme}", "mirror/country string manual"]
    answers += [f"mirror/{mirror.scheme}/hostname string {mirror.netloc}", f"mirror/{mirror.scheme}/directory string {mirror.path or '/'}"]
    answers += [f"mirror/{mirror.scheme}/proxy string ", f"mirror/suite string {asked.source['suite']}"]
    answers += ["passwd/make-user boolean false", f"passwd/root-password-crypted password {asked.root_password_hash or '*'}"]
    answers += ["clock-setup/utc boolean true", f"time/zone string {asked.timezone or 'Etc/UTC'}"]
    answers += [
        f"partman-auto/disk string /dev/{asked.device}",
        "partman-auto/method string regular",
        "partman-auto/expert_recipe string " + RECIPE,
    ]
    answers += ["partman-basicfilesystems/no_swap boolean false", "partman-partitioning/confirm_write_new_label boolean true"]
    answers += ["partman/choose_partition select finish", "partman/confirm boolean true", "partman/confirm_nooverwrite boolean true"]
    answers += ["base-installer/install-recommends boolean false", "apt-setup/cdrom/set-first boolean false"]
    answers += ["grub-installer/skip boolean true", "nobootloader/confirmation_common note"]
    answers += ["finish-install/reboot_in_progress note", "debian-installer/exit/poweroff boolean true"]
    rest = [
        "tasksel tasksel/first multiselect ",
        "d-i pkgsel/include string openssh-server",
        "popularity-contest popularity-contest/participate boolean false",
    ]
    return ("\n".join([*(f"d-i {answer}" for answer in answers), *rest]) + "\n").encode()


RECIPE = (
    "root :: 500 10000 -1 ext4 $primary{ } $bootable{ } method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ / } ."
)


def netmask(address: str) -> str:
    return str(ipaddress.ip_interface(address).network.netmask)


def fetch(place: str) -> bytes:
    """Raises XenError naming the place."""
    try:
        if "://" not in place:
            with open(place, "rb") as file:
                return file.read()
        with urllib.request.build_opener().open(place, timeout=60) as answer:
            return t.cast("bytes", answer.read())
    except (OSError, urllib.error.URLError) as e:
        raise XenError(f"{place} could not be read: {e}", hint="Is the mirror right, and has it the installer of this suite?") from e


def prepare(asked: Order, journal: Journal) -> list[Step]:
    """The files the installer is booted with."""

    def run() -> None:
        found = sources(asked)
        kernel, ramdisk = (fetch(place) for place in found.values())
        os.makedirs(journal.place, exist_ok=True)
        ramdisk += bytes(-len(ramdisk) % 4) + cpio("preseed.cfg", preseed(asked))
        for name, content in (("installer.vmlinuz", kernel), ("installer.initrd", ramdisk)):
            with open(journal.file(name) + ".new", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(content)
            os.replace(journal.file(name) + ".new", journal.file(name))

    return [Step(("fetch", *sources(asked).values()), "fetch the installer", run=run)]


def ready(journal: Journal) -> bool:
    return os.path.exists(journal.file("installer.vmlinuz")) and os.path.exists(journal.file("installer.initrd"))


def finished(asked: Order, seen: Seen, machine: Machine) -> bool:
    """Whether the installer has come to its end on a volume that nobody uses now."""
    if seen.user or seen.state != "begun":
        return False
    try:
        mount = mounting(asked, machine)
        if mount.run:
            mount.run()
        return inside(PLACE, functools.partial(os.path.isdir, LOGS))
    except XenError:
        return False
    finally:
        machine.unmounted()


def told(journal: Journal) -> dict[str, t.Any]:
    return {"kernel": journal.file("installer.vmlinuz"), "ramdisk": journal.file("installer.initrd"), "arguments": ARGUMENTS}
