# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many VMs are brought back: in order, what is there is left alone, what cannot be had is named."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import stream
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.formats import db_dump
from ansible_collections.domzero.xen.tests.simulator import invariants

MEDIA = "Other install media"
VMS = [
    {"name": "web01", "order": 2, "power_state": "running", "appliance": "Shop", "groups": ["Apart"]},
    {"name": "db01", "order": 1, "power_state": "running", "appliance": "Shop", "start_delay": 1},
    {"name": "build01"},
]
NAMES = {vm["name"] for vm in VMS}


def build(run) -> None:
    run("xen_sr", name="Local storage", default=True)


@pytest.fixture
def lost(simulator, run, tmp_path):
    """A repository with VMs of a pool that is gone, and a new pool."""
    old = simulator(1)
    build(run)
    run("xen_appliance", name="Shop", description="All of it")
    run("xen_vm_group", name="Apart", placement="anti_affinity")
    run("xen_vms", vms=[{"template": MEDIA, "disks": [{"size": "4 MiB"}], **vm} for vm in [*VMS, {"name": "scratch"}]])
    root = tmp_path / "backups"
    root.mkdir()
    for disk in disks(old).values():
        old.disks.fill(disk, offset=0, size=1 << 20, seed=7)
    assert "failed" not in run("xen_backups", repository=str(root), pool=True, select={"exclude": ["scratch"]})
    bytes_of = {name: old.disks.digest(disk) for name, disk in disks(old).items()}
    new = simulator(1)
    build(run)
    return new, str(root), bytes_of


def disks(sim: t.Any) -> dict[str, str]:
    """The uuid of the disk of each VM."""
    db = sim.world.pools[0].db
    rows = [vm for vm in db.all("VM").values() if not (vm["is_a_template"] or vm["is_a_snapshot"] or vm["is_control_domain"])]
    return {vm["name_label"]: db.get("VDI", db.get("VBD", vbd)["VDI"])["uuid"] for vm in rows for vbd in vm["VBDs"]}


def guests(sim: t.Any) -> dict[str, str]:
    rows = sim.world.pools[0].db.all("VM").values()
    return {r["name_label"]: r["power_state"] for r in rows if not (r["is_a_template"] or r["is_a_snapshot"] or r["is_control_domain"])}


def test_all_come_back_in_their_order_with_every_byte_and_a_second_run_changes_nothing(lost, run):
    sim, root, bytes_of = lost
    task = {"repository": root, "options": {"preserve": True}, "parallel": 2}
    mark = sim.mark()
    predicted = run("xen_restores", check=True, **task)
    assert sim.calls(mark) == []
    begun = time.monotonic()
    done = run("xen_restores", **task)
    assert time.monotonic() - begun > 1  # the delay of db01
    assert "failed" not in done
    assert [row["name"] for row in done["restores"]] == ["build01", "db01", "web01"]
    assert [row["operations"] for row in predicted["restores"]] == [row["operations"] for row in done["restores"]]
    assert predicted["diff"] == done["diff"]
    assert [row["name"] for row in done["around"]] == ["Shop", "Apart"]
    told = {vm["name"]: (vm["appliance"], vm["groups"]) for vm in run("xen_vm_info")["vms"]}
    assert told == {"web01": ("Shop", ["Apart"]), "db01": ("Shop", []), "build01": ("", [])}
    assert run("xen_appliance_info")["appliances"][0]["description"] == "All of it"
    assert run("xen_vm_group_info")["vm_groups"][0]["placement"] == "anti_affinity"
    assert guests(sim) == {"web01": "Running", "db01": "Running", "build01": "Halted"}
    assert {name: sim.disks.digest(disk) for name, disk in disks(sim).items()} == {name: bytes_of[name] for name in NAMES}
    assert [row["name"] for row in done["without_backup"]] == ["scratch"]
    assert "'scratch' is not brought back" in done["warnings"][-1]
    mark = sim.mark()
    again = run("xen_restores", **task)
    assert (again["changed"], again["restores"], sorted(again["there"]), sim.calls(mark)) == (False, [], sorted(NAMES), [])
    assert invariants.check(sim.world) == []


@pytest.mark.slow
def test_what_is_there_is_left_alone_and_the_next_run_goes_on_after_a_failure(lost, run):
    sim, root, bytes_of = lost
    run("xen_vm", name="build01", template=MEDIA)
    sim.faults.cut_transfer("/import", 1 << 16)
    done = run("xen_restores", repository=root, names=["build01", "web01", "db01", "web9"], parallel=1)
    assert done["failed"] is True
    assert "'web9'" in done["msg"]
    assert done["there"] == ["build01"]
    assert [row["name"] for row in done["without_backup"]] == ["web9"]
    assert sum(row["changed"] for row in done["restores"]) <= 2
    again = run("xen_restores", repository=root)
    assert "failed" not in again
    assert guests(sim) == {"web01": "Running", "db01": "Running", "build01": "Halted"}
    found = {name: sim.disks.digest(disk) for name, disk in disks(sim).items()}
    assert found == {name: bytes_of[name] for name in ("db01", "web01")}
    assert invariants.check(sim.world) == []


@pytest.mark.slow
def test_which_are_started_and_where_they_go_is_said_for_all(lost, run):
    sim, root, _bytes = lost
    done = run("xen_restores", repository=root, start="never", exclude=["web01"], options={"new_name": ""})
    assert [row["changed"] for row in done["restores"]] == [True, True]
    assert guests(sim) == {"db01": "Halted", "build01": "Halted"}
    assert "failed" not in run("xen_restores", repository=root, start="always", pool="xcp00")
    assert guests(sim)["web01"] == "Running"


def test_what_stands_in_the_way_of_all_is_refused(lost, run, simulator, tmp_path):
    sim, root, _bytes = lost
    mark = sim.mark()
    with pytest.raises(InvalidChange, match="not 0"):
        run("xen_restores", repository=root, parallel=0)
    with pytest.raises(NotFound, match="no backups of a pool 'Nowhere'"):
        run("xen_restores", repository=root, pool="Nowhere")
    assert sim.calls(mark) == []
    simulator(1)
    build(run)
    run("xen_vm", name="other", template=MEDIA)
    run("xen_backups", repository=root, select={})
    with pytest.raises(Ambiguous, match="backups of several pools"):
        run("xen_restores", repository=root)


def in_step(monkeypatch) -> None:
    """Two uploads begin together, and neither goes on before both are there."""
    barrier, upload = threading.Barrier(2, timeout=20), stream.upload

    def uploaded(*args, **kwargs):
        barrier.wait()
        done = upload(*args, **kwargs)
        barrier.wait()
        return done

    monkeypatch.setattr(stream, "upload", uploaded)


@pytest.mark.parametrize("form", [{}, {"mode": "full"}], ids=["vhd", "xva"])
def test_vms_that_come_at_once_from_a_network_the_pool_has_not_keep_their_nics(simulator, run, tmp_path, monkeypatch, form):
    simulator(1)
    build(run)
    run("xen_network", name="Zero")
    run("xen_network", name="Old LAN")  # its bridge is none of those of the new pool
    run(
        "xen_vms",
        vms=[{"name": f"vm{i}", "template": MEDIA, "nics": [{"network": "Old LAN"}], "disks": [{"size": "4 MiB"}]} for i in (0, 1)],
    )
    assert "failed" not in run("xen_backups", repository=str(tmp_path), select={}, options=form)
    new = simulator(1)
    build(run)
    run("xen_network", name="New LAN")
    before = {row["name_label"] for row in new.world.pools[0].db.all("network").values()}
    in_step(monkeypatch)
    task = {"repository": str(tmp_path), "options": {"preserve": True, "networks": {"Old LAN": "New LAN"}}}
    assert "failed" not in run("xen_restores", **task)
    db = new.world.pools[0].db
    assert sorted(db.get("VM", vif["VM"])["name_label"] for vif in db.all("VIF").values()) == ["vm0", "vm1"]
    assert {db.get("network", vif["network"])["name_label"] for vif in db.all("VIF").values()} == {"New LAN"}
    assert {row["name_label"] for row in db.all("network").values()} == before
    assert not run("xen_restores", **task)["changed"]
    assert invariants.check(new.world) == []


def test_a_vm_that_is_not_wanted_back_is_named_by_uuid_too(lost, run):
    _sim, root, _bytes = lost
    told = run("xen_restores", check=True, repository=root)["without_backup"]
    assert [row["name"] for row in told] == ["scratch"]
    (pool,) = Repository(root).subjects("pool")
    manifest = pool.backups()[-1].manifest
    dump = db_dump.read(pool.backups()[-1].file(manifest.files[0]))
    (uuid,) = [row["uuid"] for row in db_dump.vms(dump) if row["name"] == "scratch"]
    assert run("xen_restores", check=True, repository=root, exclude=[uuid])["without_backup"] == []


def without_default(sim: t.Any) -> None:
    db = sim.world.pools[0].db
    with sim.world.lock:
        db.set("pool", next(ref for ref in db.all("pool")), default_SR="OpaqueRef:NULL")


def test_disks_get_onto_the_storage_of_the_same_name(simulator, run, tmp_path):
    old = simulator(1)
    build(run)
    run("xen_vm", name="db", template=MEDIA, disks=[{"size": "4 MiB"}])
    run("xen_backups", repository=str(tmp_path), select={})
    bytes_of = old.disks.digest(disks(old)["db"])
    new = simulator(1)
    without_default(new)
    assert "failed" not in run("xen_restores", repository=str(tmp_path))
    assert new.disks.digest(disks(new)["db"]) == bytes_of
    other = simulator(1)
    without_default(other)
    db = other.world.pools[0].db
    with other.world.lock:
        db.set("SR", db.one("SR", name_label="Local storage"), name_label="Of another name")
    assert "The pool has no default SR" in run("xen_restores", repository=str(tmp_path))["msg"]


def named(sim: t.Any, name: str) -> set[str]:
    return {row["uuid"] for row in sim.world.pools[0].db.all("VM").values() if row["name_label"] == name}


def test_of_two_vms_of_one_name_both_come_back(simulator, run, tmp_path):
    old = simulator(1)
    build(run)
    run("xen_vms", vms=[{"name": name, "template": MEDIA, "disks": [{"size": "4 MiB"}]} for name in ("web", "other")])
    (other,) = named(old, "other")
    run("xen_vm", uuid=other, name="web")
    assert "failed" not in run("xen_backups", repository=str(tmp_path), select={})
    new = simulator(1)
    build(run)
    task = {"repository": str(tmp_path), "options": {"preserve": True}, "parallel": 1}
    assert "failed" not in run("xen_restores", **task)
    assert named(new, "web") == named(old, "web")
    again = run("xen_restores", **task)
    assert (again["changed"], again["there"]) == (False, ["web", "web"])
    run("xen_vm", uuid=other, state="absent", prune_disks=True, allow_disruption=True)
    assert named(new, "web") != named(old, "web")
    assert run("xen_restores", **task)["there"] == ["web"]
    assert named(new, "web") == named(old, "web")


def test_a_second_vm_of_one_name_without_its_uuid_is_told_to_be_missing(simulator, run, tmp_path):
    old = simulator(1)
    build(run)
    run("xen_vms", vms=[{"name": name, "template": MEDIA, "disks": [{"size": "4 MiB"}]} for name in ("web", "other")])
    (other,) = named(old, "other")
    run("xen_vm", uuid=other, name="web")
    run("xen_backups", repository=str(tmp_path), select={})
    simulator(1)
    build(run)
    for _again in range(2):
        done = run("xen_restores", repository=str(tmp_path), parallel=1)
        assert (done["failed"], "There is a VM named 'web' already" in done["msg"]) == (True, True)
