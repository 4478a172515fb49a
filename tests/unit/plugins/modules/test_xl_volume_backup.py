# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume is copied while its domain runs, and nothing of it stays behind."""

from __future__ import annotations

import subprocess
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.xl.volume import backup

from .volume_lab import MIB, Refused, VolumeLab, lab, said

__all__ = ["lab"]  # the fixture

WEB: dict[str, t.Any] = {"vg": "vg0", "name": "web"}


@pytest.fixture
def web(lab: VolumeLab) -> VolumeLab:
    """With a volume that a running domain has."""
    lab.make(**WEB, size="64 MiB", fs="ext4", label="root")
    lab.domain_with(f"phy:{lab.groups.path('web')},xvda,w")
    return lab


def test_a_volume_of_a_running_domain_is_copied(web: VolumeLab) -> None:
    dest = web.image("web.qcow2")
    done = web.converges("xl_volume_backup", **WEB, dest=str(dest), compress=True, verify=True)
    assert [command.split()[:2] for command in done["commands"]] == [
        ["lvcreate", "--yes"], ["qemu-img", "convert"], ["qemu-img", "compare"], ["mv", "-f"], ["lvremove", "--yes"],
    ]  # fmt: skip
    assert (done["backup"]["path"], done["backup"]["format"], done["backup"]["size"]) == (str(dest), "qcow2", 64 * MIB)
    assert done["backup"]["allocated"] < 2 * MIB
    said("qemu-img", "compare", "-f", "raw", "-F", "qcow2", web.groups.path("web"), dest)
    assert web.groups.names() == ["web"]
    assert dest.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("name", "kind", "qemu"), [("web.img", "raw", "raw"), ("web.vhd", "vhd", "vpc"), ("web", "qcow2", "qcow2")])
def test_the_name_of_the_copy_tells_its_format(web: VolumeLab, name: str, kind: str, qemu: str) -> None:
    assert web.converges("xl_volume_backup", **WEB, dest=str(web.image(name)))["backup"]["format"] == kind
    said("qemu-img", "compare", "-f", "raw", "-F", qemu, web.groups.path("web"), web.image(name))


def test_a_copy_becomes_a_volume_again(web: VolumeLab) -> None:
    web.run("xl_volume_backup", **WEB, dest=str(web.image("web.qcow2")), compress=True)
    volume = web.converges(vg="vg0", name="again", source=str(web.image("web.qcow2")))["volume"]
    assert (volume["label"], volume["size"]) == ("root", 64 * MIB)


def test_a_copy_is_made_once_unless_it_is_forced(web: VolumeLab) -> None:
    dest = web.image("web.img")
    web.run("xl_volume_backup", **WEB, dest=str(dest))
    said("e2label", web.groups.path("web"), "later")
    assert web.run("xl_volume_backup", **WEB, dest=str(dest))["changed"] is False
    assert said("e2label", dest).strip() == "root"
    assert web.run("xl_volume_backup", **WEB, dest=str(dest), force=True)["changed"] is True
    assert said("e2label", dest).strip() == "later"


def test_the_room_of_the_snapshot_is_a_fifth_or_what_is_given(web: VolumeLab) -> None:
    def room(**options: t.Any) -> str:
        return (
            str(web.run("xl_volume_backup", **WEB, dest=str(web.image("w")), check=True, **options)["commands"][0])
            .split("--size ")[1]
            .split()[0]
        )

    assert room() == f"{16 * MIB}b"  # 12.8 MiB in extents
    assert room(snapshot_size="5 MiB") == f"{8 * MIB}b"
    assert room(snapshot_size="1 TiB") == f"{68 * MIB}b"  # as much as it can use
    web.make(vg="vg0", name="much", size="4016 MiB")
    assert room() == f"{12 * MIB}b"  # what is free
    told = web.refused("xl_volume_backup", **WEB, dest=str(web.image("w")), snapshot_size="32 MiB")
    assert told.startswith("vg0 has no room for a snapshot of web: 32 MiB needed, 12 MiB free.")


def test_a_thin_volume_has_a_thin_snapshot(lab: VolumeLab) -> None:
    said("lvcreate", "--yes", "--type", "thin-pool", "--size", str(256 * MIB), "--name", "thin", "vg0")
    lab.make(**WEB, size="64 MiB", pool="thin", fs="ext4")
    done = lab.converges("xl_volume_backup", **WEB, dest=str(lab.image("web.qcow2")))
    assert done["commands"][0] == "lvcreate --yes --addtag xl_volume.backup --snapshot --setactivationskip n --name web.backup vg0/web"
    assert lab.groups.names() == ["thin", "web"]


def test_whatever_step_it_is_cut_after_the_next_run_finishes_it_and_leaves_no_snapshot(web: VolumeLab) -> None:
    dest, after = web.image("web.qcow2"), 0
    while True:
        dest.unlink(missing_ok=True)
        count = web.cut_hard(backup, after, **WEB, dest=str(dest))
        web.run("xl_volume_backup", **WEB, dest=str(dest))
        assert web.groups.names() == ["web"]
        assert [path.name for path in web.images.iterdir()] == ["web.qcow2"]
        said("qemu-img", "compare", "-f", "raw", "-F", "qcow2", web.groups.path("web"), dest)
        if after >= count:
            return
        after += 1


def test_a_copy_that_fails_leaves_nothing_behind(web: VolumeLab) -> None:
    web.image("full").mkdir()
    assert web.cut(backup, 2, **WEB, dest=str(web.image("web.qcow2"))) == 4
    assert web.groups.names() == ["web"]
    assert [path.name for path in web.images.iterdir()] == ["full"]


def test_a_copy_that_is_being_made_is_left_alone(web: VolumeLab) -> None:
    web.cut_hard(backup, 1, **WEB, dest=str(web.image("web.qcow2")))
    with web.groups.change() as state:
        state.volume("vg0", "web.backup")["open"] = True
    assert "vg0/web is just being copied: the kernel has it open" in web.refused(
        "xl_volume_backup", **WEB, dest=str(web.image("web.qcow2"))
    )


def test_an_image_is_copied_when_nobody_writes_to_it(lab: VolumeLab) -> None:
    source, dest = str(lab.image("a.qcow2")), str(lab.image("b.qcow2"))
    lab.make(path=source, size="32 MiB", fs="ext4")
    assert len(lab.converges("xl_volume_backup", path=source, dest=dest, verify=True)["commands"]) == 3
    lab.domain_with(f"format=qcow2, vdev=xvda, access=rw, target={source}")
    told = lab.refused("xl_volume_backup", path=source, dest=str(lab.image("c.qcow2")))
    assert "cannot be copied now: domain web has it as xvda" in told


def test_a_raw_image_in_use_is_kept_as_it_is_where_its_file_system_can_do_that(lab: VolumeLab) -> None:
    mount, disk = lab.image("mount"), lab.images.parent / "disk"
    mount.mkdir()
    subprocess.run(["truncate", "-s", "512M", disk], check=True)
    subprocess.run(["mkfs.xfs", "-q", disk], check=True)
    if subprocess.run(["mount", "-o", "loop", disk, mount], check=False, capture_output=True).returncode:
        pytest.skip("no loop device can be mounted here")
    try:
        lab.make(path=str(mount / "web.img"), size="32 MiB", fs="ext4")
        lab.domain_with(f"format=raw, vdev=xvda, access=rw, target={mount / 'web.img'}")
        done = lab.run("xl_volume_backup", path=str(mount / "web.img"), dest=str(mount / "copy.qcow2"), verify=True)
        assert done["commands"][0].startswith("cp --reflink=always")
        lab.run("xl_volume", path=str(mount / "before.img"), snapshot_of=str(mount / "web.img"))
        assert sorted(path.name for path in mount.iterdir()) == ["before.img", "copy.qcow2", "web.img"]
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dest": "copy.img"}, "copy.img is not an absolute path."),
        ({"dest": "/nowhere/copy.img"}, "There is no folder /nowhere for /nowhere/copy.img."),
        ({"dest": "/srv"}, "/srv is no file."),
        ({"dest": "/srv/a.img", "compress": True}, "/srv/a.img cannot be compressed: it is raw."),
        ({"dest": "/srv/a.img", "snapshot_size": "some"}, "'some' is not a size."),
        ({"dest": "/srv/a.img", "name": "nobody"}, "There is no logical volume vg0/nobody."),
    ],
)
def test_bad_input_is_told_in_one_sentence(lab: VolumeLab, options: dict[str, t.Any], told: str) -> None:
    assert lab.refused("xl_volume_backup", **{**WEB, **options}).startswith(told)


def test_a_snapshot_of_somebody_else_with_that_name_is_left_alone(web: VolumeLab) -> None:
    web.make(vg="vg0", name="web.backup", size="8 MiB")
    assert "not made by this module" in web.refused("xl_volume_backup", **WEB, dest=str(web.image("w")))


def test_a_volume_that_is_not_complete_is_not_copied(lab: VolumeLab) -> None:
    with pytest.raises(Refused):
        lab.make(**WEB, size="64 MiB", fs="ext4", fs_options=["--nonsense"])
    assert "it is not complete" in lab.refused("xl_volume_backup", **WEB, dest=str(lab.image("w")))


def test_a_file_of_somebody_else_beside_an_image_stays(lab: VolumeLab) -> None:
    source, mine = str(lab.image("a.img")), lab.image("a.img.backup")
    lab.make(path=source, size="32 MiB", fs="ext4")
    mine.write_text("made by hand")
    assert len(lab.converges("xl_volume_backup", path=source, dest=str(lab.image("b.qcow2")))["commands"]) == 2
    assert mine.read_text() == "made by hand"
    mine.unlink()
    lab.converges("xl_volume_backup", path=source, dest=str(mine))
    assert mine.exists()


def test_a_copy_that_a_domain_has_as_its_disk_is_not_replaced(lab: VolumeLab) -> None:
    source, dest = str(lab.image("a.img")), str(lab.image("b.img"))
    lab.make(path=source, size="32 MiB")
    lab.make(path=dest, size="32 MiB")
    lab.domain_with(f"format=raw, vdev=xvda, access=rw, target={dest}")
    assert lab.run("xl_volume_backup", path=source, dest=dest)["changed"] is False
    told = lab.refused("xl_volume_backup", path=source, dest=dest, force=True)
    assert told.startswith(f"{dest} is not replaced: domain web has it as xvda.")
