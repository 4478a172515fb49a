# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool is balanced over the wire; the plan itself is tested with the planner."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, NotFound

from .moving_lab import GIB, NULL, Lab

Run = t.Callable[..., t.Any]


@pytest.fixture
def lab(simulator, session_to) -> Lab:
    sim = simulator(2)
    lab = Lab(sim, session_to(sim))
    for host in ("xcp00", "xcp01"):  # 8 GiB for guests
        record = lab("host.get_record", lab.host(host))
        dom0 = next(vm for vm in lab("VM.get_all_records").values() if vm["is_control_domain"] and vm["resident_on"] == lab.host(host))
        used = int(record["memory_overhead"]) + int(dom0["memory_dynamic_min"]) + int(dom0["memory_overhead"])
        lab.bend("host_metrics", record["metrics"], memory_total=8 * GIB + used)
    return lab


def spread(lab: Lab) -> dict[str, str]:
    rows = lab("VM.get_all_records").values()
    return {
        vm["name_label"]: lab("host.get_name_label", vm["resident_on"])
        for vm in rows
        if vm["resident_on"] != NULL and not vm["is_control_domain"]
    }


def crowd(lab: Lab, count: int = 4, **options: t.Any) -> list[str]:
    return [lab.running(f"web{n}", memory=GIB, **options) for n in range(count)]


@pytest.mark.parametrize("parallel", [1, 2])
def test_guests_are_spread_once(lab: Lab, converges: Run, parallel: int) -> None:
    crowd(lab)
    done = converges("xen_pool_balance", parallel=parallel)
    moved = [(move["vm"], move["from"], move["to"]) for move in done["moves"]]
    assert moved == [("web0", "xcp00", "xcp01"), ("web1", "xcp00", "xcp01")]
    assert spread(lab) == {"web0": "xcp01", "web1": "xcp01", "web2": "xcp00", "web3": "xcp00"}
    assert done["balance"]["imbalance"] == 0
    assert done["diff"]["before"]["hosts"]["xcp00"]["vms"] == 4
    assert done["balance"]["hosts"]["xcp01"]["vms"] == 2
    assert done["operations"] == ["VM.pool_migrate"] * 2
    assert done["tied"] == {}


def test_no_more_guests_move_than_allowed(lab: Lab, run: Run) -> None:
    crowd(lab, 6)
    assert len(run("xen_pool_balance", max_moves=1)["moves"]) == 1
    assert len(run("xen_pool_balance", max_moves=9)["moves"]) == 2
    assert run("xen_pool_balance")["changed"] is False


def test_below_the_threshold_nothing_is_done(lab: Lab, run: Run) -> None:
    crowd(lab, 2)
    done = run("xen_pool_balance", threshold=60)
    assert (done["changed"], done["moves"]) == (False, [])
    assert "tied" not in done


def test_what_cannot_move_is_told_with_the_reason(lab: Lab, run: Run) -> None:
    crowd(lab, 2, tools=False)
    lab.running("local", memory=GIB, sr=lab.local_sr("xcp00"), disks=1)
    done = run("xen_pool_balance", check=True)
    assert done["moves"] == []
    disk, host = done["tied"].pop("local").split(lab("SR.get_uuid", lab.local_sr("xcp00")))
    assert (disk, host) == ("Disk 0 of VM 'local' is in SR '", "', which host 'xcp01' does not have.")
    assert done["tied"] == {
        "web0": "VM 'web0' has no guest tools running.",
        "web1": "VM 'web1' has no guest tools running.",
    }


def test_excluded_and_affine_guests_stay(lab: Lab, run: Run) -> None:
    first, *_rest = crowd(lab)
    lab("VM.set_affinity", first, lab.host("xcp00"))
    run("xen_pool_balance", exclude=["web1"])
    assert spread(lab) == {"web0": "xcp00", "web1": "xcp00", "web2": "xcp01", "web3": "xcp01"}
    with pytest.raises(NotFound, match="No VM is named 'web9'"):
        run("xen_pool_balance", exclude=["web9"], threshold=0)


def test_guests_of_a_group_are_not_brought_together(lab: Lab, run: Run) -> None:
    vms = crowd(lab, 2)
    vms.append(lab.running("web2", "xcp01", memory=GIB // 4))
    group = lab("VM_group.create", {"name_label": "front", "name_description": "", "placement": "anti_affinity"})
    for vm in (vms[0], vms[2]):
        lab("VM.set_groups", vm, [group])
    assert [move["vm"] for move in run("xen_pool_balance", check=True)["moves"]] == ["web1"]


def test_a_host_in_maintenance_is_left_alone(lab: Lab, run: Run) -> None:
    crowd(lab)
    lab("host.disable", lab.host("xcp01"))
    done = run("xen_pool_balance")
    assert done["changed"] is False
    assert list(done["balance"]["hosts"]) == ["xcp00"]


def test_hosts_without_an_address_on_the_network_get_no_guest(lab: Lab, run: Run) -> None:
    crowd(lab)
    storage = "Pool-wide network associated with eth1"
    assert run("xen_pool_balance", network=storage)["moves"] == []
    run("xen_pif", host="xcp01", device="eth1", mode="static", ip="172.16.0.201/24")
    mark = lab.sim.mark()
    assert len(run("xen_pool_balance", network=storage)["moves"]) == 2
    assert {call["params"][2]["network"] for call in lab.sim.calls(mark)} == {lab.one("network", storage)}


def test_vcpus_are_evened_when_asked_for(lab: Lab, run: Run) -> None:
    crowd(lab, 2)
    lab.running("big", "xcp01", memory=2 * GIB)
    assert run("xen_pool_balance", check=True)["moves"] == []
    assert run("xen_pool_balance", check=True, by="both", threshold=1)["balance"]["imbalance"] < 100


def test_guests_that_could_not_be_restarted_stay(lab: Lab, run: Run) -> None:
    for vm in crowd(lab, 4):
        lab.bend("VM", vm, ha_restart_priority="restart", ha_always_run=True)
    lab.bend("pool", lab("pool.get_all")[0], ha_enabled=True, ha_host_failures_to_tolerate=1)
    assert len(run("xen_pool_balance", check=True)["moves"]) == 2
    lab.bend("VM", lab.running("db1", "xcp01", memory=GIB), ha_restart_priority="restart", ha_always_run=True)
    metrics = lab("host.get_metrics", lab.host("xcp00"))
    spare = int(lab("host.compute_free_memory", lab.host("xcp00")))
    lab.bend("host_metrics", metrics, memory_total=int(lab("host_metrics.get_memory_total", metrics)) - spare)
    assert run("xen_pool_balance", check=True)["moves"] == []


# faults ------------------------------------------------------------------------------
@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupted_task_moves_what_it_would_have_moved(lab: Lab, run: Run, cut: str, nth: int, parallel: int) -> None:
    crowd(lab)
    getattr(lab.sim.faults, cut)(nth)
    run("xen_pool_balance", parallel=parallel)
    assert sorted(spread(lab).values()) == ["xcp00", "xcp00", "xcp01", "xcp01"]
    assert run("xen_pool_balance")["changed"] is False


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_migration_that_fails_is_named(lab: Lab, run: Run, parallel: int) -> None:
    crowd(lab)
    lab.sim.faults.fail("VM.pool_migrate", error=["VM_MIGRATE_FAILED", "vm", "from", "to", "no"])
    with pytest.raises(ApiError, match="VM_MIGRATE_FAILED"):
        run("xen_pool_balance", parallel=parallel)
    run("xen_pool_balance", parallel=parallel)
    assert sorted(spread(lab).values()) == ["xcp00", "xcp00", "xcp01", "xcp01"]


def test_a_migration_under_way_is_waited_for(lab: Lab, run: Run) -> None:
    first, *_rest = crowd(lab)
    lab.sim.world.clock.set_speed(4)
    lab("Async.VM.pool_migrate", first, lab.host("xcp01"), {"live": "true"})
    lab.moving(first)
    assert len(run("xen_pool_balance")["moves"]) == 1
