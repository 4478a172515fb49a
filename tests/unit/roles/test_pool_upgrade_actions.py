# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade whose control node has died is looked at, resumed, ended early, or given up; two at once exclude each other."""

from __future__ import annotations

import json
import threading
import typing as t
from pathlib import Path

import pytest

from .meanwhile import MOVE, STORY, UPDATE, UPGRADED, Somebody, finished, killed, lab, told, when
from .pool_to_upgrade import PLAYBOOK, PoolToUpgrade

pytestmark = pytest.mark.slow  # what every run does is in test_pool_upgrade.py

OLD = "4.17.5-13"
ASKED = {"domzero.xen:home", "domzero.xen:stopped"}  # marks of VMs that tell what remains to be done


class Half(t.NamedTuple):
    """How far it came: the host that is empty, a VM of it that was stopped, one that was moved away."""

    host: str
    stopped: str
    moved: str


def half_done(pool: PoolToUpgrade) -> Half:
    """The coordinator is upgraded, a second host is empty and disabled."""
    killed(pool, UPDATE, 2, **STORY)
    (host,) = (name for name, row in pool.records("host").items() if not row["enabled"])
    stopped = [name for name, state in pool.power_states().items() if state != pool.before[name]]
    moved = [name for name, place in pool.on().items() if pool.homes[name] == host and place != host]
    return Half(host, stopped[0], moved[0])


def versions(pool: PoolToUpgrade) -> dict[str, str]:
    return {name: host["software_version"]["xen"] for name, host in pool.records("host").items()}


def test_status_tells_how_far_it_is_and_changes_nothing(tmp_path: Path) -> None:
    with lab(tmp_path, special=True) as pool:
        half = half_done(pool)
        mark, left = len(pool.sim.calls()), pool.left_behind()
        ran = pool.upgrade(pool_upgrade_action="status")
        assert (ran.code, ran.changed, pool.sim.calls()[mark:]) == (0, 0, []), ran.output
        assert pool.left_behind() == left
        marks = (f'"{half.stopped}": {{ "host": "{half.host}"', f'"{half.moved}": "{half.host}"')
        for words in ('"begun": true', '"alive": false', '"method": "xcpng_packages"', *marks):
            assert words in told(ran.output), ran.output


def test_resume_goes_on_with_the_options_it_was_begun_with(tmp_path: Path) -> None:
    with lab(tmp_path, special=True, protected=True) as pool:
        half_done(pool)
        ran = pool.upgrade(pool_upgrade_action="resume")
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        assert pool.on() == pool.homes
        finished(pool)


def test_finalize_upgrades_no_more_hosts_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with lab(tmp_path, special=True, protected=True) as pool:
        half_done(pool)
        before = versions(pool)
        ran = pool.upgrade(pool_upgrade_action="finalize")
        assert ran.code == 0, ran.output
        assert versions(pool) == before
        assert OLD in before.values()
        finished(pool)
        away = {name for name, host in pool.on().items() if host != pool.homes[name]}
        assert {pool.on()[name] for name in away} <= {"lab0"}, "VMs on the newer host cannot go back to an older one, all others can"


def test_an_upgrade_whose_finalize_was_interrupted_can_still_be_resumed(tmp_path: Path) -> None:
    with lab(tmp_path, special=True, protected=True) as pool:
        half_done(pool)
        killed(pool, MOVE, 1, pool_upgrade_action="finalize")
        ran = pool.upgrade(pool_upgrade_action="resume")
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        assert pool.on() == pool.homes
        finished(pool)


def test_finalize_brings_every_vm_home_after_reboots(tmp_path: Path) -> None:
    with lab(tmp_path, "reboot", special=True, protected=True) as pool:
        killed(pool, "host.reboot", 2, pool_upgrade_method="reboot", **STORY)
        mark = len(pool.sim.calls())
        ran = pool.upgrade(pool_upgrade_action="finalize")
        assert ran.code == 0, ran.output
        assert "host.reboot" not in {call["method"] for call in pool.sim.calls()[mark:]}
        assert pool.on() == pool.homes
        finished(pool)


def test_abort_gives_back_and_vms_stay_until_the_next_upgrade(tmp_path: Path) -> None:
    with lab(tmp_path, special=True, protected=True) as pool:
        half = half_done(pool)
        places, before = pool.on(), versions(pool)
        ran = pool.upgrade(pool_upgrade_action="abort")
        assert ran.code == 0, ran.output
        assert (pool.on(), versions(pool)) == (places, before)
        assert {mark.rpartition(" ")[2] for mark in pool.left_behind()} == ASKED
        assert pool.settings()["pool"] == pool.settings_before["pool"]
        stays = (
            f"VM '{half.stopped}' was stopped (shutdown) on host '{half.host}'.",
            f"VM '{half.moved}' is not at home on host '{half.host}'.",
        )
        for words in stays:
            assert words in told(ran.output), ran.output
        ran = pool.upgrade(**STORY)
        assert ran.code == 0, ran.output
        assert pool.on() == pool.homes
        finished(pool)


@pytest.mark.parametrize("action", ["resume", "finalize", "abort"])
def test_what_was_never_begun_is_not_gone_on_with(tmp_path: Path, action: str) -> None:
    with lab(tmp_path) as pool:
        for arguments in ([], ["--check"]):
            ran = pool.upgrade(*arguments, pool_upgrade_action=action)
            assert ran.code != 0
            assert f"No upgrade of this pool was begun, so there is nothing to {action}." in told(ran.output)
        assert pool.changes() == []


def test_while_one_run_is_at_work_another_is_told_whose_it_is(tmp_path: Path) -> None:
    with lab(tmp_path) as pool:
        clock, moving = pool.sim.world.clock, threading.Event()
        when(pool, MOVE, 1, lambda: (clock.set_speed(5), moving.set()))
        first = pool.start(PLAYBOOK)
        try:
            assert moving.wait(60)
            second = pool.upgrade(pool_upgrade_takeover_after=90)
            third = pool.upgrade(pool_upgrade_takeover_after=90, pool_upgrade_action="abort")
        finally:
            clock.set_speed(0)
            output, _errors = first.communicate(timeout=120)
        for refused in (second, third):
            assert refused.code != 0
            assert "is upgrading this pool, since 2" in told(refused.output), refused.output
        assert "root@" in second.output
        assert first.returncode == 0, output
        assert pool.versions() == UPGRADED
        finished(pool)


def test_a_run_that_was_taken_over_changes_nothing_any_more(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True) as pool:
        when(pool, MOVE, 1, lambda: take_over(pool))
        ran = pool.upgrade()
        assert ran.code != 0
        assert "was taken over by somebody@elsewhere" in told(ran.output), ran.output
        assert set(pool.changes()[pool.changes().index("VM.pool_migrate") :]) == {"VM.pool_migrate"}
        ran = pool.upgrade(**STORY)
        assert ran.code == 0, ran.output
        assert "somebody@elsewhere was upgrading this pool, since" in told(ran.output)
        assert pool.versions() == UPGRADED
        finished(pool)


def take_over(pool: PoolToUpgrade) -> None:
    """As another run does it."""
    (record,) = pool.records("pool").values()
    key, text = max(item for item in record["other_config"].items() if item[0].startswith("domzero.xen:upgrade-"))
    number = int(key.rpartition("-")[2]) + 1
    note = {**json.loads(text), "run": "another", "by": "somebody@elsewhere", "session": ""}
    somebody = Somebody(pool)
    (ref,) = pool.db.all("pool")
    somebody("pool.add_to_other_config", ref, f"domzero.xen:upgrade-{number}", json.dumps(note))
