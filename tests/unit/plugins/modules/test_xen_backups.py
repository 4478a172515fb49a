# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many backups in one go: what is chosen, what stands in the way, and what becomes of the rest when one fails."""

from __future__ import annotations

import os
import signal
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import backup_batch
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Subject
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.module import orderly_end
from ansible_collections.domzero.xen.plugins.module_utils.side import Interrupted
from ansible_collections.domzero.xen.plugins.modules import xen_backups
from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.unit.plugins.conftest import open_sessions, reach, validated

MEDIA = "Other install media"


@pytest.fixture
def lab(simulator, run, tmp_path):
    """Four VMs with a disk each of a few MiB, and a folder."""
    sim = simulator(1)
    run("xen_sr", name="Local storage", default=True)
    vms = [
        {"name": "db01", "tags": ["production", "database"], "power_state": "running"},
        {"name": "web01", "tags": ["production"], "groups": ["Apart"], "appliance": "Shop", "order": 2},
        {"name": "web02", "groups": ["Apart"]},
        {"name": "build01"},
    ]
    run("xen_vm_group", name="Apart")
    run("xen_appliance", name="Shop")
    run("xen_vms", vms=[{"template": MEDIA, "disks": [{"size": "8 MiB"}], **vm} for vm in vms])
    root = tmp_path / "backups"
    root.mkdir()
    return sim, str(root)


def told(row: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: row[key] for key in ("kind", "name", "uuid", "changed", "operations")}


def names(done: dict[str, t.Any]) -> list[str]:
    return [row["name"] for row in done["backups"]]


def test_all_are_saved_as_predicted_and_a_second_run_with_a_limit_changes_nothing(lab, run):
    sim, root = lab
    task = {
        "repository": root,
        "pool": True,
        "hosts": ["all"],
        "select": {},
        "options": {"if_older_than": "1h", "consistency": "disk"},
        "parallel": 2,
    }
    sessions, mark = open_sessions(sim), sim.mark()
    predicted = run("xen_backups", check=True, **task)
    assert sim.calls(mark) == []
    assert list(Path(root).iterdir()) == []
    done = run("xen_backups", **task)
    assert [told(row) for row in predicted["backups"]] == [told(row) for row in done["backups"]]
    assert (predicted["diff"], predicted["room"]["needed"]) == (done["diff"], done["room"]["needed"])
    mark = sim.mark()
    again = run("xen_backups", **task)
    assert (again["changed"], again["diff"], again["room"]["needed"], sim.calls(mark)) == (False, [], 0, [])
    assert open_sessions(sim) <= sessions
    vms = ["build01", "db01", "web01", "web02"]
    assert names(done) == ["xcp00", "xcp00", *vms]
    assert [row["kind"] for row in done["backups"]] == ["pool", "host", *["vm"] * 4]
    assert all(row["changed"] and row["backup"]["state"] == "good" for row in done["backups"])
    assert [diff["after_header"] for diff in done["diff"]] == ["the pool", "host 'xcp00'", *(f"VM {vm!r}" for vm in vms)]
    assert done["room"]["needed"] > 0
    assert invariants.check(sim.world) == []


CHOICES: list[tuple[dict[str, t.Any], list[str]]] = [
    ({"names": ["web02", "db01"]}, ["db01", "web02"]),
    ({"tags": ["production"]}, ["db01", "web01"]),
    ({"groups": ["Apart"]}, ["web01", "web02"]),
    ({"groups": ["Shop"], "tags": ["database"]}, ["db01", "web01"]),
    ({"query": "power_state == 'running'"}, ["db01"]),
    ({"query": "length(facts.disks) > `0` && starts_with(name, 'web')"}, ["web01", "web02"]),
    ({"exclude": ["build01"], "exclude_tags": ["database"]}, ["web01", "web02"]),
    ({"tags": ["production"], "exclude": ["web01"]}, ["db01"]),
    ({}, ["build01", "db01", "web01", "web02"]),
]


def test_vms_are_chosen(lab, run):
    _sim, root = lab
    assert [names(run("xen_backups", check=True, repository=root, select=select)) for select, _chosen in CHOICES] == [
        chosen for _select, chosen in CHOICES
    ]


def test_what_is_not_there_is_told_and_the_others_are_saved(lab, run):
    _sim, root = lab
    done = run(
        "xen_backups", repository=root, select={"names": ["web01", "web9"], "tags": ["prodction"], "groups": ["Apartt"]}, hosts=["no host"]
    )
    assert done["failed"] is True
    assert done["msg"].startswith("4 of 5 backups failed.")
    for text in ("'web9'", "'production'", "'Apart'", "'no host'"):
        assert text in done["msg"]
    assert [row["name"] for row in done["backups"] if row["changed"]] == ["web01"]


def test_what_has_no_room_is_refused_and_what_may_have_none_is_warned_of(lab, run):
    sim, root = lab
    db, mark = sim.world.pools[0].db, sim.mark()
    vm = next(vm for vm in db.all("VM").values() if vm["name_label"] == "web01")
    vdi = db.get("VBD", vm["VBDs"][0])["VDI"]
    db.set("VDI", vdi, virtual_size=1 << 50, physical_utilisation=1 << 50)
    with pytest.raises(InvalidChange, match="The backups need about 1 PiB"):
        run("xen_backups", repository=root, select={})
    assert "room" in run("xen_backups", check=True, repository=root, select={"names": ["web02"]})
    assert run("xen_backups", check=True, repository=root, select={}, check_room=False)["room"]["needed"] >= 1 << 50
    db.set("SR", db.get("VDI", vdi)["SR"], type="lvmoiscsi")
    done = run("xen_backups", check=True, repository=root, select={"names": ["web01", "web02"]})
    assert (done["room"]["needed"], done["room"]["most"] >= 1 << 50) == (0, True)
    assert "may need up to 1 PiB" in done["warnings"][0]
    assert sim.calls(mark) == []


def test_one_that_fails_is_named_and_the_others_are_saved(lab, run):
    sim, root = lab
    sim.faults.fail("VM.snapshot", error=["SR_BACKEND_FAILURE_44", "", "no space"])
    done = run("xen_backups", repository=root, select={}, parallel=1)
    assert done["failed"] is True
    assert done["msg"].startswith("1 of 4 backups failed. ")
    assert "build01" in done["msg"]
    assert [row.get("failed", False) for row in done["backups"]] == [True, False, False, False]
    again = run("xen_backups", repository=root, select={}, options={"if_older_than": "1h"})
    assert [row["name"] for row in again["backups"] if row["changed"]] == ["build01"]
    assert "failed" not in again


def test_a_full_repository_is_refused_before_anything_is_begun(lab, run, monkeypatch):
    sim, root = lab
    mark = sim.mark()
    with pytest.raises(InvalidChange, match="is not there"):
        run("xen_backups", repository=f"{root}/no", select={})
    with pytest.raises(InvalidChange, match="There is nothing to back up"):
        run("xen_backups", repository=root, select={"exclude": ["build01", "db01", "web01", "web02"]})
    with pytest.raises(InvalidChange, match="'web01' would be backed up twice"):
        run("xen_backups", repository=root, select={"names": ["db01"]}, backups=[{"name": "web01"}, {"name": "web01"}])
    with pytest.raises(InvalidChange, match="not 0"):
        run("xen_backups", repository=root, select={}, parallel=0)
    with pytest.raises(InvalidChange, match="JMESPath"):
        run("xen_backups", repository=root, select={"query": "power_state =="})
    monkeypatch.setenv("PATH", root)
    with pytest.raises(InvalidChange, match="The command age, which encryption needs"):
        run("xen_backups", repository=root, select={}, options={"encryption": {"tool": "age", "recipients": ["age1x"]}})
    assert sim.calls(mark) == []
    assert list(Path(root).iterdir()) == []


@pytest.mark.slow
def test_a_run_that_is_told_to_end_leaves_nothing_behind_and_the_next_one_saves_all(lab, run):
    sim, root = lab
    sessions, db = open_sessions(sim), sim.world.pools[0].db
    sim.faults.slow("VM.snapshot", 3600.0, nth=1)
    sim.faults.slow("VM.snapshot", 3600.0, nth=2)
    sim.world.set_speed(1.0)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=end_when_two_are_at_it, args=(sim,), daemon=True).start()
    try:
        with pytest.raises(Interrupted), orderly_end():
            run("xen_backups", repository=root, select={}, parallel=2)
    finally:
        signal.signal(signal.SIGTERM, before)
        sim.faults.clear()
        sim.world.set_speed(0)
    assert open_sessions(sim) <= sessions
    assert [path for path in Path(root).rglob("*") if path.is_file() and path.name not in (".lock", "repository.json")] == []
    done = run("xen_backups", repository=root, select={})
    assert [row["backup"]["state"] for row in done["backups"]] == ["good"] * 4
    assert len([vm for vm in db.all("VM").values() if vm["is_a_snapshot"]]) == 4  # the base of each one's next backup


def end_when_two_are_at_it(sim: t.Any) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and sum("snapshot" in task["name_label"] for task in pending(sim)) < 2:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)


def pending(sim: t.Any) -> list[dict[str, t.Any]]:
    with sim.world.lock:
        return [task for task in sim.world.pools[0].db.all("task").values() if task["status"] == "pending"]


def test_how_far_a_transfer_is_is_told_with_the_name_of_the_vm(lab, session_to):
    sim, root = lab
    session, said = session_to(sim), list[str]()
    session.watch = lambda what, *_far: said.append(what)
    known = validated(xen_backups.MODULE, {**reach(sim), "repository": root, "select": {"names": ["web01", "web02"]}})
    xen_backups.MODULE.run(session, known, False)
    assert all("web01" in text or "web02" in text for text in said)
    assert {"Backup of web01: disk xvda", "Backup of web02: disk xvda"} <= set(said)


@pytest.mark.slow
def test_a_run_that_is_told_to_end_in_the_middle_of_a_transfer_removes_what_it_made(lab, session_to):
    sim, root = lab
    disk = next(vdi["uuid"] for vdi in sim.world.pools[0].db.all("VDI").values() if vdi["name_label"].startswith("web02"))
    sim.disks.fill(disk, offset=0, size=8 << 20, seed=1)
    session, seen = session_to(sim), list[str]()

    def watch(what: str, *_far: object) -> None:
        seen.append(what)
        if "disk" in what and what not in seen[:-1]:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)  # until the main thread has told this one

    session.watch = watch
    known = validated(xen_backups.MODULE, {**reach(sim), "repository": root, "select": {"names": ["web02"]}})
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(Interrupted), orderly_end():
            xen_backups.MODULE.run(session, known, False)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [path for path in Path(root).rglob("*") if path.is_file() and path.name not in (".lock", "repository.json")] == []
    assert pending(sim) == []
    with sim.world.lock:
        assert not any(vm["is_a_snapshot"] for vm in sim.world.pools[0].db.all("VM").values())
    assert invariants.check(sim.world) == []


def test_copies_of_boot_tests_and_vms_that_are_half_restored_are_saved_only_by_name(lab, run):
    sim, root = lab
    db = sim.world.pools[0].db
    refs = {vm["name_label"]: ref for ref, vm in db.all("VM").items()}
    db.set("VM", refs["web02"], name_label="domzero.xen boot test web02 20260101T000000Z")
    db.set("VM", refs["build01"], other_config={**db.get("VM", refs["build01"])["other_config"], "domzero.xen:restoring": "id build01"})
    done = run("xen_backups", check=True, repository=root, select={"names": ["db01"], "query": "`true`"})
    assert names(done) == ["db01", "web01"]
    assert [text.split(",")[0] for text in done["warnings"][-2:]] == [
        "VM 'build01' is not backed up",
        "VM 'domzero.xen boot test web02 20260101T000000Z' is not backed up",
    ]
    assert names(run("xen_backups", check=True, repository=root, select={"names": ["build01"]})) == ["build01"]


def test_snapshots_of_vms_that_are_gone_are_named_and_stay(lab, run):
    sim, root = lab
    db = sim.world.pools[0].db
    assert "warnings" not in run("xen_backups", repository=root, select={"names": ["web01", "web02"]})
    run("xen_vm", name="web02", state="absent", snapshots="keep")
    done = run("xen_backups", repository=root, select={"names": ["web01"]})
    (left,) = [vm for vm in db.all("VM").values() if vm["is_a_snapshot"] and vm["snapshot_of"] not in db.all("VM")]
    assert f"({left['uuid']})" in done["warnings"][-1]


def test_what_nobody_has_foreseen_fails_one_and_the_others_are_saved(lab, run, monkeypatch):
    _sim, root = lab
    begin = Subject.begin

    def odd(subject, *given):
        if subject.who.name == "web01":
            raise KeyError("odd")
        return begin(subject, *given)

    monkeypatch.setattr(Subject, "begin", odd)
    done = run("xen_backups", repository=root, select={"names": ["web01", "web02"]})
    assert done["msg"].startswith("1 of 2 backups failed. VM 'web01' failed unexpectedly: KeyError: 'odd'")
    assert [row.get("failed", False) for row in done["backups"]] == [True, False]


def test_a_repository_whose_history_cannot_be_counted_has_its_backups_all_the_same(lab, run, monkeypatch):
    _sim, root = lab

    def broken(*_given):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(backup_batch, "_history", broken)
    done = run("xen_backups", repository=root, select={"names": ["web01"]})
    assert "failed" not in done
    assert [row["changed"] for row in done["backups"]] == [True]
    assert "could not be counted" in done["warnings"][-1]
