# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single disks are read out of an .xva, and an .xva gets another description, whatever it is packed with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_read, vhd_write, xva, xva_read
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import Pieces

from . import exports
from .exports import BLOCK, block, blocks, tarred
from .test_xva_write import laid_out, pieces, sizes

FAST = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DISKS = {"Ref:9": b"boot" * (BLOCK // 4) + bytes(2 * BLOCK) + b"tail" * 300, "Ref:10": b"x" * 700}
PACKED = ["none", "gzip", "zstd"]


@FAST
@given(size=sizes, parts=pieces, step=st.sampled_from([300_001, BLOCK, BLOCK + 512, 3 * BLOCK]))
def test_a_disk_is_read_from_its_beginning_to_its_end(tmp_path: Path, size: int, parts: list[tuple[int, int, int]], step: int) -> None:
    whole = laid_out(size, parts)  # type: ignore[arg-type]
    path = tmp_path / "x.xva"
    path.write_bytes(exports.export({"Ref:10": b"other", "Ref:9": whole}))
    with xva_read.disk(path, "Ref:9") as disk:
        assert b"".join(disk.read(at, min(step, size - at)) for at in range(0, size, step)) == whole
    covered = bytearray(size)
    for offset, length in xva_read.extents(path)["Ref:9"]:
        covered[offset : offset + length] = whole[offset : offset + length]
    assert bytes(covered) == whole


@pytest.mark.parametrize("compression", PACKED)
def test_a_disk_becomes_a_vhd(tmp_path: Path, compression: str) -> None:
    path, whole = tmp_path / "x.xva", DISKS["Ref:9"].ljust(4 * BLOCK, b"\0")
    path.write_bytes(exports.packed(exports.export({**DISKS, "Ref:9": whole}), compression))
    plan = vhd_write.plan(len(whole), xva_read.extents(path)["Ref:9"])
    with xva_read.disk(path, "Ref:9") as disk:
        (tmp_path / "x.vhd").write_bytes(b"".join(plan.pieces(disk.read)))
    vhd_read.to_raw([tmp_path / "x.vhd"], tmp_path / "x.raw")
    assert (tmp_path / "x.raw").read_bytes() == whole


def test_empty_blocks_take_a_number_and_no_place(tmp_path: Path) -> None:
    path = tmp_path / "x.xva"
    first, last = b"a" * BLOCK, b"b" * 10
    made = [*block("Ref:9/00000000", first), ("Ref:9/00000001", b""), *block("Ref:9/00000003", last)]
    path.write_bytes(tarred([("ova.xml", exports.ova({"Ref:9": 2 * BLOCK + 10})), *made]))
    assert xva_read.extents(path) == {"Ref:9": [(0, BLOCK), (BLOCK, 0), (2 * BLOCK, 10)]}
    with xva_read.disk(path, "Ref:9") as disk:
        assert disk.read(0, 2 * BLOCK + 10) == first + bytes(BLOCK) + last


def test_a_block_that_is_not_what_its_checksum_says_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.xva"
    data = bytearray(exports.export(DISKS))
    data[data.index(b"bootboot") + 77] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged, match=r"Ref:9/00000000 is not what its checksum says"), xva_read.disk(path, "Ref:9") as disk:
        disk.read(0, 4 * BLOCK)


@pytest.mark.parametrize("without", [(), ("Ref:10",), ("Ref:9",)])
@pytest.mark.parametrize("compression", PACKED)
def test_it_gets_another_description_and_leaves_disks_out(tmp_path: Path, compression: str, without: tuple[str, ...]) -> None:
    path, kept = tmp_path / "x.xva", {ref: data for ref, data in DISKS.items() if ref not in without}
    path.write_bytes(exports.packed(exports.export(DISKS), compression))
    ova = exports.ova({ref: len(data) for ref, data in kept.items()}, "another")
    with path.open("rb", buffering=0) as file:
        made = b"".join(map(bytes, xva_read.described(file, compression, ova, without)))
    assert len(made) == xva_read.length(path, ova, without)
    (tmp_path / "y.xva").write_bytes(made)
    assert xva.verify(tmp_path / "y.xva").ova.get("VM", "Ref:0")["name_label"] == "another"
    assert made[-1024:] == bytes(1024)
    names = [name for name, _size in xva_read.entries(tmp_path / "y.xva")]
    assert names == ["ova.xml", *(name for ref in sorted(kept) for name, _data in blocks(ref, kept[ref]))]
    assert Pieces([made]).readinto(memoryview(bytearray(5))) == 5


@pytest.mark.parametrize("compression", PACKED)
def test_a_file_that_is_cut_off_is_told(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "x.xva"
    data = exports.packed(exports.export({"Ref:9": DISKS["Ref:9"] + bytes(range(256)) * 9000}), compression)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(Damaged):
        xva_read.length(path, b"")
