# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks can be exported, and where to. That the bytes are right is seen together with the import."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound

Run = Start = t.Callable[..., t.Any]


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    started = simulator("examples")
    run("xen_sr", name="Filer", type="nfs", server="127.40.0.10", path="/export/vms", default=True)
    run("xen_vdi", name="data", size="4 MiB")
    return started


def test_a_file_of_somebody_else_is_not_written_over(sim: t.Any, run: Run, tmp_path: Path) -> None:
    dest = tmp_path / "data.vhd"
    dest.write_text("mine")
    for check in (True, False):
        with pytest.raises(InvalidChange, match="is no export of disk 'data'"):
            run("xen_vdi_export", check=check, name="data", dest=str(dest))
    assert run("xen_vdi_export", name="data", dest=str(dest), force=True)["changed"] is True
    assert run("xen_vdi_export", name="data", dest=str(dest))["changed"] is False


def test_another_format_is_another_file(sim: t.Any, run: Run, tmp_path: Path) -> None:
    dest = str(tmp_path / "data")
    run("xen_vdi_export", name="data", dest=dest)
    assert run("xen_vdi_export", name="data", dest=dest, format="raw")["changed"] is True
    assert (tmp_path / "data").stat().st_size == 4 << 20


def test_a_file_that_was_changed_is_exported_again(sim: t.Any, run: Run, tmp_path: Path) -> None:
    dest = tmp_path / "data.vhd"
    run("xen_vdi_export", name="data", dest=str(dest))
    whole = dest.read_bytes()
    dest.write_bytes(b"x" + whole[1:])
    assert run("xen_vdi_export", name="data", dest=str(dest))["changed"] is True
    assert dest.read_bytes()[:8] == b"conectix"


def test_a_disk_too_large_for_a_vhd_is_told_before(sim: t.Any, run: Run, tmp_path: Path) -> None:
    db = sim.world.pools[0].db
    db.set("VDI", db.one("VDI", name_label="data"), virtual_size=3 << 40)
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"too large for a VHD. The limit is .*; use raw"):
            run("xen_vdi_export", check=check, name="data", dest=str(tmp_path / "data.vhd"))


def test_only_what_changed_since_a_snapshot(sim: t.Any, run: Run, tmp_path: Path) -> None:
    run("xen_vdi", name="before", snapshot_of="data")
    done = run("xen_vdi_export", name="data", base="before", dest=str(tmp_path / "diff.vhd"))
    assert done["export"]["base"] == run("xen_vdi_info", name="before")["vdis"][0]["uuid"]
    with pytest.raises(InvalidChange, match="Only a VHD can hold differences"):
        run("xen_vdi_export", name="data", base="before", format="raw", dest=str(tmp_path / "diff.img"))


def test_a_disk_that_is_written_to_needs_a_snapshot(sim: t.Any, run: Run, tmp_path: Path) -> None:
    db = sim.world.pools[0].db
    vm = db.create("VM", name_label="web1", power_state="Running")
    db.create("VBD", VM=vm, VDI=db.one("VDI", name_label="data"), userdevice="0", type="Disk", mode="RW", currently_attached=True)
    with pytest.raises(InvalidChange, match="while VM 'web1' writes to it"):
        run("xen_vdi_export", name="data", dest=str(tmp_path / "data.vhd"))


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"name": "nothing"}, NotFound, "No VDI is named 'nothing'"),
        ({"dest": "/nowhere/at/all/data.vhd"}, InvalidChange, "is not there"),
        ({"dest": "/"}, InvalidChange, "is a folder|names no file"),
    ],
)
def test_bad_input_is_refused(
    sim: t.Any, run: Run, tmp_path: Path, options: dict[str, t.Any], error: type[Exception], told: str
) -> None:  # fmt: skip
    for check in (True, False):
        with pytest.raises(error, match=told):
            run("xen_vdi_export", check=check, **{"name": "data", "dest": str(tmp_path / "data.vhd"), **options})
