# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a disk may be written over, as the host's own files and blkid say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage import disks
from ansible_collections.domzero.xen.plugins.module_utils.xl.tool import Tool


@pytest.fixture
def disk(tmp_path: Path) -> str:
    """A device node; nothing has to be behind it."""
    path = tmp_path / "disk"
    try:
        os.mknod(path, 0o060600, os.makedev(0xCA, 0x10))
    except PermissionError:
        pytest.skip("needs to make device nodes")
    return str(path)


@pytest.mark.parametrize(("told", "used"), [("ca:10\n", True), ("ca:1\n", False), ("", False)])
def test_a_disk_of_a_guest_that_runs_is_not_free(disk: str, told: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "vbd-3-51712"
    folder.mkdir()
    (folder / "physical_device").write_text(told)
    monkeypatch.setattr(disks, "GIVEN_AWAY", f"{tmp_path}/*/physical_device")
    assert disks.given_away(disk) is used


@pytest.mark.parametrize(("status", "told"), [(0, "ext4"), (2, ""), (8, "signatures of several kinds")])
def test_what_blkid_cannot_decide_on_is_something(status: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blkid(tmp_path, monkeypatch, status, "TYPE=ext4" if not status else "")
    assert disks.holds(Tool("lvm"), "/dev/sdb", {}) == told


def test_what_cannot_be_read_is_not_taken_for_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blkid(tmp_path, monkeypatch, 4, "")
    with pytest.raises(XenError, match="What is on /dev/sdb cannot be learnt"):
        disks.holds(Tool("lvm"), "/dev/sdb", {})


def blkid(folder: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str) -> None:
    """A program of that name in front of the others."""
    program = folder / "blkid"
    program.write_text(f"#!/bin/sh\necho '{said}'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
