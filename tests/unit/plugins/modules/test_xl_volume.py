# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files: real qemu-img, mkfs, e2fsck and resize2fs on real files."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from .volume_lab import MIB, Refused, VolumeLab, lab, said, written

__all__ = ["lab"]  # the fixture

TESTER = "a file in it"


def put_file(image: Path) -> None:
    """Into an ext4 file system on a raw image."""
    source = image.with_suffix(".txt")
    source.write_text(TESTER)
    said("debugfs", "-w", "-R", f"write {source} told", image)
    source.unlink()


def file_in(image: Path, kind: str = "raw") -> str:
    """Out of the ext4 file system on an image."""
    raw = image.with_suffix(".look")
    said("qemu-img", "convert", "-f", kind, "-O", "raw", image, raw)
    try:
        return said("debugfs", "-R", "cat told", raw)
    finally:
        raw.unlink()


def virtual_size(image: Path, kind: str) -> int:
    return int(json.loads(said("qemu-img", "info", "--output=json", "-f", kind, image))["virtual-size"])


@pytest.mark.parametrize(
    ("name", "kind", "qemu"), [("a.img", "raw", "raw"), ("a.qcow2", "qcow2", "qcow2"), ("a.vhd", "vhd", "vpc"), ("a", "raw", "raw")]
)
def test_an_image_is_made_with_the_format_its_name_tells(lab: VolumeLab, name: str, kind: str, qemu: str) -> None:
    done = lab.converges(path=str(lab.image(name)), size="100001 KiB")
    assert (done["volume"]["format"], done["volume"]["size"]) == (kind, 100001 << 10)
    assert virtual_size(lab.image(name), qemu) == 100001 << 10
    assert done["volume"]["allocated"] < MIB
    assert lab.image(name).stat().st_mode & 0o077 == 0  # nobody else reads a guest's disk


def test_a_size_is_rounded_to_sectors(lab: VolumeLab) -> None:
    assert lab.converges(path=str(lab.image("a.img")), size="1000001")["volume"]["size"] == 1000448


def test_an_image_that_is_not_sparse_has_its_room(lab: VolumeLab) -> None:
    assert lab.converges(path=str(lab.image("a.img")), size="10 MiB", sparse=False)["volume"]["allocated"] >= 10 * MIB
    assert lab.converges(path=str(lab.image("a.vhd")), size="10 MiB", sparse=False)["volume"]["allocated"] >= 10 * MIB
    assert lab.converges(path=str(lab.image("a.img")), size="20 MiB", sparse=False)["volume"]["allocated"] >= 20 * MIB


@pytest.mark.parametrize(("name", "fs"), [("a.img", "xfs"), ("a.qcow2", "ext4"), ("a.vhd", "swap")])
def test_a_file_system_is_made_on_an_image_of_any_format(lab: VolumeLab, name: str, fs: str) -> None:
    volume = lab.converges(path=str(lab.image(name)), size="320 MiB", fs=fs, label="web")["volume"]
    assert (volume["fs"], volume["label"], volume["size"]) == (fs, "web", 320 * MIB)
    assert os.listdir(lab.images) == [name]


def test_options_of_mkfs_are_given_to_it(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="20 MiB", fs="ext4", fs_options=["-m", "0"])
    assert "Reserved block count:     0\n" in said("dumpe2fs", "-h", lab.image("a.img"))


@pytest.mark.parametrize(("name", "qemu"), [("a.img", "raw"), ("a.qcow2", "qcow2"), ("a.vhd", "vpc")])
def test_an_image_grows_and_shrinks_with_its_file_system(lab: VolumeLab, name: str, qemu: str) -> None:
    image = lab.image(name)
    lab.make(path=str(lab.image("first.img")), size="64 MiB", fs="ext4")
    put_file(lab.image("first.img"))
    lab.make(path=str(image), source=str(lab.image("first.img")))
    volume = lab.converges(path=str(image), size="128 MiB", resize_fs=True)["volume"]
    assert (volume["size"], volume["fs_size"]) == (128 * MIB, 128 * MIB)
    volume = lab.converges(path=str(image), size="40 MiB", shrink=True)["volume"]
    assert (volume["size"], volume["fs_size"]) == (40 * MIB, 40 * MIB)
    assert virtual_size(image, qemu) == 40 * MIB
    assert file_in(image, qemu) == TESTER
    assert sorted(os.listdir(lab.images)) == sorted([name, "first.img"])


def test_growing_alone_leaves_the_file_system(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.qcow2")), size="64 MiB", fs="ext4")
    volume = lab.converges(path=str(lab.image("a.qcow2")), size="128 MiB")["volume"]
    assert (volume["size"], volume["fs_size"]) == (128 * MIB, 64 * MIB)
    assert lab.converges(path=str(lab.image("a.qcow2")), resize_fs=True)["volume"]["fs_size"] == 128 * MIB


def test_swap_grows_and_shrinks_and_keeps_its_names(lab: VolumeLab) -> None:
    path = lab.image("swap.img")
    lab.make(path=str(path), size="32 MiB", fs="swap", label="swap1")
    uuid = said("blkid", "-p", "-s", "UUID", "-o", "value", path)
    assert lab.converges(path=str(path), size="64 MiB", resize_fs=True)["volume"]["fs_size"] == 64 * MIB
    assert lab.converges(path=str(path), size="16 MiB", shrink=True)["volume"]["fs_size"] == 16 * MIB
    assert said("blkid", "-p", "-s", "UUID", "-o", "value", path) == uuid
    assert said("blkid", "-p", "-s", "LABEL", "-o", "value", path).strip() == "swap1"


def test_nothing_is_made_smaller_unless_it_is_allowed(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="64 MiB")
    told = lab.refused(path=str(lab.image("a.img")), size="32 MiB")
    assert told == f"{lab.image('a.img')} has 64 MiB, and is not made smaller (32 MiB). Give its size, or allow it with shrink: true."


def test_no_file_system_shrinks_below_what_is_in_it(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="64 MiB", fs="ext4")
    assert "its ext4 needs" in lab.refused(path=str(lab.image("a.img")), size="2 MiB", shrink=True)
    lab.make(path=str(lab.image("a.qcow2")), source=str(lab.image("a.img")))
    assert "its ext4 needs" in lab.refused(path=str(lab.image("a.qcow2")), size="2 MiB", shrink=True)


def test_what_cannot_become_smaller_is_named(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("x.img")), size="320 MiB", fs="xfs")
    assert "it holds xfs, which cannot" in lab.refused(path=str(lab.image("x.img")), size="310 MiB", shrink=True)
    lab.make(path=str(lab.image("p.img")), size="32 MiB")
    subprocess.run(["sfdisk", "-q", lab.image("p.img")], input=b"label: gpt\n,\n", check=True)
    assert "a partition table (gpt)" in lab.refused(path=str(lab.image("p.img")), size="16 MiB", shrink=True)
    assert "only ext2, ext3, ext4, xfs and swap" in lab.refused(path=str(lab.image("p.img")), resize_fs=True)


def test_an_image_is_cut_only_where_nothing_lies(lab: VolumeLab) -> None:
    for name in ("a.img", "a.qcow2"):
        lab.make(path=str(lab.image(name)), size="32 MiB")
    written(lab.image("a.img"), at=20 * MIB)
    said("qemu-io", "-f", "qcow2", "-c", "write -P 7 20M 64k", lab.image("a.qcow2"))
    for name in ("a.img", "a.qcow2"):
        assert "data lie beyond that" in lab.refused(path=str(lab.image(name)), size="16 MiB", shrink=True)
        assert lab.converges(path=str(lab.image(name)), size="24 MiB", shrink=True)["volume"]["size"] == 24 * MIB


def test_data_that_nobody_knows_are_not_written_over(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="32 MiB")
    written(lab.image("a.img"), "no file system that anybody knows")
    assert "holds data that is no file system known here, not ext4" in lab.refused(path=str(lab.image("a.img")), fs="ext4")


def test_another_file_system_is_not_written_over(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="32 MiB", fs="ext4", label="web")
    assert "holds ext4 (web), not swap" in lab.refused(path=str(lab.image("a.img")), fs="swap")


def test_a_file_system_comes_later_and_the_image_stays_whose_it_is(lab: VolumeLab) -> None:
    image = lab.image("a.qcow2")
    lab.make(path=str(image), size="32 MiB")
    os.chmod(image, 0o640)
    os.chown(image, 0, 33)
    assert lab.converges(path=str(image), fs="ext4")["volume"]["fs"] == "ext4"
    assert (image.stat().st_mode & 0o777, image.stat().st_gid) == (0o640, 33)


def test_a_link_to_an_image_is_never_replaced_by_a_file(lab: VolumeLab) -> None:
    elsewhere, link = lab.image("elsewhere.qcow2"), lab.image("a.qcow2")
    lab.make(path=str(elsewhere), size="32 MiB")
    link.symlink_to(elsewhere)
    assert f"a.qcow2 is a link to {elsewhere}; made over" in lab.refused(path=str(link), fs="ext4")
    assert lab.converges(path=str(link), size="64 MiB")["volume"]["size"] == 64 * MIB
    assert lab.converges(path=str(elsewhere), fs="ext4")["volume"]["fs"] == "ext4"
    assert link.is_symlink() and virtual_size(elsewhere, "qcow2") == 64 * MIB


def test_a_label_changes(lab: VolumeLab) -> None:
    for fs, name in (("ext4", "e.img"), ("xfs", "x.img"), ("swap", "s.img"), ("ext4", "e.vhd")):
        lab.make(path=str(lab.image(name)), size="320 MiB", fs=fs, label="old")
        assert lab.converges(path=str(lab.image(name)), fs=fs, label="new-1")["volume"]["label"] == "new-1"


def test_an_image_of_another_format_is_told(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a")), size="32 MiB", format="qcow2")
    assert "is qcow2, not raw" in lab.refused(path=str(lab.image("a")), format="raw")
    assert "is qcow2, not vhd" in lab.refused(path=str(lab.image("a")), format="vhd")


def test_a_raw_disk_whose_guest_wrote_the_head_of_a_qcow2_image_is_not_taken_for_one(lab: VolumeLab) -> None:
    """The head could name any file of Dom0 as what the image begins as."""
    lab.make(path=str(lab.image("a.img")), size="32 MiB")
    said("qemu-img", "create", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", lab.image("evil"), "1M")
    with open(lab.image("a.img"), "r+b") as file:
        file.write(lab.image("evil").read_bytes()[:512])
    assert "looks like qcow2, and its name says raw" in lab.refused(path=str(lab.image("b.qcow2")), source=str(lab.image("a.img")))
    assert "looks like qcow2, and its name says raw" in lab.refused(path=str(lab.image("a.img")), size="64 MiB")


@pytest.mark.parametrize(
    ("source", "name", "qemu"), [("a.img", "b.vhd", "vpc"), ("a.qcow2", "b.img", "raw"), ("a.vhd", "b.qcow2", "qcow2")]
)
def test_an_image_is_copied_into_another_format(lab: VolumeLab, source: str, name: str, qemu: str) -> None:
    lab.make(path=str(lab.image(source)), size="32 MiB", fs="ext4", label="first")
    volume = lab.converges(path=str(lab.image(name)), source=str(lab.image(source)), size="48 MiB")["volume"]
    assert (volume["size"], volume["fs_size"], volume["label"]) == (48 * MIB, 32 * MIB, "first")
    assert virtual_size(lab.image(name), qemu) == 48 * MIB
    assert sorted(os.listdir(lab.images)) == sorted([source, name])


def test_a_copy_that_grows_has_a_file_system_that_grew(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.qcow2")), size="32 MiB", fs="ext4")
    volume = lab.converges(
        path=str(lab.image("b.qcow2")), source=str(lab.image("a.qcow2")), size="64 MiB", resize_fs=True, fs="ext4", label="copy"
    )["volume"]
    assert (volume["fs_size"], volume["label"]) == (64 * MIB, "copy")


def test_a_copy_is_as_large_as_its_source_at_least(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.qcow2")), size="32 MiB")
    assert "less than the 32 MiB of" in lab.refused(path=str(lab.image("b.img")), source=str(lab.image("a.qcow2")), size="16 MiB")


def test_a_qcow2_image_keeps_snapshots(lab: VolumeLab) -> None:
    path = str(lab.image("a.qcow2"))
    lab.make(path=path, size="32 MiB")
    assert lab.converges(path=path, snapshot="one")["volume"]["snapshots"] == ["one"]
    assert lab.converges(path=path, snapshot="two")["volume"]["snapshots"] == ["one", "two"]
    assert "it has snapshots (one, two)" in lab.refused(path=path, state="absent")
    assert lab.converges(path=path, snapshot="one", state="absent")["volume"]["snapshots"] == ["two"]
    assert "which they would not survive" in lab.refused(path=path, fs="ext4")
    assert lab.converges(path=path, snapshot="two", state="absent")["volume"]["snapshots"] == []
    assert lab.converges(path=path, state="absent")["volume"] == {}


def test_a_raw_image_keeps_no_snapshots(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="32 MiB")
    assert "keeps no snapshots: it is raw" in lab.refused(path=str(lab.image("a.img")), snapshot="one")


def test_a_snapshot_of_a_raw_image_is_a_copy(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="32 MiB", fs="ext4")
    put_file(lab.image("a.img"))
    lab.make(path=str(lab.image("b.img")), snapshot_of=str(lab.image("a.img")))
    assert file_in(lab.image("b.img")) == TESTER
    assert (
        "a qcow2 image keeps snapshots in itself"
        in lab.refused(path=str(lab.image("c.qcow2")), snapshot_of=str(lab.image("a.img"))).lower()
    )


def test_an_overlay_begins_as_another_image_which_stays(lab: VolumeLab) -> None:
    base, over = str(lab.image("base.qcow2")), str(lab.image("over.qcow2"))
    lab.make(path=base, size="32 MiB", fs="ext4", label="base")
    volume = lab.converges(path=over, backing=base, size="64 MiB")["volume"]
    assert (volume["backing"], volume["size"], volume["label"]) == (base, 64 * MIB, "base")
    assert f"image {over} has it as its backing file" in lab.refused(path=base, state="absent")
    assert f"image {over} has it as its backing file" in lab.refused(path=base, size="64 MiB")
    assert "not made over" in lab.refused(path=over, resize_fs=True)
    assert lab.converges(path=over, size="96 MiB")["volume"]["size"] == 96 * MIB
    assert "lies on" in lab.refused(path=over, backing=over)
    lab.make(path=over, state="absent")
    lab.make(path=base, state="absent")


def test_who_uses_an_image_is_named_and_nothing_is_taken_from_him(lab: VolumeLab) -> None:
    path = str(lab.image("a.qcow2"))
    lab.make(path=path, size="32 MiB")
    lab.domain_with(f"format=qcow2, vdev=xvda, access=rw, target={path}")
    for options in ({"state": "absent"}, {"size": "64 MiB"}, {"fs": "ext4"}, {"snapshot": "now"}, {"size": "16 MiB", "shrink": True}):
        assert "domain web has it as xvda" in lab.refused(path=path, **options)
    assert "domain web has it as xvda" in lab.refused(path=str(lab.image("b.qcow2")), source=path)
    assert lab.converges(path=path, size="32 MiB")["volume"]["used_by"] == [{"kind": "domain", "name": "web"}]


@pytest.fixture
def loop(lab: VolumeLab) -> t.Iterator[tuple[VolumeLab, str]]:
    """With a raw image behind a loop device."""
    lab.make(path=str(lab.image("a.img")), size="320 MiB", fs="xfs")
    done = subprocess.run(["losetup", "--show", "--find", lab.image("a.img")], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr}")
    yield lab, done.stdout.strip()
    subprocess.run(["umount", lab.images.parent / "mount"], check=False, capture_output=True)
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


def test_a_raw_image_on_a_loop_device_grows_under_its_domain(loop: tuple[VolumeLab, str]) -> None:
    """As Xen's block script attaches raw images; seen to reach the guest on Xen 4.17."""
    lab, device = loop
    path = str(lab.image("a.img"))
    assert f"loop device {device} is set up on it" in lab.refused(path=path, size="400 MiB")
    lab.domain_with(f"format=raw, vdev=xvda, access=rw, target={path}")
    done = lab.converges(path=path, size="400 MiB")
    assert done["commands"] == [f"qemu-img resize -q -f raw {path} 419430400", f"losetup --set-capacity {device}"]
    assert said("blockdev", "--getsize64", device).strip() == "419430400"
    assert "domain web has it as xvda" in lab.refused(path=path, size="320 MiB", shrink=True)


def test_what_is_mounted_is_named_and_left_alone(loop: tuple[VolumeLab, str]) -> None:
    lab, device = loop
    path, mount = str(lab.image("a.img")), lab.images.parent / "mount"
    mount.mkdir()
    if subprocess.run(["mount", device, mount], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    for options in ({"state": "absent"}, {"size": "400 MiB"}, {"fs": "xfs", "label": "x"}):
        assert f"it is mounted at {mount}" in lab.refused(path=path, **options)


def test_a_program_that_has_an_image_open_is_named(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("a.img")), size="32 MiB")
    with subprocess.Popen(["sleep", "60"], stdin=open(lab.image("a.img"))) as holder:
        told = lab.refused(path=str(lab.image("a.img")), state="absent")
        holder.kill()
    assert f"process sleep ({holder.pid}) has it open" in told


def test_a_read_only_disk_is_copied_while_its_domain_runs(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("iso.img")), size="1 MiB")
    lab.domain_with(f"format=raw, vdev=xvda, access=r, target={lab.image('iso.img')}")
    lab.make(path=str(lab.image("b.img")), source=str(lab.image("iso.img")))


def test_what_has_no_room_is_not_begun(lab: VolumeLab) -> None:
    assert "There is no room for" in lab.refused(path=str(lab.image("a.img")), size="4000 TiB", sparse=False)
    assert "at most 1.992 TiB" in lab.refused(path=str(lab.image("a.vhd")), size="3 TiB")
    done = lab.converges(path=str(lab.image("a.img")), size="7 TiB")
    assert done["volume"]["size"] == 7 << 40


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": "10 MiB"}, "A volume is named either by vg and name or by path."),
        ({"path": "/a", "vg": "vg0", "name": "a"}, "A volume is named either by vg and name or by path."),
        ({"path": "a.img", "size": "1 MiB"}, "a.img is not an absolute path."),
        ({"path": "/nowhere/a.img", "size": "1 MiB"}, "There is no folder /nowhere for /nowhere/a.img."),
        ({"path": "/etc", "size": "1 MiB"}, "/etc is no file."),
        ({"path": "/srv/a.img", "format": "lvm"}, "/srv/a.img cannot have format lvm."),
        ({"path": "/srv/a.img"}, "The size of /srv/a.img is missing: there is nothing to take it from."),
        ({"path": "/srv/a.img", "size": "much"}, "'much' is not a size."),
        ({"path": "/srv/a.img", "size": "0"}, "/srv/a.img cannot be 0 bytes large."),
        ({"path": "/srv/a.img", "pool": "thin", "size": "1 MiB"}, "pool is for logical volumes, and /srv/a.img is an image file."),
        (
            {"path": "/srv/a.img", "size": "9 MiB", "fs": "xfs", "label": "much too long"},
            "The label 'much too long' is too long: xfs has at most 12 bytes.",
        ),
        (
            {"path": "/srv/a.img", "size": "9 MiB", "fs": "xfs", "label": "my web"},
            "The label 'my web' has spaces, which xfs does not take.",
        ),
        ({"path": "/srv/a.img", "size": "9 MiB", "label": "web"}, "The label of /srv/a.img is given, and not its fs."),
        ({"path": "/srv/a.img", "source": "/nowhere/b.img"}, "There is no /nowhere/b.img to copy from."),
        ({"path": "/srv/a.img", "source": "/etc"}, "/etc is neither an image file nor a block device."),
        ({"path": "/srv/a.img", "source": "/a", "backing": "/b"}, "/srv/a.img cannot have source and backing."),
        ({"path": "/srv/a.qcow2", "snapshot": "one"}, "There is no /srv/a.qcow2 to take a snapshot of."),
        ({"path": "/srv/a.img", "name": "a"}, "name belongs to a logical volume, with vg."),
    ],
)
def test_bad_input_is_told_in_one_sentence(lab: VolumeLab, options: dict[str, str], told: str) -> None:
    assert lab.refused(**options).startswith(told)


def test_a_damaged_image_is_told(lab: VolumeLab) -> None:
    lab.image("a.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 600)
    assert "cannot be read as qcow2" in lab.refused(path=str(lab.image("a.qcow2")), size="1 MiB")


def test_a_damaged_file_system_is_not_resized(lab: VolumeLab) -> None:
    path = lab.image("a.img")
    lab.make(path=str(path), size="64 MiB", fs="ext4")
    said("debugfs", "-w", "-R", "clri <2>", path)  # its root directory is gone
    with pytest.raises(Refused, match="The file system is damaged; nothing was resized"):
        lab.make(path=str(path), size="32 MiB", shrink=True)
    assert path.stat().st_size == 64 * MIB


def test_an_image_with_data_behind_its_beginning_gets_no_file_system(lab: VolumeLab) -> None:
    path = lab.image("a.img")
    lab.make(path=str(path), size="8 MiB")
    with path.open("r+b") as file:
        file.seek(64 * 1024)
        file.write(b"data")
    assert "holds data that is no file system known here, not ext4" in lab.refused(path=str(path), fs="ext4")
