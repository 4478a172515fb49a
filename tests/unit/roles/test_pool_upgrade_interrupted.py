# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upgrade of a pool of four hosts with 24 VMs is interrupted at a changing call, or a call is refused, and finished by the next run.

Every call in turn, in every way, where UPGRADE_MATRIX is set (hours); otherwise each EVERY-th, in one of the ways.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.faults import Strike

from .interruption import WAYS, interrupt
from .pool_to_upgrade import PLAYBOOK, PoolToUpgrade

pytestmark = pytest.mark.slow
POLICY = {"pool_upgrade_unmovable": "shutdown", "pool_upgrade_return_home": "always"}
STOPS = ("clean_shutdown", "hard_shutdown", "shutdown", "suspend", "pause")
TIED = {"special-local", "special-deaf", "special-toolless", "special-pci"}  # that cannot move, so policy lets them be stopped
CHANGES = 126  # a run without interruption makes so many changing calls; held by the first test
# the likeliest reason for a call to be refused, if it is not that somebody else is busy with the object
LIKELIEST = {
    "pool.add_to_other_config": ["MAP_DUPLICATE_KEY", "pool", "other_config", "", ""],
    "pool.disable_ha": ["HA_NOT_ENABLED"],
    "pool.enable_ha": ["VDI_NOT_AVAILABLE", ""],
    "pool.set_ha_host_failures_to_tolerate": ["HA_TOO_FEW_HOSTS"],
    "host.add_to_other_config": ["MAP_DUPLICATE_KEY", "host", "other_config", "", ""],
    "host.disable": ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"],
    "host.call_plugin": ["-1", "Update already in progress", "", ""],
    "host.reboot": ["HOST_IN_USE", "", "vm", ""],
    "host.enable": ["HOST_STILL_BOOTING"],
    "VM.pool_migrate": ["HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"],
    "VM.clean_shutdown": ["VM_SHUTDOWN_TIMEOUT", "", "300"],
    "VM.start_on": ["HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"],
    "VM.start": ["HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1"],
}
BUSY = ["OTHER_OPERATION_IN_PROGRESS", "", ""]
WHOLE = bool(os.environ.get("UPGRADE_MATRIX"))
EVERY = 1 if WHOLE else 11


def prepared(folder: Path) -> PoolToUpgrade:
    """With high availability and automatic power-on, which have to be set aside."""
    return PoolToUpgrade(folder, special=True, variables=POLICY, protected=True)


@functools.cache
def undisturbed() -> list[str]:
    """The changing calls of a run that nobody interrupts."""
    with tempfile.TemporaryDirectory() as folder:
        pool = prepared(Path(folder))
        try:
            ran = pool.upgrade()
            assert ran.code == 0, ran.output
            upgraded(pool)
            return pool.changes()
        finally:
            pool.sim.stop()


def upgraded(pool: PoolToUpgrade) -> None:
    """Every host is, every VM is in the power state it had and at home, nothing is left aside."""
    assert pool.versions() == {"4.17.5-15"}
    assert pool.left_behind() == []
    assert pool.power_states() == pool.before
    assert pool.on() == pool.homes
    assert pool.settings() == pool.settings_before
    assert invariants.check(pool.sim.world) == []
    assert stopped(pool) <= TIED


def stopped(pool: PoolToUpgrade) -> set[str]:
    """VMs that were stopped."""
    with pool.sim.world.lock:
        names = {ref: vm["name_label"] for ref, vm in pool.db.all("VM").items()}
    stops = [call for call in pool.sim.calls() if call["method"].rpartition("VM.")[2] in STOPS]
    return {names[call["params"][0]] for call in stops}


def points() -> list[tuple[int, str]]:
    """Which call, and how: each call in all ways, or each EVERY-th in one."""
    if WHOLE:
        return [(nth, way) for nth in range(1, CHANGES + 1) for way in WAYS]
    return [(nth, WAYS[number % len(WAYS)]) for number, nth in enumerate(range(1, CHANGES + 1, EVERY))]


def test_every_changing_call_is_an_interruption_point() -> None:
    assert len(undisturbed()) == CHANGES


@pytest.mark.parametrize(("nth", "way"), points())
def test_the_next_run_finishes_what_was_interrupted(tmp_path: Path, nth: int, way: str) -> None:
    pool = prepared(tmp_path)
    try:
        interrupt(pool, PLAYBOOK, way, nth)
        again = pool.upgrade()
        assert again.code == 0, again.output
        upgraded(pool)
    finally:
        pool.sim.stop()


@pytest.mark.parametrize("nth", range(1, CHANGES + 1, EVERY))
def test_a_call_that_fails_once_holds_nothing_up_for_good(tmp_path: Path, nth: int) -> None:
    pool = prepared(tmp_path)
    try:
        fail(pool, nth)
        ran = pool.upgrade()
        assert len(pool.changes()) >= nth, ran.output
        if ran.code:
            again = pool.upgrade()
            assert again.code == 0, f"{ran.output}\n{again.output}"
        upgraded(pool)
    finally:
        pool.sim.stop()


def fail(pool: PoolToUpgrade, nth: int) -> None:
    """The nth changing call from now fails with what is likeliest for it."""
    strike, left = pool.sim.faults.strike, [nth]

    def struck(method: str, changing: bool) -> Strike:
        left[0] -= changing
        if left[0] or not changing:
            return strike(method, changing)
        pool.sim.faults.strike = strike
        return Strike(Fault(*LIKELIEST.get(method.removeprefix("Async.").partition(":")[0], BUSY)))

    pool.sim.faults.strike = struck
