# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage part of a site: servers with exports, shares and targets; disks, directories and HBA LUNs of a host."""

from __future__ import annotations

import ipaddress
import zlib

from .site_reader import Reader, SiteError
from .storage import IMAGE_SIZE, Place, Server, Target

PATH_KEYS = {"nfs": "path", "smb": "share", "cephfs": "path", "glusterfs": "volume", "moosefs": "path"}
SYSTEM_DISK = "/dev/sda"
LOCAL_SR_PARTITION = "/dev/sda3"


def scsi_id(*parts: object) -> str:
    """An identifier that looks like the ones LUNs have, the same for the same parts."""
    text = "/".join(map(str, parts)).encode()
    return f"36001405{zlib.crc32(text):08x}{zlib.crc32(text[::-1]):08x}00000000"


def server(r: Reader, segments: tuple[str, ...]) -> Server:
    """One storage server."""
    name, address = r.text("name"), r.text("address")
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise SiteError(r.at("address"), str(error)) from None
    segment = r.choice("segment", ..., segments, "segment")
    places = [place for kind in PATH_KEYS for place in r.each(kind, lambda p, kind=kind: _export(p, kind))]  # type: ignore[misc]
    return Server(
        name, address, segment, r.number("prefix", 24), r.number("vlan") if r.raw("vlan") is not None else None,
        places=places, targets=r.each("iscsi", lambda x: _target(x, name)),
    )  # fmt: skip


def _images(r: Reader) -> dict[str, int]:
    return dict.fromkeys(r.texts("isos"), IMAGE_SIZE)


def _export(r: Reader, kind: str) -> Place:
    return Place(
        kind, r.text(PATH_KEYS[kind]), r.size("size", "1TiB"), writable=not r.flag("read_only", False),
        user=r.text("username", ""), password=r.text("password", ""), images=_images(r),
    )  # fmt: skip


def _target(r: Reader, name: str) -> Target:
    iqn = r.text("iqn")
    user, password = r.inside("chap", lambda c: (c.text("user", ""), c.text("password", "")))
    return Target(iqn, r.each("luns", lambda x: _lun(x, name, iqn)), r.number("port", 3260), user, password)


def _lun(r: Reader, *parts: str) -> Place:
    number = r.number("id", 0)
    found = r.text("scsi_id", scsi_id(*parts, number))
    return Place("lun", found, r.size("size"), lun=number, vendor=r.text("vendor", "LIO-ORG"), serial=r.text("serial", found[8:24]))


def local_places(r: Reader) -> list[Place]:
    """What a host holds itself: the system disk with its free partition, more disks, directories, LUNs behind its HBAs."""
    system = r.size("system_disk", "256GiB")
    places = [Place("disk", SYSTEM_DISK, system, root=True), Place("disk", LOCAL_SR_PARTITION, max(system - (46 << 30), 1 << 30))]
    places += r.each("disks", lambda d: Place("disk", d.text("device"), d.size("size")))
    places += r.each("directories", lambda d: Place("directory", d.text("path"), d.size("size", "100GiB"), images=_images(d)))
    places += r.each("hba", lambda x: _lun(x, "fabric"))
    return places
