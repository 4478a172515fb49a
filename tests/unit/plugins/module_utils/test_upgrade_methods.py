# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small rules of the methods to upgrade hosts."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import methods
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.methods.method import epoch
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.methods.packages import is_newer
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.methods.update_file import read


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_times_are_read_as_xapi_and_people_write_them(seconds: int) -> None:
    moment = time.gmtime(seconds)
    for form in ("%Y%m%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"):
        assert epoch(time.strftime(form, moment)) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2026", "2026-13-01"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(InvalidChange, match="is no time"):
        epoch(text)


@pytest.mark.parametrize(
    ("full", "runs", "newer"),
    [
        ("xen-hypervisor-4.17.5-15.1.xcpng8.3.x86_64", "4.17.5-13", True),
        ("xen-hypervisor-4.17.5-13.1.xcpng8.3.x86_64", "4.17.5-13", False),
        ("xen-hypervisor-4.17.5-9.1.xcpng8.3.x86_64", "4.17.5-13", False),
        ("xen-hypervisor-4.17.10-1.1.xcpng8.3.x86_64", "4.17.5-13", True),
        ("", "4.17.5-13", False),
        ("xen-hypervisor-4.17.5-15.1.xcpng8.3.x86_64", "", False),
    ],
)
def test_whether_the_hypervisor_on_the_disk_is_newer_than_the_one_that_runs(full: str, runs: str, newer: bool) -> None:
    assert is_newer("xen-hypervisor", full, {"software_version": {"xen": runs}}) is newer


def test_a_file_says_which_update_it_is(tmp_path: Path) -> None:
    file = tmp_path / "update.iso"
    document = (
        b'<update name-label="XS76E999" version="1.0" uuid="0E9B2C1A-7F60-4C7E-9F0A-2B7C1D3E4F50" '
        b'after-apply-guidance="restartHost"><x/></update>'
    )
    file.write_bytes(b"\0" * 0x9000 + b"<updates>" + document + b"\0" * 99)
    told = read(str(file))
    assert (told.uuid, told.name, told.guidance) == ("0e9b2c1a-7f60-4c7e-9f0a-2b7c1d3e4f50", "XS76E999", ("restartHost",))
    assert told.size == file.stat().st_size


@pytest.mark.parametrize("data", [b"", b"<update>", b"<update name-label='x'>", b"<update uuid=>", b"<update \xff uuid='x'>"])
def test_a_file_that_is_none_is_told(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "other.iso"
    file.write_bytes(data)
    with pytest.raises(InvalidChange, match=r"other\.iso is no update file"):
        read(str(file))


def test_a_method_nobody_has_is_told_with_those_there_are() -> None:
    nothing: t.Any = None
    with pytest.raises(InvalidChange, match=r"There is no method 'magic'. There are: xcpng_packages, repository"):
        methods.of("magic", {}, nothing, nothing)
