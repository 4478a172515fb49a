# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of a pool and what their updates ask of hosts and VMs."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.modeltypes import EPOCH, NULL
from ansible_collections.domzero.xen.tests.simulator.updates import Channel, Update

from .conversation import until
from .upgrading import Lab, lab

HOSTS = ("lab0", "lab1", "lab2", "lab3")


@pytest.fixture
def pool() -> t.Iterator[Lab]:
    with lab("repository", special=False) as found:
        yield found


def _introduce(pool: Lab, url: str = upgrade_lab.REPOSITORY) -> str:
    return str(pool("Repository.introduce", url[-8:], "", url, "", True, ""))


def _sync(pool: Lab, url: str = upgrade_lab.REPOSITORY) -> str:
    """The hash."""
    pool("pool.set_repositories", pool.machine.pool.pool_ref, [_introduce(pool, url)])
    return str(pool("pool.sync_updates", pool.machine.pool.pool_ref, False))


def _host(pool: Lab, name: str) -> dict[str, t.Any]:
    return pool.record("host", pool.ref(name))


def _updates(pool: Lab, *hosts: str) -> dict[str, t.Any]:
    status, body, _task = pool.http("GET", "/updates", host_refs=";".join(map(pool.ref, hosts)))
    assert status == 200
    return dict(json.loads(body))


# which repositories --------------------------------------------------------------------------------------------------
def test_repositories_are_enabled_synchronised_and_let_go(pool: Lab) -> None:
    ref = pool.machine.pool.pool_ref
    base, normal = _introduce(pool, "https://repo.example.com/xs8/base"), _introduce(pool)
    assert pool.refused("pool.sync_updates", ref, False) == ["NO_REPOSITORY_ENABLED"]
    pool("pool.add_repository", ref, base)
    pool("pool.add_repository", ref, normal)
    assert pool.pool["repositories"] == [base, normal]
    assert pool.refused("Repository.forget", normal) == ["REPOSITORY_IS_IN_USE"]
    found = pool("pool.sync_updates", ref, False)
    assert found
    assert pool.record("Repository", normal)["hash"] in found
    assert pool.pool["last_update_sync"] != EPOCH
    assert _host(pool, "lab1")["latest_synced_updates_applied"] == "no"
    pool("pool.remove_repository", ref, base)
    assert (pool.pool["last_update_sync"], pool.record("Repository", base)["hash"]) == (EPOCH, "")
    pool("pool.set_repositories", ref, [])
    assert _host(pool, "lab1")["latest_synced_updates_applied"] == "unknown"
    pool("Repository.forget", normal)


def test_a_bundle_is_alone_and_not_synchronised() -> None:
    world = upgrade_lab.build("packages", special=False)  # the class is newer than XenServer 8's model here
    pool = Lab(world.machines["lab0"])
    ref, bundle, normal = pool.machine.pool.pool_ref, pool("Repository.introduce_bundle", "bundle", ""), _introduce(pool)
    assert pool.refused("pool.set_repositories", ref, [bundle, normal]) == ["REPO_SHOULD_BE_SINGLE_ONE_ENABLED"]
    pool("pool.set_repositories", ref, [bundle])
    assert pool.refused("pool.sync_updates", ref, False) == ["CAN_NOT_SYNC_UPDATES"]
    assert pool.refused("pool.set_update_sync_enabled", ref, True) == ["CAN_NOT_PERIODIC_SYNC_UPDATES"]


def test_a_repository_nobody_serves_can_not_be_synchronised(pool: Lab) -> None:
    ref = pool.machine.pool.pool_ref
    pool("pool.set_repositories", ref, [_introduce(pool, "https://elsewhere.example.com/x")])
    assert pool.refused("pool.sync_updates", ref, False) == ["REPOSYNC_FAILED"]
    assert pool.http("GET", "/updates", host_refs=pool.host)[0] == 404


def test_periodic_synchronisation_and_proxy_are_settings(pool: Lab) -> None:
    ref = pool.machine.pool.pool_ref
    assert pool.refused("pool.set_update_sync_enabled", ref, True) == ["NO_REPOSITORIES_CONFIGURED"]
    assert pool.refused("pool.configure_update_sync", ref, "weekly", 7) == ["INVALID_UPDATE_SYNC_DAY", "7"]
    pool("pool.configure_update_sync", ref, "weekly", 3)
    pool("pool.set_repositories", ref, [_introduce(pool)])
    pool("pool.set_update_sync_enabled", ref, True)
    pool("pool.set_repositories", ref, [])
    assert pool.pool["update_sync_enabled"] is False
    assert pool.refused("pool.configure_repository_proxy", ref, "ftp://x", "", "") == ["INVALID_REPOSITORY_PROXY_URL", "ftp://x"]
    assert pool.refused("pool.configure_repository_proxy", ref, "http://x:1", "u", "") == ["INVALID_REPOSITORY_PROXY_CREDENTIAL"]
    pool("pool.configure_repository_proxy", ref, "http://x:1", "u", "p")
    assert pool.db.exists("secret", pool.pool["repository_proxy_password"])
    pool("pool.disable_repository_proxy", ref)
    assert (pool.pool["repository_proxy_url"], pool.pool["repository_proxy_password"]) == ("", NULL)


# what they offer -----------------------------------------------------------------------------------------------------
def test_what_hosts_lack_is_told_as_json(pool: Lab) -> None:
    found = _sync(pool)
    told = _updates(pool, "lab0", "lab1")
    assert told["hash"] == found
    host = told["hosts"][1]
    assert host["ref"] == pool.ref("lab1")
    assert host["updates"] == ["XS8-2026-0001", "XS8-2026-0002"]
    assert host["guidance"] == {"mandatory": ["RebootHost"], "recommended": [], "full": ["RestartVM"], "livepatch": []}
    assert "xapi-core-24.19.3-1.1.xs8.x86_64" in host["RPMS"]
    first = told["updates"][0]
    assert (first["id"], first["severity"], first["guidance"]["mandatory"]) == ("XS8-2026-0001", "High", ["RebootHost"])
    assert set(first) >= {"summary", "description", "special-info", "URL", "type", "issued", "livepatches", "title"}


# applying ------------------------------------------------------------------------------------------------------------
def test_each_check_has_its_turn(pool: Lab) -> None:
    found, host = _sync(pool), pool.ref("lab1")
    pool("host.disable", host)
    assert pool.refused("host.apply_updates", host, "") == ["UPDATEINFO_HASH_MISMATCH"]
    assert pool.refused("host.apply_updates", host, "other") == ["UPDATEINFO_HASH_MISMATCH"]
    assert pool.refused("host.apply_updates", host, found) == ["HOST_EVACUATION_IS_REQUIRED", host]
    pool.db.set("host", host, pending_guidances=["restart_toolstack"])
    assert pool.refused("host.apply_updates", host, "") == ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host]
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True)
    assert pool.refused("host.apply_updates", host, "") == ["HA_IS_ENABLED"]
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=False, current_operations={"OpaqueRef:t": "apply_updates"})
    assert pool.refused("host.apply_updates", host, "") == ["APPLY_UPDATES_IN_PROGRESS"]
    pool.db.set("pool", pool.machine.pool.pool_ref, current_operations={"OpaqueRef:t": "sync_updates"})
    assert pool.refused("host.apply_updates", host, "") == ["SYNC_UPDATES_IN_PROGRESS"]
    pool.db.set("pool", pool.machine.pool.pool_ref, current_operations={})


def test_applied_updates_ask_for_a_boot_which_answers_them(pool: Lab) -> None:
    found = _sync(pool)
    pool.empty("lab1")
    assert pool("host.apply_updates", pool.ref("lab1"), found) == []
    record = _host(pool, "lab1")
    assert record["pending_guidances"] == ["reboot_host"]
    assert (record["latest_synced_updates_applied"], record["last_update_hash"]) == ("yes", found)
    assert record["last_software_update"] != EPOCH
    assert pool.refused("host.enable", pool.ref("lab1")) == ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", pool.ref("lab1")]
    assert _updates(pool, "lab1")["hosts"][0]["updates"] == []


def test_the_whole_pool(pool: Lab) -> None:
    found = _sync(pool)
    for host in HOSTS:
        pool.empty(host)
        pool("host.apply_updates", pool.ref(host), found)
        pool.boot(host)
        assert _host(pool, host)["pending_guidances"] == []
    assert {(pool.version(host), pool.version(host, "xapi_build")) for host in HOSTS} == {("4.17.5-15", "24.19.3")}
    assert pool("host.apply_updates", pool.host, found) == []  # nothing to do, nothing asked for
    assert (_host(pool, "lab0")["pending_guidances"], _host(pool, "lab0")["enabled"]) == ([], True)


def test_a_toolstack_alone_needs_no_evacuation(pool: Lab) -> None:
    found = _sync(pool, upgrade_lab.TOOLSTACK)
    guests = pool.guests("lab0")
    pool("host.apply_updates", pool.host, found)
    record = _host(pool, "lab0")
    assert (record["pending_guidances"], record["enabled"]) == (["restart_toolstack"], False)
    pool("host.restart_agent", pool.host)
    until(pool.world, lambda: _host(pool, "lab0")["enabled"])
    assert _host(pool, "lab0")["pending_guidances"] == []
    assert pool.version("lab0", "xapi_build") == "24.19.4"
    assert pool.guests("lab0") == guests


def test_what_updates_ask_of_guests_is_done_by_migration_or_restart(pool: Lab) -> None:
    asks = Update("XS8-2026-0009", guidance={"mandatory": [], "recommended": ["RestartDeviceModel"], "full": ["RestartVM"]})
    pool.world.updates.channels.append(Channel("https://repo.example.com/vms", [asks]))
    found, vm = _sync(pool, "https://repo.example.com/vms"), pool.named("app1-01")
    pool("host.apply_updates", pool.ref("lab1"), found)
    assert _host(pool, "lab1")["enabled"]  # nothing mandatory: it enables itself again
    record = pool.record("VM", vm)
    assert (record["pending_guidances_recommended"], record["pending_guidances_full"]) == (["restart_device_model"], ["restart_vm"])
    assert pool.record("VM", pool.named("app0-01"))["pending_guidances_full"] == []
    pool("VM.pool_migrate", vm, pool.host, {})
    assert pool.record("VM", vm)["pending_guidances_recommended"] == []
    pool("VM.clean_reboot", vm)
    assert pool.record("VM", vm)["pending_guidances_full"] == []
    pool("host.apply_updates", pool.host, found)  # the coordinator's concern all guests of the pool
    assert pool.record("VM", pool.named("app2-01"))["pending_guidances_full"] == ["restart_vm"]


def test_a_live_patch_that_fails_asks_for_a_boot(pool: Lab) -> None:
    patch = {"component": "xen", "base": "4.17.5-13", "to": "4.17.5-15", "fails": True}
    asks = Update("X", guidance={"mandatory": ["RebootHostOnXenLivePatchFailure"]}, livepatches=[patch])
    pool.world.updates.channels.append(Channel("https://repo.example.com/live", [asks]))
    found = _sync(pool, "https://repo.example.com/live")
    assert pool("host.apply_updates", pool.ref("lab2"), found) == [["APPLY_LIVEPATCH_FAILED", "xen-4.17.5-13-4.17.5-15"]]
    assert _host(pool, "lab2")["pending_guidances"] == ["reboot_host_on_xen_livepatch_failure"]


def test_applying_can_fail_and_be_done_again(pool: Lab) -> None:
    found, host = _sync(pool), pool.ref("lab1")
    pool.empty("lab1")
    pool.world.faults.fail("host.apply_updates", error=["APPLY_UPDATES_FAILED", host])
    assert pool.refused("host.apply_updates", host, found) == ["APPLY_UPDATES_FAILED", host]
    assert _host(pool, "lab1")["pending_guidances"] == []
    pool("host.apply_updates", host, found)


# readiness -----------------------------------------------------------------------------------------------------------
def test_readiness_tells_all_that_stands_in_the_way() -> None:
    with lab("repository") as pool:
        ref = pool.machine.pool.pool_ref
        assert pool("pool.check_update_readiness", ref, False) == []
        found = pool("pool.check_update_readiness", ref, True)
        assert ["VM_LACKS_FEATURE", pool.named("special-toolless")] in found
        assert ["VM_HAS_PCI_ATTACHED", pool.named("special-pci")] in found
        pool.db.set("pool", ref, ha_enabled=True)
        metrics = pool.record("host", pool.ref("lab3"))["metrics"]
        pool.db.set("host_metrics", metrics, live=False)
        assert pool("pool.check_update_readiness", ref, False) == [["HA_IS_ENABLED"], ["HOST_OFFLINE", pool.ref("lab3")]]
        pool.db.set("pool", ref, ha_enabled=False)
        pool.db.set("host_metrics", metrics, live=True)
