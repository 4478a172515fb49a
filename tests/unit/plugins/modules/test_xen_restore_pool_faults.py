# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores of pools and hosts that something comes in the way of: whatever it is, the next run ends well."""

from __future__ import annotations

import contextlib
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, OutcomeUnknown, XenError
from ansible_collections.domzero.xen.tests.simulator import agent, db_restore, host_archive
from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from ...simulator.conversation import until
from ..backup.keys import age_key, needs_age
from ..conftest import Run, Start, carry_out
from .test_xen_restore_pool import MARK, Lab


@pytest.fixture
def lab(simulator: Start, run: Run, tmp_path: Path) -> Lab:
    return Lab(simulator(2), run, tmp_path / "repository")


@pytest.mark.parametrize("nth", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_connection_lost_while_the_task_is_awaited_is_no_failure_of_the_restore(lab: Lab, nth: int) -> None:
    """event.from is asked for the look before, and then for the restore itself."""
    made = lab.backup()
    lab.sim.faults.add("cut-before", "event.from", nth=nth)
    with contextlib.suppress(XenError):
        lab.restore()
    done = lab.restore()
    assert done["pool"]["restored"]
    assert lab.pool.pool["other_config"][MARK] == made["id"]
    assert len(lab.pool.db.all("host")) == 1
    lab.is_sound()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["task.create", "task.destroy", "session.login_with_password"])
@pytest.mark.parametrize("kind", ["cut-before", "cut-after"])
def test_whatever_call_is_cut_the_next_run_ends_it(lab: Lab, method: str, kind: str) -> None:
    lab.backup()
    lab.sim.faults.add(kind, method, nth=2)
    with contextlib.suppress(XenError):
        lab.restore()
    assert lab.restore()["pool"]["restored"]
    assert len(lab.pool.db.all("host")) == 1


def test_a_coordinator_that_does_not_come_back_is_told(lab: Lab) -> None:
    lab.backup()
    lab.sim.faults.keep_down(lab.coordinator.name)
    with pytest.raises(XenError, match="coordinator to be back"):
        lab.restore(host_timeout=1)
    lab.sim.faults.clear()
    lab.sim.world.after(0, "agent starts", machine=lab.coordinator.name, rebooted=True)
    until(lab.sim.world, lambda: lab.coordinator.power == "on")
    assert lab.restore()["pool"]["restored"]
    lab.is_sound()


def test_a_host_whose_mark_is_cut_off_is_sent_the_archive_once_more_at_most(lab: Lab) -> None:
    name = lab.member.name
    lab.backup("host", name=name)
    for kind in ("cut-before", "cut-after"):
        lab.sim.faults.add(kind, "host.add_to_other_config")
        with contextlib.suppress(OutcomeUnknown):
            lab.restore("host", name=name)
        lab.restore("host", name=name)
        assert lab.restore("host", name=name)["changed"] is False
        assert host_archive.PARTITION in lab.member.state
        lab.backup("host", name=name)


@needs_age
def test_encrypted_backups_come_back_with_their_identity_only(lab: Lab, tmp_path: Path) -> None:
    encryption, identity = age_key(tmp_path)
    lab.coordinator.state[host_archive.SIZE] = 3 << 20
    for kind, name in (("pool", {}), ("host", {"name": lab.coordinator.name})):
        made = lab.backup(kind, encryption=encryption, **name)
        assert made["encrypted"]
        (file,) = [path for path in Path(made["path"]).iterdir() if path.name.startswith(kind)]
        assert file.read_bytes().startswith(b"age-encryption.org")
        with pytest.raises(XenError):
            lab.restore(kind, **name)
    assert lab.restore("host", name=lab.coordinator.name, identity=identity)["changed"]
    assert host_archive.PARTITION in lab.coordinator.state
    assert lab.restore(identity=identity)["pool"]["restored"]


def test_what_is_encrypted_is_not_read_back(lab: Lab) -> None:
    with pytest.raises(InvalidChange, match="cannot be read back"):
        lab.backup(encryption={"tool": "age", "recipients": ["age1x"]}, verify=True)


@pytest.mark.slow
def test_the_reboot_of_a_coordinator_that_takes_its_time_is_waited_for(simulator: Start, run: Run, tmp_path: Path) -> None:
    """Half a minute, two minutes and some, eighty times as fast: the task is over before the host goes."""
    lab = Lab(simulator(2, speed=80), run, tmp_path / "repository")
    lab.backup()
    done = lab.restore()
    assert done["pool"]["restored"]
    assert db_restore.WAITING not in lab.coordinator.state
    lab.is_sound()
    assert lab.restore()["changed"] is False


@pytest.mark.slow
def test_the_pool_itself_may_end_and_start_again_in_the_middle(tmp_path: Path) -> None:
    """The simulator is killed while its coordinator is about to reboot; started again, it goes on with the restore."""
    (tmp_path / "repository").mkdir()
    with Simulator("--hosts", "2", "--joined", "--speed", "20", state=tmp_path / "state") as sim:
        first, second = sim.hosts
        reached = {
            "hostname": first.url,
            "username": "root",
            "password": "xapi-test",
            "fingerprint": [h.fingerprint_sha256 for h in sim.hosts],
        }
        task = {**reached, "repository": str(tmp_path / "repository"), "kind": "pool"}
        carry_out("xen_backup", task)
        with pytest.raises(XenError, match="coordinator to be back"):
            carry_out("xen_restore", {**task, "allow_disruption": True, "host_timeout": 0})
        sim.stop(kill=True, remove=False)
        sim.start()
        eventually(lambda: carry_out("xen_restore", {**task, "allow_disruption": True, "host_timeout": 60})["changed"] is False)
        assert len(carry_out("xen_host_info", reached)["hosts"]) == 1
        sim.ctl("medium", second.name, "install")
        alone = {**reached, "hostname": second.url}
        eventually(lambda: len(carry_out("xen_host_info", alone)["hosts"]) == 1)
        assert sim.ctl("check") == ""


def eventually(holds: t.Callable[[], object], seconds: float = 60.0) -> None:
    """Hosts that are still starting refuse."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(XenError):
            if holds():
                return
        assert time.monotonic() < end
        time.sleep(0.3)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["xcp-ng-8.3", "xcp-ng-8.2", "xenserver-8", "xenserver-7.6", "xenserver-6.5"])
def test_pools_of_every_release_are_kept_and_come_back(simulator: Start, run: Run, tmp_path: Path, release: str) -> None:
    lab = Lab(simulator(2, release=release), run, tmp_path / "repository")
    made = lab.backup()
    lab.backup("host", name=lab.member.name)
    lab.restore("host", name=lab.member.name)
    lab.network("later")
    assert lab.restore()["pool"]["restored"]
    assert "later" not in lab.networks()
    assert lab.pool.pool["other_config"][MARK] == made["id"]
    lab.is_sound()


def test_a_database_of_another_release_is_refused_with_the_release_to_install(simulator: Start, run: Run, tmp_path: Path) -> None:
    lab = Lab(simulator(1, release="xcp-ng-8.2"), run, tmp_path / "repository")
    lab.backup()
    lab.sim = simulator(1, release="xcp-ng-8.3")
    with pytest.raises(InvalidChange, match=r"XCP-ng 8\.2"):
        lab.restore()


@pytest.mark.slow
def test_a_toolstack_that_starts_anew_in_the_middle_of_a_transfer_is_waited_for(lab: Lab) -> None:
    """What became of it nobody can say then: it is looked at, and done again."""
    name, machine = lab.coordinator.name, lab.coordinator
    machine.state[host_archive.SIZE] = 80 << 20

    def in_the_middle(work: t.Callable[[], t.Any]) -> t.Any:
        before = machine.endpoint.exchanges
        with ThreadPoolExecutor(1) as beside:
            begun = beside.submit(work)
            until(lab.sim.world, lambda: machine.endpoint.exchanges > before)
            agent.restart(machine)
            return begun.result()

    made = in_the_middle(lambda: lab.backup("host", name=name))
    (subject,) = Repository(lab.folder).subjects("host")
    assert ([backup.stamp for backup in subject.backups()], subject.leftovers()) == ([made["stamp"]], [])
    until(lab.sim.world, lambda: machine.power == "on" and not lab.sim.world.agenda)
    assert in_the_middle(lambda: lab.restore("host", name=name))["changed"]
    assert machine.host_record()["other_config"][MARK] == made["id"]
    until(lab.sim.world, lambda: machine.power == "on" and not lab.sim.world.agenda)
    assert lab.restore("host", name=name)["changed"] is False
    lab.is_sound()
