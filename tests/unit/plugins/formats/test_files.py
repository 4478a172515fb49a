# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file gets its name when it is complete; until then, and after a failure, there is nothing of that name."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import files
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import Hashed, Landing, Pieces, sync_folder

from ..meanwhile import meanwhile


def test_a_file_has_its_name_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "vm.xva"
    target.write_bytes(b"before")
    with Landing(target) as file:
        file.write(b"abc")
        assert target.read_bytes() == b"before"
        file.write(b"def")
        file.finish()
    assert target.read_bytes() == b"abcdef"
    assert file.sha256 == hashlib.sha256(b"abcdef").hexdigest() == files.sha256_of(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["vm.xva"]


def test_nothing_remains_of_what_was_not_finished(tmp_path: Path) -> None:
    with Landing(tmp_path / "vm.xva") as file:
        file.write(b"abc")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_task_left_is_written_over(tmp_path: Path) -> None:
    files.temporary_name(tmp_path / "vm.xva").write_bytes(b"left over and long")
    with Landing(tmp_path / "vm.xva") as file:
        file.write(b"abc")
        file.finish()
    assert (tmp_path / "vm.xva").read_bytes() == b"abc"
    assert [p.name for p in tmp_path.iterdir()] == ["vm.xva"]


def test_two_tasks_do_not_write_the_same_file(tmp_path: Path) -> None:
    with Landing(tmp_path / "vm.xva") as first:
        with pytest.raises(XenError, match="Another task is writing"), Landing(tmp_path / "vm.xva"):
            pass
        first.write(b"abc")
        first.finish()
    assert (tmp_path / "vm.xva").read_bytes() == b"abc"


def test_who_comes_when_a_file_is_just_finished_does_not_touch_it(tmp_path: Path) -> None:
    """It was opened under the name it had, and locked when its task had let it go."""
    target = tmp_path / "vm.xva"
    with Landing(target) as first:
        first.write(b"abc")
        late = Landing(target)
        with pytest.raises(XenError, match="Another task is writing"), meanwhile("flock", first.finish), late:
            pass
    assert target.read_bytes() == b"abc"
    with late as file:
        file.write(b"later")
        file.finish()
    assert target.read_bytes() == b"later"
    assert os.listdir(tmp_path) == ["vm.xva"]


def test_zeros_become_holes(tmp_path: Path) -> None:
    with Landing(tmp_path / "disk.raw", sparse=True) as file:
        for piece in (bytes(1 << 20), b"x" + bytes((1 << 20) - 1), bytes(3 << 20), bytes(5)):
            file.write(piece)
        file.finish()
    made = (tmp_path / "disk.raw").stat()
    assert made.st_size == (5 << 20) + 5
    assert made.st_blocks * 512 <= files.HOLE
    assert (tmp_path / "disk.raw").read_bytes() == bytes(1 << 20) + b"x" + bytes((4 << 20) + 4)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(XenError, match=r"vm\.xva could not be written after 1000000 bytes: .* Make room"):
            fill(tmp_path / "vm.xva")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def fill(target: Path) -> None:
    with Landing(target) as file:
        for _piece in range(5):
            file.write(bytes(1_000_000))


def test_targets_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidChange, match="is a folder"):
        files.refuse_bad_target(tmp_path)
    with pytest.raises(InvalidChange, match=r"The folder .*/no is not there"):
        files.refuse_bad_target(tmp_path / "no" / "vm.xva")


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=1000), st.integers(0, 3 << 20))
def test_zeros_are_known(data: bytes, offset: int) -> None:
    whole = bytes(offset) + data
    assert files.is_zero(memoryview(whole)) == (not data.strip(b"\0"))


@given(st.lists(st.binary(max_size=50)), st.integers(1, 100))
def test_pieces_are_read_like_a_file(pieces: list[bytes], size: int) -> None:
    assert b"".join(reads(Pieces(pieces), size)) == b"".join(pieces)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5 << 20), st.integers(1000, 3 << 20))
def test_what_is_hashed_on_the_way_is_all_of_it(length: int, size: int) -> None:
    data = bytes(range(256)) * (length // 256 + 1)
    with Hashed(Pieces([data[:length]])) as source:
        assert b"".join(reads(source, size)) == data[:length]
        assert source.sha256 == hashlib.sha256(data[:length]).hexdigest()


def reads(source: files.Readable, size: int) -> t.Iterator[bytes]:
    buffer = memoryview(bytearray(size))
    while count := source.readinto(buffer):
        yield bytes(buffer[:count])


def test_a_file_system_that_cannot_sync_folders_is_good_enough() -> None:
    """As CIFS on older kernels."""
    folder = Path("/proc/self")
    fd = os.open(folder, os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(fd)
    os.close(fd)
    sync_folder(folder)
