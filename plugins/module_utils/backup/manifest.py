# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""manifest.json: what a backup is. A folder without one is no backup; any change of it is found."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t
from dataclasses import dataclass, field

from ..formats.compression import Damaged
from . import checked_json
from .checked_json import SCHEMA
from .names import KINDS, is_plain_file, is_stamp, moment

FORMS = ("xva", "vhd", "dump", "archive")


@dataclass(frozen=True)
class Who:
    """A pool, host, VM or SR as it was then."""

    uuid: str
    name: str


@dataclass(frozen=True)
class Stored:
    """A file as it lies there (encrypted, if it is); size in bytes, sha256: 64 hexadecimal digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Disk:
    """A disk of a VM.

    device: userdevice; vdi: uuid of the VM's disk; file: "" when the data is in the .xva; vhd: uuid in the file's footer ("" for
    no VHD); parent_vhd: uuid in the footer of the parent's file ("" = whole); data: bytes of the disk in the file; how: full, delta
    or cbt; snapshot: uuid of the snapshot's VDI that stayed on the pool as the next base ("" = none); virtual_size in bytes.
    """

    device: str
    vdi: str
    name: str
    sr: Who
    virtual_size: int
    file: str
    vhd: str
    parent_vhd: str
    data: int
    how: str
    snapshot: str


@dataclass(frozen=True)
class Manifest:
    """A backup.

    number: order of the backups of one thing, whatever clocks say; created: ISO 8601, UTC, the moment it stands for; form: xva, vhd,
    dump or archive; parent: stamp of the backup it builds on, "" = whole; left_out: {device, name, vdi, why}; details: what its kind
    needs; encryption: {} = none, else {tool, recipients}; keep: whether no rule removes it.
    """

    kind: str
    id: str
    number: int
    stamp: str
    created: str
    finished: str
    pool: Who
    subject: Who
    release: dict[str, str]
    form: str
    parent: str = ""
    files: tuple[Stored, ...] = ()
    disks: tuple[Disk, ...] = ()
    left_out: tuple[dict[str, str], ...] = ()
    details: dict[str, t.Any] = field(default_factory=dict)
    encryption: dict[str, t.Any] = field(default_factory=dict)
    keep: bool = False
    schema: int = SCHEMA

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


_PLAIN: dict[str, type] = {"str": str, "int": int, "bool": bool, "dict[str, str]": dict, "dict[str, t.Any]": dict}
_CLASSES: dict[str, t.Any] = {"Manifest": Manifest, "Who": Who, "Stored": Stored, "Disk": Disk}


def dump(manifest: Manifest) -> bytes:
    """Raises ValueError, TypeError for details that are no JSON."""
    return checked_json.dump(dataclasses.asdict(manifest))


def parse(data: bytes) -> Manifest:
    """Raises Damaged: no JSON, of a newer release, fields missing or of another type, or not what was written."""
    manifest = t.cast("Manifest", _reader("Manifest")(checked_json.parse(data), "the manifest"))
    for wrong in _nonsense(manifest):
        raise Damaged(f"It is damaged: {wrong}.")
    return manifest


Reader = t.Callable[[t.Any, str], t.Any]  # of what JSON has at a place


@functools.cache
def _reader(annotation: str) -> Reader:
    """Makes what a field's annotation says. It is built once, as a thousand manifests are read at once."""
    if annotation.startswith("tuple["):
        return _list_of(_reader(annotation[len("tuple[") : -len(", ...]")]))
    if annotation in _PLAIN:
        return _plain(_PLAIN[annotation], texts=annotation == "dict[str, str]")
    kind = _CLASSES[annotation]
    readers = {row.name: _reader(str(row.type)) for row in dataclasses.fields(kind)}

    def made(found: t.Any, where: str) -> t.Any:
        if not isinstance(found, dict) or found.keys() != readers.keys():
            raise Damaged(f"It is damaged: {where} is not what it should be.")
        return kind(**{name: read(found[name], name) for name, read in readers.items()})

    return made


def _list_of(read: Reader) -> Reader:
    def made(found: t.Any, where: str) -> t.Any:
        if not isinstance(found, list):
            raise Damaged(f"It is damaged: {where} is no list.")
        return tuple(read(one, where) for one in found)

    return made


def _plain(kind: type, *, texts: bool) -> Reader:
    def read(found: t.Any, where: str) -> t.Any:
        # to Python True is an int
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise Damaged(f"It is damaged: {where} is no {kind.__name__}.")
        same: t.Any = found
        if texts and not all(isinstance(one, str) for one in same.values()):
            raise Damaged(f"It is damaged: {where} has more than texts.")
        return same

    return read


def _nonsense(m: Manifest) -> t.Iterator[str]:
    """What is well-typed and still cannot be; names are checked since they become paths."""
    if m.kind not in KINDS or m.form not in FORMS:
        yield f"there is no kind {m.kind!r} with form {m.form!r}"
    if not is_stamp(m.stamp) or (m.parent and not is_stamp(m.parent)) or m.parent == m.stamp or m.number < 1:
        yield f"stamp {m.stamp!r}, number {m.number} and parent {m.parent!r} do not fit"
    names = [file.name for file in m.files]
    if len(set(names)) != len(names) or not all(map(is_plain_file, names)):
        yield "the names of its files cannot be"
    if any(file.size < 0 or not re.fullmatch("[0-9a-f]{64}", file.sha256) for file in m.files):
        yield "the sizes or checksums of its files cannot be"
    if not {disk.file for disk in m.disks} <= {*names, ""}:
        yield "a disk's file is not among its files"
    try:
        _times = moment(m.created), moment(m.finished)
    except ValueError:
        yield f"{m.created!r} or {m.finished!r} is no time"
