# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gets who says something wrong: one sentence that names the thing and what to do, and nothing is changed."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.tests.simulator import agent
from ansible_collections.domzero.xen.tests.simulator.sessions import ROLES

from .conftest import BadOptions

Sim = Run = t.Any
Options = dict[str, t.Any]
HERE = Path(__file__).parent
LAB = str(HERE / "storage_lab.yml")
CASES: dict[str, Options] = yaml.safe_load((HERE / "bad_input.yml").read_text())
NFS = {"name": "VMs", "type": "nfs", "server": "127.60.0.10", "path": "/export/vms"}


def refused(run: Run, sim: Sim, module: str, options: Options) -> XenError:
    """How the task fails: alike in check mode, and without a changing call."""
    mark = sim.mark()
    with pytest.raises(XenError) as predicted:
        run(module, check=True, **options)
    with pytest.raises(XenError) as done:
        run(module, **options)
    assert (str(predicted.value), predicted.value.code) == (str(done.value), done.value.code), "check mode says something else"
    assert sim.calls(mark) == []
    assert done.value.done == []
    return done.value


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_a_sentence_that_names_it(simulator: t.Any, run: Run, name: str) -> None:
    case = dict(CASES[name])
    says, code, first = case.pop("says"), case.pop("code", ""), case.pop("first", {})
    sim = simulator(LAB)
    for module, options in first.items():
        run(module, **options)
    ((module, options),) = case.items()
    error = refused(run, sim, module, options)
    assert [part for part in says if part not in str(error)] == [], str(error)
    assert error.code == code
    assert "OpaqueRef" not in str(error)
    assert "secret-but-wrong" not in str(error)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vlan": {"tag": 4, "nic": "eth1"}, "nic": "eth0"}, "mutually exclusive: nic|vlan"),
        ({"vlan": {"tag": 4, "nic": "eth1", "network": "x"}}, "mutually exclusive: network|nic found in vlan"),
        ({"vlan": {"tag": "many", "nic": "eth1"}}, "'tag'"),
        ({"bond": {"nics": ["eth1", "eth2"], "mode": "fast"}}, "balance-slb"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_options_that_contradict_each_other_are_refused_by_name(simulator: t.Any, run: Run, options: Options, says: str) -> None:
    sim = simulator(LAB)
    with pytest.raises(BadOptions, match=says.replace("|", r"\|")):
        run("xen_network", name="DMZ", **options)
    assert sim.calls() == []


def test_a_member_given_instead_of_the_coordinator_is_followed(simulator: t.Any, run: Run, converges: Run) -> None:
    sim = simulator(LAB)
    assert run("xen_network", on="xcp01", name="DMZ")["changed"]
    assert [call["host"] for call in sim.calls()] == ["xcp00"]
    assert run("xen_network", on="xcp00", name="DMZ")["changed"] is False


def test_the_ca_of_another_host_is_not_enough(simulator: t.Any, run: Run) -> None:
    sim = simulator(LAB)
    error = refused(run, sim, "xen_network", {"name": "DMZ", "fingerprint": None, "ca_file": sim.hosts[1].ca_file})
    assert f"The certificate of {sim.hosts[0].url} is not trusted" in str(error)


def test_the_ca_file_of_the_host_itself_is(simulator: t.Any, run: Run) -> None:
    sim = simulator(LAB)
    assert run("xen_network", name="DMZ", fingerprint=None, ca_file=sim.hosts[0].ca_file)["changed"]


# roles ------------------------------------------------------------------------------
def user(sim: Sim, name: str, *roles: str) -> str:
    """An external account of the pool with these roles."""
    db = sim.world.pools[0].db
    for host in db.all("host"):
        db.set("host", host, external_auth_type="AD")
    refs = [f"OpaqueRef:{ROLES[role]}" for role in roles]
    db.create("subject", subject_identifier=f"S-{name}", other_config={"subject-name": name}, roles=refs)
    return name


@pytest.mark.parametrize(
    ("role", "module", "options", "call"),
    [
        ("read-only", "xen_network", {"name": "DMZ"}, "network.create"),
        ("vm-admin", "xen_network", {"name": "DMZ", "vlan": {"tag": 5, "nic": "eth1"}}, "VLAN.create"),
        ("vm-operator", "xen_pool", {"name": "Lab"}, "pool.set_name_label"),
        ("vm-admin", "xen_pif", {"host": "xcp00", "device": "eth1", "mode": "dhcp"}, "PIF.reconfigure_ip"),
    ],
)
def test_a_role_too_low_for_one_of_the_calls_is_told_before_the_first(
    simulator: t.Any, run: Run, role: str, module: str, options: Options, call: str
) -> None:
    sim = simulator(LAB)
    error = refused(run, sim, module, {**options, "username": user(sim, "jo", role)})
    assert error.code == "RBAC_PERMISSION_DENIED"
    assert f"the role of user 'jo' does not allow {call}" in str(error)
    assert "Log in as a user with a higher role" in str(error)


def test_a_user_who_may_not_even_look_at_storage_is_not_told_that_it_is_unreachable(simulator: t.Any, run: Run) -> None:
    sim = simulator(LAB)
    error = refused(run, sim, "xen_sr", {**NFS, "username": user(sim, "jo", "read-only")})
    assert error.code == "RBAC_PERMISSION_DENIED"
    assert "reach" not in str(error)


def test_a_user_without_any_role_cannot_log_in(simulator: t.Any, run: Run) -> None:
    sim = simulator(LAB)
    error = refused(run, sim, "xen_network", {"name": "DMZ", "username": user(sim, "jo")})
    assert error.code == "RBAC_PERMISSION_DENIED"
    assert "User 'jo' could not log in" in str(error)


def test_a_role_that_is_high_enough_does_the_task(simulator: t.Any, converges: Run) -> None:
    sim = simulator(LAB)
    assert converges("xen_network", name="DMZ", username=user(sim, "jo", "pool-operator"), vlan={"tag": 5, "nic": "eth1"})["changed"]


def test_a_user_who_may_only_look_is_told_that_all_is_well(simulator: t.Any, run: Run) -> None:
    sim = simulator(LAB)
    run("xen_network", name="DMZ")
    assert run("xen_network", name="DMZ", username=user(sim, "jo", "read-only"))["changed"] is False


# what XenAPI refuses in mid-task ------------------------------------------------------
def test_an_error_in_mid_task_tells_the_step_and_what_was_done_and_the_next_run_finishes(simulator: t.Any, run: Run) -> None:
    sim = simulator(LAB)
    sim.faults.fail("VLAN.create", nth=2, error=["HOST_OFFLINE", "OpaqueRef:unknown"])
    task = {"name": "DMZ", "vlan": {"tag": 5, "nic": "eth1"}}
    with pytest.raises(XenError) as failed:
        run("xen_network", **task)
    assert failed.value.code == "HOST_OFFLINE"
    assert failed.value.done == ["network.create", "VLAN.create"]
    assert "Could not" in str(failed.value)
    assert "VLAN" in str(failed.value)
    assert run("xen_network", **task)["operations"] == ["VLAN.create"]
    assert run("xen_network", **task)["changed"] is False


def test_a_host_that_disappears_in_mid_join_is_named_and_the_next_run_finishes(simulator: t.Any, run: Run) -> None:
    sim = simulator(2, joined=False)
    members = [{"name": "xcp01", "address": sim.hosts[1].url}]
    sim.faults.keep_down("xcp01")
    with pytest.raises(XenError, match="Waited 1 seconds for host 'xcp01' to start as a member") as failed:
        run("xen_pool", members=members, wait_timeout=1)
    assert str(failed.value).endswith("last seen: it is not live yet")
    sim.faults.clear()
    machine = sim.world.machines["xcp01"]
    with sim.world.lock:
        agent.power_on(machine)
    done = run("xen_pool", members=members)
    assert (done["operations"], done["changed"]) == ([], False)
    assert [m["name"] for m in done["pool"]["members"]] == ["xcp01"]
