# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of simulated hosts and pools that are more than a field."""

from __future__ import annotations

from datetime import datetime

import pytest

from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build, until


@pytest.fixture
def world() -> World:
    return build(2, joined=True)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def member(world: World) -> str:
    return world.machines["xcp01"].host_ref


# host ----------------------------------------------------------------------------------------------------------------
def test_a_host_name(pool: Asked, member: str) -> None:
    pool("host.set_hostname_live", member, "rack7.lab")
    assert pool("host.get_hostname", member) == "rack7.lab"
    for bad in ("", "x" * 300, "a b", "ä"):
        assert pool.refused("host.set_hostname_live", member, bad)[0] == "HOST_NAME_INVALID"


def test_initiator_name_and_multipathing_are_seen_in_other_config_too(pool: Asked, member: str) -> None:
    pool("host.set_iscsi_iqn", member, "iqn.2026-01.lab:x")
    pool("host.set_multipathing", member, True)
    record = pool.record("host", member)
    assert (record["iscsi_iqn"], record["multipathing"]) == ("iqn.2026-01.lab:x", True)
    assert record["other_config"]["iscsi_iqn"] == "iqn.2026-01.lab:x"
    assert record["other_config"]["multipathing"] == "true"
    assert pool.refused("host.set_iscsi_iqn", member, "") == ["INVALID_VALUE", "value", ""]


def test_a_secret_of_an_old_power_on_configuration_is_destroyed(pool: Asked, member: str) -> None:
    secret = pool.db.create("secret", value="x")
    config = {"power_on_ip": "10.0.0.1", "power_on_password_secret": pool.record("secret", secret)["uuid"]}
    pool("host.set_power_on_mode", member, "IPMI", config)
    assert pool.record("host", member)["power_on_config"] == config
    pool("host.set_power_on_mode", member, "", {})
    assert not pool.db.exists("secret", secret)


def test_ntp_needs_servers_for_its_custom_mode(pool: Asked, member: str) -> None:
    assert pool.refused("host.set_ntp_mode", member, "Custom")[0] == "INVALID_NTP_CONFIG"
    pool("host.set_ntp_custom_servers", member, ["ntp.lab"])
    pool("host.set_ntp_mode", member, "Custom")
    assert pool("host.get_ntp_servers_status", member) == {"ntp.lab": "current"}
    assert pool.refused("host.set_ntp_custom_servers", member, [])[0] == "INVALID_NTP_CONFIG"
    assert pool.refused("host.set_servertime", member, "20260101T00:00:00Z") == ["NOT_ALLOWED_WHEN_NTP_IS_ENABLED", member]
    pool("host.set_ntp_mode", member, "Disabled")
    pool("host.set_servertime", member, "20260101T00:00:00Z")
    assert not pool("host.get_ntp_synchronized", member)


def test_a_time_zone_has_a_name(pool: Asked, member: str) -> None:
    assert "Asia/Tokyo" in pool("host.list_timezones", member)
    pool("host.set_timezone", member, "Asia/Tokyo")
    dates = [pool(f"host.{name}", member).rstrip("Z") for name in ("get_servertime", "get_server_localtime")]
    utc, local = (datetime.strptime(date, "%Y%m%dT%H:%M:%S") for date in dates)
    assert round((local - utc).total_seconds() / 3600) == 9
    assert pool.refused("host.set_timezone", member, "Mars/Base") == ["INVALID_VALUE", "timezone", "Mars/Base"]


def test_the_shell_goes_off_when_its_time_is_over(pool: Asked, member: str, world: World) -> None:
    pool("host.set_ssh_enabled_timeout", member, 3600)
    pool("host.disable_ssh", member)
    assert (pool.record("host", member)["ssh_enabled"], pool.record("host", member)["ssh_auto_mode"]) == (False, False)
    pool("host.enable_ssh", member)
    until(world, lambda: not pool.record("host", member)["ssh_enabled"])
    assert pool.refused("host.set_ssh_enabled_timeout", member, 10**7)[:2] == ["INVALID_VALUE", "ssh_enabled_timeout"]


def test_shell_settings_reach_every_host_that_answers(pool: Asked, member: str) -> None:
    ref = pool.machine.pool.pool_ref
    pool("pool.disable_ssh", ref)
    pool("pool.set_ssh_auto_mode", ref, True)
    pool("pool.set_console_idle_timeout", ref, 600)
    for host in pool.db.all("host").values():
        assert (host["ssh_enabled"], host["ssh_auto_mode"], host["console_idle_timeout"]) == (False, True, 600)
    pool.db.set("host_metrics", pool.record("host", member)["metrics"], live=False)
    assert pool.refused("pool.enable_ssh", ref) == ["ENABLE_SSH_PARTIALLY_FAILED", member]
    assert pool.record("host", pool.host)["ssh_enabled"]


def test_smaller_settings(pool: Asked, member: str) -> None:
    pool("host.set_max_cstate", member, "1,0")
    assert pool.refused("host.set_max_cstate", member, "deep") == ["INVALID_VALUE", "max_cstate", "deep"]
    pool("host.set_numa_affinity_policy", member, "best_effort")
    pool("host.set_https_only", member, False)
    assert pool("host.disable_display", member) == "disable_on_reboot"
    assert pool("host.enable_display", member) == "enabled"
    assert pool.refused("host.apply_edition", member, "gold") == ["INVALID_EDITION", "gold"]
    pool("host.syslog_reconfigure", member)
    record = pool.record("host", member)
    assert (record["max_cstate"], record["numa_affinity_policy"], record["https_only"]) == ("1,0", "best_effort", False)


def test_a_plugin_that_is_not_there(pool: Asked) -> None:
    assert pool.refused("host.call_plugin", pool.host, "backup", "run", {}) == ["XENAPI_MISSING_PLUGIN", "backup"]
    assert pool("host.has_extension", pool.host, "x") is False


def test_local_caching_wants_a_disabled_host_with_ext_storage(pool: Asked, member: str) -> None:
    [mine] = [sr for sr in pool.db.find("SR", name_label="Local storage") if pool.db.find("PBD", SR=sr, host=member)]
    assert pool.refused("host.enable_local_storage_caching", pool.host, mine) == ["HOST_CANNOT_SEE_SR", pool.host, mine]
    assert pool.refused("host.enable_local_storage_caching", member, mine) == ["HOST_NOT_DISABLED"]
    assert pool.refused("pool.enable_local_storage_caching", pool.machine.pool.pool_ref)[0] == "HOSTS_FAILED_TO_ENABLE_CACHING"
    pool("host.disable", member)
    pool("host.enable_local_storage_caching", member, mine)
    assert pool.record("SR", mine)["local_cache_enabled"]
    pool("host.disable_local_storage_caching", member)
    assert not pool.record("SR", mine)["local_cache_enabled"]


# pool ----------------------------------------------------------------------------------------------------------------
def test_tls_verification_is_the_whole_pools(pool: Asked, member: str) -> None:
    assert pool.refused("host.emergency_reenable_tls_verification") == ["TLS_VERIFICATION_NOT_ENABLED_IN_POOL"]
    pool("pool.enable_tls_verification")
    assert pool.pool["tls_verification_enabled"]
    assert all(host["tls_verification_enabled"] for host in pool.db.all("host").values())
    pool("host.emergency_disable_tls_verification")
    assert not pool.record("host", pool.host)["tls_verification_enabled"]
    pool("host.emergency_reenable_tls_verification")
    assert pool.record("host", pool.host)["tls_verification_enabled"]


def test_igmp_snooping_shows_at_the_interfaces_that_are_up(pool: Asked) -> None:
    ref = pool.machine.pool.pool_ref
    pool("pool.set_igmp_snooping_enabled", ref, True)
    assert pool.record("PIF", pool.pif("eth0"))["igmp_snooping_status"] == "enabled"
    assert pool.record("PIF", pool.pif("eth1"))["igmp_snooping_status"] == "unknown"
    pool.db.add_to_map("host", pool.host, "software_version", "network_backend", "bridge")
    assert pool.refused("pool.set_igmp_snooping_enabled", ref, False) == ["OPENVSWITCH_NOT_ACTIVE"]
    assert pool.refused("pool.set_vswitch_controller", "10.0.0.1")[0] == "OPERATION_NOT_ALLOWED"


def test_smaller_pool_settings(pool: Asked) -> None:
    ref = pool.machine.pool.pool_ref
    pool("pool.set_migration_compression", ref, True)
    pool("pool.add_to_guest_agent_config", ref, "auto_update", "false")
    assert pool.refused("pool.add_to_guest_agent_config", ref, "auto_update", "x")[0] == "MAP_DUPLICATE_KEY"
    pool("pool.remove_from_guest_agent_config", ref, "auto_update")
    pool("pool.set_local_auth_max_threads", ref, 4)
    assert pool.refused("pool.set_local_auth_max_threads", ref, 0) == ["INVALID_VALUE", "local_auth_max_threads", "0"]
    old = pool.pool["telemetry_uuid"]
    pool("pool.reset_telemetry_uuid", ref)
    assert not pool.db.exists("secret", old)
    assert pool("pool.get_license_state", ref)["edition"] == "xcp-ng"
    record = pool.pool
    assert (record["migration_compression"], record["guest_agent_config"], record["local_auth_max_threads"]) == (True, {}, 4)
    assert pool.refused("pool.retrieve_wlb_recommendations") == ["WLB_NOT_INITIALIZED"]
