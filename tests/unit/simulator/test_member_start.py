# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of what a joining host had, and its start as a member."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build, join, joined, manage_on_vlan, settle


@pytest.fixture
def world() -> World:
    return build(2)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def joiner(world: World) -> Asked:
    return Asked(world.machines["xcp01"])


# what becomes of the joiner's objects --------------------------------------------------------------------------------
def test_the_host_keeps_its_identity(joiner: Asked, pool: Asked) -> None:
    joiner("host.set_name_description", joiner.host, "rack 7")
    before = joiner.record("host", joiner.host)
    joined(joiner)
    host = pool.record("host", joiner.machine.host_ref)
    assert [host[f] for f in ("uuid", "name_label", "name_description", "address")] == [
        before[f] for f in ("uuid", "name_label", "name_description", "address")
    ]
    assert joiner.machine.host_ref != next(iter(before["PIFs"]))
    assert pool.record("VM", host["control_domain"])["resident_on"] == joiner.machine.host_ref


def test_the_joiners_pool_ends(joiner: Asked, pool: Asked, world: World) -> None:
    joined(joiner)
    assert world.pools == [pool.machine.pool]
    assert len(pool.db.all("pool")) == 1


def test_networks_of_cards_meet_by_bridge_whatever_they_are_called(joiner: Asked, pool: Asked) -> None:
    joiner("network.set_name_label", joiner.record("PIF", joiner.pif("eth1"))["network"], "Another name")
    pifs = {record["device"]: record["uuid"] for record in joiner.db.all("PIF").values()}
    joined(joiner)
    assert len(pool.db.find("network", bridge="xenbr1")) == 1
    for device, uuid in pifs.items():
        record = pool.record("PIF", pool.pif(device, joiner.machine.host_ref))
        assert record["uuid"] == uuid
        assert record["network"] == pool.record("PIF", pool.pif(device))["network"]
    assert pool.record("PIF", pool.pif("eth0", joiner.machine.host_ref))["management"]


def test_an_internal_network_is_made_anew(joiner: Asked, pool: Asked) -> None:
    joiner.network("internal", MTU=1400)
    joined(joiner)
    [network] = [pool.record("network", ref) for ref in pool("network.get_by_name_label", "internal")]
    assert network["MTU"] == 1400
    assert len(pool.db.find("network", bridge=network["bridge"])) == 1
    assert len(pool("network.get_by_name_label", "Host internal management network")) == 1


def test_local_storage_comes_along_with_its_disks(joiner: Asked, pool: Asked, world: World) -> None:
    sr = joiner.db.one("SR", name_label="Local storage")
    joiner.db.create("VDI", name_label="disk", SR=sr, location="1234", virtual_size=1 << 30)
    uuid = joiner.record("SR", sr)["uuid"]
    with world.lock:  # before the member's start scans it
        join(joiner)
        moved = pool.record("SR", pool.db.one("SR", uuid=uuid))
        [pbd] = moved["PBDs"]
        assert moved["shared"] is False
        assert pool.record("PBD", pbd)["host"] == joiner.machine.host_ref
        assert not pool.record("PBD", pbd)["currently_attached"]
        assert [pool.record("VDI", vdi)["name_label"] for vdi in moved["VDIs"]] == ["disk"]
        assert len(pool.db.find("SR", is_tools_sr=True)) == 1


def test_guests_come_along_and_default_templates_are_not_doubled(joiner: Asked, pool: Asked, world: World) -> None:
    templates = len([vm for vm in pool.db.all("VM").values() if vm["is_a_template"]])
    vdi = joiner.db.create("VDI", SR=joiner.db.one("SR", name_label="Local storage"), location="1234")
    vm = joiner.db.create("VM", name_label="guest", power_state="Halted", metrics=joiner.db.create("VM_metrics"))
    joiner.db.create("VBD", VM=vm, VDI=vdi, userdevice="0")
    joiner.db.create("VIF", VM=vm, network=joiner.record("PIF", joiner.pif("eth1"))["network"], device="0")
    uuid = joiner.record("VM", vm)["uuid"]
    with world.lock:  # before the member's start scans the SR
        join(joiner)
        moved = pool.record("VM", pool("VM.get_by_uuid", uuid))
        assert len([vm for vm in pool.db.all("VM").values() if vm["is_a_template"]]) == templates
        assert pool.record("VDI", pool.record("VBD", moved["VBDs"][0])["VDI"])["location"] == "1234"
        assert pool.record("network", pool.record("VIF", moved["VIFs"][0])["network"])["bridge"] == "xenbr1"
        assert pool.db.exists("VM_metrics", moved["metrics"])


def test_secrets_and_trust_come_along(joiner: Asked, pool: Asked) -> None:
    secret = joiner.db.create("secret", value="hidden")
    uuid = joiner.record("secret", secret)["uuid"]
    joiner.db.create("Certificate", type="ca", name="lab.pem", fingerprint_sha256="AA")
    joined(joiner)
    assert pool.db.find("secret", uuid=uuid, value="hidden")
    assert pool.db.find("Certificate", type="ca", name="lab.pem")


def test_no_reference_leads_to_nothing(joiner: Asked, pool: Asked) -> None:
    joined(joiner)
    for name, cls in pool.db.schema.classes.items():
        for record in pool.db.all(name).values():
            for field in cls.fields.values():
                if field.type.kind == "ref" and record[field.name] != NULL and field.type.name in pool.db.schema.classes:
                    assert pool.db.exists(field.type.name, record[field.name]), f"{name}.{field.name}"


def test_a_management_vlan_goes_onto_the_pools(joiner: Asked, pool: Asked) -> None:
    for asked in (joiner, pool):
        manage_on_vlan(asked, 7)
    joined(joiner)
    pif = pool.record("PIF", pool.pif("eth0", joiner.machine.host_ref, tag=7))
    assert pif["management"]
    assert pif["network"] == pool.record("PIF", pool.pif("eth0", tag=7))["network"]
    assert pool.record("VLAN", pif["VLAN_master_of"])["tagged_PIF"] == pool.pif("eth0", joiner.machine.host_ref)


# the start as a member -----------------------------------------------------------------------------------------------
def test_join_returns_before_the_member_is_up() -> None:
    world = build(2, speed=60)
    pool, joiner = (Asked(machine) for machine in world.machines.values())
    join(joiner)
    host = pool.record("host", joiner.machine.host_ref)
    assert host["enabled"] is False
    assert pool.record("host_metrics", host["metrics"])["live"] is False
    settle(world)
    host = pool.record("host", joiner.machine.host_ref)
    assert host["enabled"] is True
    assert pool.record("host_metrics", host["metrics"])["live"] is True
    assert pool.record("host_metrics", host["metrics"])["memory_total"] == joiner.machine.memory


def test_a_member_gets_the_coordinators_bonds_vlans_and_tunnels(joiner: Asked, pool: Asked) -> None:
    bonded, tagged, tunnelled = pool.network("bonded"), pool.network("tagged"), pool.network("tunnelled")
    pool("Bond.create", bonded, [pool.pif("eth1"), pool.pif("eth2")], "", "active-backup", {})
    bond = pool.pif("bond0")
    pool("VLAN.create", bond, 7, tagged)
    pool("PIF.reconfigure_ip", pool.pif("eth3"), "DHCP", "", "", "", "")
    pool("tunnel.create", pool.pif("eth3"), tunnelled)
    joiner("PIF.reconfigure_ip", joiner.pif("eth3"), "DHCP", "", "", "", "")
    joined(joiner)
    host = joiner.machine.host_ref
    for network in (bonded, tagged, tunnelled):
        assert [pif for pif in pool.record("network", network)["PIFs"] if pool.record("PIF", pif)["host"] == host]
    [mine] = pool.record("PIF", pool.pif("bond0", host))["bond_master_of"]
    assert {pool.record("PIF", pif)["device"] for pif in pool.record("Bond", mine)["slaves"]} == {"eth1", "eth2"}
    assert pool.record("Bond", mine)["mode"] == "active-backup"
    assert pool.record("PIF", pool.pif("bond0", host, tag=7))["currently_attached"]


def test_a_member_that_has_only_some_of_the_cards_gets_a_partial_bond() -> None:
    world = build(2, xcp01={"nics": [{"device": "eth0", "segment": "lan"}, {"device": "eth1", "segment": "storage"}]})
    pool, joiner = (Asked(machine) for machine in world.machines.values())
    pool("Bond.create", pool.network(), [pool.pif("eth1"), pool.pif("eth2")], "")
    joined(joiner)
    [mine] = pool.record("PIF", pool.pif("bond0", joiner.machine.host_ref))["bond_master_of"]
    assert pool.record("Bond", mine)["slaves"] == [pool.pif("eth1", joiner.machine.host_ref)]


def test_cards_are_up_on_a_host_that_started(joiner: Asked, pool: Asked) -> None:
    joined(joiner)
    assert all(pif["currently_attached"] for pif in pool.db.all("PIF").values() if pif["host"] == joiner.machine.host_ref)


def _nfs(pool: Asked) -> str:
    """A shared SR on the filer, for which the coordinator has an address."""
    pool("PIF.reconfigure_ip", pool.pif("eth1"), "Static", "172.16.0.1", "255.255.255.0", "", "")
    pool("PIF.plug", pool.pif("eth1"))
    config = {"server": "172.16.0.10", "serverpath": "/export/vms"}
    return str(pool("SR.create", pool.host, config, 0, "vms", "", "nfs", "user", True, {}))


def test_a_member_without_an_address_on_the_storage_network_is_told_so(joiner: Asked, pool: Asked) -> None:
    sr = _nfs(pool)
    joined(joiner)
    [pbd] = pool.db.find("PBD", SR=sr, host=joiner.machine.host_ref)
    assert not pool.record("PBD", pbd)["currently_attached"]
    [message] = pool.db.all("message").values()
    assert message["name"] == "PBD_PLUG_FAILED_ON_SERVER_START"
    assert message["obj_uuid"] == pool.record("host", joiner.machine.host_ref)["uuid"]
    assert all(pool.record("PBD", p)["currently_attached"] for p in pool.record("host", joiner.machine.host_ref)["PBDs"] if p != pbd)


def test_a_member_with_an_address_there_has_the_shared_storage_at_once(joiner: Asked, pool: Asked) -> None:
    sr = _nfs(pool)
    joiner("PIF.reconfigure_ip", joiner.pif("eth1"), "Static", "172.16.0.2", "255.255.255.0", "", "")
    joined(joiner)
    assert all(pool.record("PBD", pbd)["currently_attached"] for pbd in pool.record("SR", sr)["PBDs"])
    assert len(pool.record("SR", sr)["PBDs"]) == 2
    assert not pool.db.all("message")


def test_pbds_are_not_copied_where_the_pool_says_so(joiner: Asked, pool: Asked) -> None:
    sr = _nfs(pool)
    pool("pool.add_to_other_config", pool.machine.pool.pool_ref, "sync_create_pbds", "nosync")
    joined(joiner)
    assert len(pool.record("SR", sr)["PBDs"]) == 1


def test_processors_are_levelled() -> None:
    amd = {"cpus": {"count": 4, "sockets": 2, "vendor": "AuthenticAMD"}}
    world = build(2, xcp01=amd)
    pool, joiner = (Asked(machine) for machine in world.machines.values())
    mine, theirs = joiner.record("host", joiner.host)["cpu_info"], pool.record("host", pool.host)["cpu_info"]
    join(joiner, force=True)
    settle(world)
    info = pool.pool["cpu_info"]
    assert (info["cpu_count"], info["socket_count"]) == ("12", "3")
    words = zip(*(text.split("-") for text in (mine["features_hvm"], theirs["features_hvm"])))
    assert info["features_hvm_host"] == "-".join(f"{int(a, 16) & int(b, 16):08x}" for a, b in words)
