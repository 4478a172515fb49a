# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator may ask of an upgrade: tasks of their own, some hosts, several at once, a network; and what is refused."""

from __future__ import annotations

import contextlib
import json
import sys
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants, site, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conftest import Variables
from .meanwhile import STORY, UPGRADED, finished, lab, told
from .pool_to_upgrade import PoolToUpgrade

MOTION = "Pool-wide network associated with eth2"
SAYS = """
- name: What a vendor's tool would do
  ansible.builtin.lineinfile:
    path: {log}
    line: "{{{{ pool_upgrade_host | to_json }}}}"
    create: true
  changed_when: true
"""
FAILS = """
- name: What a vendor's tool would do
  ansible.builtin.shell: echo tried >> {log}; test $(wc -l < {log}) -gt {times}
  changed_when: true
"""


class Told(t.NamedTuple):
    """A file of the user's tasks, and what they wrote."""

    file: Path
    log: Path

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


def tasks(folder: Path, text: str, **more: int) -> Told:
    found = Told(folder / "firmware.yml", folder / "log")
    found.file.write_text("---" + text.format(log=found.log, **more))
    return found


def by_command(file: Path, **more: t.Any) -> Variables:
    return {"pool_upgrade_method": "command", "pool_upgrade_command": str(file), "ansible_python_interpreter": sys.executable, **more}


# tasks of the user's own ---------------------------------------------------------------------------
@pytest.mark.slow
def test_tasks_of_the_users_own_get_every_host_when_it_is_empty(tmp_path: Path) -> None:
    with lab(tmp_path, "reboot") as pool:
        said = tasks(tmp_path, SAYS)
        ran = pool.upgrade(**by_command(said.file, pool_upgrade_reboot="always"))
        assert ran.code == 0, ran.output
        hosts = [json.loads(line) for line in said.lines]
        known = pool.records("host")
        assert hosts[0]["name"] == "lab0"
        assert sorted(host["name"] for host in hosts) == sorted(known)
        for host in hosts:
            record = known[host["name"]]
            assert (host["uuid"], host["address"]) == (record["uuid"], record["address"])
        assert pool.changes().count("host.reboot") == 4
        finished(pool)


@pytest.mark.slow
def test_without_a_reboot_they_are_run_all_the_same_and_nothing_moves(tmp_path: Path) -> None:
    with lab(tmp_path, "reboot") as pool:
        said = tasks(tmp_path, SAYS)
        ran = pool.upgrade(**by_command(said.file, pool_upgrade_reboot="never"))
        assert ran.code == 0, ran.output
        assert len(said.lines) == 4
        assert not {"host.reboot", "host.disable", "VM.pool_migrate"} & set(pool.changes())
        finished(pool)


@pytest.mark.slow
def test_a_reboot_is_left_out_where_nothing_asks_for_it_but_hosts_are_emptied(tmp_path: Path) -> None:
    with lab(tmp_path, "reboot") as pool:
        said = tasks(tmp_path, SAYS)
        ran = pool.upgrade(**by_command(said.file, pool_upgrade_hosts=["lab1", "lab2"]))
        assert ran.code == 0, ran.output
        assert len(said.lines) == 2
        assert "host.reboot" not in pool.changes()
        assert pool.changes().count("host.disable") == 2
        assert "VM.pool_migrate" in pool.changes()
        finished(pool)


@pytest.mark.slow
def test_tasks_that_fail_once_are_run_again(tmp_path: Path) -> None:
    with lab(tmp_path, "reboot") as pool:
        said = tasks(tmp_path, FAILS, times=1)
        ran = pool.upgrade(**by_command(said.file))
        assert ran.code == 0, ran.output
        assert len(said.lines) == 5
        finished(pool)


@pytest.mark.slow
def test_tasks_that_always_fail_end_the_upgrade_with_all_given_back(tmp_path: Path) -> None:
    with lab(tmp_path, "reboot", protected=True) as pool:
        said = tasks(tmp_path, FAILS, times=99)
        ran = pool.upgrade(**by_command(said.file, pool_upgrade_retries=1))
        assert ran.code != 0
        assert len(said.lines) == 2
        assert "2 steps in a row failed. " in told(ran.output), ran.output
        assert "firmware.yml failed on host lab0: " in told(ran.output).partition("2 steps in a row failed. ")[2].partition("}")[0]
        assert pool.settings() == pool.settings_before
        assert [mark.partition(" ")[0] for mark in pool.left_behind()] == ["pool"], "the note, and no host that is disabled"
        said.file.write_text("---" + SAYS.format(log=said.log))
        ran = pool.upgrade(pool_upgrade_action="resume", ansible_python_interpreter=sys.executable)
        assert ran.code == 0, ran.output
        finished(pool)


# which hosts, and how many -------------------------------------------------------------------------
@pytest.mark.slow
def test_two_hosts_are_upgraded_at_once_after_the_coordinator(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True) as pool:
        ran = pool.upgrade(pool_upgrade_max_hosts_down=2, pool_upgrade_anti_affinity="soft")
        assert ran.code == 0, ran.output
        steps = [method for method in pool.changes() if method in ("host.disable", "host.reboot")]
        assert steps[:2] == ["host.disable", "host.reboot"]
        assert steps[2:4] == ["host.disable"] * 2, steps
        assert pool.versions() == UPGRADED
        finished(pool)


@pytest.mark.slow
def test_some_hosts_tonight_and_the_rest_tomorrow(tmp_path: Path) -> None:
    with lab(tmp_path, protected=True) as pool:
        ran = pool.upgrade(pool_upgrade_hosts=["lab0", "127.60.0.12"])
        assert ran.code == 0, ran.output
        new = {name for name, host in pool.records("host").items() if host["software_version"]["xen"] in UPGRADED}
        assert new == {"lab0", "lab2"}
        finished(pool)
        mark = len(pool.changes())
        ran = pool.upgrade()
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        assert pool.changes()[mark:].count("host.reboot") == 2
        finished(pool)


@pytest.mark.slow
def test_migrations_go_over_the_network_that_is_named_and_a_member_may_be_addressed(tmp_path: Path) -> None:
    with lab(tmp_path) as pool:
        ran = pool.upgrade(pool_upgrade_network=MOTION, pool_upgrade_hostname=pool.sim.hosts[1].url)
        assert ran.code == 0, ran.output
        network = pool.db.one("network", name_label=MOTION)
        over = {call["params"][2].get("network") for call in pool.sim.calls() if call["method"] == "VM.pool_migrate"}
        assert over == {network}
        assert pool.versions() == UPGRADED
        finished(pool)


@pytest.mark.slow
def test_a_host_in_maintenance_is_named_and_stays_there_when_it_is_left_out(tmp_path: Path) -> None:
    with lab(tmp_path) as pool:
        with pool.session() as api:
            api.host.disable(api.host.get_by_name_label("lab3")[0])
        pool.mark = len(pool.sim.calls())
        for arguments in ([], ["--check"]):
            refused = pool.upgrade(*arguments)
            assert refused.code != 0
            assert "Host 'lab3' is disabled. Enable it" in told(refused.output), refused.output
        assert pool.changes() == []
        there = {name for name, host in pool.on().items() if host == "lab3"}
        ran = pool.upgrade(pool_upgrade_hosts=["lab0", "lab1", "lab2"], pool_upgrade_anti_affinity="soft")
        assert ran.code == 0, ran.output
        assert pool.left_behind() == ["host lab3 is disabled"]
        assert {name for name, host in pool.on().items() if host == "lab3"} == there
        assert pool.power_states() == pool.before


# what cannot be meant ------------------------------------------------------------------------------
BAD: dict[str, tuple[Variables, str]] = {
    "an unknown host": ({"pool_upgrade_hosts": ["lab9"]}, "lab9"),
    "an unknown network": ({"pool_upgrade_network": "nowhere"}, "nowhere"),
    "an unknown method": ({"pool_upgrade_method": "magic"}, "magic"),
    "no update": ({"pool_upgrade_method": "pool_update"}, "The method pool_update needs pool_upgrade_updates."),
    "no installer": ({"pool_upgrade_method": "installer"}, "The method installer needs pool_upgrade_install_url."),
    "no tasks": ({"pool_upgrade_method": "command"}, "The method command needs pool_upgrade_command."),
    "no tasks there": ({"pool_upgrade_method": "command", "pool_upgrade_command": "/nowhere/tasks.yml"}, "/nowhere/tasks.yml"),
    "no host at once": ({"pool_upgrade_max_hosts_down": 0}, "pool_upgrade_max_hosts_down cannot be 0. Give 1 or more."),
    "less than none": ({"pool_upgrade_max_parallel_migrations": -1}, "pool_upgrade_max_parallel_migrations cannot be -1. Give 1 or more."),
    "time before": ({"pool_upgrade_host_timeout": -5}, "pool_upgrade_host_timeout cannot be -5. Give 1 or more."),
    "negative retries": ({"pool_upgrade_retries": -1}, "pool_upgrade_retries cannot be -1. Give 0 or more."),
}
EVERY_DAY = ("an unknown host", "time before")


@pytest.mark.parametrize("what", [pytest.param(what, marks=[] if what in EVERY_DAY else [pytest.mark.slow]) for what in BAD])
def test_what_cannot_be_meant_is_refused_alike_in_check_mode_and_before_any_change(tmp_path: Path, what: str) -> None:
    variables, words = BAD[what]
    with lab(tmp_path) as pool:
        real, check = pool.upgrade(**variables), pool.upgrade("--check", **variables)
        for ran in (real, check):
            assert ran.code != 0
            assert words in message(ran.output), ran.output
        assert message(real.output) == message(check.output)
        assert pool.changes() == []


def message(output: str) -> str:
    """What the last task that failed says."""
    return told(output.rpartition("[ERROR]: ")[2].partition("\nOrigin:")[0])


# other pools ---------------------------------------------------------------------------------------
class Lonely(PoolToUpgrade):
    """The coordinator is all there is."""

    def simulated(self, name: str) -> InProcess:
        plan = upgrade_lab.plan("packages", special=False)
        guests = tuple(guest for guest in plan.seed.guests if guest.host in ("lab0", ""))
        return InProcess(site.build(replace(plan, hosts=plan.hosts[:1], seed=replace(plan.seed, guests=guests)), speed=0)).start()


@pytest.mark.slow
def test_a_pool_of_one_host_is_upgraded_where_its_vms_may_be_stopped(tmp_path: Path) -> None:
    pool = Lonely(tmp_path)
    try:
        refused = pool.upgrade()
        assert refused.code != 0
        assert "There is no plan: " in told(refused.output), refused.output
        assert pool.changes() == []
        ran = pool.upgrade(**STORY)
        assert ran.code == 0, ran.output
        assert pool.versions() == UPGRADED
        finished(pool)
    finally:
        pool.sim.stop()


class Listed(PoolToUpgrade):
    """A pool of an inventory that has others, too."""

    others: t.ClassVar[list[PoolToUpgrade]] = []

    def known(self) -> Variables:
        return {key: value for key, value in super().known().items() if key not in ("pool_upgrade_hostname", "pool_upgrade_fingerprint")}

    def inventory(self) -> Path:
        rows = []
        for number, pool in enumerate([self, *self.others]):
            trusted = ",".join(host.fingerprint_sha256 for host in pool.sim.hosts)
            rows.append(f'pool{number} pool_upgrade_hostname={pool.sim.hosts[0].url} pool_upgrade_fingerprint="{trusted}"')
        (self.folder / "hosts.ini").write_text("[xen_pools]\n" + "".join(f"{row} ansible_connection=local\n" for row in rows))
        return self.folder / "hosts.ini"


@pytest.mark.slow
def test_two_pools_of_an_inventory_are_upgraded_one_after_the_other(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        pools = [Listed(tmp_path, "reboot"), Listed(tmp_path, "reboot")]
        for pool in pools:
            stack.callback(pool.sim.stop)
        pools[0].others = pools[1:]  # type: ignore[misc]
        ran = pools[0].upgrade(pool_upgrade_method="reboot")
        assert ran.code == 0, ran.output
        for pool in pools:
            assert pool.changes().count("host.reboot") == 4
            assert invariants.check(pool.sim.world) == []
            finished(pool)
