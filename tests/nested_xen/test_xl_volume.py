# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of domUs on real LVM, under a domU that runs."""

from __future__ import annotations

import typing as t

import pytest

from .dom0 import Dom0

MIB = 1 << 20
CFG = """name = "volume-a"
type = "pvh"
kernel = "/vmlinuz"
ramdisk = "/root/domu-initrd.gz"
extra = "console=hvc0 hn=volume-a"
memory = 128
disk = ["phy:/dev/vg0/volume-a,xvda,w", "file:/root/volume-a.img,xvdb,w"]
"""
REMOVE = """umount /mnt; xl destroy volume-a; sleep 1
for name in volume-a.backup volume-a-before volume-a volume-thin-before volume-thin volume-copy volume-pool; do lvremove -fy vg0/$name; done
rm -f /root/volume-a.* /root/volume-copy.*"""


def volume(name: str, **options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_volume": {"vg": "vg0", "name": name, **options}}


def sectors(dom0: Dom0, disk: str, count: int) -> str:
    """A line of shell that succeeds when Xen's backend, and so the guest, knows the disk with that many sectors."""
    base = "/local/domain/0/backend/vbd/$(xl domid volume-a)"
    return f"test $(xenstore-read {base}/{disk}/sectors) = {count}"


@pytest.fixture(scope="module", autouse=True)
def clean(dom0: Dom0) -> t.Iterator[None]:
    dom0.sh(REMOVE, check=False)
    yield
    dom0.sh(REMOVE, check=False)


def test_a_volume_with_a_file_system_is_made_and_shrinks_after_a_check(dom0: Dom0) -> None:
    made = dom0.converges(volume("volume-a", size="101 MiB", fs="ext4", label="root"))["volume"]
    assert (made["size"], made["fs"], made["label"]) == (104 * MIB, "ext4", "root")  # in extents of 4 MiB
    assert dom0.sh("lvs --noheadings -o lv_tags vg0/volume-a").strip() == ""
    dom0.sh("mount /dev/vg0/volume-a /mnt")
    assert "it is mounted at /mnt" in dom0.fails(volume("volume-a", state="absent"))["msg"]
    grown = dom0.converges(volume("volume-a", size="160 MiB", resize_fs=True))
    assert grown["commands"] == ["lvextend --size 167772160b vg0/volume-a", "resize2fs /dev/vg0/volume-a"]
    assert grown["volume"]["fs_size"] == grown["volume"]["size"] == 160 * MIB
    dom0.sh("umount /mnt")
    smaller = dom0.converges(volume("volume-a", size="64 MiB", shrink=True))
    assert [command.split()[0] for command in smaller["commands"]] == ["e2fsck", "resize2fs", "lvreduce"]
    assert smaller["volume"]["fs_size"] == 64 * MIB
    dom0.sh("e2fsck -f -n /dev/vg0/volume-a")
    assert "its ext4 needs" in dom0.fails(volume("volume-a", size="4 MiB", shrink=True))["msg"]


def test_volumes_grow_under_a_running_domain_and_its_guest_sees_it(dom0: Dom0) -> None:
    dom0.task({"domzero.xen.xl_volume": {"path": "/root/volume-a.img", "size": "16 MiB"}})
    dom0.sh(f"cat > /root/volume-a.cfg <<'X'\n{CFG}X\nxl create /root/volume-a.cfg")
    dom0.until("grep -q DOMU-READY /var/log/xen/console/guest-volume-a.log")
    dom0.until(sectors(dom0, "51712", 64 * MIB // 512))
    grown = dom0.converges(volume("volume-a", size="128 MiB", resize_fs=True))
    assert grown["commands"] == ["lvextend --size 134217728b vg0/volume-a"]
    assert grown["volume"]["used_by"] == [{"kind": "domain", "name": "volume-a"}]
    dom0.until(sectors(dom0, "51712", 128 * MIB // 512))
    image = dom0.converges({"domzero.xen.xl_volume": {"path": "/root/volume-a.img", "size": "32 MiB"}})
    assert [command.split()[0] for command in image["commands"]] == ["qemu-img", "losetup"]
    dom0.until(sectors(dom0, "51728", 32 * MIB // 512))
    dom0.until("grep -q 'xvda: detected capacity change' /var/log/xen/console/guest-volume-a.log")


def test_nothing_is_taken_from_a_running_domain(dom0: Dom0) -> None:
    for options in ({"state": "absent"}, {"size": "64 MiB", "shrink": True}):
        assert "domain volume-a has it as xvda" in dom0.fails(volume("volume-a", **options))["msg"]


def test_a_volume_is_copied_while_its_domain_runs_and_what_a_cut_run_left_goes(dom0: Dom0) -> None:
    dom0.sh("lvcreate -y --addtag xl_volume.backup -s -L 8M -n volume-a.backup vg0/volume-a")
    copy = {"vg": "vg0", "name": "volume-a", "dest": "/root/volume-copy.qcow2", "verify": True}
    done = dom0.converges({"domzero.xen.xl_volume_backup": copy})
    assert [command.split()[0] for command in done["commands"]] == ["lvremove", "lvcreate", "qemu-img", "qemu-img", "mv", "lvremove"]
    assert done["backup"]["size"] == 128 * MIB
    assert "backup" not in dom0.sh("lvs --noheadings -o lv_name vg0")
    assert "volume-a" in dom0.sh("xl list")


def test_a_copy_becomes_a_volume_with_its_file_system_grown(dom0: Dom0) -> None:
    dom0.sh("xl destroy volume-a")
    made = dom0.converges(volume("volume-copy", source="/root/volume-copy.qcow2", size="192 MiB", resize_fs=True))["volume"]
    assert (made["fs_size"], made["label"]) == (192 * MIB, "root")
    dom0.sh("e2fsck -f -n /dev/vg0/volume-copy")


def test_a_snapshot_keeps_its_origin_as_it_is(dom0: Dom0) -> None:
    before = volume("volume-a-before", snapshot_of="volume-a", size="1 GiB")
    assert dom0.converges(before)["volume"]["size"] == 132 * MIB  # as much as it can use
    assert "snapshot vg0/volume-a-before was taken of it" in dom0.fails(volume("volume-a", size="256 MiB"))["msg"]
    assert "snapshot vg0/volume-a-before was taken of it" in dom0.fails(volume("volume-a", state="absent"))["msg"]
    dom0.tasks([volume("volume-a-before", state="absent"), volume("volume-a", state="absent")])
    assert "volume-a" not in dom0.sh("lvs --noheadings -o lv_name vg0")


@pytest.mark.core
def test_thin_volumes_and_their_snapshots(dom0: Dom0) -> None:
    dom0.sh("lvcreate -y --type thin-pool -L 128M -n volume-pool vg0")
    made = dom0.converges(volume("volume-thin", pool="volume-pool", size="512 MiB", fs="xfs"))["volume"]
    assert (made["pool"], made["fs"]) == ("volume-pool", "xfs")
    dom0.converges(volume("volume-thin-before", snapshot_of="volume-thin"))
    grown = dom0.converges(volume("volume-thin", size="640 MiB", resize_fs=True))["volume"]
    assert grown["fs_size"] == 640 * MIB
    dom0.tasks([volume("volume-thin", state="absent"), volume("volume-thin-before", state="absent")])


def test_what_cannot_be_is_told_before_anything_is_done(dom0: Dom0) -> None:
    assert "Volume group vg0 has no room for vg0/volume-a: 1 TiB needed" in dom0.fails(volume("volume-a", size="1 TiB"))["msg"]
    wrong = {"domzero.xen.xl_volume": {"vg": "nosuch", "name": "volume-a", "size": "8 MiB"}}
    assert dom0.fails(wrong)["msg"].startswith("There is no volume group nosuch. There are: vg0")
