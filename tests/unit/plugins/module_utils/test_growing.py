# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a file system larger, from what the guest's tools answer. The answers have the form of util-linux 2.38 and LVM 2.03."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.growing import reading
from ansible_collections.domzero.xen.plugins.module_utils.growing.stack import (
    SLACK,
    Carrier,
    Disk,
    FileSystem,
    LogicalVolume,
    Partition,
    PhysicalVolume,
    Stack,
)
from ansible_collections.domzero.xen.plugins.module_utils.growing.steps import Wanted, plan

MIB, GIB = 1 << 20, 1 << 30
EXTENT = 4 * MIB
MOUNTINFO = """\
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw,errors=remount-ro
30 22 202:1 / /boot rw,relatime shared:3 - ext4 /dev/xvda1 rw
31 22 0:44 / /run rw,nosuid - tmpfs tmpfs rw,size=1k
32 22 202:17 / /srv/a\\040place rw,relatime - xfs /dev/xvdb1 rw
33 22 253:3 / /home rw - ext4 /dev/mapper/home rw
"""
TABLE = {
    "label": "dos",
    "unit": "sectors",
    "partitions": [
        {"node": "/dev/xvda1", "start": 2048, "size": 997376, "type": "83", "bootable": True},
        {"node": "/dev/xvda2", "start": 1001470, "size": 19968002, "type": "5"},
        {"node": "/dev/xvda5", "start": 1001472, "size": 19968000, "type": "8e"},
    ],
}


class Recorded:
    """A guest with the layout of Debian's installer: LVM in a logical partition of an MBR; answers are given by the command's name."""

    def __init__(self, **answers: t.Any):
        self.missing: set[str] = set()
        row = {"lv_name": "root", "vg_name": "vg", "lv_size": str(5 * GIB), "segtype": "linear"}
        numbers = {"lv_kernel_major": "253", "lv_kernel_minor": "0"}
        volume = {"pv_name": "/dev/xvda5", "vg_name": "vg", "pv_pe_count": "2437", "pe_start": "1048576"}
        group = {"vg_extent_size": str(EXTENT), "vg_free_count": "10"}
        other = {**volume, "pv_name": "/dev/xvdb1", "vg_name": "other", **group}
        self.answers: dict[str, t.Any] = {
            "lvs": {"report": [{"lv": [{**row, **numbers}]}]},
            "pvs": {"report": [{"pv": [{**volume, **group}, other]}]},
            "sfdisk": {"partitiontable": TABLE},
            "dumpe2fs": f"Block count:              {5 * GIB // 4096}\nBlock size:               4096\n",
            "lsblk /dev/dm-0": [("dm-0", "lvm", 5 * GIB), ("xvda5", "part", 19968000 * 512), ("xvda", "disk", 10 * GIB)],
            "lsblk /dev/xvda5": [("xvda5", "part", 19968000 * 512), ("xvda", "disk", 10 * GIB)],
            "lsblk /dev/xvda1": [("xvda1", "part", 997376 * 512), ("xvda", "disk", 10 * GIB)],
            "lsblk /dev/dm-3": [("dm-3", "crypt", GIB), ("xvdc", "disk", GIB)],
            **answers,
        }

    def has(self, tool: str) -> bool:
        return tool not in self.missing

    def run(self, command: t.Sequence[str], stdin: str = "") -> tuple[int, str, str]:
        key = command[0] if command[0] in self.answers else f"{command[0]} {command[-1]}"
        if key not in self.answers:
            return 1, "", f"{command[0]}: cannot open"
        told = self.answers[key]
        if command[0] == "lsblk":  # as old ones write numbers, in a tree
            told = {"blockdevices": tree([{"kname": name, "type": kind, "size": str(size), "log-sec": "512"} for name, kind, size in told])}
        return 0, told if isinstance(told, str) else json.dumps(told), ""

    def mounts(self) -> str:
        return MOUNTINFO

    def real(self, path: str) -> str:
        links = {"/sys/dev/block/253:0": "/sys/devices/virtual/block/dm-0", "/sys/dev/block/253:3": "/sys/devices/virtual/block/dm-3"}
        known = {"/sys/dev/block/202:1": "/sys/devices/vbd-51712/block/xvda/xvda1", "/dev/nowhere": ""}
        return {**links, **known}.get(path, path)

    def number(self, path: str) -> str:
        return {"/dev/xvda1": "202:1", "/dev/mapper/vg-root": "253:0"}.get(path, "")


def tree(rows: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    first, *rest = rows
    return [{**first, "children": tree(rest)} if rest else first]


def commands(stack: Stack, **wanted: t.Any) -> list[str]:
    return [" ".join(step.command) for step in plan(stack, Wanted(**wanted)).steps]


# reading ---------------------------------------------------------------------------
def test_lvm_in_a_logical_partition_is_found_from_the_mount_point() -> None:
    stack = reading.read(Recorded(), "/")
    (carrier,) = stack.carriers
    assert stack.logical == LogicalVolume("vg/root", 5 * GIB, EXTENT, 10)
    assert carrier.disk == Disk("/dev/xvda", 10 * GIB) and carrier.volume == PhysicalVolume("/dev/xvda5", 2437, MIB)
    assert carrier.partition and (carrier.partition.number, carrier.partition.container, carrier.partition.behind) == (5, 2, "")
    assert commands(stack, disk_size=20 * GIB) == [
        "sfdisk --quiet --no-reread --no-tell-kernel -N 2 /dev/xvda",
        "sfdisk --quiet --no-reread --no-tell-kernel -N 5 /dev/xvda",
        "partx --update --nr 5 /dev/xvda",
        "pvresize /dev/xvda5",
        "lvextend -l +100%FREE vg/root",
        "resize2fs /dev/dm-0",
    ]


def test_the_logical_volume_gets_what_is_free_or_the_size_it_is_to_have() -> None:
    stack = reading.read(Recorded(), "/")
    assert commands(stack) == ["lvextend -l +100%FREE vg/root", "resize2fs /dev/dm-0"]
    assert commands(stack, lv_size=5 * GIB) == []
    assert commands(stack, lv_size=5 * GIB + 1)[0] == f"lvextend -L {5 * GIB + EXTENT}b vg/root"
    with pytest.raises(InvalidChange, match=r"vg/root cannot be 6 GiB large: its group has room for 5\.039 GiB"):
        commands(stack, lv_size=6 * GIB)
    with pytest.raises(InvalidChange, match="vg/root is 5 GiB large, and does not shrink to 1 GiB"):
        commands(stack, lv_size=GIB)


def test_what_lies_behind_is_named() -> None:
    stack = reading.read(Recorded(), "/boot")
    assert commands(stack) == []
    with pytest.raises(InvalidChange, match="/dev/xvda1 cannot grow: /dev/xvda2 lies between it"):
        commands(stack, disk_size=20 * GIB)


@pytest.mark.parametrize(
    ("answers", "path", "told"),
    [
        ({}, "/home", "/dev/dm-3 is encrypted"),
        ({}, "/run", "/run is tmpfs, not on a disk"),
        ({"dumpe2fs": "?"}, "/", "size of / .ext4. is not to be learnt"),
        ({"sfdisk": {"partitiontable": {"label": "sun", "partitions": []}}}, "/boot", "is sun: only gpt and dos"),
        ({"sfdisk": {"partitiontable": {"label": "gpt", "partitions": []}}}, "/boot", "the partition table of /dev/xvda does not"),
        ({"lvs": {"report": [{"lv": []}]}}, "/", "LVM does not know /dev/dm-0"),
        (
            {"lvs": {"report": [{"lv": [{"vg_name": "vg", "lv_name": "root", "lv_kernel_major": "253", "lv_kernel_minor": "0",
                                         "segtype": "thin", "lv_size": "1"}]}]}},
            "/", "vg/root is of the kind thin",
        ),
        ({"lsblk /dev/xvda1": [("xvda1", "raid1", GIB), ("xvdb", "disk", GIB), ("xvdc", "disk", GIB)]}, "/boot", "of the kind raid1"),
    ],
)  # fmt: skip
def test_what_is_not_grown_is_told(answers: dict[str, t.Any], path: str, told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        reading.read(Recorded(**answers), path)


@pytest.mark.parametrize(
    ("tool", "package"),
    [
        ("lsblk", "util-linux"),
        ("resize2fs", "e2fsprogs"),
        ("sfdisk", "fdisk, or util-linux"),
        ("partx", "util-linux"),
        ("lvextend", "lvm2"),
    ],
)
def test_a_tool_that_is_missing_is_named_with_its_package(tool: str, package: str) -> None:
    guest = Recorded()
    guest.missing = {tool}
    with pytest.raises(InvalidChange, match=rf"The guest has no {tool}, needed for .*\. Install {package}"):
        reading.read(guest, "/")


def test_a_tool_that_fails_is_quoted() -> None:
    guest = Recorded()
    del guest.answers["lsblk /dev/dm-0"]
    with pytest.raises(XenError, match=r"lsblk .* failed: lsblk: cannot open"):
        reading.read(guest, "/")


def test_mount_points_have_spaces_and_devices_are_found_by_number() -> None:
    assert [m.point for m in reading.mounts(MOUNTINFO)] == ["/", "/boot", "/run", "/srv/a place", "/home"]
    assert reading.read(Recorded(), "/dev/xvda1").file_system.mount == "/boot"


# planning --------------------------------------------------------------------------
def two_disks() -> Stack:
    carriers = [Carrier(Disk(f"/dev/xvd{x}", 10 * GIB), None, PhysicalVolume(f"/dev/xvd{x}", 2559, MIB)) for x in "bc"]
    return Stack(FileSystem("ext4", "/srv", "/dev/dm-1", 19 * GIB, 4096), tuple(carriers), LogicalVolume("vg/srv", 19 * GIB, EXTENT, 0))


def test_of_several_disks_the_task_names_the_one_that_grows() -> None:
    with pytest.raises(InvalidChange, match="/srv is on several disks: /dev/xvdb, /dev/xvdc"):
        commands(two_disks(), disk_size=20 * GIB)
    assert commands(two_disks(), disk="/dev/xvdc", disk_size=20 * GIB) == [
        "pvresize /dev/xvdc", "lvextend -l +100%FREE vg/srv", "resize2fs /dev/dm-1",
    ]  # fmt: skip
    assert commands(two_disks()) == []


def test_an_mbr_reaches_to_two_tib() -> None:
    part = Partition("/dev/xvda1", 1, 2048, 2**31, 2**31 * 512, "dos", free_from=2**31 + 2048)
    stack = Stack(FileSystem("xfs", "/", "/dev/xvda1", 2**31 * 512, 4096), (Carrier(Disk("/dev/xvda", 2**40), part),))
    growth = plan(stack, Wanted(disk_size=3 * 2**40))
    assert growth.warnings == ["/dev/xvda has an MBR partition table, which reaches to 2 TiB only: the rest stays unused."]
    assert growth.steps[0].after == (2**32 - 2048) * 512


@given(
    label=st.sampled_from(["gpt", "dos", ""]),
    sector=st.sampled_from([512, 4096]),
    mib=st.integers(64, 10**6),
    more=st.integers(0, 10**6),
    known=st.booleans(),
    lvm=st.booleans(),
)
def test_after_its_steps_nothing_is_left_to_do_and_nothing_reaches_past_the_disk(
    label: str, sector: int, mib: int, more: int, known: bool, lvm: bool
) -> None:
    disk = Disk("/dev/xvdb", mib * MIB, sector)
    length = (mib - 2) * MIB // sector
    part = Partition("/dev/xvdb1", 1, MIB // sector, length, length * sector if known else MIB, label, free_from=MIB // sector + length)
    below = length * sector if label else disk.size
    volume = PhysicalVolume("/dev/xvdb1", (below - MIB) // EXTENT, MIB) if lvm else None
    logical = LogicalVolume("vg/lv", (below - MIB) // EXTENT * EXTENT, EXTENT, 0) if lvm else None
    size = logical.size if logical else below
    fs = FileSystem("ext4", "/srv", "/dev/x", size // 4096 * 4096, 4096)
    stack = Stack(fs, (Carrier(disk, part if label else None, volume),), logical)
    growth = plan(stack, Wanted(disk_size=(mib + more) * MIB))
    assert growth.size >= fs.size and growth.size <= (mib + more) * MIB
    assert all(step.after >= step.before for step in growth.steps)
    told = {step.command[0]: step.after for step in growth.steps}
    grown = told.get("partx", part.known)
    part = replace(part, length=grown // sector, known=grown, free_from=part.start + grown // sector)
    volume = replace(volume, extents=told.get("pvresize", volume.extents * EXTENT) // EXTENT) if volume else None
    carrier = Carrier(replace(disk, size=(mib + more) * MIB), part if label else None, volume)
    done = Stack(replace(fs, size=growth.size), (carrier,), replace(logical, size=told.get("lvextend", logical.size)) if logical else None)
    again = plan(done, Wanted(disk_size=(mib + more) * MIB))
    assert again.steps == [] and again.size == growth.size
    if more * MIB >= 2 * SLACK and (label != "dos" or mib + more < 2**21):
        assert growth.size > fs.size
