# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logical volumes, in simulated groups: the bytes and the programs that write them are real."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .volume_lab import MIB, Refused, VolumeLab, kind_of, lab, said, written

pytestmark = pytest.mark.slow(whole=True)

__all__ = ["lab"]  # the fixture

WEB: dict[str, t.Any] = {"vg": "vg0", "name": "web"}


def pool_of(lab: VolumeLab) -> None:
    said("lvcreate", "--yes", "--type", "thin-pool", "--size", str(256 * MIB), "--name", "thin", "vg0")


def test_a_volume_is_made_and_its_size_is_rounded_to_extents(lab: VolumeLab) -> None:
    done = lab.converges(**WEB, size="101 MiB")
    assert done["commands"] == ["lvcreate --yes --size 109051904b --name web vg0"]
    assert (done["volume"]["size"], done["volume"]["path"]) == (104 * MIB, str(lab.groups.path("web")))
    assert lab.groups.volume("web")["tags"] == []


def test_it_may_be_named_by_its_path(lab: VolumeLab) -> None:
    assert lab.converges(path=str(lab.groups.path("web")), size="8 MiB")["volume"]["name"] == "web"
    assert lab.converges(path=str(lab.groups.path("web")), state="absent")["volume"] == {}


@pytest.mark.parametrize("fs", ["ext4", "xfs", "swap"])
def test_a_file_system_is_made_on_it(lab: VolumeLab, fs: str) -> None:
    volume = lab.converges(**WEB, size="320 MiB", fs=fs, label="root")["volume"]
    assert (volume["fs"], volume["label"]) == (fs, "root")
    assert lab.groups.volume("web")["tags"] == []


def test_it_grows_and_shrinks_with_its_file_system(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB", fs="ext4")
    said("debugfs", "-w", "-R", f"write {__file__} told", lab.groups.path("web"))
    done = lab.converges(**WEB, size="128 MiB", resize_fs=True)
    assert [command.split()[0] for command in done["commands"]] == ["lvextend", "e2fsck", "resize2fs"]
    assert (done["volume"]["size"], done["volume"]["fs_size"]) == (128 * MIB, 128 * MIB)
    done = lab.converges(**WEB, size="32 MiB", shrink=True)
    assert [command.split()[0] for command in done["commands"]] == ["e2fsck", "resize2fs", "lvreduce"]
    assert (done["volume"]["size"], done["volume"]["fs_size"]) == (32 * MIB, 32 * MIB)
    assert said("debugfs", "-R", "cat told", lab.groups.path("web")) == Path(__file__).read_text()
    said("e2fsck", "-f", "-n", lab.groups.path("web"))


def test_swap_shrinks_before_its_volume_and_keeps_its_name(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB", fs="swap", label="swap1")
    done = lab.converges(**WEB, size="32 MiB", shrink=True)
    assert [command.split()[0] for command in done["commands"]] == ["mkswap", "lvreduce"]
    assert (done["volume"]["fs_size"], done["volume"]["label"]) == (32 * MIB, "swap1")


def test_nothing_shrinks_below_what_is_in_it_or_without_leave(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB", fs="ext4")
    assert (
        lab.refused(**WEB, size="32 MiB")
        == "vg0/web has 64 MiB, and is not made smaller (32 MiB). Give its size, or allow it with shrink: true."
    )
    assert "its ext4 needs" in lab.refused(**WEB, size="4 MiB", shrink=True)
    lab.make(vg="vg0", name="raw", size="64 MiB")
    written(lab.groups.path("raw"), "data")
    assert "it holds data that is no file system known here" in lab.refused(vg="vg0", name="raw", size="32 MiB", shrink=True)


def test_a_thin_volume_takes_room_in_its_pool(lab: VolumeLab) -> None:
    pool_of(lab)
    done = lab.converges(**WEB, pool="thin", size="100 GiB", fs="ext4", fs_options=["-E", "nodiscard"])
    assert (
        done["commands"][0]
        == "lvcreate --yes --addtag xl_volume.partial --type thin --virtualsize 107374182400b --thinpool thin --name web vg0"
    )
    assert (done["volume"]["pool"], done["volume"]["size"]) == ("thin", 100 << 30)
    assert lab.converges(**WEB, size="101 GiB")["volume"]["size"] == 101 << 30
    assert "lies in thin pool thin, and does not move" in lab.refused(**WEB, pool="")
    assert "is a thin pool" in lab.refused(vg="vg0", name="thin", size="1 GiB")
    assert "thin volume vg0/web lies in it" in lab.refused(vg="vg0", name="thin", state="absent")


def test_a_pool_that_is_not_there_is_told_with_those_that_are(lab: VolumeLab) -> None:
    assert "There is no thin pool vg0/fast. domzero.xen.xl_volume_group makes one." in lab.refused(**WEB, pool="fast", size="1 GiB")
    pool_of(lab)
    assert "There is no thin pool vg0/fast. There are: thin." in lab.refused(**WEB, pool="fast", size="1 GiB")


def test_a_pool_that_is_nearly_full_is_told(lab: VolumeLab) -> None:
    pool_of(lab)
    with lab.groups.change() as state:
        state.volume("vg0", "thin")["full"] = 95.5
    assert "Thin pool vg0/thin is filled to 95.5 %" in lab.warned(**WEB, pool="thin", size="1 GiB")


def test_a_snapshot_has_room_for_what_changes(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB", fs="ext4", label="root")
    assert "how much may change until it is lost" in lab.refused(vg="vg0", name="before", snapshot_of="web")
    volume = lab.converges(vg="vg0", name="before", snapshot_of="web", size="16 MiB")["volume"]
    assert (volume["size"], volume["virtual_size"], volume["snapshot_of"], volume["fs"]) == (16 * MIB, 64 * MIB, "web", "ext4")
    assert lab.converges(vg="vg0", name="before", snapshot_of="web", size="24 MiB")["volume"]["size"] == 24 * MIB
    assert lab.converges(vg="vg0", name="before", size="24 MiB")["volume"]["snapshot_of"] == "web"
    assert "is not made smaller" in lab.refused(vg="vg0", name="before", size="8 MiB", shrink=True)


def test_a_snapshot_never_needs_more_than_its_origin_and_its_notes(lab: VolumeLab) -> None:
    """As lvm2 2.03.16 did: 204 MiB for a volume of 200 MiB."""
    lab.make(**WEB, size="200 MiB")
    assert lab.converges(vg="vg0", name="before", snapshot_of="web", size="1 GiB")["volume"]["size"] == 204 * MIB


def test_what_has_a_snapshot_is_neither_removed_nor_resized(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB")
    lab.make(vg="vg0", name="before", snapshot_of="web", size="16 MiB")
    assert "snapshot vg0/before was taken of it" in lab.refused(**WEB, state="absent")
    assert "snapshot vg0/before was taken of it" in lab.refused(**WEB, size="128 MiB")
    assert lab.converges(**WEB)["volume"]["snapshots"] == ["before"]
    lab.converges(vg="vg0", name="before", state="absent")
    lab.converges(**WEB, state="absent")
    assert lab.groups.names() == []


def test_thin_snapshots_live_on_without_their_origin(lab: VolumeLab) -> None:
    pool_of(lab)
    lab.make(**WEB, pool="thin", size="64 MiB")
    assert "as large as web" in lab.refused(vg="vg0", name="before", snapshot_of="web", size="16 MiB")
    volume = lab.converges(vg="vg0", name="before", snapshot_of="web")["volume"]
    assert (volume["pool"], volume["size"], volume["snapshot_of"]) == ("thin", 64 * MIB, "web")
    assert lab.converges(**WEB, size="128 MiB")["volume"]["size"] == 128 * MIB
    lab.converges(**WEB, state="absent")


def test_a_snapshot_of_something_else_is_told(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB")
    lab.make(vg="vg0", name="mail", size="64 MiB")
    lab.make(vg="vg0", name="before", snapshot_of="web", size="16 MiB")
    assert "is a snapshot of web, not a snapshot of mail" in lab.refused(vg="vg0", name="before", snapshot_of="mail", size="16 MiB")
    assert "is a volume of its own, not a snapshot of web" in lab.refused(vg="vg0", name="mail", snapshot_of="web", size="16 MiB")
    assert "There is no logical volume vg0/nobody" in lab.refused(vg="vg0", name="after", snapshot_of="nobody", size="16 MiB")
    assert "is a snapshot: no snapshot is taken of it" in lab.refused(vg="vg0", name="after", snapshot_of="before", size="16 MiB")
    assert "lies in another volume group" in lab.refused(vg="vg0", name="after", snapshot_of="vg1/web", size="16 MiB")


def test_a_snapshot_that_ran_out_of_room_is_lost_and_not_kept(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB")
    lab.make(vg="vg0", name="before", snapshot_of="web", size="16 MiB")
    with lab.groups.change() as state:
        state.volume("vg0", "before").update(lost=True, full=100.0)
    assert "ran out of room, and what was in it is lost" in lab.refused(vg="vg0", name="before", snapshot_of="web", size="16 MiB")
    lab.converges(vg="vg0", name="before", state="absent")


def test_a_group_without_room_is_told_before_anything_is_made(lab: VolumeLab) -> None:
    assert lab.refused(**WEB, size="5 GiB").startswith("Volume group vg0 has no room for vg0/web: 5 GiB needed, 3.996 GiB free.")
    lab.make(**WEB, size="3 GiB")
    assert "no room for vg0/web: 1 GiB needed, 1020 MiB free" in lab.refused(**WEB, size="4 GiB")
    assert lab.converges(**WEB, size="4092 MiB")["volume"]["size"] == 4092 * MIB


def test_a_volume_is_copied_from_an_image(lab: VolumeLab) -> None:
    image = str(lab.image("cloud.qcow2"))
    lab.make(path=image, size="62 MiB", fs="ext4", label="cloud")
    done = lab.converges(**WEB, source=image, size="128 MiB", resize_fs=True)
    assert (done["volume"]["size"], done["volume"]["fs_size"], done["volume"]["label"]) == (128 * MIB, 128 * MIB, "cloud")
    assert lab.groups.volume("web")["tags"] == []
    assert lab.converges(vg="vg0", name="mail", source=image)["volume"]["size"] == 64 * MIB  # as many extents as it needs
    assert "less than the 62 MiB of" in lab.refused(vg="vg0", name="db", source=image, size="8 MiB")


def test_a_volume_is_copied_from_a_volume_into_a_thin_one(lab: VolumeLab) -> None:
    pool_of(lab)
    lab.make(**WEB, size="64 MiB", fs="ext4")
    assert "--target-is-zero" in lab.converges(vg="vg0", name="mail", source="vg0/web", pool="thin")["commands"][1]
    said("cmp", lab.groups.path("web"), lab.groups.path("mail"))


def test_who_uses_a_volume_is_named_and_it_grows_all_the_same(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB", fs="ext4")
    lab.domain_with(f"phy:{lab.groups.path('web')},xvda,w")
    assert "domain web has it as xvda" in lab.refused(**WEB, state="absent")
    assert "vg0/web cannot shrink: domain web has it as xvda" in lab.refused(**WEB, size="32 MiB", shrink=True)
    assert "vg0/web cannot get the label 'x' now: domain web has it as xvda" in lab.refused(**WEB, fs="ext4", label="x")
    assert "cannot be copied to vg0/mail: domain web has it as xvda" in lab.refused(vg="vg0", name="mail", source="vg0/web")
    told = lab.warned(**WEB, size="128 MiB", resize_fs=True)
    assert "sees the new size of vg0/web within seconds" in told
    assert "was left as large as it is: domain web has it as xvda" in told
    done = lab.converges(**WEB, size="128 MiB", resize_fs=True)
    assert done["commands"] == ["lvextend --size 134217728b vg0/web"]
    assert done["volume"]["used_by"] == [{"kind": "domain", "name": "web"}]


def test_a_volume_that_somebody_has_open_is_not_removed(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB")
    with lab.groups.change() as state:
        state.volume("vg0", "web")["open"] = True
    assert "the kernel has it open" in lab.refused(**WEB, state="absent")


def test_a_volume_that_is_not_active_is_told(lab: VolumeLab) -> None:
    lab.make(**WEB, size="64 MiB")
    with lab.groups.change() as state:
        state.volume("vg0", "web")["active"] = False
    assert "vg0/web is not active. lvchange --activate y" in lab.refused(**WEB, size="128 MiB")
    lab.converges(**WEB, state="absent")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"vg": "vg1", "name": "a", "size": "1 MiB"}, "There is no volume group vg1. There are: vg0."),
        ({"vg": "vg0", "size": "1 MiB"}, "A logical volume needs a name."),
        ({"vg": "vg0", "name": "-a", "size": "1 MiB"}, "'-a' cannot be name: LVM does not allow this name."),
        ({"vg": "vg0", "name": "a_tdata", "size": "1 MiB"}, "'a_tdata' cannot be name: LVM does not allow this name."),
        ({"vg": "vg0", "name": "a"}, "The size of vg0/a is missing: there is nothing to take it from."),
        ({"vg": "vg0", "name": "a", "format": "raw", "size": "1 MiB"}, "vg0/a cannot have format raw."),
        ({"vg": "vg0", "name": "a", "snapshot": "x"}, "snapshot is for qcow2 images, and vg0/a is a logical volume."),
        (
            {"vg": "vg0", "name": "a", "snapshot_of": "b", "fs": "ext4"},
            "vg0/a is a snapshot: it has the file system of what it is taken of.",
        ),
        ({"vg": "vg0", "name": "a", "source": "/nowhere"}, "There is no /nowhere to copy from."),
    ],
)
def test_bad_input_is_told_in_one_sentence(lab: VolumeLab, options: dict[str, str], told: str) -> None:
    assert lab.refused(**options).startswith(told)


def test_what_the_result_tells_can_be_asked_for(lab: VolumeLab) -> None:
    words = ("vg", "name", "format", "size", "pool", "snapshot_of", "fs", "label")
    pool_of(lab)
    lab.make(**WEB, size="64 MiB", fs="ext4", label="root")
    lab.make(vg="vg0", name="mail", size="64 MiB", pool="thin")
    lab.make(vg="vg0", name="before", size="16 MiB", snapshot_of="web")
    for name in ("web", "mail", "before"):
        told = lab.run("xl_volume", vg="vg0", name=name)["volume"]
        asked = {word: told[word] for word in words if told[word] != "" or word == "pool"}
        if told["snapshot_of"]:
            del asked["fs"], asked["label"]
        assert lab.run("xl_volume", **asked)["changed"] is False


def test_what_fails_tells_what_was_done(lab: VolumeLab) -> None:
    with pytest.raises(Refused) as caught:
        lab.make(**WEB, size="64 MiB", fs="ext4", fs_options=["--nonsense"])
    assert caught.value.result["commands_done"] == ["lvcreate --yes --addtag xl_volume.partial --size 67108864b --name web vg0"]
    assert lab.groups.volume("web")["tags"] == ["xl_volume.partial"]
    lab.converges(**WEB, size="64 MiB", fs="ext4")
    assert kind_of(lab.groups.path("web")) == "ext4"
