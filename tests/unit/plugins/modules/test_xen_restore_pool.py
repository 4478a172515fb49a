# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool's database and a host's control domain come back from their backups."""

from __future__ import annotations

import random
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import (
    Ambiguous,
    ApiError,
    ConnectionFailed,
    InvalidChange,
    NotFound,
    XenError,
)
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.tests.simulator import db_restore, host_archive, invariants
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.world import Machine, Pool

from ..conftest import Result, Run, Start

PATH, PUT = "/pool/xmldbdump", "http/put_pool_xml_db_sync"
MARK = "domzero.xen:restored"


class Lab:
    """A pool with a repository; what is restored goes to the simulator that was started last."""

    def __init__(self, sim: InProcess, run: Run, folder: Path):
        self.sim, self._run, self.folder = sim, run, folder
        folder.mkdir(exist_ok=True)

    @property
    def pool(self) -> Pool:
        return self.sim.world.pools[0]

    @property
    def coordinator(self) -> Machine:
        return self.pool.coordinator

    @property
    def member(self) -> Machine:
        return next(m for m in self.sim.world.machines.values() if not m.is_coordinator)

    def backup(self, kind: str = "pool", **params: t.Any) -> Result:
        return self._run("xen_backup", repository=str(self.folder), kind=kind, **params)["backup"]  # type: ignore[no-any-return]

    def restore(self, kind: str = "pool", *, check: bool = False, **params: t.Any) -> Result:
        return self._run("xen_restore", check=check, **{"repository": str(self.folder), "kind": kind, "allow_disruption": True, **params})

    def edit(self, old: str, new: str) -> None:
        """The stored dump says something else, and its manifest knows (so that nothing but the pool can find out)."""
        import dataclasses
        import hashlib

        (subject,) = Repository(self.folder).subjects("pool")
        with subject.lock("edit"):
            backup = subject.backups()[-1]
            text = backup.file("pool.xml").read_text()
            assert old in text
            data = text.replace(old, new).encode()
            backup.file("pool.xml").write_bytes(data)
            assert backup.manifest
            (stored,) = backup.manifest.files
            stored = dataclasses.replace(stored, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            backup.replace(dataclasses.replace(backup.manifest, files=(stored,)))

    def network(self, name: str) -> str:
        with self.sim.world.lock:
            return self.pool.db.create("network", name_label=name, bridge=f"xapi{len(name)}")

    def networks(self) -> set[str]:
        return {row["name_label"] for row in self.pool.db.all("network").values()}

    def is_sound(self) -> None:
        with self.sim.world.lock:
            assert invariants.check(self.sim.world) == []
            assert not self.pool.db.all("task")


@pytest.fixture
def lab(simulator: Start, run: Run, tmp_path: Path) -> Lab:
    return Lab(simulator(2), run, tmp_path / "repository")


# the pool --------------------------------------------------------------------------------
def test_a_database_comes_back_and_what_is_left_to_do_is_told(lab: Lab) -> None:
    lab.network("before")
    made, member = lab.backup(), lab.member
    lab.network("after that")
    predicted = lab.restore(check=True)
    assert "after that" in lab.networks()
    done = lab.restore()
    assert {k: predicted[k] for k in ("changed", "operations", "to_do", "members", "diff")} == {
        k: done[k] for k in ("changed", "operations", "to_do", "members", "diff")
    }
    assert (done["changed"], done["operations"], done["pool"]["restored"]) == (True, [PUT], True)
    assert {"before", "after that"} & lab.networks() == {"before"}
    assert [host["name"] for host in done["members"]] == [member.name]
    assert member.name in done["to_do"][0]
    assert lab.pool.pool["other_config"][MARK] == made["id"]
    assert len(lab.pool.db.all("host")) == 1
    lab.is_sound()
    again = lab.restore()
    assert (again["changed"], again["operations"], again["to_do"]) == (False, [], done["to_do"])


def test_the_newest_backup_is_not_restored_again_after_the_restored_pool_was_backed_up(lab: Lab) -> None:
    lab.backup()
    lab.restore()
    lab.network("made since")
    stamp = lab.backup()["stamp"]
    lab.network("made later")
    for check in (True, False):
        done = lab.restore(check=check)
        assert (done["changed"], done["operations"]) == (False, [])
        assert "runs with a restored database already; name the backup" in done["warnings"][-1]
    assert {"made since", "made later"} <= lab.networks()
    assert lab.restore(backup=stamp)["operations"] == [PUT]
    assert {"made since", "made later"} & lab.networks() == {"made since"}


def test_vms_that_run_on_members_are_not_left_running_beside_the_restored_pool(lab: Lab) -> None:
    lab.backup()
    with lab.sim.world.lock:
        vm = lab.pool.db.create("VM", name_label="web", power_state="Running", resident_on=lab.member.host_ref)
    mark = lab.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=rf"VM 'web' runs on host '{lab.member.name}'.* Halt such VMs, and turn these hosts off"):
            lab.restore(check=check)
    assert lab.sim.calls(mark) == []
    with lab.sim.world.lock:
        lab.pool.db.set("VM", vm, power_state="Halted", resident_on="OpaqueRef:NULL")
    assert lab.restore()["operations"] == [PUT]


def test_a_machine_installed_anew_takes_the_database_of_another(lab: Lab, simulator: Start) -> None:
    lab.network("kept")
    uuid = lab.pool.pool["uuid"]
    lab.backup()
    lab.sim = simulator(1)
    done = lab.restore()
    assert (done["pool"]["uuid"], lab.pool.pool["uuid"]) == (uuid, uuid)
    assert [sr["name"] for sr in done["pool"]["unattached"]] == ["Local storage"], "what was on the disks of the machine that is gone"
    assert "kept" in lab.networks()
    assert lab.coordinator.host_record()["address"] == lab.coordinator.address
    lab.is_sound()


def test_members_join_again_after_they_were_installed_anew(lab: Lab, run: Run) -> None:
    lab.backup()
    member = lab.member
    lab.restore()
    host_archive.from_medium(member, restore=False)
    reached = {"address": f"{member.address}:{lab.sim.hosts[0].port}", "username": "root", "password": lab.sim.password}
    run("xen_pool", uuid=lab.pool.pool["uuid"], members=[{**reached, "fingerprint": [h.fingerprint_sha256 for h in lab.sim.hosts]}])
    assert len(lab.pool.db.all("host")) == 2
    again = lab.restore()
    assert (again["changed"], again["members"], again["to_do"]) == (False, [], [])
    lab.is_sound()


def test_vms_whose_disks_only_a_member_had_are_named(lab: Lab) -> None:
    db, member = lab.pool.db, lab.member
    (sr,) = [pbd["SR"] for pbd in db.all("PBD").values() if pbd["host"] == member.host_ref and db.get("SR", pbd["SR"])["type"] == "ext"]
    with lab.sim.world.lock:
        vm, vdi = db.create("VM", name_label="far away"), db.create("VDI", SR=sr, virtual_size=1 << 20, location="x", type="user")
        db.create("VBD", VM=vm, VDI=vdi, userdevice="0", type="Disk")
    lab.backup()
    done = lab.restore(check=True)
    assert [(vm["name"], vm["srs"]) for vm in done["unreachable"]] == [("far away", ["Local storage"])]
    assert "'far away'" in done["to_do"][-1]


def test_nothing_is_interrupted_unless_the_task_allows_it(lab: Lab) -> None:
    lab.backup()
    with pytest.raises(InvalidChange, match=f"reboot host '{lab.coordinator.name}', and put {lab.member.name} out of the pool"):
        lab.restore(allow_disruption=False)
    assert lab.sim.world.agenda == []


def test_a_dry_run_only_looks(lab: Lab) -> None:
    lab.backup()
    done = lab.restore(dry_run=True, allow_disruption=False)
    assert (done["changed"], done["operations"], done["pool"]["restored"]) == (False, [], False)
    assert len(lab.pool.db.all("host")) == 2
    lab.is_sound()


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('key="schema_minor_vsn" value="909"', 'key="schema_minor_vsn" value="603"', r"version 5\.603 .*version 5\.909"),
        ('device="eth1"', 'device="eth9"', "network card eth9"),
    ],
)
def test_a_database_that_does_not_fit_is_refused_with_what_to_do(lab: Lab, old: str, new: str, told: str, check: bool) -> None:
    lab.backup()
    lab.edit(old, new)
    with pytest.raises(InvalidChange, match=told) as refused:
        lab.restore(check=check)
    assert refused.value.hint
    assert refused.value.code.startswith("RESTORE_")
    lab.is_sound()


def test_a_host_managed_through_another_card_is_told_which_would_do(lab: Lab) -> None:
    lab.backup()
    db = lab.pool.db
    with lab.sim.world.lock:
        (old,) = db.find("PIF", host=lab.coordinator.host_ref, management=True)
        (new,) = db.find("PIF", host=lab.coordinator.host_ref, device="eth1", VLAN=-1)
        db.set("PIF", old, management=False)
        db.set("PIF", new, management=True)
    (subject,) = Repository(lab.folder).subjects("pool")
    text = subject.backups()[-1].file("pool.xml").read_text()
    row = next(row for row in text.split("<row ") if ' device="eth1"' in row and f'host="{lab.coordinator.host_ref}"' in row)
    lab.edit("<row " + row.split("/>")[0] + "/>", "")
    with pytest.raises(InvalidChange, match=r"managed through an interface .* has eth0"):
        lab.restore()


def test_high_availability_and_handed_over_sessions_are_refused(lab: Lab) -> None:
    lab.backup()
    with lab.sim.world.lock:
        lab.pool.db.set("pool", lab.pool.pool_ref, ha_enabled=True)
    with pytest.raises(InvalidChange, match="high availability"):
        lab.restore()


def test_a_dump_that_was_changed_never_reaches_the_pool(lab: Lab) -> None:
    made = lab.backup()
    path = Path(made["path"]) / "pool.xml"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged, match="SHA-256"):
        lab.restore()


def test_options_for_vms_are_refused(lab: Lab) -> None:
    lab.backup()
    with pytest.raises(InvalidChange, match="sr is of no use"):
        lab.restore(sr="x")
    with pytest.raises(NotFound):
        lab.restore(name="another pool")


# interrupted -----------------------------------------------------------------------------
def test_a_run_that_was_killed_after_the_restore_is_recognised(lab: Lab) -> None:
    made = lab.backup()
    lab.restore()
    with lab.sim.world.lock:  # the coordinator is still starting when the next run looks
        lab.pool.db.set("host", lab.coordinator.host_ref, enabled=False)
        lab.sim.world.after(5, "agent started", machine=lab.coordinator.name)
        lab.coordinator.state["starting"] = True
    done = lab.restore()
    assert (done["changed"], done["pool"]["restored"]) == (False, True)
    assert lab.coordinator.host_record()["enabled"]
    assert lab.pool.pool["other_config"][MARK] == made["id"]


@pytest.mark.parametrize("size", [70_000, -1])
def test_an_upload_that_is_cut_changes_nothing_and_the_next_run_does_it(lab: Lab, size: int) -> None:
    made = lab.backup()
    lab.sim.faults.cut_transfer(PATH, size if size >= 0 else made["size"])
    with pytest.raises((ApiError, ConnectionFailed)):
        lab.restore()
    assert db_restore.WAITING not in lab.coordinator.state
    assert len(lab.pool.db.all("host")) == 2
    lab.is_sound()
    assert lab.restore()["pool"]["restored"]
    lab.is_sound()


@pytest.mark.slow
def test_wherever_the_real_upload_is_cut_the_pool_is_old_or_new(lab: Lab) -> None:
    """55 places of the second transfer, after the look of the first has gone well."""
    made = lab.backup()
    edges = [0, 1, 65535, 65536, 65537, made["size"] - 1, made["size"]]
    for place in edges + random.Random(5).sample(range(made["size"]), 48):
        with pytest.raises((ApiError, ConnectionFailed)):
            lab.restore(check=False, **cut_second(lab, place))
        assert len(lab.pool.db.all("host")) == 2
        assert db_restore.WAITING not in lab.coordinator.state
        lab.is_sound()
    assert lab.restore()["pool"]["restored"]


def cut_second(lab: Lab, place: int) -> dict[str, t.Any]:
    """The first transfer passes, the second is cut."""
    lab.sim.faults.cut_transfer(PATH, 1 << 40)
    lab.sim.faults.cut_transfer(PATH, place)
    return {}


# hosts -----------------------------------------------------------------------------------
@pytest.mark.parametrize("packed", ["", "gzip"])
def test_a_control_domain_is_sent_back_once_and_waits_for_the_medium(lab: Lab, packed: str) -> None:
    member = lab.member
    member.state |= {host_archive.PACKING: packed, host_archive.SIZE: 3 << 20}
    lab.backup("host", name=member.name)
    predicted = lab.restore("host", name=member.name, check=True)
    done = lab.restore("host", name=member.name)
    assert (done["changed"], done["operations"]) == (True, predicted["operations"])
    assert host_archive.PARTITION in member.state
    assert "Restore from Backup" in done["to_do"][0]
    again = lab.restore("host", name=member.name)
    assert (again["changed"], again["to_do"]) == (False, done["to_do"])
    lab.backup("host", name=member.name)
    assert lab.restore("host", name=member.name)["operations"] == [
        "http/put_host_restore", "host.remove_from_other_config", "host.add_to_other_config",
    ]  # fmt: skip
    lab.is_sound()


def test_another_host_gets_it_where_the_task_says_so(lab: Lab) -> None:
    lab.backup("host", name=lab.member.name)
    done = lab.restore("host", name=lab.member.name, onto=lab.coordinator.name)
    assert done["host"]["name"] == lab.coordinator.name
    assert host_archive.PARTITION in lab.coordinator.state


@pytest.mark.parametrize("size", [5000])
def test_an_archive_that_is_cut_is_sent_again(lab: Lab, size: int) -> None:
    name = lab.coordinator.name
    lab.backup("host", name=name)
    lab.sim.faults.cut_transfer("/host_restore", size)
    with pytest.raises((ApiError, ConnectionFailed)):
        lab.restore("host", name=name)
    assert host_archive.PARTITION not in lab.coordinator.state
    assert lab.restore("host", name=name)["changed"]
    lab.is_sound()


@pytest.mark.slow
def test_wherever_an_archive_is_cut_it_is_not_taken(lab: Lab) -> None:
    name = lab.coordinator.name
    lab.coordinator.state[host_archive.SIZE] = 1 << 20
    size = lab.backup("host", name=name)["size"]
    for place in [0, 1, 511, 512, 513, size - 1025, size - 513, size - 512, size - 1, *random.Random(6).sample(range(size), 45)]:
        lab.sim.faults.cut_transfer("/host_restore", place)
        with pytest.raises((ApiError, ConnectionFailed)):
            lab.restore("host", name=name)
        lab.is_sound()
    assert lab.restore("host", name=name)["changed"]


def test_what_the_host_says_is_told(lab: Lab) -> None:
    name = lab.coordinator.name
    lab.backup("host", name=name)
    lab.sim.faults.fail_transfer("/host_restore", "RESTORE_SCRIPT_FAILED", "no space left")
    with pytest.raises(XenError, match="no space left"):
        lab.restore("host", name=name)
    assert MARK not in lab.coordinator.host_record()["other_config"]


def test_of_hosts_of_one_name_none_is_taken_by_chance(lab: Lab, simulator: Start) -> None:
    name = lab.member.name
    lab.backup("host", name=name)
    lab.sim = simulator(2)
    with lab.sim.world.lock:
        for ref in lab.pool.db.all("host"):
            lab.pool.db.set("host", ref, name_label=name)
    with pytest.raises(Ambiguous, match=f"2 objects of class host are named '{name}'"):
        lab.restore("host", name=name)
