# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of VMs, and the addresses their guests tell."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, Timeout

if t.TYPE_CHECKING:
    from ..conftest import Run, Start

NET0, NET1 = "Pool-wide network associated with eth0", "Pool-wide network associated with eth1"
VM = {"name": "web01", "template": "Debian Bookworm 12", "xenstore_data": {"vm-data/sim-agent": "10.40.0.5"}, "wait_timeout": 5}


@pytest.fixture(autouse=True)
def site(simulator: Start) -> None:
    simulator("examples")


def test_a_new_vm_gets_its_nics(converges: Run) -> None:
    nics = [{"network": NET0}, {"network": NET1, "mac": "02-16-3E-00-00-01", "rate_limit": 1024}]
    done = converges("xen_vm", **VM, nics=nics)
    first, second = done["vm"]["nics"]
    assert (first["device"], first["network"], first["mtu"]) == (0, NET0, 1500)
    assert int(first["mac"][:2], 16) & 3 == 2
    assert (second["mac"], second["rate_limit"]) == ("02:16:3e:00:00:01", 1024)


def test_a_nic_is_added_to_a_running_vm_and_moved(converges: Run) -> None:
    converges("xen_vm", **VM, nics=[{"network": NET0}], power_state="running", wait_for="tools")
    added = converges("xen_vm", name="web01", nics=[{}, {"network": NET0}])
    assert added["operations"] == ["VIF.create", "VIF.plug"]
    moved = converges("xen_vm", name="web01", nics=[{"device": 1, "network": NET1}])
    assert moved["operations"] == ["VIF.move"]
    assert len(moved["vm"]["nics"]) == 2


def test_nics_that_are_not_named_go_only_when_the_task_says_so(converges: Run) -> None:
    converges("xen_vm", **VM, nics=[{"network": NET0}, {"network": NET1}])
    assert not converges("xen_vm", name="web01", nics=[{"device": 1}])["changed"]
    done = converges("xen_vm", name="web01", nics=[{"device": 1}], prune_nics=True)
    assert [nic["device"] for nic in done["vm"]["nics"]] == [1]


def test_what_a_nic_may_send_is_changed_in_place(converges: Run) -> None:
    converges("xen_vm", **VM, nics=[{"network": NET0}])
    options = {"locking_mode": "locked", "ipv4_allowed": ["10.0.0.5"], "rate_limit": 100, "other_config": {"a": "b"}}
    done = converges("xen_vm", name="web01", nics=[options])
    assert set(done["operations"]) == {
        "VIF.set_qos_algorithm_type", "VIF.set_qos_algorithm_params", "VIF.set_ipv4_allowed", "VIF.set_locking_mode", "VIF.set_other_config"
    }  # fmt: skip


def test_another_mac_address_replaces_the_nic_of_a_running_vm_only_when_that_is_allowed(converges: Run, run: Run) -> None:
    converges("xen_vm", **VM, nics=[{"network": NET0}], power_state="running", wait_for="tools")
    with pytest.raises(InvalidChange, match="take NIC 0 from VM 'web01', which runs"):
        run("xen_vm", name="web01", nics=[{"mac": "02:00:00:00:00:07"}])
    done = converges("xen_vm", name="web01", nics=[{"mac": "02:00:00:00:00:07"}], allow_disruption=True)
    assert done["operations"] == ["VIF.unplug", "VIF.destroy", "VIF.create", "VIF.plug"]


@pytest.mark.parametrize(
    ("nics", "told"),
    [
        ([{"network": NET0, "mac": "02:16:3e:00:00"}], "is no MAC address"),
        ([{"network": NET0, "mac": "03:16:3e:00:00:01"}], "is a group address"),
        ([{"network": NET0, "mac": "02:16:3e:00:00:01"}, {"network": NET1, "mac": "02:16:3e:00:00:01"}], "twice"),
        ([{"network": NET0, "device": 16}], "cannot be device 16"),
        ([{"network": NET0, "device": 1}, {"network": NET0, "device": 1}], "name device 1 twice"),
        ([{"mac": "02:16:3e:00:00:01"}], "the task names no network"),
        ([{"network": NET0, "mac": "02:00:00:00:00:0a"}], "is VM 'other''s"),
    ],
)
def test_bad_nics_are_refused_before_anything_is_made(run: Run, nics: list[dict[str, t.Any]], told: str) -> None:
    run("xen_vm", name="other", template="Other install media", nics=[{"network": NET0, "mac": "02:00:00:00:00:0a"}])
    for check in (True, False):
        with pytest.raises(InvalidChange, match=told):
            run("xen_vm", **VM, nics=nics, check=check)
    assert not run("xen_vm_info", name="web01")["vms"]


def test_an_unknown_network_is_named(run: Run) -> None:
    with pytest.raises(NotFound, match="No network is named 'DMZ'"):
        run("xen_vm", **VM, nics=[{"network": "DMZ"}])


def test_an_address_is_waited_for_and_told(converges: Run, run: Run) -> None:
    done = converges("xen_vm", **VM, nics=[{"network": NET0}], power_state="running", wait_for="address", wait_network=NET0)
    facts = run("xen_vm_info", name="web01")["facts"][done["vm"]["uuid"]]
    assert facts["addresses"]["0"]
    assert facts["tools"]["detected"]


def test_a_guest_that_tells_no_address_says_what_was_seen(run: Run) -> None:
    data = {"vm-data/sim-agent": "none"}
    with pytest.raises(Timeout, match="its tools have not been heard of, there is no address"):
        run(
            "xen_vm",
            **{**VM, "xenstore_data": data, "wait_timeout": 1},
            nics=[{"network": NET0}],
            power_state="running",
            wait_for="address",
        )
