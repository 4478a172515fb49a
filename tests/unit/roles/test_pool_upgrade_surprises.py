# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""While a pool is upgraded, people use it and things break."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import agent

from .meanwhile import MOVE, STORY, UPGRADED, Somebody, finished, lab, told, when
from .pool_to_upgrade import PoolToUpgrade

pytestmark = pytest.mark.slow  # what every run does is in test_pool_upgrade.py

GIB = 1 << 30
PATIENT = {"pool_upgrade_host_timeout": 4}


def halts(somebody: Somebody, name: str) -> None:
    somebody("VM.hard_shutdown", somebody.vm(name))


def starts(somebody: Somebody) -> None:
    """On the host that is to be emptied next, where nobody has planned for it."""
    somebody("VM.start_on", somebody.vm("halted"), somebody.host("lab0"), False, False)


def migrates(somebody: Somebody) -> None:
    somebody("VM.pool_migrate", somebody.vm("app0-02"), somebody.host("lab3"), {"live": "true"})


def grows(somebody: Somebody, name: str) -> None:
    vm = somebody.vm(name)
    somebody("VM.hard_shutdown", vm)
    somebody("VM.set_memory", vm, 10 * GIB)
    somebody("VM.start_on", vm, somebody.host("lab0"), False, False)


def test_vms_that_people_halt_start_move_and_enlarge_meanwhile_do_not_hold_it_up(tmp_path: Path) -> None:
    with lab(tmp_path) as pool:
        somebody = Somebody(pool)

        def meanwhile() -> None:  # the step is planned, its host is about to be disabled
            halts(somebody, "app0-01")
            migrates(somebody)
            grows(somebody, "app0-03")
            starts(somebody)

        when(pool, "host.disable", 1, meanwhile)
        ran = pool.upgrade(pool_upgrade_return_home="always")
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        finished(pool, **{"app0-01": "Halted", "halted": "Running"})
        assert pool.on()["app0-03"] == "lab0"


SURPRISES: dict[str, tuple[t.Callable[[Somebody], None], dict[str, str]]] = {
    "halted": (lambda somebody: halts(somebody, "app0-01"), {"app0-01": "Halted"}),
    "started": (starts, {"halted": "Running"}),
    "moved": (migrates, {}),
    "grown": (lambda somebody: grows(somebody, "web0"), {}),
}


@pytest.mark.parametrize("which", ["halted", "moved"])
def test_each_surprise_on_its_way_leads_to_a_new_plan(tmp_path: Path, which: str) -> None:
    does, power = SURPRISES[which]
    with lab(tmp_path, protected=True) as pool:
        when(pool, MOVE, 1, lambda: does(Somebody(pool)))
        ran = pool.upgrade()
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        finished(pool, **power)


def test_a_migration_that_fails_once_is_made_again(tmp_path: Path) -> None:
    with lab(tmp_path) as pool:
        pool.sim.faults.fail_migration("VM_MIGRATE_FAILED")
        ran = pool.upgrade()
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        finished(pool)


def test_a_vm_whose_migration_always_fails_is_named_and_all_is_given_back(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True) as pool:
        uuid = pool.records("VM")["app0-02"]["uuid"]
        for nth in range(1, 9):
            pool.sim.faults.fail_migration("VM_MIGRATE_FAILED", vm=uuid, nth=nth)
        ran = pool.upgrade(pool_upgrade_retries="1", pool_upgrade_retry_delay="0")  # as -e gives them
        assert ran.code != 0
        assert "2 steps in a row failed. " in told(ran.output), ran.output
        assert "app0-02" in told(ran.output).partition("2 steps in a row failed. ")[2].partition("}")[0]
        assert "host.reboot" not in pool.changes()
        assert pool.power_states() == pool.before
        assert pool.settings() == pool.settings_before
        assert [mark.partition(" ")[0] for mark in pool.left_behind()] == ["pool"], "the note, and no host that is disabled"
        pool.sim.faults.clear()
        ran = pool.upgrade()
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        finished(pool)


def test_a_host_that_stays_down_is_named_and_the_next_run_finishes(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True, special=True) as pool:
        pool.sim.faults.keep_down("lab2")
        ran = pool.upgrade(**STORY, **PATIENT)
        assert ran.code != 0
        said = told(ran.output)
        assert "Host 'lab2': Waited 4 seconds for host 'lab2' to come back" in said, ran.output
        assert "High availability stays off: " in said
        now, before = pool.settings()["pool"][0], pool.settings_before["pool"][0]
        assert now == {**before, "ha_enabled": False, "ha_host_failures_to_tolerate": now["ha_host_failures_to_tolerate"]}
        assert pool.settings()["discs"] == pool.settings_before["discs"]

        pool.sim.faults.clear()
        switch_on(pool, "lab2")
        ran = pool.upgrade(**STORY)
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        assert pool.on() == pool.homes
        finished(pool)


def switch_on(pool: PoolToUpgrade, host: str) -> None:
    with pool.sim.world.lock:
        agent.power_on(pool.sim.world.machines[host])


def test_the_coordinator_stays_down_and_the_next_run_finishes(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True) as pool:
        pool.sim.faults.keep_down("lab0")
        ran = pool.upgrade(**STORY, **PATIENT)
        assert ran.code != 0
        assert "'lab0'" in ran.output
        pool.sim.faults.clear()
        switch_on(pool, "lab0")
        ran = pool.upgrade(**STORY)
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        assert pool.on() == pool.homes
        finished(pool)


def test_hosts_that_come_late_or_without_their_storage_are_helped(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True) as pool:
        pool.sim.faults.slow_boot("lab1", 900)
        pool.sim.faults.leave_unplugged("lab2")
        ran = pool.upgrade(**STORY)
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        assert {row["currently_attached"] for row in pool.records("PBD").values()} == {True}
        assert pool.on() == pool.homes
        finished(pool)
