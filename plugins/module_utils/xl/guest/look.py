# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies on a volume that is to hold a guest, and whether an installation of ours was cut off on it."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ...errors import XenError
from ..storage.disks import given_away
from .machine import Machine, inside, is_block

MARK = "/var/lib/domzero.xen/guest.json"  # in the guest's root: written last, so a system that has it is whole
FOLDER = "/var/lib/domzero.xen/guests"  # on Dom0: what is kept of a guest (its kernel, what was begun)
ROOTS = ("ext2", "ext3", "ext4", "xfs", "btrfs")
QCOW2 = b"QFI\xfb"
UNDER_XEN = "/proc/xen/capabilities"
HEAD = 4096  # bytes; what makes a volume leaves at least these empty: lvcreate(8), --zero


@dataclass(frozen=True)
class Part:
    """Where a file system begins on its disk, and how long it is, in bytes."""

    number: int
    start: int
    length: int


@dataclass(frozen=True)
class Seen:
    """state: missing, empty, begun (an installation of ours was cut off), installed, other.

    holds: what it holds, in words; user: who uses it ("" if nobody): a domain's name, or "Dom0"; root: where its root file system lies, as
    far as it is known; mark: what MARK says.
    """

    path: str
    state: str
    size: int = 0
    holds: str = ""
    user: str = ""
    root: Part = Part(0, 0, 0)
    mark: dict[str, t.Any] | None = None


def identity(path: str) -> str:
    """What this very volume has and no later one of its name: the id of the device mapper, or the inode of a file."""
    told = os.stat(path)
    if is_block(path):
        place = f"/sys/dev/block/{os.major(told.st_rdev)}:{os.minor(told.st_rdev)}/dm/uuid"
        if os.path.exists(place):
            with open(place, encoding="ascii") as file:
                return file.read().strip()
        return os.path.realpath(path)
    return f"{told.st_dev}:{told.st_ino}"


class Journal:
    """What Dom0 keeps of a guest. `folder` is that of all guests."""

    def __init__(self, name: str, folder: str = FOLDER):
        self.place = os.path.join(folder, name)
        self._path = os.path.join(self.place, "volume.json")

    def stage(self, path: str) -> str:
        """How far the installation onto this very volume has come: "begun", "installed", "copied", "" if nothing is known of it."""
        try:
            with open(self._path, encoding="utf-8") as file:
                said = json.load(file)
        except (OSError, ValueError):
            return ""
        same = isinstance(said, dict) and said.get("volume") == identity(path)
        return str(said.get("stage", "")) if same else ""

    def note(self, path: str, stage: str) -> None:
        os.makedirs(self.place, mode=0o755, exist_ok=True)
        with open(self._path + ".new", "w", encoding="utf-8") as file:
            json.dump({"volume": identity(path), "path": path, "stage": stage}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._path + ".new", self._path)

    def file(self, name: str) -> str:
        return os.path.join(self.place, name)


def users(machine: Machine) -> dict[str, str]:
    """Which domain has which device or file as a disk, by its real path. Raises XenError where Xen runs and xl does not answer."""
    status, out = machine.ask("xl", "list", "-l")
    if status and os.path.exists(UNDER_XEN):
        raise XenError("The disks of the running domains cannot be learnt.", hint="Does xl list -l work on this host?")
    try:
        domains = json.loads(out) if status == 0 else []
    except ValueError:
        domains = []
    found = {}
    for domain in domains if isinstance(domains, list) else [domains]:
        config = domain.get("config", {})
        for disk in config.get("disks", []):
            if disk.get("pdev_path"):
                found[os.path.realpath(disk["pdev_path"])] = config.get("c_info", {}).get("name", "")
    return found


def user_of(machine: Machine, path: str) -> str:
    domain = users(machine).get(os.path.realpath(path), "")
    if domain:
        return domain
    if not is_block(path):
        _status, loops = machine.ask("losetup", "--noheadings", "--output", "NAME", "--associated", path)
        return "Dom0" if loops.strip() else ""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError:
        return "Dom0"
    return "a domain that xl does not tell of" if given_away(path) else ""


def parts(machine: Machine, path: str) -> list[Part]:
    status, out = machine.ask("sfdisk", "--json", path)
    if status:
        return []
    table = json.loads(out)["partitiontable"]
    sector, found = int(table.get("sectorsize", 512)), []
    for row in table.get("partitions", []):
        number = int("".join(c for c in row["node"][len(path) :] if c.isdigit()) or 0)
        found.append(Part(number, int(row["start"]) * sector, int(row["size"]) * sector))
    return found


def length(path: str) -> int:
    with open(path, "rb") as file:
        return file.seek(0, os.SEEK_END)


def blank(path: str) -> bool:
    """Whether nothing is known to lie where blkid knows no name for it. Raises XenError for what cannot be read."""
    try:
        with open(path, "rb") as file:
            return not file.read(HEAD).strip(b"\0")
    except OSError as e:
        raise XenError(f"{path} cannot be read: {e.strerror}.") from e


def is_qcow2(path: str) -> bool:
    if is_block(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) == QCOW2


def where_root(machine: Machine, path: str, number: int) -> Part | None:
    """The file system that would be the root: the volume itself, or a partition of it."""
    probe = machine.probe(path)
    if probe.get("PTTYPE") and "TYPE" not in probe:
        return next((part for part in parts(machine, path) if part.number == (number or 1)), None)
    return Part(0, 0, length(path)) if probe.get("TYPE") in ROOTS else None


def look(machine: Machine, path: str, number: int, journal: Journal) -> Seen:
    """number: of the partition that holds the root, 0 if it is the volume itself."""
    if not os.path.exists(path):
        return Seen(path, "missing")
    size, stage, user = length(path), journal.stage(path), user_of(machine, path)
    if stage == "copied":  # whatever it is, which only its guest knows
        return Seen(path, "installed", size, user=user)
    if user:
        return Seen(path, stage or "installed", size, user=user)
    probe = machine.probe(path)
    if not probe and stage != "begun" and not blank(path):
        return Seen(path, "other", size, "something of an unknown kind")
    if not probe or stage:
        return Seen(path, stage if stage == "begun" or probe else "empty", size)
    root = where_root(machine, path, number)
    holds = f"a file system of the type {probe['TYPE']}" if "TYPE" in probe else f"a partition table ({probe.get('PTTYPE', '?')})"
    if "LABEL" in probe:
        holds += f" with the label {probe['LABEL']}"
    if root is None or machine.type_at(path, root.start) not in ROOTS:
        return Seen(path, "other", size, holds)
    told = read_root(machine, path, root)
    if not told["system"]:
        return Seen(path, "other", size, holds, root=root)
    return Seen(path, "installed", size, told["system"], root=root, mark=told["mark"])


def read_root(machine: Machine, path: str, root: Part) -> dict[str, t.Any]:
    """What the root file system says: the name of its system ("" if it holds none), its mark."""
    try:
        return inside(machine.mounted(path, root.start, root.length, read_only=True), in_root)
    finally:
        machine.unmounted()


def in_root() -> dict[str, t.Any]:
    """Run inside the root."""
    mark, system = None, ""
    if os.path.isfile(MARK):
        with open(MARK, encoding="utf-8") as file:
            mark = json.load(file)
    for place in ("/etc/os-release", "/usr/lib/os-release"):
        if os.path.isfile(place) and not system:
            with open(place, encoding="utf-8", errors="replace") as file:
                said = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
            system = said.get("PRETTY_NAME", "a system").strip("\"'")
    return {"mark": mark, "system": system}
