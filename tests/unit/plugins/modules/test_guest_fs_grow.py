# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems grow with their disk, which is a loop device here: real partition tables, real file systems, real bytes."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.domzero.xen.plugins.modules import guest_fs_grow
from ansible_collections.domzero.xen.tests.tools.loop_disk import DOS, GPT, LoopDisk, run, why_not

Result = dict[str, t.Any]
MIB = 1 << 20
SMALL, LARGE = 400 * MIB, 900 * MIB
LAST_OF_TWO = "label: gpt\nsize=50MiB\n,\n"
LOGICAL = "label: dos\nsize=20MiB\n,,E\n,,L\n"
FIRST_OF_TWO = "label: gpt\nsize=350MiB\n,\n"
reason = functools.cache(why_not)


class Grow:
    """Runs the module as Ansible does, on a disk of the test's own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, path: object, *, check: bool = False, **options: t.Any) -> Result:
        self._capsys.readouterr()
        arguments = {"path": str(path), "_ansible_check_mode": check, "_ansible_diff": True, **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            guest_fs_grow.main()
        return t.cast("Result", json.loads(self._capsys.readouterr().out))


@pytest.fixture
def grow(capsys: pytest.CaptureFixture[str]) -> Grow:
    return Grow(capsys)


@pytest.fixture
def disk(tmp_path: Path) -> t.Iterator[t.Callable[..., LoopDisk]]:
    """disk(script=..., number=..., fs=...): mounted, of 400 MiB."""
    made: list[LoopDisk] = []

    def make(size: int = SMALL, **options: t.Any) -> LoopDisk:
        if told := reason(options.get("fs", "xfs")):
            pytest.skip(told)
        place = tmp_path / str(len(made))
        made.append(LoopDisk(place.with_suffix(".img"), size, place, **options).up())
        return made[-1]

    yield make
    for one in made:
        one.down()


@pytest.mark.parametrize(
    ("script", "number", "fs"),
    [
        ("", 0, "xfs"), ("", 0, "btrfs"), ("", 0, "ext4"), (GPT, 1, "xfs"), (GPT, 1, "btrfs"), (GPT, 1, "ext4"), (DOS, 1, "xfs"),
        (LAST_OF_TWO, 2, "xfs"), (LOGICAL, 5, "xfs"),
    ],
    ids=["whole-xfs", "whole-btrfs", "whole-ext4", "gpt-xfs", "gpt-btrfs", "gpt-ext4", "mbr", "last", "logical"],
)  # fmt: skip
def test_a_file_system_grows_with_its_disk_while_it_is_used(disk: t.Any, grow: Grow, script: str, number: int, fs: str) -> None:
    made = disk(script=script, number=number, fs=fs)
    (made.mount / "file").write_text("kept")
    before = made.free()
    assert grow(made.mount)["changed"] is False
    made.grow(LARGE)
    predicted = grow(made.mount, check=True)
    assert made.free() == before
    with (made.mount / "file").open() as used:
        done = grow(made.mount)
        assert used.read() == "kept"
    assert done["changed"] and done["fs_type"] == fs and done["disk"] == made.path and done["disk_size"] == LARGE
    assert {**predicted, "size": 0, "invocation": 0} == {**done, "size": 0, "invocation": 0}
    assert 850 * MIB - 70 * MIB < done["size"] <= predicted["size"] < done["size"] + 16 * MIB
    assert "owner" not in done
    assert made.free() - before > 450 * MIB
    assert done["diff"]["after"][str(made.mount)] > 850 * MIB - 70 * MIB
    again = grow(made.mount)
    assert again["changed"] is False and again["commands"] == []
    assert run("blockdev", "--getsize64", made.device).strip() == str(again["diff"]["after"].get(made.device) or size_of(made))
    if script.startswith("label: gpt"):
        check = subprocess.run(["sfdisk", "--verify", made.path], capture_output=True, text=True, check=False)
        assert check.returncode == 0 and "backup" not in check.stderr


def size_of(made: LoopDisk) -> int:
    return int(run("blockdev", "--getsize64", made.device))


def test_a_disk_that_becomes_larger_in_a_while_is_waited_for(disk: t.Any, grow: Grow) -> None:
    made = disk()
    predicted = grow(made.mount, disk_size="900 MiB", check=True)
    later = threading.Timer(1, made.grow, [LARGE])
    later.start()
    done = grow(made.mount, disk_size="900 MiB")
    later.join()
    assert done["changed"] and done["commands"] == predicted["commands"] and done["diff"] == predicted["diff"]
    assert grow(made.mount, disk_size="900 MiB")["changed"] is False


def test_a_disk_that_does_not_become_larger_is_told(disk: t.Any, grow: Grow) -> None:
    made = disk()
    failed = grow(made.mount, disk_size="900 MiB", wait_timeout=1)
    assert f"knows {made.path} with 400 MiB, not with 900 MiB" in failed["msg"]


@pytest.mark.parametrize("cut", [1, 2])
def test_a_run_that_was_cut_off_is_finished_by_the_next(disk: t.Any, grow: Grow, cut: int) -> None:
    made = disk(script=LOGICAL, number=5)
    made.grow(LARGE)
    commands = grow(made.mount, check=True)["commands"]
    assert [command.split()[0] for command in commands] == ["sfdisk", "sfdisk", "partx", "xfs_growfs"]
    for command in commands[:cut]:
        run(*command.split(), stdin=",+\n")
    assert len(grow(made.mount)["commands"]) == len(commands) - cut
    assert made.free() > 700 * MIB and not grow(made.mount)["changed"]


def test_a_file_system_is_found_by_its_device_and_wherever_it_is_bound(disk: t.Any, grow: Grow, tmp_path: Path) -> None:
    made = disk()
    made.grow(LARGE)
    (made.mount / "folder").mkdir()
    bound = tmp_path / "a place"
    bound.mkdir()
    run("mount", "--bind", str(made.mount / "folder"), str(bound))
    try:
        assert grow(made.device, check=True)["mount_point"] == grow(bound, check=True)["mount_point"] == str(made.mount)
    finally:
        run("umount", str(bound))


def test_a_partition_with_another_one_behind_it_stays_as_it_is(disk: t.Any, grow: Grow) -> None:
    made = disk(script=FIRST_OF_TWO, number=1)
    assert grow(made.mount)["changed"] is False
    failed = grow(made.mount, disk_size=LARGE)
    assert f"Partition {made.path}p1 cannot grow: {made.path}p2 lies between it and the free room" in failed["msg"]
    made.grow(LARGE)
    table = run("sfdisk", "--dump", made.path)
    assert "cannot grow" in grow(made.mount)["msg"]
    assert run("sfdisk", "--dump", made.path) == table


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"disk_size": "100 MiB"}, "is 900 MiB large, and does not shrink to 100 MiB"),
        ({"disk_size": "big"}, "'big' is not a size"),
        ({"disk_size": "0"}, "disk_size is 0 bytes"),
        ({"disk": "/dev/xvdq"}, "is not on /dev/xvdq. It is on /dev/loop"),
        ({"lv_size": "1 GiB"}, "is not on a logical volume"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_changed(disk: t.Any, grow: Grow, options: Result, told: str) -> None:
    made = disk()
    made.grow(LARGE)
    before = (run("sfdisk", "--dump", made.path), made.free())
    for check in (True, False):
        assert told in grow(made.mount, check=check, **options)["msg"]
    assert (run("sfdisk", "--dump", made.path), made.free()) == before


def test_a_place_that_is_no_file_system_of_a_disk_is_named(disk: t.Any, grow: Grow, tmp_path: Path) -> None:
    made = disk()
    folder = made.mount / "folder"
    folder.mkdir()
    assert f"There is no {tmp_path}/nowhere in the guest" in grow(tmp_path / "nowhere")["msg"]
    assert f"folder is not a mount point. It lies in the file system at {made.mount}." in grow(folder)["msg"]
    assert "/proc is proc, not on a disk" in grow("/proc")["msg"]
    run("mount", "-o", "remount,ro", str(made.mount))
    assert "is mounted read-only" in grow(made.mount)["msg"]
    run("umount", str(made.mount))
    assert f"{made.device} is not mounted" in grow(made.device)["msg"]
