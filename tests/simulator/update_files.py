# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update files (XenServer 7.1 to 8.2): what is in them and how they are told from other bytes.

A real one is an ISO 9660 image with ``update.xml`` in its root. Here any image will do that has the volume descriptor in its place and that
document somewhere in its first megabyte: ``image`` makes one.
"""

from __future__ import annotations

import re
import typing as t
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

from .disks import access
from .errors import Fault
from .updates import File

if t.TYPE_CHECKING:
    from .dispatch import Call

VOLUME, MARK = 0x8001, b"CD001"
DOCUMENT = 0x10000  # where the document begins in images made here
LOOKED_AT = 1 << 20


def image(file: File) -> bytes:
    """The bytes of an update file."""
    told = {
        "name-label": file.name, "name-description": file.description, "version": file.version, "uuid": file.uuid, "key": file.key,
        "precheck-space-required": "0", "installation-size": str(file.size), "after-apply-guidance": " ".join(file.guidance),
        "enforce-homogeneity": str(file.enforce_homogeneity).lower(),
    }  # fmt: skip
    attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in told.items())
    requires = "".join(f"<requires uuid={quoteattr(one)}/>" for one in file.requires)
    document = f"<update {attributes}>{requires}</update>".encode()
    head = b"\0" * VOLUME + MARK
    body = head + b"\0" * (DOCUMENT - len(head)) + document
    return body + b"\0" * (-len(body) % 2048)


def read(call: Call, vdi: str) -> File:
    """What a disk holds. Raises INVALID_UPDATE [text]."""
    record = call.db.get("VDI", vdi)
    named = (record["location"].rpartition("/")[2], record["name_label"])
    listed = next((file for file in call.world.updates.files if file.iso and file.iso in named), None)
    if listed:
        return listed
    size = min(int(record["virtual_size"]), LOOKED_AT)
    return _parse(call, access.chain(call.machine, vdi).read(0, size))


def _parse(call: Call, data: bytes) -> File:
    if data[VOLUME : VOLUME + len(MARK)] != MARK:
        raise Fault("INVALID_UPDATE", "the file is no ISO 9660 image")
    found = re.search(rb"<update [^>]*/>|<update .*?</update>", data, re.DOTALL)
    if found is None:
        raise Fault("INVALID_UPDATE", "missing update.xml document in the update")
    try:
        document = ET.fromstring(found[0].decode())
        number = str(uuid.UUID(document.attrib["uuid"]))
        name = document.attrib["name-label"]
    except (ET.ParseError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise Fault("INVALID_UPDATE", f"update.xml: {error}") from error
    get = document.attrib.get
    known = next((file for file in call.world.updates.files if file.uuid == number), File(number, ""))
    return File(
        number, name, version=get("version", "1.0"), description=get("name-description", ""), size=int(get("installation-size", "0")),
        key=get("key", ""), guidance=get("after-apply-guidance", "").split(), software=known.software, livepatch=known.livepatch,
        requires=[one.attrib.get("uuid", "") for one in document.iter("requires")],
        enforce_homogeneity=get("enforce-homogeneity") == "true",
    )  # fmt: skip


def patch_uuid(update_uuid: str) -> str:
    """Of the twin pool_patch: bytes 4 to 7 are zero."""
    data = bytearray(uuid.UUID(update_uuid).bytes)
    data[4:8] = bytes(4)
    return str(uuid.UUID(bytes=bytes(data)))
