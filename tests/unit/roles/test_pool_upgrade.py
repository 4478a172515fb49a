# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of four hosts is upgraded by the role, in every way there is; VMs go on."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants, upgrade_lab

from .pool_to_upgrade import PoolToUpgrade

pytestmark = pytest.mark.slow

Start = t.Callable[..., PoolToUpgrade]


@pytest.fixture
def lab(tmp_path: Path) -> t.Iterator[Start]:
    started: list[PoolToUpgrade] = []

    def start(kind: str = "packages", **more: t.Any) -> PoolToUpgrade:
        started.append(PoolToUpgrade(tmp_path, kind, **more))
        return started[-1]

    yield start
    for one in started:
        one.sim.stop()


def in_order(pool: PoolToUpgrade) -> None:
    """Nothing is left of the upgrade, and every VM is in the power state it had."""
    assert pool.left_behind() == []
    assert pool.power_states() == pool.before
    assert invariants.check(pool.sim.world) == []


def test_check_mode_tells_the_plan_and_changes_nothing(lab: Start) -> None:
    pool = lab()
    ran = pool.upgrade("--check")
    assert ran.code == 0, ran.output
    assert pool.sim.calls() == []
    assert "lab0" in ran.output and ran.changed > 0


def test_packages_on_every_host_with_no_vm_stopped(lab: Start) -> None:
    pool = lab()
    ran = pool.upgrade()
    assert ran.code == 0, ran.output
    assert pool.versions() == {"4.17.5-15"}
    in_order(pool)
    stops = {"VM.clean_shutdown", "VM.hard_shutdown", "VM.suspend", "Async.VM.clean_shutdown"}
    assert not stops & {call["method"] for call in pool.sim.calls()}


def test_a_second_run_changes_nothing(lab: Start) -> None:
    pool = lab()
    assert pool.upgrade().code == 0
    mark = len(pool.sim.calls())
    again = pool.upgrade()
    assert again.code == 0, again.output
    assert (again.changed, pool.sim.calls()[mark:]) == (0, [])


def test_every_vm_is_home_in_the_end_where_that_is_asked(lab: Start) -> None:
    pool = lab()
    homes = pool.on()
    ran = pool.upgrade(pool_upgrade_return_home="always")
    assert ran.code == 0, ran.output
    assert pool.on() == homes
    in_order(pool)


def test_vms_that_cannot_move_hold_the_upgrade_up_before_anything_is_changed(lab: Start) -> None:
    pool = lab(special=True)
    ran = pool.upgrade()
    assert ran.code != 0
    for name in ("special-local", "special-pci"):
        assert name in ran.output
    assert pool.sim.calls() == []


@pytest.mark.parametrize(("unmovable", "hosts"), [("shutdown", ["lab0", "lab1", "lab2", "lab3"]), ("suspend", ["lab0", "lab1", "lab2"])])
def test_vms_that_cannot_move_are_down_only_while_their_host_is_upgraded(lab: Start, unmovable: str, hosts: list[str]) -> None:
    pool = lab(special=True)
    ran = pool.upgrade(pool_upgrade_unmovable=unmovable, pool_upgrade_hosts=hosts)
    assert ran.code == 0, ran.output
    upgraded = {name for name, host in pool.records("host").items() if host["software_version"]["xen"] == "4.17.5-15"}
    assert upgraded == set(hosts)
    in_order(pool)


METHODS: dict[str, dict[str, t.Any]] = {
    "packages": {},
    "repository": {"pool_upgrade_method": "repository"},
    "pool_update": {"pool_upgrade_method": "pool_update", "pool_upgrade_updates": ["XS76E999.iso"]},
    "installer": {"pool_upgrade_method": "installer", "pool_upgrade_install_url": upgrade_lab.INSTALLER},
    "reboot": {"pool_upgrade_method": "reboot"},
}


@pytest.mark.parametrize("kind", METHODS)
def test_each_method_upgrades_all_hosts(lab: Start, kind: str) -> None:
    pool = lab(kind)
    booted = {name: host["other_config"]["boot_time"] for name, host in pool.records("host").items()}
    ran = pool.upgrade(**METHODS[kind])
    assert ran.code == 0, ran.output
    assert all(host["other_config"]["boot_time"] != booted[name] for name, host in pool.records("host").items())
    in_order(pool)
