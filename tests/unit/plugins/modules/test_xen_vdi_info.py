# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of disks: which ones, and that an entry can be handed back."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .info_lab import world_of

DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
Run = Start = t.Callable[..., t.Any]


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    """Two SRs; a disk with a snapshot that a VM has in one, another disk in the other."""
    started = simulator("examples")
    for name, path in (("Filer", "/export/vms"), ("More", "/export/more")):
        run("xen_sr", name=name, type="nfs", server="127.40.0.10", path=path, default=name == "Filer")
    run("xen_vdi", name="data", size="1 GiB", cbt=True, tags=["x"])
    run("xen_vdi", name="before", snapshot_of="data")
    run("xen_vdi", name="other", size="1 GiB", sr="More")
    db = started.world.pools[0].db
    vm = db.create("VM", name_label="web1", power_state="Halted")
    db.create("VBD", VM=vm, VDI=db.one("VDI", name_label="data"), userdevice="0", type="Disk", mode="RW", unpluggable=True)
    return started


def test_what_is_listed_changes_nothing(sim: t.Any, run: Run) -> None:
    listed = run("xen_vdi_info")["vdis"]
    assert {v["name"] for v in listed} >= {"data", "before"}
    mark = sim.mark()
    for entry in listed:
        assert run("xen_vdi", **entry)["changed"] is False, entry
    assert sim.calls(mark) == []


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"vm": "web1"}, ["data"]),
        ({"sr": "More"}, ["other"]),
        ({"sr": "Filer"}, ["before", "data"]),
        ({"sr": "Filer", "snapshots": False}, ["data"]),
        ({"name": "data"}, ["data"]),
    ],
)
def test_the_list_is_narrowed(sim: t.Any, run: Run, asked: dict[str, t.Any], names: list[str]) -> None:
    assert [v["name"] for v in run("xen_vdi_info", **asked)["vdis"]] == names


def test_the_users_of_a_disk_are_told(sim: t.Any, run: Run) -> None:
    (told,) = run("xen_vdi_info", name="data")["vdis"]
    assert told["attached_to"] == [{"vm": "web1", "position": 0, "mode": "rw", "bootable": False}]
    (facts,) = run("xen_vdi_info", name="data")["facts"].values()
    assert len(facts["snapshots"]) == 1 and facts["physical_utilisation"] > 0


def test_what_has_changed_since_a_snapshot_is_told(sim: t.Any, run: Run) -> None:
    (data,) = (v["uuid"] for v in run("xen_vdi_info", name="data", snapshots=False)["vdis"])
    sim.disks.fill(data, 5 << 20, 100_000, "other")
    sim.world.clock.sleep(3600)
    run("xen_vdi", name="after", snapshot_of="data")
    sim.disks.fill(data, 0, 1 << 20, "another")
    told = run("xen_vdi_info", changed_since="before")
    sizes = {entry["name"]: told["facts"][entry["uuid"]]["changed"]["size"] for entry in told["vdis"]}
    assert sizes == {"after": 2 << 16, "data": (2 << 16) + (1 << 20)}
    told = run("xen_vdi_info", changed_since="after")
    assert [entry["name"] for entry in told["vdis"]] == ["data"], "only what came later"


def test_changes_that_were_not_tracked_are_not_known(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="state", snapshot_of="other")
    with pytest.raises(InvalidChange, match=r"were not tracked when it was taken. Set cbt: true"):
        run("xen_vdi_info", changed_since="state")
    with pytest.raises(InvalidChange, match="'other' is no snapshot"):
        run("xen_vdi_info", changed_since="other")


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_those_of_real_pools_can_be_handed_back(simulator: Start, run: Run, dump: t.Any) -> None:
    simulator(world_of(dump))
    listed = run("xen_vdi_info")["vdis"]
    assert listed
    assert [entry["name"] for entry in listed if run("xen_vdi", check=True, **entry)["changed"]] == []
