# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of snapshots, and that it can be handed back: in pools of our own and in those of real databases."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import NotFound
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .guest_lab import Guests
from .info_lab import world_of

Run = t.Callable[..., t.Any]
DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(1)
    return Guests(sim, session_to(sim))


def handed_back(run: Run, module: str, plural: str) -> int:
    """How many there are, each of which changes nothing when it is handed back."""
    told = run(f"{module}_info")[plural]
    for one in told:
        done = run(module, check=True, **one)
        assert (done["changed"], done["operations"]) == (False, []), one
    return len(told)


def test_snapshots_form_a_tree(lab: Guests, run: Run) -> None:
    vm = lab.vm("web", "root", "data", running=True)
    run("xen_snapshot", vm="web", name="first")
    run("xen_snapshot", vm="web", name="left", kind="memory")
    run("xen_snapshot", vm="web", name="first", state="reverted", allow_disruption=True)
    run("xen_snapshot", vm="web", name="right")
    told = run("xen_snapshot_info", vm="web")
    by_name = {s["name"]: told["facts"][s["uuid"]] for s in told["snapshots"]}
    uuids = {s["name"]: s["uuid"] for s in told["snapshots"]}
    assert told["snapshots"][0]["name"] == "first"
    assert by_name["first"]["children"] == sorted([uuids["left"], uuids["right"]])
    assert by_name["right"]["path"] == ["first", "right"]
    assert (by_name["right"]["parent"], by_name["right"]["current"]) == (uuids["first"], True)
    assert (by_name["first"]["current"], by_name["first"]["parent"]) == (False, "")
    assert {s["name"]: s["kind"] for s in told["snapshots"]} == {"first": "disk", "left": "memory", "right": "disk"}
    assert by_name["left"]["power_state_at_snapshot"] == "running"
    assert set(by_name["left"]["memory"]) == {"vdi", "sr", "utilisation"}
    disk = by_name["right"]["disks"][0]
    root = next(v for v in lab.record(vm)["VBDs"] if lab.record(v, "VBD")["userdevice"] == "0")
    assert (disk["device"], disk["name"], disk["size"]) == ("xvda", "root", 1 << 30)
    assert disk["snapshot_of"] == lab.record(lab.record(root, "VBD")["VDI"], "VDI")["uuid"]
    assert disk["chain"] > 1
    (cost,) = by_name["right"]["cost"].values()
    assert cost == sum(d["utilisation"] for d in by_name["right"]["disks"])


def test_one_vms_snapshots_or_one_are_told(lab: Guests, run: Run) -> None:
    for name in ("web", "db"):
        lab.vm(name, "root")
        run("xen_snapshot", vm=name, name=f"{name}-1")
        run("xen_snapshot", vm=name, name=f"{name}-2")
    assert [s["name"] for s in run("xen_snapshot_info", vm="db")["snapshots"]] == ["db-1", "db-2"]
    assert [s["vm"] for s in run("xen_snapshot_info", name="web-2")["snapshots"]] == ["web"]
    with pytest.raises(NotFound, match=r"No VM is named 'mail'.*There are: db, web"):
        run("xen_snapshot_info", vm="mail")


def test_what_is_told_can_be_handed_back(lab: Guests, run: Run) -> None:
    lab.vm("web", "root", running=True)
    lab.vm("twin", "root")
    lab.vm("twin", "root")
    gone = lab.vm("gone", "root")
    for uuid in (lab.record(r)["uuid"] for r in (lab.db.one("VM", name_label="web"), gone)):
        run("xen_snapshot", vm=uuid, name="s", tags=["a"], other_config={"k": "v"})
    run("xen_snapshot", vm="web", name="m", kind="memory")
    for ref in lab.db.find("VM", name_label="twin"):
        run("xen_snapshot", vm=lab.record(ref)["uuid"], name="web")
    lab.call("VM.destroy", gone)
    assert handed_back(run, "xen_snapshot", "snapshots") == 5


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_real_pools_snapshots_can_be_handed_back(simulator: Run, run: Run, dump: t.Any) -> None:
    world = world_of(dump)
    sim = simulator(world)
    there = [r for r in sim.world.pools[0].db.all("VM").values() if r["is_a_snapshot"]]
    assert handed_back(run, "xen_snapshot", "snapshots") == len(there)
    assert sim.calls() == []
