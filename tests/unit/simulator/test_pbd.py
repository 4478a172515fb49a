# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator import site, storage_attach
from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.conversation import settle
from ansible_collections.domzero.xen.tests.unit.simulator.storing import CIFS_ISO, NFS, NFS_ISO, SMB, Storing


@pytest.fixture
def pool() -> Storing:
    return storing.pool()


def member_of(pool: Storing) -> str:
    return next(host for host in pool.db.all("host") if host != pool.host)


def pbd_of(pool: Storing, sr: str, host: str) -> str:
    return pool.db.one("PBD", SR=sr, host=host)


def test_a_pbd_starts_unplugged(pool: Storing) -> None:
    sr = pool("SR.introduce", "", "s", "", "dummy", "user", True, {})
    pbd = pool("PBD.create", {"SR": sr, "host": pool.host, "device_config": {"a": "b"}, "other_config": {"c": "d"}})
    record = pool.record("PBD", pbd)
    assert (record["device_config"], record["other_config"], record["currently_attached"]) == ({"a": "b"}, {"c": "d"}, False)


def test_a_host_has_one_pbd_for_an_sr(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    error = pool.refused("PBD.create", {"SR": sr, "host": pool.host, "device_config": NFS})
    assert error == ["PBD_EXISTS", sr, pool.host, pbd_of(pool, sr, pool.host)]


def test_a_pbd_needs_a_host_and_an_sr_that_are_there(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    assert pool.refused("PBD.create", {"SR": "OpaqueRef:x", "host": pool.host, "device_config": {}}) == [
        "HANDLE_INVALID",
        "SR",
        "OpaqueRef:x",
    ]
    assert pool.refused("PBD.create", {"SR": sr, "host": "OpaqueRef:x", "device_config": {}}) == ["HANDLE_INVALID", "host", "OpaqueRef:x"]


def test_xapis_own_key_is_refused(pool: Storing) -> None:
    sr = pool("SR.introduce", "", "s", "", "dummy", "user", True, {})
    error = pool.refused("PBD.create", {"SR": sr, "host": pool.host, "device_config": {"SRmaster": "true"}})
    assert error[:3] == ["VALUE_NOT_SUPPORTED", "SRmaster", "true"]


def test_plugging_and_unplugging_twice_is_fine(pool: Storing) -> None:
    pbd = pbd_of(pool, pool.sr("nfs", NFS), pool.host)
    for call, attached in (("PBD.plug", True), ("PBD.unplug", False), ("PBD.unplug", False), ("PBD.plug", True), ("PBD.plug", True)):
        pool(call, pbd)
        assert pool.record("PBD", pbd)["currently_attached"] == attached


def test_a_plugged_pbd_is_not_destroyed(pool: Storing) -> None:
    pbd = pbd_of(pool, pool.sr("nfs", NFS), pool.host)
    assert pool.refused("PBD.destroy", pbd) == ["OPERATION_NOT_ALLOWED", "PBD is currently attached"]
    pool("PBD.unplug", pbd)
    pool("PBD.destroy", pbd)
    assert not pool.db.exists("PBD", pbd)


def test_a_device_config_is_never_changed_by_a_client(pool: Storing) -> None:
    assert pool.refused("PBD.set_device_config", pbd_of(pool, pool.sr("nfs", NFS), pool.host), {}) == ["PERMISSION_DENIED", ""]


def test_an_sr_that_is_not_shared_is_attached_in_one_place(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS, shared=False)
    other = pool("PBD.create", {"SR": sr, "host": member_of(pool), "device_config": NFS})
    assert pool.refused("PBD.plug", other) == ["SR_NOT_SHARABLE", sr, pool.host]


def test_the_smb_version_that_worked_is_noted_unless_one_was_given(pool: Storing) -> None:
    noted = pbd_of(pool, pool.sr("iso", CIFS_ISO), pool.host)
    assert pool.record("PBD", noted)["device_config"]["vers"] == "3.0"
    given = pbd_of(pool, pool.sr("iso", {**CIFS_ISO, "vers": "1.0"}), pool.host)
    assert pool.record("PBD", given)["device_config"]["vers"] == "1.0"


def test_a_disk_in_use_keeps_its_sr_attached_on_that_host(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    disk = pool.vdi(sr)
    guest = pool.db.create("VM", name_label="guest", power_state="Running", resident_on=pool.host)
    pool.db.create("VBD", VM=guest, VDI=disk, currently_attached=True, empty=False, mode="RW")
    assert pool.refused("PBD.unplug", pbd_of(pool, sr, pool.host)) == ["VDI_IN_USE", disk]
    pool("PBD.unplug", pbd_of(pool, sr, member_of(pool)))


def test_high_availability_keeps_its_heartbeat_sr_attached(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    statefile = pool.vdi(sr, type="ha_statefile")
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True, ha_statefiles=[statefile])
    assert pool.refused("PBD.unplug", pbd_of(pool, sr, pool.host)) == ["HA_IS_ENABLED"]


def test_high_availability_keeps_the_disks_of_protected_guests_attached(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    guest = pool.db.create("VM", name_label="guest", ha_restart_priority="restart")
    pool.db.create("VBD", VM=guest, VDI=pool.vdi(sr), empty=False, mode="RW")
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True)
    assert pool.refused("PBD.unplug", pbd_of(pool, sr, pool.host)) == ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"]


def test_a_host_that_is_away_plugs_nothing(pool: Storing) -> None:
    sr, member = pool.sr("nfs", NFS), member_of(pool)
    pbd = pbd_of(pool, sr, member)
    pool("PBD.unplug", pbd)
    pool.db.set("host_metrics", pool.record("host", member)["metrics"], live=False)
    assert pool.refused("PBD.plug", pbd) == ["HOST_OFFLINE", member]


# who reaches whom ----------------------------------------------------------------------------------------------------
def test_an_address_in_another_subnet_does_not_reach_the_server() -> None:
    pool = storing.pool(1, addresses=False)
    pool.address(pool.host, "172.16.1.200")
    assert pool.no_sr("nfs", NFS)[0] == "SR_BACKEND_FAILURE_108"


def test_the_right_address_on_the_wrong_cable_does_not_reach_the_server() -> None:
    pool = storing.pool(1, addresses=False)
    pif = pool.pif("eth1")
    pool("PIF.reconfigure_ip", pif, "Static", "172.16.0.200", "255.255.255.0", "", "")
    pool("PIF.plug", pif)
    assert pool.no_sr("nfs", NFS)[0] == "SR_BACKEND_FAILURE_108"


def test_an_unplugged_interface_does_not_reach_the_server() -> None:
    pool = storing.pool(1, addresses=False)
    pool("PIF.reconfigure_ip", pool.pif("eth2"), "Static", "172.16.0.200", "255.255.255.0", "", "")
    assert pool.no_sr("nfs", NFS)[0] == "SR_BACKEND_FAILURE_108"
    pool("PIF.plug", pool.pif("eth2"))
    pool.sr("nfs", NFS)


def test_a_bond_reaches_the_server_through_its_members() -> None:
    pool = storing.pool(1, addresses=False)
    bond = pool("Bond.create", pool.network(), [pool.pif("eth1"), pool.pif("eth2")], "", "active-backup", {})
    master = pool.record("Bond", bond)["master"]
    pool("PIF.reconfigure_ip", master, "Static", "172.16.0.200", "255.255.255.0", "", "")
    pool.sr("nfs", NFS)


def test_a_server_behind_a_vlan_is_reached_through_that_vlan() -> None:
    pool = storing.pool(1)
    server = pool.machine.world.storage.server_at("filer")
    assert server
    server.vlan = 7
    assert pool.no_sr("nfs", NFS)[0] == "SR_BACKEND_FAILURE_108"
    pool("PIF.reconfigure_ip", pool.pif("eth2"), "None", "", "", "", "")
    vlan = pool("VLAN.create", pool.pif("eth2"), 7, pool.network())
    pool("PIF.reconfigure_ip", pool.record("VLAN", vlan)["untagged_PIF"], "Static", "172.16.0.200", "255.255.255.0", "", "")
    pool.sr("nfs", NFS)


def test_a_new_member_attaches_what_it_reaches_and_the_rest_after_its_repair() -> None:
    world = site.build(site.load("homogeneous"), speed=0)
    first, second = (world.machines[name] for name in ("xcp00", "xcp01"))
    pool = Storing(first)
    pool.address(pool.host, "172.16.0.200")
    beyond = [pool.sr("nfs", NFS), pool.sr("lvmoiscsi", pool.iscsi), pool.sr("iso", NFS_ISO)]
    here = pool.sr("iso", CIFS_ISO)
    Storing(second)("pool.join", first.address, "root", "xapi-test")
    settle(world)
    assert [pool.pbds(sr)["xcp01"] for sr in [*beyond, here]] == [False, False, False, True]
    pool.address(second.host_ref, "172.16.0.201")
    for sr in beyond:
        pool("PBD.plug", pbd_of(pool, sr, second.host_ref))
    assert all(pool.pbds(sr)["xcp01"] for sr in beyond)


def test_new_members_get_pbds_with_secrets_of_their_own(pool: Storing) -> None:
    sr, member = pool.sr("smb", SMB), member_of(pool)
    pbd = pbd_of(pool, sr, member)
    pool("PBD.unplug", pbd)
    pool("PBD.destroy", pbd)
    machine = pool.machine.world.machine_of(pool.machine.pool, member)
    (made,) = [p for p in storage_attach.create_pbds_for_new_member(machine) if pool.record("PBD", p)["SR"] == sr]
    mine, theirs = (pool.record("PBD", p)["device_config"]["password_secret"] for p in (pbd_of(pool, sr, pool.host), made))
    assert mine != theirs
    storage_attach.attach(machine, made)
    assert pool.pbds(sr)["xcp01"]


def test_a_pool_may_not_want_pbds_for_new_members(pool: Storing) -> None:
    sr, member = pool.sr("nfs", NFS), member_of(pool)
    pool("PBD.unplug", pbd_of(pool, sr, member))
    pool("PBD.destroy", pbd_of(pool, sr, member))
    pool("pool.add_to_other_config", pool.machine.pool.pool_ref, "sync_create_pbds", "nosync")
    assert storage_attach.create_pbds_for_new_member(pool.machine.world.machine_of(pool.machine.pool, member)) == []
