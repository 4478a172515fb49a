# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""High availability of a simulated pool: on, off, how many hosts may fail."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build

GIB = 1 << 30


@pytest.fixture
def world() -> World:
    return build(3, joined=True)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def heartbeat(pool: Asked) -> str:
    """A shared SR attached on every host."""
    for n, host in enumerate(pool.db.all("host")):
        pool("PIF.reconfigure_ip", pool.pif("eth1", host), "Static", f"172.16.0.{20 + n}", "255.255.255.0", "", "")
        pool("PIF.plug", pool.pif("eth1", host))
    config = {"server": "172.16.0.10", "serverpath": "/export/vms"}
    return str(pool("SR.create", pool.host, config, 0, "vms", "", "nfs", "user", True, {}))


def test_ha_is_switched_on_with_a_statefile(pool: Asked, heartbeat: str) -> None:
    pool("pool.enable_ha", [heartbeat], {"timeout": "60"})
    record = pool.pool
    assert (record["ha_enabled"], record["ha_configuration"], record["ha_cluster_stack"]) == (True, {"timeout": "60"}, "xhad")
    [statefile] = record["ha_statefiles"]
    assert pool.record("VDI", statefile)["type"] == "ha_statefile"
    assert {vdi["type"] for vdi in pool.db.all("VDI").values() if vdi["SR"] == heartbeat} == {"ha_statefile", "redo_log"}
    for host in pool.db.all("host").values():
        assert len(host["ha_network_peers"]) == 3
    assert "ha_disable" in record["allowed_operations"]
    assert not {"ha_enable", "tls_verification_enable"} & set(record["allowed_operations"])
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["HA_IS_ENABLED"]


def test_without_a_choice_an_sr_that_can_hold_it_is_found(pool: Asked, heartbeat: str) -> None:
    pool("pool.enable_ha", [], {})
    assert pool.record("VDI", pool.pool["ha_statefiles"][0])["SR"] == heartbeat


def test_the_statefile_is_used_again(pool: Asked, heartbeat: str) -> None:
    pool("pool.enable_ha", [heartbeat], {})
    first = pool.pool["ha_statefiles"]
    pool("pool.disable_ha")
    record = pool.pool
    assert (record["ha_enabled"], record["ha_statefiles"]) == (False, [])
    assert "ha_enable" in record["allowed_operations"]
    pool("pool.enable_ha", [heartbeat], {})
    assert pool.pool["ha_statefiles"] == first


def test_ha_that_is_off_is_not_switched_off(pool: Asked) -> None:
    assert pool.refused("pool.disable_ha") == ["HA_NOT_ENABLED"]
    assert pool.refused("pool.ha_prevent_restarts_for", 60) == ["HA_NOT_ENABLED"]


def test_without_shared_storage_there_is_no_statefile(pool: Asked) -> None:
    assert pool.refused("pool.enable_ha", [], {}) == ["CANNOT_CREATE_STATE_FILE"]
    local = pool.db.find("SR", name_label="Local storage")[0]
    assert pool.refused("pool.enable_ha", [local], {}) == ["SR_HAS_NO_PBDS", local]


def test_the_storage_must_be_attached_everywhere(pool: Asked, heartbeat: str) -> None:
    pool("PBD.unplug", pool.record("SR", heartbeat)["PBDs"][-1])
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["SR_HAS_NO_PBDS", heartbeat]


def test_its_driver_must_attach_disks_early(pool: Asked, heartbeat: str) -> None:
    driver = pool.db.one("SM", type="nfs")
    features = {k: v for k, v in pool.record("SM", driver)["features"].items() if k not in ("VDI_GENERATE_CONFIG", "VDI_ATTACH_OFFLINE")}
    pool.db.set("SM", driver, features=features)
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["SR_OPERATION_NOT_SUPPORTED", heartbeat]


def test_there_must_be_room(pool: Asked, heartbeat: str) -> None:
    pool.db.set("SR", heartbeat, physical_utilisation=pool.record("SR", heartbeat)["physical_size"])
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["SR_SOURCE_SPACE_INSUFFICIENT", heartbeat]


def test_every_host_must_be_there(pool: Asked, heartbeat: str, world: World) -> None:
    away = world.machines["xcp02"].host_ref
    pool.db.set("host_metrics", pool.record("host", away)["metrics"], live=False)
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["HOST_OFFLINE", away]
    assert pool.pool["current_operations"] == {}


def test_interfaces_that_must_stay_up_are_up(pool: Asked, heartbeat: str) -> None:
    pif = pool.pif("eth3")
    pool("PIF.set_disallow_unplug", pif, True)
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["REQUIRED_PIF_IS_UNPLUGGED", pif]


def test_a_storage_interface_that_may_be_unplugged_is_a_warning(pool: Asked, heartbeat: str) -> None:
    pool("pool.enable_ha", [heartbeat], {})
    [message] = pool.db.all("message").values()
    assert message["name"] == "IP_CONFIGURED_PIF_CAN_UNPLUG"


def test_not_during_a_rolling_upgrade(pool: Asked, heartbeat: str) -> None:
    pool("pool.add_to_other_config", pool.machine.pool.pool_ref, "rolling_upgrade_in_progress", "true")
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["NOT_SUPPORTED_DURING_UPGRADE"]


def test_what_changes_the_pool_waits_for_ha(pool: Asked, heartbeat: str) -> None:
    """While a blocking operation runs everything else is refused with a code of its own."""
    ref = pool.machine.pool.pool_ref
    pool.db.set("pool", ref, current_operations={"OpaqueRef:t": "ha_enable"})
    assert pool.refused("pool.enable_tls_verification") == ["HA_ENABLE_IN_PROGRESS"]
    pool.db.set("pool", ref, current_operations={"OpaqueRef:t": "eject"})
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["OTHER_OPERATION_IN_PROGRESS", "pool", ref, "eject", "OpaqueRef:t"]
    pool.db.set("pool", ref, current_operations={}, is_psr_pending=True)
    assert pool.refused("pool.enable_ha", [heartbeat], {}) == ["POOL_SECRET_ROTATION_PENDING"]


@pytest.mark.parametrize("method", ["host.management_disable", "pool.rotate_secret"])
def test_under_ha_the_pool_keeps_its_shape(pool: Asked, heartbeat: str, method: str) -> None:
    pool("pool.enable_ha", [heartbeat], {})
    assert pool.refused(method) == ["HA_IS_ENABLED"]
    assert pool.refused("host.management_reconfigure", pool.pif("eth1")) == ["HA_IS_ENABLED"]
    assert pool.refused("pool.management_reconfigure", pool.record("PIF", pool.pif("eth1"))["network"]) == ["HA_IS_ENABLED"]


# how many hosts may fail ---------------------------------------------------------------------------------------------
def _protected(pool: Asked, host: str, gib: int, **fields: t.Any) -> str:
    vm = {"power_state": "Running", "resident_on": host, "memory_dynamic_min": gib * GIB, "ha_restart_priority": "restart"}
    return pool.db.create("VM", name_label="guest", **{**vm, **fields})


def test_without_protected_guests_all_but_one_host_may_fail(pool: Asked) -> None:
    assert pool("pool.ha_compute_max_host_failures_to_tolerate") == 2
    assert pool("pool.ha_failover_plan_exists", 2)
    assert not pool("pool.ha_failover_plan_exists", 3)


def test_big_guests_need_the_hosts(pool: Asked) -> None:
    for host in pool.db.all("host"):
        _protected(pool, host, 30)
    assert pool("pool.ha_compute_max_host_failures_to_tolerate") == 1
    guests = pool.db.find("VM", name_label="guest")
    assert pool("pool.ha_compute_hypothetical_max_host_failures_to_tolerate", dict.fromkeys(guests, "best-effort")) == 2
    assert pool("pool.ha_compute_hypothetical_max_host_failures_to_tolerate", dict.fromkeys(guests, "restart")) == 1
    answer = pool.refused("pool.ha_compute_hypothetical_max_host_failures_to_tolerate", {guests[0]: "always"})
    assert answer == ["INVALID_VALUE", "ha_restart_priority", "always"]


def test_a_guest_tied_to_its_host_leaves_no_plan(pool: Asked) -> None:
    vm = _protected(pool, pool.host, 1)
    local = pool.db.create("VDI", SR=pool.db.find("SR", name_label="Local storage")[0])
    pool.db.create("VBD", VM=vm, VDI=local)
    assert pool("pool.ha_compute_max_host_failures_to_tolerate") == 0
    assert pool("pool.ha_compute_vm_failover_plan", [pool.host], [vm]) == {vm: {"error_code": "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED"}}


def test_the_plan_says_where_each_guest_starts(pool: Asked) -> None:
    small, big = _protected(pool, pool.host, 1), _protected(pool, pool.host, 400)
    plan = pool("pool.ha_compute_vm_failover_plan", [pool.host], [small, big])
    assert plan[small]["host"] in set(pool.db.all("host")) - {pool.host}
    assert plan[big] == {"error_code": "HOST_NOT_ENOUGH_FREE_MEMORY"}


def test_the_number_of_failures_to_tolerate_is_kept_to(pool: Asked, heartbeat: str) -> None:
    ref = pool.machine.pool.pool_ref
    assert pool.refused("pool.set_ha_host_failures_to_tolerate", ref, -1) == ["INVALID_VALUE", "ha_host_failures_to_tolerate", "-1"]
    pool("pool.enable_ha", [heartbeat], {})
    pool("pool.set_ha_host_failures_to_tolerate", ref, 1)
    assert (pool.pool["ha_host_failures_to_tolerate"], pool.pool["ha_plan_exists_for"], pool.pool["ha_overcommitted"]) == (1, 1, False)
    assert pool.refused("pool.set_ha_host_failures_to_tolerate", ref, 3) == ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"]
    pool("pool.set_ha_allow_overcommit", ref, True)
    pool("pool.set_ha_host_failures_to_tolerate", ref, 3)
    assert pool.pool["ha_overcommitted"]


def test_a_host_the_plan_needs_is_not_disabled(pool: Asked, heartbeat: str) -> None:
    for host in pool.db.all("host"):
        _protected(pool, host, 30)
    pool("pool.enable_ha", [heartbeat], {})
    pool("pool.set_ha_host_failures_to_tolerate", pool.machine.pool.pool_ref, 1)
    assert pool.refused("host.disable", pool.host) == ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"]
    assert pool.record("host", pool.host)["enabled"]


# redo log ------------------------------------------------------------------------------------------------------------
def test_the_redo_log_lies_on_shared_storage(pool: Asked, heartbeat: str) -> None:
    pool("pool.enable_redo_log", heartbeat)
    assert pool.record("VDI", pool.pool["redo_log_vdi"])["SR"] == heartbeat
    assert pool.refused("pool.enable_redo_log", heartbeat) == ["REDO_LOG_IS_ENABLED"]
    pool("pool.disable_redo_log")
    assert not pool.pool["redo_log_enabled"]
    pool("pool.enable_ha", [heartbeat], {})
    assert pool.refused("pool.enable_redo_log", heartbeat) == ["HA_IS_ENABLED"]
    assert pool.refused("pool.disable_redo_log") == ["HA_IS_ENABLED"]
