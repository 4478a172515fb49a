# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xen_pool_power over the wire: a pool goes down in order and comes back as it was."""

from __future__ import annotations

import socket
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, Timeout
from ansible_collections.domzero.xen.plugins.module_utils.resources.pool_power import KEY
from ansible_collections.domzero.xen.tests.simulator import agent
from ansible_collections.domzero.xen.tests.simulator.running import InProcess


@pytest.fixture
def lab(simulator) -> InProcess:
    return simulator("homogeneous", joined=True)


@pytest.fixture
def guest(lab, session) -> t.Callable[..., str]:
    """guest("web1", "xcp01", agent=True): a running VM; the reference."""

    def start(name: str, host: str, *, agent: bool = True) -> str:
        template = session.call("VM.get_by_name_label", "Other install media")[0]
        vm = session.call("VM.clone", template, name)
        session.call("VM.set_other_config", vm, {})
        session.call("VM.provision", vm)
        if agent:
            session.call("VM.set_xenstore_data", vm, {"vm-data/sim-agent": "192.0.2.7"})
        session.call("VM.start_on", vm, session.call("host.get_by_name_label", host)[0], False, False)
        return vm

    return start


def methods(sim: InProcess, since: int) -> list[str]:
    return [call["method"] for call in sim.calls(since)]


def wait_for(ready: t.Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.02)


def answers(sim: InProcess) -> bool:
    try:
        socket.create_connection((sim.hosts[0].address, sim.hosts[0].port)).close()
    except OSError:
        return False
    return True


def power(sim: InProcess) -> dict[str, str]:
    return {name: machine.power for name, machine in sim.world.machines.items()}


def test_guests_go_first_then_members_and_the_coordinator_last(lab, run, guest):
    guest("web1", "xcp00")
    guest("web2", "xcp01")
    mark = lab.mark()
    predicted = run("xen_pool_power", power_state="halted", check=True)
    assert lab.calls(mark) == []
    assert predicted["diff"]["before"]["guests_running"] == ["web1", "web2"]
    done = run("xen_pool_power", power_state="halted")
    assert (predicted["changed"], predicted["operations"], predicted["diff"]) == (done["changed"], done["operations"], done["diff"])
    wait_for(lambda: set(power(lab).values()) == {"off"})
    order = methods(lab, mark)
    assert order[0] == "pool.add_to_other_config"
    assert order.index("host.disable") > max(n for n, m in enumerate(order) if "VM." in m)
    shut = [call["params"][0] for call in lab.calls(mark) if call["method"] == "host.shutdown"]
    assert shut[-1] == lab.world.machines["xcp00"].host_ref
    assert len(shut) == 3


def test_the_way_back_brings_what_was_running(lab, run, guest, session_to):
    guest("web1", "xcp01")
    run("xen_pool_power", power_state="halted")
    wait_for(lambda: set(power(lab).values()) == {"off"})
    with lab.world.lock:
        agent.power_on(lab.world.machines["xcp00"])
    wait_for(lambda: answers(lab))
    done = run("xen_pool_power", power_state="running", host_timeout=30)
    assert done["pool"]["guests_running"] == ["web1"]
    assert done["pool"]["hosts_running"] == ["xcp00", "xcp01", "xcp02"]
    assert done["operations"].count("host.power_on") == 2
    db = lab.world.pools[0].db
    assert all(host["enabled"] for host in db.all("host").values())
    assert KEY not in lab.world.pools[0].pool["other_config"]
    mark = lab.mark()
    again = run("xen_pool_power", power_state="running")
    assert again["changed"] is False
    assert lab.calls(mark) == []


def test_storage_that_was_detached_before_is_not_waited_for(lab, run, session):
    local = session.call("SR.get_by_name_label", "Local storage")[-1]
    (pbd,) = session.call("SR.get_PBDs", local)
    session.call("PBD.unplug", pbd)
    lab.faults.fail("host.shutdown", error=["INTERNAL_ERROR", "no"])
    with pytest.raises(Exception, match="INTERNAL_ERROR"):
        run("xen_pool_power", power_state="halted")
    assert run("xen_pool_power", power_state="running", host_timeout=5)["pool"]["power_state"] == "running"
    assert lab.world.pools[0].db.get("PBD", pbd)["currently_attached"] is False


def test_a_guest_without_tools_is_named_and_nothing_is_shut_down(lab, run, guest):
    guest("mute", "xcp02", agent=False)
    mark = lab.mark()
    with pytest.raises(InvalidChange, match="mute") as refused:
        run("xen_pool_power", power_state="halted")
    assert "force: true" in str(refused.value)
    assert lab.calls(mark) == []


def test_force_switches_such_a_guest_off(lab, run, guest):
    vm = guest("mute", "xcp02", agent=False)
    run("xen_pool_power", power_state="halted", force=True)
    wait_for(lambda: set(power(lab).values()) == {"off"})
    assert lab.world.pools[0].db.get("VM", vm)["power_state"] == "Halted"


def test_a_guest_that_does_not_go_down_in_time_is_named_and_no_host_is_shut_down(lab, run, guest):
    guest("slow", "xcp01")
    lab.faults.slow("VM.clean_shutdown", 3600.0)
    lab.world.set_speed(1)
    with pytest.raises(Timeout, match="slow"):
        run("xen_pool_power", power_state="halted", guest_timeout=1)
    assert set(power(lab).values()) == {"on"}
    lab.world.set_speed(0)


def test_what_ran_before_an_interruption_is_not_forgotten(lab, run, guest, session):
    first = session.call("VM.get_uuid", guest("web1", "xcp01"))
    lab.faults.fail("host.shutdown", error=["INTERNAL_ERROR", "no"])
    with pytest.raises(Exception, match="INTERNAL_ERROR"):
        run("xen_pool_power", power_state="halted")
    assert first in lab.world.pools[0].pool["other_config"][KEY]
    back = run("xen_pool_power", power_state="running", host_timeout=30)
    assert back["pool"]["guests_running"] == ["web1"]


def test_high_availability_is_to_be_turned_off_first(lab, run, session):
    (pool,) = lab.world.pools
    pool.db.set("pool", pool.pool_ref, ha_enabled=True)
    mark = lab.mark()
    with pytest.raises(InvalidChange, match="high availability"):
        run("xen_pool_power", power_state="halted")
    assert lab.calls(mark) == []
    pool.db.set("pool", pool.pool_ref, ha_enabled=False)


def test_the_uuid_guards_against_the_wrong_pool(lab, run):
    with pytest.raises(NotFound, match="belongs to the pool"):
        run("xen_pool_power", power_state="halted", uuid="00000000-0000-0000-0000-000000000000")
    assert set(power(lab).values()) == {"on"}
