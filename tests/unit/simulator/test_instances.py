# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of the planner become pools, and xapi's plan for them is what its rules say."""

from __future__ import annotations

import random
import time
import typing as t

from ansible_collections.domzero.xen.tests.simulator import evacuation, evacuation_plan, instances, invariants, leaving, memory
from ansible_collections.domzero.xen.tests.simulator.software import KEY

from .conversation import until
from .upgrading import Lab

PARAMS = {"nic_gib_min": 50, "stream_gib_min": 20, "setup_min": 0.3, "dirty": 1.15, "max_in": 3, "max_out": 3, "reboot_min": 15}


def _instance(hosts: int, guests: int, seed: int = 1, **special: t.Any) -> dict[str, t.Any]:
    """Equal hosts, guests of 1 to 8 GiB on each, half of the memory taken at most."""
    chance = random.Random(seed)
    room = guests * 18 << 10
    vms = [
        {
            "id": f"vm{h}-{n}", "host": f"h{h}", "memory": chance.randint(1024, 8192), "overhead": 16, "vcpus": 1, "movable": True,
            "reason": "", "group": None, "allowed": None, "affinity": None,
        }
        for h in range(hosts)
        for n in range(guests)
    ]  # fmt: skip
    for name, fields in special.items():
        next(vm for vm in vms if vm["id"] == name.replace("_", "-")).update(fields)
    return {
        "name": "test", "seed": seed, "params": PARAMS, "target": "2", "coordinator": "h1", "vms": vms,
        "hosts": [{"id": f"h{h}", "memory": room, "cpus": 64, "version": "1"} for h in range(hosts)],
    }  # fmt: skip


def _lab(instance: dict[str, t.Any]) -> Lab:
    world = instances.build(instance)
    assert invariants.check(world) == []
    return Lab(next(iter(world.machines.values())))


def test_sizes_and_places_are_the_instances() -> None:
    instance = _instance(3, 4)
    pool = _lab(instance)
    assert pool.machine.name == "h1"
    for host in instance["hosts"]:
        taken = sum(vm["memory"] + vm["overhead"] for vm in instance["vms"] if vm["host"] == host["id"])
        assert pool("host.compute_free_memory", pool.ref(host["id"])) == (host["memory"] - taken) << 20


def test_what_can_not_move_or_not_everywhere() -> None:
    instance = _instance(3, 3, vm0_0={"movable": False, "reason": "pinned"}, vm0_1={"allowed": ["h0", "h1"]}, vm0_2={"group": "g"})
    pool = _lab(instance)
    pinned, picky = pool.named("vm0-0"), pool.named("vm0-1")
    network = pool.record("VIF", pool.record("VM", picky)["VIFs"][0])["network"]
    assert pool("host.get_vms_which_prevent_evacuation", pool.ref("h0")) == {
        pinned: ["OPERATION_BLOCKED", pinned, "pinned"],
        picky: ["VM_REQUIRES_NETWORK", picky, network],  # xapi wants every target to do
    }
    pool("VM.pool_migrate", picky, pool.ref("h1"), {})
    assert pool("VM.get_possible_hosts", picky) == [pool.ref("h1"), pool.ref("h0")]


def test_a_loop_over_hosts_puts_guests_where_the_rules_say_and_ends() -> None:
    pool = _lab(_instance(4, 4, vm2_0={"group": "g"}, vm3_1={"group": "g"}, vm1_1={"group": "g"}))
    moves = 0
    for host in ("h1", "h0", "h2", "h3"):
        db, ref = pool.db, pool.ref(host)
        pool("host.disable", ref)
        sizes = {vm: memory.need(db, vm) for vm in pool.guests(host)}
        free = {h: memory.free(db, h) for h in db.all("host") if h != ref and not evacuation.is_older(db, h, ref)}
        expected = evacuation_plan.make(sizes, free, leaving.groups(db, sizes, list(free)), 4)
        pool("host.evacuate", ref)
        assert {vm: db.get("VM", vm)["resident_on"] for vm in sizes} == expected
        moves += len(expected)
        pool.plugin(host, "update")
        pool.boot(host)
        until(pool.world, lambda one=host: pool.record("host", pool.ref(one))["enabled"])  # type: ignore[misc]
        assert (KEY in pool.pool["other_config"]) == (host != "h3")
    assert moves > 16
    assert {pool.version(host, "platform_version") for host in ("h0", "h1", "h2", "h3")} == {"2"}
    assert invariants.check(pool.world) == []


def test_a_large_pool_is_made_and_asked_in_seconds() -> None:
    began = time.monotonic()
    pool = _lab(_instance(32, 30))
    pool("host.get_vms_which_prevent_evacuation", pool.ref("h5"))
    assert time.monotonic() - began < 20
