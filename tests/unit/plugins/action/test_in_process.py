# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs of ansible-playbook: where a task runs, how often it logs in, what it tells."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Timeout
from ansible_collections.domzero.xen.plugins.module_utils.tasks import wait_until
from ansible_collections.domzero.xen.tests.simulator.faults import Trigger
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

PASSWORD = "correct-horse-battery"
ORDINARY = "EXEC /bin/sh"  # what -vvv tells of a process started for a module
# a host nobody can log in to, this machine, and another inventory host that is this machine too
INVENTORY = {
    "all": {
        "children": {
            "pool": {"hosts": {"dom0": {"ansible_host": "192.0.2.1", "ansible_connection": "ssh"}}},
            "here": {"hosts": {"controller": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}},
            "there": {"hosts": {"bastion": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}},
        }
    }
}
Task = dict[str, t.Any]
Running = subprocess.Popen[bytes]


class Ran(t.NamedTuple):
    code: int
    output: str

    @property
    def recap(self) -> str:
        return self.output.rpartition("PLAY RECAP")[2]


class Play(t.Protocol):
    def __call__(self, *tasks: Task, **keywords: t.Any) -> Ran: ...


@pytest.fixture
def sim(simulator) -> InProcess:
    started = simulator(1)
    started.world.credentials["password"] = PASSWORD
    return started


@pytest.fixture
def start(sim: InProcess, tmp_path: Path) -> t.Callable[..., Running]:
    """Starts one play with the tasks on the hosts of a group, the connection as module_defaults of the action group, with -vvv."""

    def start(
        *tasks: Task, hosts: str = "pool", env: t.Mapping[str, str] | None = None, args: t.Sequence[str] = (), **play: t.Any
    ) -> Running:
        connection = {"hostname": sim.hosts[0].url, "password": "{{ xen_password }}", "fingerprint": [sim.hosts[0].fingerprint_sha256]}
        frame: Task = {"hosts": hosts, "gather_facts": False, "module_defaults": {"group/domzero.xen.xen": connection}, **play}
        files = {"play.yml": [{**frame, "tasks": list(tasks)}], "inventory.yml": INVENTORY, "vars.yml": {"xen_password": PASSWORD}}
        for name, content in files.items():
            (tmp_path / name).write_text(json.dumps(content))
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-vvv",
            "-i",
            "inventory.yml",
            "-e",
            "@vars.yml",
            *args,
            "play.yml",
        ]
        output = (tmp_path / "output").open("w")
        return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **(env or {})}, stdout=output, stderr=output)

    return start


@pytest.fixture
def play(start: t.Callable[..., Running], tmp_path: Path) -> Play:
    """The same, to its end."""

    def run(*tasks: Task, **keywords: t.Any) -> Ran:
        return Ran(start(*tasks, **keywords).wait(), (tmp_path / "output").read_text())

    return run


@pytest.fixture
def logins(sim: InProcess) -> Trigger:
    """Counts logins: .seen."""
    sim.faults.slow("session.login_with_password", 0, nth=10**9)
    return sim.faults.triggers[-1]


def network(name: str, **more: t.Any) -> Task:
    return {"domzero.xen.xen_network": {"name": name, **more}}


def names(sim: InProcess) -> set[str]:
    with sim.world.lock:
        return {record["name_label"] for record in sim.world.pools[0].db.all("network").values()}


def sessions(sim: InProcess) -> int:
    with sim.world.lock:
        return len(sim.world.pools[0].db.all("session"))


def left_open(sim: InProcess) -> int:
    """Sessions that nobody ended; the worker of a loop may end a moment after the playbook."""
    with contextlib.suppress(Timeout):
        wait_for(lambda: sessions(sim) == 0)
    return sessions(sim)


def that(*conditions: str) -> Task:
    return {"ansible.builtin.assert": {"that": list(conditions)}}


# where it runs ----------------------------------------------------------------------------------------------------------
def test_a_task_needs_neither_a_process_nor_a_way_in_to_its_host(sim, play):
    ran = play(network("storage"))
    assert ran.code == 0, ran.output
    assert ORDINARY not in ran.output
    assert "storage" in names(sim)


@pytest.mark.parametrize(
    ("how", "keywords"),
    [
        ({}, {"env": {"XEN_IN_PROCESS": "false"}}),
        ({"async": 60, "poll": 1}, {}),
        ({"environment": {"HTTPS_PROXY": ""}}, {}),
        ({"become": True, "become_method": "su"}, {}),
        ({"delegate_to": "bastion"}, {}),
    ],
    ids=["XEN_IN_PROCESS=false", "async", "environment", "become", "delegate_to another host"],
)
def test_where_it_must_a_task_runs_as_an_ordinary_module(sim, play, how, keywords):
    done = {**network("storage", other_config={"by": "{{ 'a ' ~ 'module' }}"}), **how, "register": "done"}
    ran = play(done, that("done.network.other_config.by == 'a module'", "done.operations == ['network.create']"), hosts="here", **keywords)
    assert ran.code == 0, ran.output
    assert ORDINARY in ran.output
    assert PASSWORD not in ran.output
    assert "storage" in names(sim)
    assert left_open(sim) == 0


def test_a_task_delegated_to_this_machine_needs_no_process_either(sim, play):
    ran = play({**network("storage"), "delegate_to": "localhost"})
    assert ran.code == 0, ran.output
    assert ORDINARY not in ran.output


def test_the_result_is_the_same_either_way(sim, play):
    facts = "{{ done | combine({'network': done.network | combine({'uuid': ''})}) }}"
    tasks = [
        {**network("one", mtu=9000), "register": "done"},
        {"ansible.builtin.set_fact": {"first": facts}},
        network("one", state="absent"),
        {**network("one", mtu=9000), "environment": {"X": "y"}, "register": "done"},
        {"ansible.builtin.set_fact": {"second": facts}},
        that("(first | dict2items | rejectattr('key', 'in', ['invocation']) | list) == "
             "(second | dict2items | rejectattr('key', 'in', ['invocation']) | list)"),
    ]  # fmt: skip
    ran = play(*tasks, hosts="here")
    assert ran.code == 0, ran.output


def test_check_mode_and_diff_show_what_would_be_done(sim, play):
    ran = play(network("storage", mtu=9000), args=["--check", "--diff"])
    assert "changed=1" in ran.recap
    assert '+    "mtu": 9000' in ran.output
    assert "storage" not in names(sim)


def test_tagged_values_reach_an_xml_rpc_server_as_plain_ones(simulator, play):
    old = simulator(1, release="xenserver-6.5")
    old.world.credentials["password"] = PASSWORD
    connection = {"hostname": old.hosts[0].url, "fingerprint": [old.hosts[0].fingerprint_sha256]}
    wanted = {"mtu": "{{ mtu }}", "tags": ["{{ tag }}"], "other_config": {"tag": "{{ tag }}", "yes": True}, **connection}
    task = {**network("{{ tag }}", **wanted), "register": "done"}
    ran = play(task, that("done.network.mtu == 9000", "done.network.other_config.yes == 'true'"), vars={"mtu": 9000, "tag": "fast"})
    assert ran.code == 0, ran.output
    (record,) = [r for r in old.world.pools[0].db.all("network").values() if r["name_label"] == "fast"]
    assert (record["MTU"], record["tags"], record["other_config"]["tag"]) == (9000, ["fast"], "fast")


def test_the_connection_comes_from_the_environment_too(sim, play):
    env = {"XEN_HOST": sim.hosts[0].url, "XEN_PASSWORD": PASSWORD, "XEN_FINGERPRINT": sim.hosts[0].fingerprint_sha256}
    ran = play(network("storage"), env=env, module_defaults={})
    assert ran.code == 0, ran.output
    assert "storage" in names(sim)


# how often it logs in ---------------------------------------------------------------------------------------------------
def test_a_task_logs_in_once_and_out(sim, play, logins):
    ran = play(network("storage"), network("storage"))
    assert ran.code == 0, ran.output
    assert (logins.seen, left_open(sim)) == (2, 0)


def test_a_loop_logs_in_once_and_out(sim, play, logins):
    ran = play({**network("net{{ item }}"), "loop": list(range(5))})
    assert ran.code == 0, ran.output
    assert {f"net{n}" for n in range(5)} <= names(sim)
    assert (logins.seen, left_open(sim)) == (1, 0)


def test_a_loop_over_pools_logs_in_once_at_each(sim, play, logins):
    item = {"hostname": "{{ item }}", "name": "net-{{ index }}"}
    loop = {"loop": [sim.hosts[0].url, sim.hosts[0].url + "/", sim.hosts[0].url], "loop_control": {"index_var": "index"}}
    ran = play({"domzero.xen.xen_network": item, **loop})
    assert ran.code == 0, ran.output
    assert (logins.seen, left_open(sim)) == (2, 0)


IN_A_SESSION = [
    {"domzero.xen.xen_session": {}, "register": "xen"},
    {
        "module_defaults": {"group/domzero.xen.xen": {"session": "{{ xen.session }}"}},
        "block": [network("one"), {**network("{{ item }}"), "loop": ["two", "three"]}, {"domzero.xen.xen_info": {"class": "pool"}}],
        "always": [{"domzero.xen.xen_session": {"state": "absent"}}],
    },
]


def test_a_play_in_a_session_logs_in_once_and_out(sim, play, logins):
    ran = play(*IN_A_SESSION)
    assert ran.code == 0, ran.output
    assert {"one", "two", "three"} <= names(sim)
    assert (logins.seen, left_open(sim)) == (1, 0)


def test_a_play_of_ordinary_modules_in_a_session_logs_in_once_and_out(sim, play, logins):
    ran = play(*IN_A_SESSION, hosts="here", env={"XEN_IN_PROCESS": "false"})
    assert ran.code == 0, ran.output
    assert ORDINARY in ran.output
    assert (logins.seen, left_open(sim)) == (1, 0)


def test_the_session_is_ended_when_a_task_fails(sim, play, logins):
    login, block = IN_A_SESSION
    ran = play(login, {**block, "block": [network("one", uuid="no-such-uuid")]})
    assert ran.code != 0
    assert (logins.seen, left_open(sim)) == (1, 0)


def test_a_failed_task_leaves_no_session_behind(sim, play):
    failing = [network("x", uuid="no-such-uuid"), {**network("x", uuid="no-such-uuid"), "loop": [1, 2]}]
    ran = play(*({**task, "ignore_errors": True} for task in failing))
    assert "ignored=2" in ran.recap
    assert left_open(sim) == 0


# when it is interrupted -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keywords", [{}, {"env": {"XEN_IN_PROCESS": "false"}, "hosts": "here"}], ids=["in process", "ordinary module"])
@pytest.mark.parametrize("looped", [{}, {"loop": [1, 2]}], ids=["task", "loop"])
def test_a_run_that_is_interrupted_cancels_what_it_waits_for_and_logs_out(sim, start, keywords, looped):
    sim.world.set_speed(1)
    sim.faults.slow("SR.create", 60)
    sr = {"name": "VMs", "type": "nfs", "server": "127.10.0.10", "path": "/export/vms"}
    running = start({"domzero.xen.xen_sr": sr, **looped}, **keywords)
    wait_for(lambda: pending(sim))
    time.sleep(1)  # until the answer that names the task has arrived: before, there is nothing to cancel by
    assert sessions(sim) == 1
    running.send_signal(signal.SIGINT)
    wait_for(lambda: sessions(sim) == 0)
    assert [list(task["current_operations"].values()) for task in pending(sim)] == [["cancel"]]
    assert running.wait(30) != 0
    sim.world.set_speed(0)


def test_a_run_that_is_interrupted_in_a_call_logs_out(sim, start):
    sim.world.set_speed(1)
    sim.faults.slow("network.create", 60)
    running = start(network("storage"))
    wait_for(lambda: sessions(sim) == 1 and not sim.faults.triggers)
    running.send_signal(signal.SIGTERM)
    wait_for(lambda: sessions(sim) == 0)
    assert running.wait(30) != 0
    sim.world.set_speed(0)
    wait_for(lambda: "storage" in names(sim))


def pending(sim: InProcess) -> list[dict[str, t.Any]]:
    with sim.world.lock:
        return [task for task in sim.world.pools[0].db.all("task").values() if task["status"] == "pending"]


def wait_for(ready: t.Callable[[], object]) -> None:
    # a minute: an interrupted run has several processes to end and two connections to make, each beside other tests
    wait_until("it", lambda: bool(ready()), timeout=60, pause=0.05)


# what it tells ----------------------------------------------------------------------------------------------------------
def test_neither_password_nor_session_is_ever_shown(sim, play):
    login, block = IN_A_SESSION
    ran = play(
        network("carrier", other_config={"note": "so it was: {{ xen_password }}"}),
        login,
        {**block, "block": [*block["block"], network("x", uuid="no-such-uuid")]},
    )
    assert PASSWORD not in ran.output
    assert "no-such-uuid" in ran.output
    assert "hidden due to the fact that 'no_log: true'" in ran.output
    assert references_of_sessions(sim, ran.output) == set()


def references_of_sessions(sim: InProcess, output: str) -> set[str]:
    """References in the output that stand for no object the pool has, and so may have been a session's."""
    with sim.world.lock:
        db = sim.world.pools[0].db
        known = {ref for cls in sim.world.schema.classes for ref in db.all(cls)} | {"OpaqueRef:NULL"}
    return set(re.findall(r"OpaqueRef:[\w-]+", output)) - known


def test_a_refused_password_is_told_without_it(sim, play):
    failed = {**network("x", password="not-" + PASSWORD), "register": "failed", "ignore_errors": True}
    ran = play(failed, that("failed.error_code == 'SESSION_AUTHENTICATION_FAILED'", "'Check username and password' in failed.msg"))
    assert ran.code == 0, ran.output
    assert PASSWORD not in ran.output


def test_a_failure_tells_code_parameters_and_what_was_done(sim, play):
    sim.faults.fail("network.set_MTU", error=["OTHER_OPERATION_IN_PROGRESS", "network", "OpaqueRef:x"])
    failed = {**network("one", mtu=9000, description="x"), "register": "failed", "ignore_errors": True}
    told = [
        "failed.error_code == 'OTHER_OPERATION_IN_PROGRESS'",
        "failed.error_params == ['network', 'OpaqueRef:x']",
        "failed.operations_done == ['network.set_name_description']",
        "'Could not set mtu of network' in failed.msg",
    ]
    ran = play(network("one"), failed, that(*told))
    assert ran.code == 0, ran.output


def test_an_option_that_is_none_is_refused_by_name(sim, play):
    ran = play(network("x", colour="blue"))
    assert ran.code != 0
    assert "colour" in ran.output
    assert "xen_network" in ran.output


def test_a_certificate_that_is_not_checked_is_warned_about(sim, play):
    ran = play(network("storage", validate_certs=False, fingerprint=[]))
    assert ran.code == 0, ran.output
    assert "validate_certs is false" in ran.output


def test_a_task_without_an_address_says_what_to_set(sim, play):
    ran = play(network("x"), module_defaults={})
    assert ran.code != 0
    assert "hostname and password missing" in ran.output


def test_how_far_a_long_call_is_shows_while_it_runs(sim: InProcess, play: Play) -> None:
    tasks: list[Task] = [
        {"domzero.xen.xen_sr": {"name": "NFS", "type": "nfs", "server": "127.10.0.10", "path": "/export/vms"}},
        {"domzero.xen.xen_vm": {"name": "web1", "template": "Other install media"}},
        {"domzero.xen.xen_vdi": {"name": "root", "size": "1 GiB", "sr": "Local storage", "attached_to": [{"vm": "web1", "position": 0}]}},
    ]
    assert play(*tasks).code == 0
    sim.world.clock.set_speed(4)
    ran = play({"name": "Move it", "domzero.xen.xen_vm_migrate": {"name": "web1", "sr": "NFS"}})
    assert ran.code == 0
    assert re.search(r"Move it: VDI\.pool_migrate [1-9]0%", ran.output), ran.output
