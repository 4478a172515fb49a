# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests leave a host."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build

GIB = 1 << 30


@pytest.fixture
def world() -> World:
    return build(2, joined=True)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def member(world: World) -> str:
    return world.machines["xcp01"].host_ref


def _guest(asked: Asked, host: str, **fields: t.Any) -> str:
    size = fields.pop("memory_dynamic_min", 2 * GIB)
    memory = {"memory_dynamic_min": size, "memory_dynamic_max": size, "memory_static_max": size, "memory_overhead": 16 << 20}
    cpus = {"domain_type": "pv", "VCPUs_max": 1, "VCPUs_at_startup": 1, "HVM_shadow_multiplier": 1.0}  # a PV guest can always move
    return asked.db.create("VM", name_label="guest", power_state="Running", resident_on=host, **{**memory, **cpus, **fields})


def test_guests_move_to_the_other_host(pool: Asked, member: str) -> None:
    vm = _guest(pool, member)
    pool("host.disable", member)
    assert pool("host.get_vms_which_prevent_evacuation", member) == {}
    pool("host.assert_can_evacuate", member)
    pool("host.evacuate", member)
    assert pool.record("VM", vm)["resident_on"] == pool.host
    assert pool.record("host", member)["enabled"] is False
    assert pool("host.get_uncooperative_resident_VMs", member) == []


def test_without_another_enabled_host_nobody_moves(pool: Asked, member: str) -> None:
    vm = _guest(pool, member)
    pool("host.disable", pool.host)
    refusal = ["NO_HOSTS_AVAILABLE", vm]
    assert pool("host.get_vms_which_prevent_evacuation", member) == {vm: refusal}
    assert pool.refused("host.evacuate", member) == refusal
    assert pool.refused("host.assert_can_evacuate", member) == ["CANNOT_EVACUATE_HOST", f"NO_HOSTS_AVAILABLE,{vm}"]


def test_what_keeps_a_guest_is_named(pool: Asked, member: str) -> None:
    big = _guest(pool, member, memory_dynamic_min=500 * GIB)
    local = pool.db.create("VDI", SR=next(ref for ref, sr in pool.db.all("SR").items() if sr["name_label"] == "Local storage"))
    stored = _guest(pool, member)
    pool.db.create("VBD", VM=stored, VDI=local)
    wired = _guest(pool, member)
    network = pool.network()
    pool("VLAN.create", pool.pif("eth1", member), 7, network)
    pool.db.create("VIF", VM=wired, network=network)
    newer = _guest(pool, member, hardware_platform_version=7)
    prevented = pool("host.get_vms_which_prevent_evacuation", member)
    assert prevented[big] == ["HOST_NOT_ENOUGH_FREE_MEMORY", big]
    assert prevented[wired] == ["VM_REQUIRES_NETWORK", wired, network]
    assert prevented[newer][0] == "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION"
    assert stored not in prevented or prevented[stored][0] == "VM_REQUIRES_SR"


def test_a_guest_stays_with_the_processor_it_was_started_on(pool: Asked, member: str) -> None:
    vm = _guest(pool, member, last_boot_CPU_flags={"features": "ffffffff-ffffffff"})
    assert pool("host.get_vms_which_prevent_evacuation", member)[vm][:3] == ["VM_INCOMPATIBLE_WITH_THIS_HOST", vm, pool.host]


def test_guests_do_not_move_to_older_software(pool: Asked, member: str) -> None:
    vm = _guest(pool, member)
    pool.db.add_to_map("host", pool.host, "software_version", "xen", "4.0.0")
    assert pool("host.get_vms_which_prevent_evacuation", member) == {vm: ["NO_HOSTS_AVAILABLE", vm]}


def test_the_network_of_an_evacuation_must_be_usable(pool: Asked, member: str) -> None:
    _guest(pool, member)
    empty, eth1 = pool.network(), pool.pif("eth1")
    assert pool.refused("host.evacuate", member, empty) == ["PIF_NOT_PRESENT", pool.host, empty]
    network = pool.record("PIF", eth1)["network"]
    pool("PIF.unplug", eth1)
    assert pool.refused("host.evacuate", member, network) == ["REQUIRED_PIF_IS_UNPLUGGED", eth1]
    pool("PIF.plug", eth1)
    assert pool.refused("host.evacuate", member, network) == ["INTERFACE_HAS_NO_IP", eth1]


def test_free_memory_is_what_guests_leave(pool: Asked, member: str) -> None:
    before = pool("host.compute_free_memory", member)
    _guest(pool, member)
    assert before - pool("host.compute_free_memory", member) == 2 * GIB + (16 << 20)
    assert 0 < before < pool.record("host_metrics", pool.record("host", member)["metrics"])["memory_total"]
    assert pool("host.compute_memory_overhead", member) == pool.record("host", member)["memory_overhead"]
