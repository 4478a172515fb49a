# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an update file (XenServer 7.1 to 8.2) says of itself: an ISO image with update.xml, which is not compressed in it."""

from __future__ import annotations

import mmap
import re
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

from ...errors import InvalidChange

DOCUMENT = re.compile(rb"<update\s[^>]*>")
LARGEST = 1 << 16  # bytes the element may have


class Told(t.NamedTuple):
    """guidance: after-apply-guidance, such as restartHost."""

    uuid: str
    name: str
    guidance: tuple[str, ...]
    size: int


def read(path: str) -> Told:
    """Raises InvalidChange for a file that is none."""
    hint = "Give the path of the unpacked .iso of an update."
    try:
        size = Path(path).stat().st_size
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = DOCUMENT.search(data)
            text = found.group()[:LARGEST].decode() if found else ""
        head = text.removesuffix("/>").removesuffix(">")
        told = ET.fromstring(f"{head}/>").attrib if head else {}
    except OSError as e:
        raise InvalidChange(f"{path} cannot be read: {e.strerror}.", hint=hint) from e
    except (ValueError, ET.ParseError) as e:
        raise InvalidChange(f"{path} is no update file: {e}.", hint=hint) from e
    if not told.get("uuid"):
        raise InvalidChange(f"{path} is no update file: there is no update.xml in it.", hint=hint)
    name = told.get("name-label") or Path(path).name
    return Told(told["uuid"].lower(), name, tuple(told.get("after-apply-guidance", "").split()), size)
