# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a volume is, and what is known of its surroundings, as values. Sizes are bytes."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..step import Step

PARTIAL_TAG = "xl_volume.partial"  # a logical volume that is being made
BACKUP_TAG = "xl_volume.backup"  # a snapshot that is being copied
PARTIAL = ".partial"  # behind the name of an image that is being made


@dataclass(frozen=True)
class Use:
    """Somebody who has the volume. kind: domain, mount, swap, process, device, snapshot, overlay or open; text: a sentence about it."""

    kind: str
    name: str
    text: str

    def shown(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name}


@dataclass(frozen=True)
class Group:
    """A volume group; extent: bytes of one of its extents; devices: where LVM has the devices of volumes."""

    name: str
    extent: int
    size: int
    free: int
    devices: str = "/dev"

    def rounded(self, size: int) -> int:
        """As lvcreate rounds: up to whole extents."""
        return -(-size // self.extent) * self.extent


@dataclass(frozen=True)
class Logical:
    """A logical volume. kind: thick, thin, snapshot (with room of its own for what changes), pool or other.

    size: of a snapshot, the room; virtual: what is read from it; full: 0 to 100, of a snapshot, thin volume or pool; lost: a snapshot that
    ran out of room; origin: of a snapshot, also of a thin one; zeroed: of a pool, what a volume in it gets reads as zeros (lvcreate -Z).
    """

    group: str
    name: str
    path: str
    size: int
    kind: str = "thick"
    virtual: int = 0
    pool: str = ""
    origin: str = ""
    tags: tuple[str, ...] = ()
    active: bool = True
    open: bool = False
    lost: bool = False
    full: float = 0.0
    zeroed: bool = False


@dataclass(frozen=True)
class Image:
    """An image file. format: raw, qcow2 or vhd; allocated: what it takes on its file system; target: of a symbolic link, where it leads."""

    path: str
    format: str
    virtual: int
    allocated: int = 0
    backing: str = ""
    snapshots: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True)
class Content:
    """What is on a volume, by its first mebibyte and blkid.

    type: as blkid names it; "" where nothing is known to be there; partitions: the type of a partition table; empty: no signature, and the
    beginning is zeros; data: something follows these, in an image (a new logical volume may hold old data); size: of the file system;
    least: what it can shrink to, 0 where that is not known; last: where data ends, None where that is not known.
    """

    type: str = ""
    label: str = ""
    uuid: str = ""
    partitions: str = ""
    empty: bool = False
    data: bool = False
    size: int = 0
    block: int = 512
    least: int = 0
    last: int | None = None

    @property
    def told(self) -> str:
        if self.type:
            return f"{self.type}{f' ({self.label})' if self.label else ''}"
        if self.partitions:
            return f"a partition table ({self.partitions})"
        return "nothing" if self.empty and not self.data else "data that is no file system known here"


BLANK = Content(empty=True, last=0)


@dataclass(frozen=True)
class Source:
    """What is copied from, or taken a snapshot of.

    allocated: 0 where that is not known, of a device; file_system: of the folder it lies in (an image), as stat -f names it.
    """

    path: str
    format: str
    size: int
    allocated: int = 0
    content: Content = BLANK
    uses: tuple[Use, ...] = ()
    file_system: str = ""


@dataclass(frozen=True)
class Now:
    """What there is.

    volumes: of the group, by name; leftovers: files that an interrupted run left; room: free bytes where an image is to be.
    """

    group: Group | None = None
    volumes: t.Mapping[str, Logical] = field(default_factory=dict)
    image: Image | None = None
    content: Content = BLANK
    uses: tuple[Use, ...] = ()
    source: Source | None = None
    backing: Source | None = None
    leftovers: tuple[str, ...] = ()
    leftover_uses: tuple[Use, ...] = ()
    room: int = 0
    folder: bool = True


@dataclass(frozen=True)
class Planned:
    """What is to be done: commands in order, and how the volume is described before and after. Empty before: there is none."""

    steps: tuple[Step, ...]
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    warnings: tuple[str, ...] = ()
