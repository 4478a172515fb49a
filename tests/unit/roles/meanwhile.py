# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to a pool while it is upgraded, at a call of the upgrade's own; and how a pool is when all is done."""

from __future__ import annotations

import contextlib
import time
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.faults import Strike

from .interruption import die
from .pool_to_upgrade import PLAYBOOK, PoolToUpgrade

UPDATE = "host.call_plugin:update"  # the VMs of the host have left it
MOVE = "VM.pool_migrate"
UPGRADED = {"4.17.5-15"}
STORY = {"pool_upgrade_unmovable": "shutdown", "pool_upgrade_return_home": "always"}


@contextlib.contextmanager
def lab(folder: Path, kind: str = "packages", **more: t.Any) -> t.Iterator[PoolToUpgrade]:
    pool = PoolToUpgrade(folder, kind, **more)
    try:
        yield pool
    finally:
        pool.sim.stop()


class Somebody:
    """Another client of the coordinator: ``somebody("VM.hard_shutdown", somebody.vm("db"))``."""

    def __init__(self, pool: PoolToUpgrade):
        self.pool = pool

    def __call__(self, method: str, *params: t.Any) -> t.Any:
        machine = next(iter(self.pool.sim.world.machines.values()))
        session = dispatch(machine, "session.login_with_password", ["root", "xapi-test", "2.0", "somebody"])
        return dispatch(machine, method, [session, *params])

    def vm(self, name: str) -> str:
        return str(self.pool.db.one("VM", name_label=name))

    def host(self, name: str) -> str:
        return str(self.pool.db.one("host", name_label=name))


def when(pool: PoolToUpgrade, method: str, nth: int, does: t.Callable[[], object]) -> None:
    """Something is done right before the nth call of a method from now on; ``host.call_plugin:update`` is that function of a plugin."""
    strike, left = pool.sim.faults.strike, [nth]

    def struck(called: str, changing: bool) -> Strike:
        if method == called.removeprefix("Async."):
            left[0] -= 1
            if left[0] == 0:
                pool.sim.faults.strike = strike  # type: ignore[method-assign]
                does()
        return strike(called, changing)

    pool.sim.faults.strike = struck  # type: ignore[method-assign]


def killed(pool: PoolToUpgrade, method: str, nth: int, **variables: t.Any) -> None:
    """A run whose control node dies during the nth call of a method."""
    mark, wanted = len(pool.sim.calls()), method.partition(":")[0]
    process = pool.start(PLAYBOOK, **variables)
    when(pool, method, nth, lambda: die(process.pid))
    output, _errors = process.communicate(timeout=120)
    end = time.monotonic() + 60  # the call goes on when its caller is dead
    while sum(call["method"] == wanted for call in pool.sim.calls()[mark:]) < nth:
        assert time.monotonic() < end, f"the run was not killed: {output}"
        time.sleep(0.01)


def told(output: str) -> str:
    """Without breaks of lines."""
    return " ".join(output.split())


def finished(pool: PoolToUpgrade, **power: str) -> None:
    """Nothing is left of the upgrade, and all is as it was; power: the state of VMs that somebody has changed."""
    assert pool.left_behind() == []
    assert pool.power_states() == {**pool.before, **power}
    assert pool.settings() == pool.settings_before
    assert invariants.check(pool.sim.world) == []
