# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage.groups import (
    Device,
    Group,
    Lvm,
    PhysicalVolume,
    Pool,
    Volume,
    Wanted,
    plan,
    pool,
)
from ansible_collections.domzero.xen.tests.tools import loop_disk

from .debian_lab import converged, host, shell, thrice

MIB = 1 << 20
DISK = Device("/dev/sdb", 512 * MIB)


def commands(wanted: Wanted, there: Lvm = Lvm()) -> list[str]:  # noqa: B008
    return [str(step) for step in plan(wanted, there)]


def group(*volumes: Volume, extent: int = 4 * MIB) -> Lvm:
    return Lvm((PhysicalVolume("/dev/sdb", "guests", 508 * MIB, 512 * MIB, MIB),), Group("guests", 508 * MIB, 400 * MIB, extent, volumes))


def test_a_group_is_made_with_its_pool() -> None:
    wanted = Wanted("guests", (DISK,), (Pool("thin", 256 * MIB), Pool("rest", percent=100)))
    assert commands(wanted) == [
        "pvcreate --yes /dev/sdb", "vgcreate guests /dev/sdb", f"lvcreate --yes --type thin-pool --size {256 * MIB}b --name thin guests",
        "lvcreate --yes --type thin-pool --extents 100%FREE --name rest guests",
    ]  # fmt: skip
    assert commands(wanted, group(Volume("thin", 256 * MIB, True), Volume("rest", 8 * MIB, True))) == []


def test_a_further_disk_and_one_that_grew_are_used() -> None:
    assert commands(Wanted("guests", (DISK, Device("/dev/sdc", MIB))), group()) == ["pvcreate --yes /dev/sdc", "vgextend guests /dev/sdc"]
    grown = Lvm((PhysicalVolume("/dev/sdb", "guests", 508 * MIB, 1024 * MIB, MIB),), group().group)
    assert commands(Wanted("guests", (DISK,)), grown) == ["pvresize /dev/sdb"]
    aligned = Lvm((PhysicalVolume("/dev/sdb", "guests", 504 * MIB, 512 * MIB, 8 * MIB),), group().group)
    assert commands(Wanted("guests", (DISK,)), aligned) == []
    cut_off = Lvm((PhysicalVolume("/dev/sdb", "", 512 * MIB, 512 * MIB, MIB),))
    assert commands(Wanted("guests", (DISK,)), cut_off) == ["vgcreate guests /dev/sdb"], "a run that was cut off is finished"


def test_a_pool_grows_by_whole_extents_and_never_shrinks() -> None:
    there = group(Volume("thin", 256 * MIB, True))
    assert commands(Wanted("guests", (DISK,), (Pool("thin", 257 * MIB),)), there) == [f"lvextend --size {260 * MIB}b guests/thin"]
    with pytest.raises(XenError, match="has 256 MiB and cannot become smaller"):
        plan(Wanted("guests", (DISK,), (Pool("thin", 64 * MIB),)), there)


@pytest.mark.parametrize(
    ("wanted", "there", "sentence"),
    [
        (Wanted("guests", (Device("/dev/sdb", MIB, "ext4 'old'"),)), Lvm(), "/dev/sdb holds ext4 'old'"),
        (Wanted("guests", (Device("/dev/sdb", MIB, "ext4", "mounted"),), force=True), Lvm(), "/dev/sdb is in use"),
        (Wanted("others", (DISK,), force=True), group(), "/dev/sdb belongs to volume group guests"),
        (Wanted("guests"), Lvm(), "There is no volume group guests"),
        (Wanted("guests", (DISK,), (Pool("web", 8 * MIB),)), group(Volume("web", MIB, False)), "is a volume, and no thin pool"),
        (Wanted("guests", absent=True), group(Volume("web", MIB, False)), "has volumes: web"),
    ],
)
def test_nothing_is_lost(wanted: Wanted, there: Lvm, sentence: str) -> None:
    with pytest.raises(XenError, match=sentence):
        plan(wanted, there)


def test_a_disk_is_known_by_each_of_its_names(tmp_path: Path) -> None:
    """LVM calls a multipath disk /dev/mapper/..., which is a link to what it really is."""
    (tmp_path / "dm-3").touch()
    (tmp_path / "mpatha").symlink_to(tmp_path / "dm-3")
    there = Lvm((PhysicalVolume(str(tmp_path / "mpatha"), "guests", 508 * MIB, 512 * MIB, MIB),), group().group)
    disk = Device(str(tmp_path / "dm-3"), 512 * MIB, "LVM2_member")
    assert commands(Wanted("guests", (disk,)), there) == []
    with pytest.raises(XenError, match="belongs to volume group guests"):
        plan(Wanted("others", (disk,), force=True), there)


def test_what_is_told_to_be_lost_is() -> None:
    wanted = Wanted("guests", (Device("/dev/sdb", MIB, "ext4"),), force=True)
    assert commands(wanted) == ["wipefs --all /dev/sdb", "pvcreate --yes /dev/sdb", "vgcreate guests /dev/sdb"]


@pytest.mark.parametrize("size", ["0%", "101%", "x%", "1 KiB", "much"])
def test_sizes_that_are_none_are_refused(size: str) -> None:
    with pytest.raises(XenError):
        pool({"name": "thin", "size": size})


@pytest.mark.slow(whole=True)
def test_on_a_real_device(tmp_path: Path) -> None:
    if told := loop_disk.why_not():
        pytest.skip(told)
    disk = loop_disk.LoopDisk(tmp_path / "disk.img", 512 * MIB, tmp_path / "mount", script="", fs="ext4").up()
    try:
        loop_disk.run("umount", str(tmp_path / "mount"))

        def made(**options: t.Any) -> dict[str, t.Any]:
            return {"domzero.xen.xl_volume_group": {"name": "guests", **options}}

        full = made(devices=[disk.path], thin_pools=[{"name": "thin", "size": "256 MiB"}], force=True)
        told = host(
            tmp_path, made(devices=[disk.path]), *thrice(full), made(state="absent"), shell("lvs"), made(devices=["/dev/nothing"]),
        )  # fmt: skip
    finally:
        disk.down()
    assert "holds ext4" in told[0]["msg"]
    done = converged(*told[1:4])
    assert done["volume_group"]["devices"] == [disk.path] and done["volume_group"]["thin_pools"] == [{"name": "thin", "size": 256 * MIB}]
    assert "has volumes: thin" in told[4]["msg"] and "There is no device /dev/nothing" in told[6]["msg"]
