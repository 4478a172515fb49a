# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever step a run is cut after, running it again finishes it, and what was there is never lost."""

from __future__ import annotations

import typing as t

import pytest

from .volume_lab import MIB, VolumeLab, lab, manage, said

pytestmark = pytest.mark.slow(whole=True)

__all__ = ["lab"]  # the fixture

WEB: dict[str, t.Any] = {"vg": "vg0", "name": "web"}


def slow(value: object) -> t.Any:
    return pytest.param(value, marks=pytest.mark.slow)


def cut_everywhere(lab: VolumeLab, begin: t.Callable[[], None], **options: t.Any) -> t.Iterator[int]:
    """Yields after each run that was cut off, after the first step, the second and so on."""
    after = 0
    while True:
        begin()
        count = lab.cut(manage, after, **options)
        yield after
        if after >= count:
            return
        after += 1


def fresh(lab: VolumeLab, *kept: str) -> None:
    for path in lab.images.iterdir():
        if path.name not in kept:
            path.unlink()
    with lab.groups.change() as state:
        state.groups["vg0"]["lvs"].clear()


def names(lab: VolumeLab) -> list[str]:
    return sorted(path.name for path in lab.images.iterdir())


@pytest.mark.parametrize("name", ["a.img", slow("a.qcow2"), slow("a.vhd")])
def test_an_image_is_whole_or_not_there(lab: VolumeLab, name: str) -> None:
    options = {"path": str(lab.image(name)), "size": "48 MiB", "fs": "ext4", "label": "web"}
    for _after in cut_everywhere(lab, lambda: fresh(lab), **options):
        if lab.image(name).exists():
            assert lab.run("xl_volume", path=options["path"])["volume"]["label"] == "web"
        volume = lab.run("xl_volume", **options)["volume"]
        assert (volume["fs"], volume["size"]) == ("ext4", 48 * MIB)
        assert names(lab) == [name]


@pytest.mark.parametrize("name", [slow("a.img"), "a.qcow2", slow("a.vhd")])
def test_a_copy_is_whole_or_not_there(lab: VolumeLab, name: str) -> None:
    lab.make(path=str(lab.image("source.qcow2")), size="32 MiB", fs="ext4", label="copied")
    options = {"path": str(lab.image(name)), "source": str(lab.image("source.qcow2")), "size": "64 MiB", "resize_fs": True}
    for _after in cut_everywhere(lab, lambda: fresh(lab, "source.qcow2"), **options):
        volume = lab.run("xl_volume", **options)["volume"]
        assert (volume["label"], volume["size"], volume["fs_size"]) == ("copied", 64 * MIB, 64 * MIB)
        assert names(lab) == sorted([name, "source.qcow2"])


@pytest.mark.parametrize("name", ["a.img", slow("a.qcow2")])
@pytest.mark.parametrize("wanted", [{"size": "32 MiB", "shrink": True}, slow({"size": "96 MiB", "resize_fs": True})])
def test_an_image_that_is_resized_is_never_lost(lab: VolumeLab, name: str, wanted: dict[str, t.Any]) -> None:
    options = {"path": str(lab.image(name)), **wanted}

    def begin() -> None:
        fresh(lab)
        lab.make(path=options["path"], size="64 MiB", fs="ext4", label="kept")

    for _after in cut_everywhere(lab, begin, **options):
        assert lab.run("xl_volume", path=options["path"], check=True)["volume"]["label"] == "kept"
        volume = lab.run("xl_volume", **options)["volume"]
        assert (volume["label"], volume["size"]) == ("kept", int(wanted["size"].split()[0]) * MIB)
        assert volume["fs_size"] == volume["size"]
        assert names(lab) == [name]


def test_what_is_left_of_an_image_goes_also_when_it_is_wanted_no_more(lab: VolumeLab) -> None:
    for _after in cut_everywhere(lab, lambda: fresh(lab), path=str(lab.image("a.qcow2")), size="48 MiB", fs="ext4"):
        lab.run("xl_volume", path=str(lab.image("a.qcow2")), state="absent")
        assert names(lab) == []


def test_a_logical_volume_bears_a_tag_until_it_is_complete(lab: VolumeLab) -> None:
    lab.make(path=str(lab.image("source.qcow2")), size="32 MiB", fs="ext4", label="copied")
    options = {**WEB, "source": str(lab.image("source.qcow2")), "size": "64 MiB", "resize_fs": True}
    for _after in cut_everywhere(lab, lambda: fresh(lab, "source.qcow2"), **options):
        volume = lab.run("xl_volume", **options)["volume"]
        assert (volume["label"], volume["size"], volume["fs_size"]) == ("copied", 64 * MIB, 64 * MIB)
        assert lab.groups.volume("web")["tags"] == []
        said("e2fsck", "-f", "-n", lab.groups.path("web"))


@pytest.mark.parametrize("wanted", [{"size": "32 MiB", "shrink": True}, slow({"size": "96 MiB", "resize_fs": True})])
def test_a_logical_volume_that_is_resized_is_never_lost(lab: VolumeLab, wanted: dict[str, t.Any]) -> None:
    def begin() -> None:
        fresh(lab)
        lab.make(**WEB, size="64 MiB", fs="ext4", label="kept")

    for _after in cut_everywhere(lab, begin, **WEB, **wanted):
        said("e2fsck", "-f", "-n", lab.groups.path("web"))
        volume = lab.run("xl_volume", **WEB, **wanted)["volume"]
        assert (volume["label"], volume["size"]) == ("kept", int(wanted["size"].split()[0]) * MIB)
        assert volume["fs_size"] == volume["size"]


def test_an_unfinished_volume_is_not_taken_for_a_snapshots_origin_or_a_source(lab: VolumeLab) -> None:
    lab.cut(manage, 1, **WEB, size="64 MiB", fs="ext4")
    assert lab.groups.volume("web")["tags"] == ["xl_volume.partial"]
    assert "There is no logical volume vg0/web" in lab.refused(vg="vg0", name="before", snapshot_of="web", size="16 MiB")
    lab.run("xl_volume", **WEB, state="absent")
    assert lab.groups.names() == []


def test_an_unfinished_volume_that_is_being_written_is_left_alone(lab: VolumeLab) -> None:
    lab.cut(manage, 1, **WEB, size="64 MiB", fs="ext4")
    with lab.groups.change() as state:
        state.volume("vg0", "web")["open"] = True
    assert "vg0/web is just being made: the kernel has it open" in lab.refused(**WEB, size="64 MiB", fs="ext4")
