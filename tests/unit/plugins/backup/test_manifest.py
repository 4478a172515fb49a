# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import subprocess
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup import checked_json
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Manifest, Stored, Who, dump, parse
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from .shelf import POOL, VM, disk

UGLY = st.text(max_size=300)  # what people call things: anything
PLAIN = Manifest(
    kind="vm",
    id="b1",
    number=7,
    stamp="20261121T225809Z",
    created="2026-11-21T22:58:09Z",
    finished="2026-11-21T23:01:00Z",
    pool=POOL,
    subject=VM,
    release={"product_version": "8.2.1"},
    form="vhd",
    parent="20261120T225809Z",
    files=(Stored("metadata.xva", 10240, "a" * 64), Stored("disk0.vhd", 4096, "0" * 64)),
    disks=(disk(7, 6),),
    left_out=({"device": "1", "name": "scratch", "vdi": "v", "why": "[NOBAK] is in its name"},),
    details={"power_state": "Running", "order": 3, "ratio": 0.1, "networks": [{"device": "0", "mac": None}], "vtpm": False},
)
DATA = dump(PLAIN)


def refused(data: bytes) -> bool:
    try:
        parse(data)
    except Damaged as e:
        return "damaged" in str(e)
    return False


def test_what_is_written_is_read_back() -> None:
    assert parse(DATA) == PLAIN
    assert json.loads(DATA)["schema"] == 1


@given(names=st.tuples(UGLY, UGLY, UGLY), number=st.integers(1, 1 << 70), keep=st.booleans(), more=st.dictionaries(UGLY, UGLY, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_names_come_back(names: tuple[str, str, str], number: int, keep: bool, more: dict[str, str]) -> None:
    pool, vm, name = names
    wanted = dataclasses.replace(
        PLAIN, pool=Who("p", pool), subject=Who("v", vm), number=number, keep=keep, release=more, details=dict(more)
    )
    wanted = dataclasses.replace(wanted, disks=(dataclasses.replace(PLAIN.disks[0], name=name),))
    data = dump(wanted)
    assert parse(data) == wanted
    assert data.isascii()


def test_every_bit_that_flips_is_found() -> None:
    for at in range(len(DATA)):
        for bit in range(8):
            assert refused(DATA[:at] + bytes([DATA[at] ^ 1 << bit]) + DATA[at + 1 :]), (at, bit)


def test_every_cut_is_found() -> None:
    assert all(refused(DATA[:end]) for end in range(len(DATA)))
    assert all(refused(DATA[start:]) for start in range(1, len(DATA)))


@given(at=st.integers(0, len(DATA) - 1), taken=st.integers(0, 20), put=st.binary(max_size=20))
@settings(max_examples=300, deadline=None)
def test_whatever_else_is_changed_is_found(at: int, taken: int, put: bytes) -> None:
    changed = DATA[:at] + put + DATA[at + taken :]
    assert changed == DATA or refused(changed)


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[]", b"\0" * 4096, b"[" * 100_000, b'{"schema": 1}', DATA + DATA, b"\xff\xfe"])
def test_what_is_none_at_all_is_said_to_be_damaged(data: bytes) -> None:
    assert refused(data)


WRONG: dict[str, dict[str, t.Any]] = {
    "a file outside": {"files": [{"name": "../../../etc/passwd", "size": 1, "sha256": "0" * 64}], "disks": []},
    "a hidden file": {"files": [{"name": ".lock", "size": 1, "sha256": "0" * 64}], "disks": []},
    "the manifest as a file": {"files": [{"name": "manifest.json", "size": 1, "sha256": "0" * 64}], "disks": []},
    "a file twice": {"files": [{"name": "a.xva", "size": 1, "sha256": "0" * 64}] * 2, "disks": []},
    "a disk without its file": {"files": []},
    "a parent outside": {"parent": "../../other"},
    "itself as its parent": {"parent": PLAIN.stamp},
    "a stamp that is none": {"stamp": "yesterday"},
    "a number as text": {"number": "7"},
    "a number that is true": {"number": True},
    "number nought": {"number": 0},
    "a time without its zone": {"created": "2026-11-21T22:58:09"},
    "a kind that is none": {"kind": "sr"},
    "a form that is none": {"form": "tape"},
    "a size below nought": {"files": [{"name": "disk0.vhd", "size": -1, "sha256": "0" * 64}]},
    "a checksum that is none": {"files": [{"name": "disk0.vhd", "size": 1, "sha256": "abc"}]},
    "a release of numbers": {"release": {"version": 8}},
    "a field too many": {"colour": "red"},
    "a pool without uuid": {"pool": {"name": "lab"}},
    "a list as a map": {"details": []},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_is_refused_though_its_checksum_fits(change: dict[str, t.Any]) -> None:
    with pytest.raises(Damaged):
        parse(checked_json.dump({**_rest(), **change}))


def _rest() -> dict[str, t.Any]:
    return {key: value for key, value in json.loads(DATA).items() if key != "checksum"}


@pytest.mark.parametrize("field", [row.name for row in dataclasses.fields(Manifest) if row.name != "schema"])
def test_no_field_may_be_missing(field: str) -> None:
    with pytest.raises(Damaged):
        parse(checked_json.dump({key: value for key, value in _rest().items() if key != field}))


def test_its_checksum_can_be_computed_without_us(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(DATA)
    command = "grep -v '^  \"checksum\"' manifest.json | sha256sum"
    found = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()[0]
    assert found == json.loads(DATA)["checksum"]
