# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An .xva is sound, or it is told what is wrong with it and where."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import ova, xva
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged, unpacked

from ..backup import losing
from . import exports
from .exports import BLOCK, block, blocks, tarred

FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DISK = b"boot" * (BLOCK // 4) + bytes(2 * BLOCK) + b"tail" * 300
SMALL = b"x" * 700


def checked(tmp_path: Path, data: bytes) -> xva.Contents:
    path = tmp_path / "vm.xva"
    path.write_bytes(data)
    return xva.verify(path)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ["xxhash", "checksum"])
def test_a_sound_export_is_told_in_numbers(tmp_path: Path, compression: str, kind: str) -> None:
    data = exports.packed(exports.export({"Ref:9": DISK, "Ref:10": SMALL}, kind), compression)
    found = checked(tmp_path, data)
    assert (found.compression, found.size, found.blocks, found.data) == (compression, len(data), 3, BLOCK + 1200 + 700)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (found.unchecked, found.metadata_only) == (0, False)


def test_it_says_what_is_in_it(tmp_path: Path) -> None:
    told = ova.describe(checked(tmp_path, exports.export({"Ref:9": DISK})).ova)
    assert told["release"]["product_brand"] == "XCP-ng"
    assert (told["networks"], told["disk_size"]) == (["LAN"], len(DISK))
    assert told["srs"] == [{"name": "Local", "uuid": "sr-uuid", "type": "ext"}]
    (vm,) = told["vms"]
    assert (vm["name"], vm["vcpus"], vm["memory"]) == ("web01", 2, 1024)
    assert vm["disks"] == [{"device": "0", "name": "disk 0", "uuid": "vdi-0", "size": len(DISK), "bootable": True, "sr": "Local"}]
    assert vm["nics"] == [{"device": "0", "mac": "02:00:00:00:00:01", "network": "LAN"}]


def test_an_export_of_the_description_alone_is_told_apart(tmp_path: Path) -> None:
    found = checked(tmp_path, tarred([("ova.xml", exports.ova({"Ref:9": 5}))]))
    assert (found.metadata_only, found.blocks) == (True, 0)


def test_an_empty_block_that_keeps_the_connection_open_takes_a_number_and_no_place(tmp_path: Path) -> None:
    entries = [
        ("ova.xml", exports.ova({"Ref:9": 3 * BLOCK})), *block("Ref:9/00000000", b"a" * BLOCK), ("Ref:9/00000001", b""),
        *block("Ref:9/00000002", b"", "xxhash"), *block("Ref:9/00000004", b"b" * BLOCK),
    ]  # fmt: skip
    assert checked(tmp_path, tarred(entries)).data == 2 * BLOCK


def test_exports_of_old_say_that_their_blocks_were_not_checked(tmp_path: Path) -> None:
    entries = [("ova.xml", exports.ova({"Ref:9": len(DISK)}, export_vsn="1")), *blocks("Ref:9", DISK, ""), ("checksum.xml", b"<value/>")]
    assert checked(tmp_path, tarred(entries)).unchecked == 2


A, B, C = (block(f"Ref:9/{number:08d}", bytes([number]) * BLOCK) for number in (1, 2, 3))
FIRST = block("Ref:9/00000000", b"\0" * BLOCK)
OVA = ("ova.xml", exports.ova({"Ref:9": 3 * BLOCK}))
BAD: dict[str, tuple[list[exports.Entry], str]] = {
    "no description": ([*FIRST], "begins with 'Ref:9/00000000', not with ova.xml"),
    "no XML": ([("ova.xml", b"<value>")], "description in it .* not readable"),
    "first block missing": ([OVA, *A, *B], "does not follow"),
    "last block missing": ([OVA, *FIRST, *A], "only 2097152 of 3145728 bytes"),
    "disk missing": (
        [("ova.xml", exports.ova({"Ref:9": 3 * BLOCK, "Ref:7": 5})), *FIRST, *A, *B],
        "data of disk 'disk 1' .Ref:7. is missing",
    ),
    "second disk missing": ([("ova.xml", exports.ova({"Ref:9": BLOCK, "Ref:91": 5})), *FIRST], "data of disk 'disk 1' .Ref:91. is missing"),
    "a stranger's disk": ([OVA, *FIRST, *A, *B, *block("Ref:8/00000000", b"x")], "of no disk that is to follow"),
    "too many blocks": ([OVA, *FIRST, *A, *B, *C], "does not fit"),
    "order": ([OVA, *FIRST, *B, *A], "does not follow after 00000002"),
    "twice": ([OVA, *FIRST, *A, *A, *B], "does not follow after 00000001"),
    "checksum missing": ([OVA, *FIRST, A[0], *B], "checksum of Ref:9/00000001 is missing"),
    "last checksum missing": ([OVA, *FIRST, *A, B[0]], "checksum of Ref:9/00000002 is missing"),
    "checksum alone": ([OVA, *FIRST, A[1], *B], "does not follow the block it is of"),
    "checksum of another": ([OVA, *FIRST, A[0], (A[1][0], B[1][1]), *B], "Block 1 of disk 'disk 0' .Ref:9. is not what its checksum says"),
    "short in the middle": ([OVA, *FIRST, *block("Ref:9/00000001", b"x" * 5), *B], "does not fit"),
    "a large block": ([OVA, *block("Ref:9/00000000", bytes(3 * BLOCK))], "more than a block may have"),
    "something else": ([OVA, ("etc/passwd", b"x")], "'etc/passwd' does not belong there"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    entries, told = BAD[name]
    with pytest.raises(Damaged, match=told):
        checked(tmp_path, tarred(entries))


GOOD = exports.export({"Ref:9": SMALL * 3, "Ref:10": SMALL})
OVA_AT = range(512, 512 + len(exports.ova({"Ref:9": len(SMALL) * 3, "Ref:10": len(SMALL)})))


def is_harmless(position: int) -> bool:
    """ova.xml has no checksum of its own, and a tar header's sum leaves out the field it stands in."""
    return position in OVA_AT or 148 <= position % 512 < 156


@settings(FAST, max_examples=400)
@given(position=st.integers(0, len(GOOD) - 1).filter(lambda p: not is_harmless(p)), bit=st.integers(0, 7))
def test_a_changed_bit_is_found_wherever_it_is(tmp_path: Path, position: int, bit: int) -> None:
    data = bytearray(GOOD)
    data[position] ^= 1 << bit
    with pytest.raises(Damaged):
        checked(tmp_path, bytes(data))


@FAST
@given(length=st.integers(0, len(GOOD.rstrip(b"\0")) + 1024))
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, compression: str, length: int) -> None:
    data = exports.packed(GOOD, compression)
    with pytest.raises(Damaged):
        checked(tmp_path, data[: min(length, len(data) - 1, len(GOOD.rstrip(b"\0")) + 1023)])


@FAST
@given(position=st.integers(0, 10**9), bit=st.integers(0, 7))
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_changed_bit_of_a_packed_file_never_passes_for_other_data(tmp_path: Path, compression: str, position: int, bit: int) -> None:
    data = bytearray(PACKED[compression])
    data[position % len(data)] ^= 1 << bit
    try:
        found = checked(tmp_path, bytes(data))
    except Damaged:
        return
    assert (found.blocks, found.data) == (2, 4 * len(SMALL))  # a bit of the wrapping that says nothing, such as gzip's time


HERE = os.environ["PATH"]
PACKED = {compression: exports.packed(GOOD, compression) for compression in ("gzip", "zstd")}


@pytest.mark.parametrize(("missing", "search"), [("zstandard", HERE), ("xxhash", HERE), ("nothing", "/nowhere")])
def test_without_this_or_that_helper_the_answers_are_the_same(tmp_path: Path, missing: str, search: str) -> None:
    path = tmp_path / "vm.xva"
    path.write_bytes(exports.packed(GOOD, "zstd"))
    assert "blocks=2" in verified_without(path, missing, search)
    path.write_bytes(path.read_bytes()[:-200])
    assert "damaged" in verified_without(path, missing, search) or "cut off" in verified_without(path, missing, search)


def test_without_anything_that_unpacks_zstd_the_task_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "vm.xva"
    path.write_bytes(exports.packed(GOOD, "zstd"))
    assert "Install the command zstd, or the Python package zstandard" in verified_without(path, "zstandard", "/nowhere")


def verified_without(path: Path, missing: str, search: str) -> str:
    code = (
        "import sys, builtins; sys.modules[sys.argv[2]] = None\n"
        "from ansible_collections.domzero.xen.plugins.module_utils.formats import xva\n"
        "try: print(xva.verify(sys.argv[1])._replace(ova=None))\n"
        "except Exception as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), missing], env={"PATH": search}, capture_output=True, text=True, check=True
    )
    return done.stdout


class Failing:
    """A file of which the disk gives back the first half only. /proc/self/mem has nothing at its beginning and answers with EIO."""

    def __init__(self, data: bytes, error: Exception | None = None):
        self._data, self._error = memoryview(data)[: len(data) // 2], error

    def readinto(self, buffer: memoryview) -> int | None:
        if not self._data:
            if self._error:
                raise self._error
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                return memory.readinto(buffer)
        count = min(len(self._data), len(buffer))
        buffer[:count], self._data = self._data[:count], self._data[count:]
        return count


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("error", [None, Damaged("Somebody has had enough.")])
def test_a_packed_file_that_the_disk_does_not_give_back_ends_with_what_the_disk_says(compression: str, error: Exception | None) -> None:
    """It is not waited for, and not told as damage: with or without what has been unpacked before."""
    packed = exports.packed(exports.export({"Ref:9": random.Random(7).randbytes(3 * BLOCK)}), compression)
    for data in (packed, packed[:100]):
        with pytest.raises(Damaged if error else OSError, match="had enough" if error else "Input/output error"):
            read_all(data, compression, error)


def test_a_file_is_read_from_the_disk_and_not_from_memory(tmp_path: Path) -> None:
    """It was written a moment ago, and the disk has lost it since."""
    path = tmp_path / "vm.xva"
    path.write_bytes(exports.export({"Ref:9": DISK}))
    with losing.lost_data(path, tmp_path) as lost:
        if not lost:
            pytest.skip("no loop device can be mounted here")
        with pytest.raises(Damaged, match="cannot be read: Input/output error"):
            xva.verify(path)
    xva.verify(path)


def read_all(data: bytes, compression: str, error: Exception | None) -> None:
    buffer = memoryview(bytearray(BLOCK))
    with unpacked(Failing(data, error), compression) as read:
        while read(buffer):
            pass


def test_checking_takes_the_same_memory_for_a_large_file(tmp_path: Path) -> None:
    size = 200 * BLOCK
    path = tmp_path / "large.xva"
    path.write_bytes(exports.export({"Ref:9": bytes([7]) * size}))
    code = (
        "import resource, sys\n"
        "from ansible_collections.domzero.xen.plugins.module_utils.formats import xva\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "xva.verify(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    assert resource.RUSAGE_SELF == 0
    grown = int(subprocess.check_output([sys.executable, "-c", code, str(path)]))
    assert grown < 20 << 10, f"{grown} KiB"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(XenError, match=r"no\.xva cannot be read: No such file"):
        xva.verify(tmp_path / "no.xva")
    with pytest.raises(XenError, match="cannot be read: Is a directory"):
        xva.look_into(tmp_path)


def test_an_empty_file_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="cut off after its beginning"):
        checked(tmp_path, b"")


def test_looking_into_a_file_reads_its_beginning_only(tmp_path: Path) -> None:
    path = tmp_path / "vm.xva"
    path.write_bytes(GOOD[: OVA_AT.stop + 2000])
    compression, described = xva.look_into(path)
    assert (compression, described.vms()) == ("none", ["Ref:0"])
    assert isinstance(t.cast("t.Any", described.disks()), dict)
