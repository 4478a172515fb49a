# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's storage and what was written to it. An SR that a pool forgets stays here, with its disks, until somebody destroys it."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from .modeltypes import EPOCH

GIB = 1 << 30
IMAGE_SIZE = 700 << 20  # of an ISO nobody gave a size


@dataclass
class Disk:
    """A VDI as its SR's storage holds it; sizes in bytes."""

    uuid: str
    location: str
    virtual_size: int
    physical_utilisation: int
    name_label: str = ""
    name_description: str = ""
    type: str = "user"
    read_only: bool = False
    sharable: bool = False
    managed: bool = True
    is_a_snapshot: bool = False
    snapshot_of: str = ""  # uuid
    snapshot_time: str = EPOCH
    sm_config: dict[str, str] = field(default_factory=dict)
    tracked: bool = False  # whether a log tells what changed
    tracked_since: str = ""  # location of the snapshot at which that log begins


@dataclass
class Repository:
    """An SR on the medium; ``disks`` by location."""

    uuid: str
    type: str
    name_label: str = ""
    name_description: str = ""
    disks: dict[str, Disk] = field(default_factory=dict)


@dataclass
class Place:
    """Somewhere an SR can be written: an export, a share, a LUN, a block device, a directory. ``images`` are ISO files and their sizes."""

    kind: str  # nfs, smb, cephfs, glusterfs, moosefs, linstor, lun, disk, directory
    path: str  # of an export, a device, a directory; the name of a share; the SCSI id of a LUN
    size: int = GIB << 10
    writable: bool = True
    user: str = ""
    password: str = ""
    lun: int = 0
    vendor: str = "SIMULATE"
    serial: str = ""
    root: bool = False  # the system is installed on it
    images: dict[str, int] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)  # of an image: the name of its data
    repositories: dict[str, Repository] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Bytes taken."""
        disks = sum(d.physical_utilisation for r in self.repositories.values() for d in r.disks.values())
        return disks + sum(self.images.values())

    @property
    def free(self) -> int:
        """Bytes left, never negative."""
        return max(0, self.size - self.used)


@dataclass
class Target:
    """An iSCSI target."""

    iqn: str
    luns: list[Place] = field(default_factory=list)
    port: int = 3260
    user: str = ""
    password: str = ""


@dataclass
class Server:
    """A machine that serves storage on one segment. ``vlan``: seen only through a VLAN of that tag."""

    name: str
    address: str
    segment: str
    prefix: int = 24
    vlan: int | None = None
    up: bool = True
    places: list[Place] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Place]:
        """What it exports by one protocol."""
        return [p for p in self.places if p.kind == kind]

    def place(self, kind: str, path: str) -> Place | None:
        """One export; a trailing slash does not matter."""
        return next((p for p in self.of_kind(kind) if p.path.rstrip("/") == path.rstrip("/")), None)

    def target(self, iqn: str) -> Target | None:
        """One iSCSI target."""
        return next((x for x in self.targets if x.iqn == iqn), None)


@dataclass
class Storage:
    """Servers, and what each machine holds or sees itself (disks, directories, LUNs of its HBAs)."""

    servers: list[Server] = field(default_factory=list)
    local: dict[str, list[Place]] = field(default_factory=dict)  # by machine name; an HBA LUN of several machines is one object
    shared: list[Place] = field(default_factory=list)  # what every machine sees (LINSTOR groups)

    def server_at(self, where: str) -> Server | None:
        """By address or name."""
        return next((s for s in self.servers if where in (s.address, s.name)), None)

    def on(self, machine: str, kind: str, path: str | None = None) -> list[Place]:
        """What a machine holds of one kind, or the one at a path."""
        return [p for p in self.local.get(machine, []) if p.kind == kind and path in (None, p.path)]

    def hba_luns(self, machine: str) -> list[Place]:
        """LUNs the machine sees through its own adapters."""
        return self.on(machine, "lun")

    def local_place(self, machine: str, kind: str, path: str) -> Place | None:
        """A disk or directory of a machine."""
        return next(iter(self.on(machine, kind, path)), None)

    def add_local(self, machine: str, place: Place) -> Place:
        """The machine gets a disk, a directory or sees a LUN."""
        self.local.setdefault(machine, []).append(place)
        return place

    def directory(self, machine: str, path: str) -> Place:
        """A directory of a machine, made when it is not there."""
        return self.local_place(machine, "directory", path) or self.add_local(machine, Place("directory", path))

    def places(self) -> t.Iterator[Place]:
        """All, each once."""
        seen: set[int] = set()
        everything: list[Place] = [p for s in self.servers for p in s.places]
        everything += [p for s in self.servers for x in s.targets for p in x.luns]
        everything += [p for held in self.local.values() for p in held] + self.shared
        for place in everything:
            if id(place) not in seen:
                seen.add(id(place))
                yield place

    def repository(self, uuid: str) -> Repository | None:
        """The SR of that uuid, wherever it lies."""
        return next((p.repositories[uuid] for p in self.places() if uuid in p.repositories), None)

    # keeping ---------------------------------------------------------------------------------------------------------
    def dump(self) -> dict[str, t.Any]:
        """As JSON can hold it; LUNs seen by several machines once, by SCSI id."""
        fabric = {p.path: asdict(p) for held in self.local.values() for p in held if p.kind == "lun"}
        local = {m: [p.path if p.kind == "lun" else asdict(p) for p in held] for m, held in self.local.items()}
        return {"servers": [asdict(s) for s in self.servers], "fabric": fabric, "local": local, "shared": [asdict(p) for p in self.shared]}

    @classmethod
    def restore(cls, saved: t.Mapping[str, t.Any]) -> Storage:
        """What ``dump`` gave."""
        fabric = {path: _place(p) for path, p in saved["fabric"].items()}
        local = {m: [fabric[p] if isinstance(p, str) else _place(p) for p in held] for m, held in saved["local"].items()}
        return cls([_server(s) for s in saved["servers"]], local, [_place(p) for p in saved["shared"]])


def _repository(saved: dict[str, t.Any]) -> Repository:
    return Repository(**{**saved, "disks": {k: Disk(**d) for k, d in saved["disks"].items()}})


def _place(saved: dict[str, t.Any]) -> Place:
    return Place(**{**saved, "repositories": {k: _repository(r) for k, r in saved["repositories"].items()}})


def _target(saved: dict[str, t.Any]) -> Target:
    return Target(**{**saved, "luns": [_place(p) for p in saved["luns"]]})


def _server(saved: dict[str, t.Any]) -> Server:
    return Server(**{**saved, "places": [_place(p) for p in saved["places"]], "targets": [_target(x) for x in saved["targets"]]})
