# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk images are known by their content and turned into what a pool takes."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import images

SIZE = 5 << 20


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.img"
    path.write_bytes(b"boot" + bytes(SIZE - 8) + b"tail")
    return path


@pytest.mark.parametrize("kind", ["raw", "vhd", "qcow2", "vmdk", "vhdx", "vdi"])
def test_an_image_is_known_by_its_content(tmp_path: Path, raw: Path, kind: str) -> None:
    path = tmp_path / "image"
    images.convert(raw, path, kind)
    found = images.identify(path)
    assert (found.format, found.virtual_size, found.size) == (kind, SIZE, path.stat().st_size)
    with images.as_format(path) as same:
        assert same.read_bytes() == raw.read_bytes()
        assert (same == path) == (kind == "raw"), "what need not be converted is not copied"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cloud.img", "image"], "the copy is gone"


def test_one_of_several_formats_will_do(tmp_path: Path, raw: Path) -> None:
    images.convert(raw, tmp_path / "a.qcow2", "qcow2")
    with images.as_format(tmp_path / "a.qcow2", ("vhd", "raw")) as copy:
        assert images.identify(copy).format == "vhd"
    with images.as_format(raw, ("vhd", "raw")) as copy:
        assert copy == raw


def test_a_packed_image_is_to_be_unpacked_first(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(InvalidChange, match=r"is packed with gzip\. Unpack it first"):
        images.identify(tmp_path / "a.gz")


def test_what_cannot_be_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(InvalidChange, match="empty is empty"):
        images.identify(tmp_path / "empty")
    with pytest.raises(InvalidChange, match="no cannot be read: No such file"):
        images.identify(tmp_path / "no")


def test_what_qemu_img_says_is_told(tmp_path: Path, raw: Path) -> None:
    images.convert(raw, tmp_path / "a.qcow2", "qcow2")
    os.truncate(tmp_path / "a.qcow2", 100)
    with pytest.raises(XenError, match="qemu-img convert failed: "):
        images.convert(tmp_path / "a.qcow2", tmp_path / "b.raw")


def test_without_qemu_img_the_task_says_what_to_install(tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.check_call(["qemu-img", "convert", "-q", "-O", "qcow2", str(raw), str(tmp_path / "a.qcow2")])
    monkeypatch.setenv("PATH", "/nowhere")
    assert images.identify(tmp_path / "a.qcow2").virtual_size == SIZE
    with pytest.raises(XenError, match=r"qemu-img is missing .* qemu-utils"), images.as_format(tmp_path / "a.qcow2"):
        pass
    assert [p.name for p in tmp_path.glob(".*")] == []
