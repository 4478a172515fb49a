# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks for."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, replace

from ...errors import InvalidChange
from ...formats.sizes import size as bytes_of

# lvm(8), "Valid names"
LVM_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,126}")
LVM_RESERVED = re.compile(
    r"^(snapshot|pvmove)|_(cdata|cmeta|corig|cpool|cvol|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|wcorig)"
)
SUFFIXES = {".qcow2": "qcow2", ".vhd": "vhd", ".img": "raw", ".raw": "raw"}
LABELS = {"ext4": 16, "xfs": 12, "swap": 16}  # the longest there can be
VHD_MOST = 2040 * 2**30
SECTOR = 512


@dataclass(frozen=True)
class Wanted:
    """None: not managed. group, name: a logical volume; path: an image. Sizes are bytes."""

    group: str = ""
    name: str = ""
    path: str = ""
    format: str | None = None
    size: int | None = None
    pool: str | None = None
    source: str = ""
    source_format: str | None = None
    snapshot_of: str = ""
    snapshot: str = ""
    backing: str = ""
    backing_format: str | None = None
    fs: str | None = None
    label: str | None = None
    fs_options: tuple[str, ...] = ()
    shrink: bool = False
    resize_fs: bool = False
    sparse: bool = True
    absent: bool = False
    copy_timeout: float = 0

    @property
    def lvm(self) -> bool:
        return bool(self.group)

    @property
    def told(self) -> str:
        return f"{self.group}/{self.name}" if self.lvm else self.path


def of_params(params: t.Mapping[str, t.Any]) -> Wanted:
    """Raises InvalidChange for what cannot be asked for."""
    text: dict[str, t.Any] = {key: params[key] or "" for key in ("source", "snapshot_of", "snapshot", "backing")}
    plain: dict[str, t.Any] = {
        key: params[key] for key in ("format", "pool", "source_format", "backing_format", "fs", "label", "shrink", "resize_fs", "sparse")
    }
    wanted = Wanted(
        size=None if params["size"] is None else bytes_of(params["size"]), fs_options=tuple(params["fs_options"] or ()),
        absent=params["state"] == "absent", copy_timeout=params["copy_timeout"], **text, **plain,
    )  # fmt: skip
    wanted = placed(wanted, params)
    _refuse(wanted)
    return wanted


def devices() -> str:
    """Where LVM has its devices (lvm(8), DM_DEV_DIR)."""
    return os.environ.get("DM_DEV_DIR", "/dev").rstrip("/")


def split_device(path: str) -> tuple[str, str] | None:
    """Group and name of /dev/GROUP/NAME or GROUP/NAME; None for another path."""
    found = re.fullmatch(rf"(?:{re.escape(devices())}/)?([^/]+)/([^/]+)", path)
    return (found[1], found[2]) if found and found[1] not in ("mapper", "disk", "shm") else None


def placed(wanted: Wanted, params: t.Mapping[str, t.Any]) -> Wanted:
    path, group, name = params["path"] or "", params["vg"] or "", params["name"] or ""
    if path.startswith(f"{devices()}/") and not group:
        found = split_device(path)
        if not found:
            raise InvalidChange(
                f"{path} is not a logical volume's path.", hint="Give /dev/GROUP/NAME, or vg and name, or the path of an image file."
            )
        (group, name), path = found, ""
    if bool(path) == bool(group):
        raise InvalidChange("A volume is named either by vg and name or by path.", hint="Give the one or the other.")
    if group:
        for what, value in (("vg", group), ("name", name)):
            if not LVM_NAME.fullmatch(value) or value in (".", "..") or LVM_RESERVED.search(value):
                raise InvalidChange(
                    f"{value!r} cannot be {what}: LVM does not allow this name." if value else "A logical volume needs a name."
                )
        return replace(wanted, group=group, name=name, format=wanted.format or "lvm")
    if not path.startswith("/"):
        raise InvalidChange(f"{path} is not an absolute path.", hint="Give the whole path of the image file.")
    if name:
        raise InvalidChange("name belongs to a logical volume, with vg.", hint="An image is named by its path.")
    return replace(wanted, path=os.path.normpath(path))


def _refuse(wanted: Wanted) -> None:
    """Raises InvalidChange for options that do not go together."""
    if (wanted.format == "lvm") != wanted.lvm and wanted.format is not None:
        raise InvalidChange(
            f"{wanted.told} cannot have format {wanted.format}.", hint="lvm is for logical volumes, the others are for image files."
        )
    if wanted.size is not None and wanted.size < SECTOR:
        raise InvalidChange(f"{wanted.told} cannot be {wanted.size} bytes large.", hint="Give a size such as 10 GiB.")
    origins = [key for key in ("source", "snapshot_of", "backing") if getattr(wanted, key)]
    if len(origins) > 1:
        raise InvalidChange(f"{wanted.told} cannot have {' and '.join(origins)}.", hint="Give one of them.")
    if wanted.pool and not wanted.lvm:
        raise InvalidChange(f"pool is for logical volumes, and {wanted.told} is an image file.")
    for key in ("snapshot", "backing"):
        if getattr(wanted, key) and wanted.lvm:
            raise InvalidChange(
                f"{key} is for qcow2 images, and {wanted.told} is a logical volume.", hint="Make a snapshot with snapshot_of."
            )
    if wanted.label is not None and wanted.fs is None:
        raise InvalidChange(f"The label of {wanted.told} is given, and not its fs.", hint="Give fs, which says how long a label can be.")
    if wanted.fs and wanted.label and len(wanted.label.encode()) > LABELS[wanted.fs]:
        raise InvalidChange(f"The label {wanted.label!r} is too long: {wanted.fs} has at most {LABELS[wanted.fs]} bytes.")
    if wanted.fs == "xfs" and wanted.label and re.search(r"\s", wanted.label):  # xfs_admin(8) falls over it
        raise InvalidChange(f"The label {wanted.label!r} has spaces, which xfs does not take.")
    if wanted.fs and wanted.snapshot_of:
        raise InvalidChange(f"{wanted.told} is a snapshot: it has the file system of what it is taken of.", hint="Leave fs out.")


def format_of(wanted: Wanted) -> str:
    """The format of an image that is to be made."""
    return wanted.format or SUFFIXES.get(os.path.splitext(wanted.path)[1].lower(), "qcow2" if wanted.backing else "raw")
