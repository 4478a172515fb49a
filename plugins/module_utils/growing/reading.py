# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks the guest's own tools what a file system lies on: /proc/self/mountinfo, lsblk, sfdisk, pvs, lvs."""

from __future__ import annotations

import json
import re
import typing as t

from ..errors import InvalidChange, NotFound, XenError
from .kinds import KINDS
from .stack import Carrier, Disk, FileSystem, LogicalVolume, Partition, PhysicalVolume, Stack

# where it is not in a package of its own name
PACKAGES = {
    "lsblk": "util-linux", "partx": "util-linux", "sfdisk": "fdisk, or util-linux where there is none",
    "pvs": "lvm2", "lvs": "lvm2", "pvresize": "lvm2", "lvextend": "lvm2", "btrfs": "btrfs-progs, or btrfsprogs",
}  # fmt: skip
EXTENDED = ("5", "f", "85")  # types of MBR partitions that hold others
OTHERS = {"crypt": "encrypted (LUKS)", "mpath": "a multipath device"}
LVM_PLAIN = {"linear", "striped"}


class Machine(t.Protocol):
    """The guest. Commands are run with the C locale."""

    def has(self, tool: str) -> bool:
        """Whether there is a program of this name."""

    def run(self, command: t.Sequence[str], stdin: str = "") -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""

    def mounts(self) -> str:
        """The text of /proc/self/mountinfo."""

    def real(self, path: str) -> str:
        """The path without symbolic links; "" for one that is not there."""

    def number(self, path: str) -> str:
        """MAJOR:MINOR of a block device; "" for anything else."""


class Mount(t.NamedTuple):
    """A line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    number: str
    root: str
    point: str
    read_only: bool
    type: str
    source: str


def mounts(text: str) -> list[Mount]:
    """In the order they were mounted."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        more = fields.index("-")
        root, point, source = (re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text) for text in (*fields[3:5], fields[more + 2]))
        read_only = "ro" in (*fields[5].split(","), *fields[more + 3].split(","))
        found.append(Mount(fields[2], root, point, read_only, fields[more + 1], source))
    return found


def answer(machine: Machine, *command: str) -> str:
    """Raises XenError with what the command says if it fails."""
    status, out, err = machine.run(command)
    if status:
        raise XenError(f"{' '.join(command)} failed: {' '.join((err or out).split())}")
    return out


def need(machine: Machine, tools: t.Iterable[str], what: str, package: str = "") -> None:
    """Raises InvalidChange that names the packages of what is missing."""
    missing = [tool for tool in tools if not machine.has(tool)]
    if missing:
        packages = sorted({PACKAGES.get(tool) or package for tool in missing})
        raise InvalidChange(f"The guest has no {' and no '.join(missing)}, needed for {what}.", hint=f"Install {' and '.join(packages)}.")


def read(machine: Machine, path: str) -> Stack:
    """What the file system at a mount point, or on a block device, lies on.

    Raises NotFound, InvalidChange for one that is not there or cannot grow, XenError where a tool fails.
    """
    mount = _mount(machine, path)
    need(machine, ["lsblk"], "the look at its disks")
    kind = KINDS.get(mount.type)
    device = machine.real(mount.source)
    number = mount.number if not mount.number.startswith("0:") else machine.number(device)
    if not number or not kind:
        known = ", ".join(sorted(KINDS))
        where = f"on {mount.source}" if number else "not on a disk"
        raise InvalidChange(f"{mount.point} is {mount.type}, {where}: only {known} can be grown.")
    if mount.read_only:
        raise InvalidChange(f"{mount.point} is mounted read-only.", hint="Mount it with rw first.")
    need(machine, kind.tools, mount.type, kind.package)
    rows = _rows(machine, machine.real(f"/sys/dev/block/{number}"))
    own = rows[0]
    size = kind.size(answer(machine, *kind.ask(mount.point, own["path"])))
    if not size:
        raise InvalidChange(f"The size of {mount.point} ({mount.type}) is not to be learnt, or it is on several devices.")
    file_system = FileSystem(mount.type, mount.point, own["path"], *size)
    if own["type"] == "lvm":
        return _with_lvm(machine, file_system, number)
    return Stack(file_system, (_carrier(machine, rows),))


def _mount(machine: Machine, path: str) -> Mount:
    """Of what is mounted over one another, the last is seen; of the places of one device, the one that shows all of it."""
    real = machine.real(path)
    if not real:
        raise NotFound(f"There is no {path} in the guest.", hint="Give a mount point or a block device.")
    there = mounts(machine.mounts())
    number = machine.number(real)
    if number:
        found = [m for m in there if number in (m.number, machine.number(m.source))]
    else:
        found = [m for m in there if m.point == real]
    if not found and number:
        raise InvalidChange(f"{path} is not mounted, and file systems grow while they are.", hint="Mount it first.")
    if not found:
        above = max((m.point for m in there if real.startswith(m.point.rstrip("/") + "/")), key=len, default="/")
        raise InvalidChange(f"{path} is not a mount point.", hint=f"It lies in the file system at {above}.")
    same = [m for m in there if (m.number, m.source) == (found[-1].number, found[-1].source) and m.root == "/"]
    return found[-1] if found[-1].root == "/" or not same else same[-1]


# disks and partitions --------------------------------------------------------------
def _rows(machine: Machine, device: str) -> list[dict[str, t.Any]]:
    """The device and what it lies on, itself first (lsblk --inverse, as a tree or as a list)."""
    name = machine.real(device).rpartition("/")[2]
    asked = ("--inverse", "--json", "--bytes", "--output", "KNAME,TYPE,SIZE,LOG-SEC", _path(name))
    told = json.loads(answer(machine, "lsblk", *asked))
    flat = sorted(_flat(told["blockdevices"]), key=lambda row: row["kname"] != name)
    return [{"path": _path(row["kname"]), "type": row["type"], "size": int(row["size"]), "sector": int(row["log-sec"])} for row in flat]


def _path(name: str) -> str:
    """Of the kernel's name for a device."""
    return f"/dev/{name.replace('!', '/')}"


def _flat(rows: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for row in rows:
        yield row
        yield from _flat(row.get("children", []))


def _carrier(machine: Machine, rows: list[dict[str, t.Any]], volume: PhysicalVolume | None = None) -> Carrier:
    """Raises InvalidChange for what is neither a disk nor its partition."""
    own, disk = rows[0], rows[-1]
    odd = next((row for row in rows if row["type"] not in ("disk", "loop", "part")), None)
    if odd or len(rows) > 2 or (own["type"] == "part") != (len(rows) == 2):
        what = OTHERS.get(odd["type"], f"of the kind {odd['type']}") if odd else "not on one disk"
        raise InvalidChange(f"{(odd or own)['path']} is {what}, which is not grown here.", hint="Grow it by hand, and run this again.")
    on = Disk(disk["path"], disk["size"], disk["sector"])
    return Carrier(on, _partition(machine, own, on) if len(rows) == 2 else None, volume)


def _partition(machine: Machine, own: dict[str, t.Any], disk: Disk) -> Partition:
    need(machine, ["sfdisk", "partx"], "partitions")
    table = json.loads(answer(machine, "sfdisk", "--json", disk.path))["partitiontable"]
    if table["label"] not in ("gpt", "dos"):
        raise InvalidChange(f"The partition table of {disk.path} is {table['label']}: only gpt and dos (MBR) can be grown.")
    rows = [row for row in table["partitions"] if row["size"]]
    mine = next((row for row in rows if machine.real(row["node"]) == own["path"]), None)
    if not mine:
        raise InvalidChange(f"The kernel knows {own['path']}, and the partition table of {disk.path} does not.", hint="Restart the guest.")
    ends = {row["node"]: row["start"] + row["size"] for row in rows}
    boxes = {row["node"] for row in rows if table["label"] == "dos" and row["type"].lower() in EXTENDED}
    box = next((row for row in rows if row["node"] in boxes and row["start"] < mine["start"] < ends[row["node"]]), None)
    after = [row for row in rows if row["start"] >= ends[mine["node"]]]
    behind = min(after, key=lambda row: int(row["start"]))["node"] if after else ""
    # room inside an extended partition is not free for those that stand beside it
    last = max((end for node, end in ends.items() if node not in boxes or not box), default=0)
    return Partition(
        own["path"], _number(mine["node"]), mine["start"], mine["size"], own["size"], table["label"], behind, last,
        _number(box["node"]) if box else 0, ends[box["node"]] if box else 0,
    )  # fmt: skip


def _number(node: str) -> int:
    return int(re.findall(r"\d+", node)[-1])


# LVM -------------------------------------------------------------------------------
def _report(machine: Machine, command: str, fields: str) -> list[dict[str, str]]:
    text = answer(machine, command, "--reportformat", "json", "--units", "b", "--nosuffix", "--options", fields)
    return t.cast("list[dict[str, str]]", json.loads(text)["report"][0][command[:-1]])


def _with_lvm(machine: Machine, file_system: FileSystem, number: str) -> Stack:
    """Raises InvalidChange for a logical volume that is more than linear."""
    need(machine, ["pvs", "lvs", "pvresize", "lvextend"], "LVM")
    rows = _report(machine, "lvs", "vg_name,lv_name,lv_size,segtype,lv_kernel_major,lv_kernel_minor")
    own = [row for row in rows if f"{row['lv_kernel_major']}:{row['lv_kernel_minor']}" == number]
    if not own:
        raise InvalidChange(f"LVM does not know {file_system.device} ({file_system.mount}).")
    name = f"{own[0]['vg_name']}/{own[0]['lv_name']}"
    odd = sorted({row["segtype"] for row in own} - LVM_PLAIN)
    if odd:
        raise InvalidChange(f"Logical volume {name} is of the kind {', '.join(odd)}: only linear and striped ones can be grown.")
    volumes = _report(machine, "pvs", "pv_name,vg_name,pv_pe_count,pe_start,vg_extent_size,vg_free_count")
    volumes = [row for row in volumes if row["vg_name"] == own[0]["vg_name"]]
    carriers = []
    for row in volumes:
        below = _rows(machine, row["pv_name"])
        carriers.append(_carrier(machine, below, PhysicalVolume(below[0]["path"], int(row["pv_pe_count"]), int(row["pe_start"]))))
    extent, free = int(volumes[0]["vg_extent_size"]), int(volumes[0]["vg_free_count"])
    return Stack(file_system, tuple(carriers), LogicalVolume(name, int(own[0]["lv_size"]), extent, free))
