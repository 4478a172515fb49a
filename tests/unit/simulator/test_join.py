# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host joins a pool: every reason not to, in order; what becomes of what it had; the later start as a member."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.database import Database
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build, settle

ADDRESS = "127.77.0.1"


@pytest.fixture
def world() -> World:
    return build(2)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def joiner(world: World) -> Asked:
    return Asked(world.machines["xcp01"])


def join(joiner: Asked, *, force: bool = False) -> None:
    joiner("pool.join_force" if force else "pool.join", ADDRESS, "root", "xapi-test")


def refused(joiner: Asked, *, force: bool = False) -> list[str]:
    return joiner.refused("pool.join_force" if force else "pool.join", ADDRESS, "root", "xapi-test")


def joined(joiner: Asked) -> Asked:
    """The coordinator, once the joiner is up as a member."""
    join(joiner)
    settle(joiner.machine.world)
    return Asked(joiner.machine.pool.coordinator)


# reaching the coordinator --------------------------------------------------------------------------------------------
def test_an_address_where_nobody_answers(joiner: Asked, pool: Asked) -> None:
    assert joiner.refused("pool.join", "127.77.0.99", "root", "xapi-test") == ["JOINING_HOST_CONNECTION_FAILED"]
    pool.machine.go_down()
    assert refused(joiner) == ["JOINING_HOST_CONNECTION_FAILED"]


def test_a_wrong_password(joiner: Asked) -> None:
    assert joiner.refused("pool.join", ADDRESS, "root", "wrong")[:2] == ["SESSION_AUTHENTICATION_FAILED", "root"]


def test_a_members_address() -> None:
    world = build(3)
    first, second, third = (Asked(machine) for machine in world.machines.values())
    join(second)
    settle(world)
    assert third.refused("pool.join", "127.77.0.2", "root", "xapi-test") == ["HOST_IS_SLAVE", ADDRESS]
    assert len(first.db.all("host")) == 2


def test_a_member_says_who_its_coordinator_is(joiner: Asked) -> None:
    joined(joiner)
    with pytest.raises(Exception, match="HOST_IS_SLAVE"):
        Asked(joiner.machine)


# the checks ----------------------------------------------------------------------------------------------------------
def _pool_ref(db: Database) -> str:
    return next(iter(db.all("pool")))


def _vm(db: Database, **fields: t.Any) -> str:
    return db.create("VM", name_label="guest", **fields)


def _set_host(asked: Asked, **fields: t.Any) -> None:
    asked.db.set("host", asked.host, **fields)


def _set_version(asked: Asked, key: str, value: str) -> None:
    asked.db.add_to_map("host", asked.host, "software_version", key, value)


def _set_pool(asked: Asked, **fields: t.Any) -> None:
    asked.db.set("pool", _pool_ref(asked.db), **fields)


def _certificate(asked: Asked, kind: str, name: str, fingerprint: str, **fields: t.Any) -> str:
    return asked.db.create("Certificate", type=kind, name=name, fingerprint_sha256=fingerprint, **fields)


def _no_management(j: Asked, p: Asked) -> list[str]:
    j.db.set("PIF", j.pif("eth0"), management=False)
    return ["HOST_STILL_BOOTING"]


def _licence(j: Asked, p: Asked) -> list[str]:
    _set_pool(j, restrictions={"restrict_pooling": "true"})
    return ["LICENCE_RESTRICTION", "Pooling"]


def _licensed_size(j: Asked, p: Asked) -> list[str]:
    _set_pool(p, restrictions={"restrict_pool_size": "true"})
    for _turn in range(2):
        p.db.create("host", name_label="more")
    return ["LICENCE_RESTRICTION", "Pool_size"]


def _own_ha(j: Asked, p: Asked) -> list[str]:
    _set_pool(j, ha_enabled=True)
    return ["HA_IS_ENABLED"]


def _own_cluster(j: Asked, p: Asked) -> list[str]:
    return ["CLUSTERING_ENABLED", j.db.create("Cluster_host", host=j.host, enabled=True)]


def _cluster_on_vlan(j: Asked, p: Asked) -> list[str]:
    pif = p.record("VLAN", p("VLAN.create", p.pif("eth1"), 7, p.network()))["untagged_PIF"]
    p.db.create("Cluster_host", cluster=p.db.create("Cluster", pool_auto_join=True), host=p.host, PIF=pif)
    return ["POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK", "7"]


def _cluster_without_address(j: Asked, p: Asked) -> list[str]:
    p.db.create("Cluster_host", cluster=p.db.create("Cluster", pool_auto_join=True), host=p.host, PIF=p.pif("eth1"))
    return ["POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK"]


def _ha(j: Asked, p: Asked) -> list[str]:
    _set_pool(p, ha_enabled=True)
    return ["HA_IS_ENABLED"]


def _other_hosts(j: Asked, p: Asked) -> list[str]:
    j.db.create("host", name_label="member")
    return ["JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"]


def _running_vm(j: Asked, p: Asked) -> list[str]:
    _vm(j.db, power_state="Running")
    return ["JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"]


def _busy_vm(j: Asked, p: Asked) -> list[str]:
    _vm(j.db, power_state="Halted", current_operations={"OpaqueRef:t": "start"})
    return ["JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS"]


def _own_guidance(j: Asked, p: Asked) -> list[str]:
    _set_host(j, pending_guidances=["reboot_host"])
    return ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", j.host]


def _guidance(j: Asked, p: Asked) -> list[str]:
    _set_host(p, pending_guidances=["reboot_host"])
    return ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", p.host]


def _platform(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "platform_version", "9.9.9")
    return ["HOSTS_NOT_COMPATIBLE"]


def _brand(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "product_brand", "Another")
    return ["HOSTS_NOT_COMPATIBLE"]


def _build(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "git_id", "other")
    return ["HOSTS_NOT_HOMOGENEOUS", "Software version differs"]


def _cpus(j: Asked, p: Asked) -> list[str]:
    j.db.add_to_map("host", j.host, "cpu_info", "vendor", "AuthenticAMD")
    return ["HOSTS_NOT_HOMOGENEOUS", "CPUs differ"]


def _shared_sr(j: Asked, p: Asked) -> list[str]:
    j.db.create("SR", type="nfs", shared=True)
    return ["JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"]


def _bond(j: Asked, p: Asked) -> list[str]:
    j("Bond.create", j.network(), [j.pif("eth1"), j.pif("eth2")], "")
    return ["POOL_JOINING_HOST_HAS_BONDS"]


def _tunnel(j: Asked, p: Asked) -> list[str]:
    j("PIF.reconfigure_ip", j.pif("eth1"), "DHCP", "", "", "", "")
    j("tunnel.create", j.pif("eth1"), j.network())
    return ["POOL_JOINING_HOST_HAS_TUNNELS"]


def _sriov(j: Asked, p: Asked) -> list[str]:
    j.db.create("network_sriov", physical_PIF=j.pif("eth1"))
    return ["POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"]


def _vlan(j: Asked, p: Asked) -> list[str]:
    j("VLAN.create", j.pif("eth1"), 7, j.network())
    return ["POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS"]


def _management_vlan(j: Asked, p: Asked) -> list[str]:
    manage_on_vlan(j, 7)
    return ["POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH", "7", "-1"]


def _directory(j: Asked, p: Asked) -> list[str]:
    _set_host(p, external_auth_type="AD", external_auth_service_name="example.com")
    return ["POOL_JOINING_EXTERNAL_AUTH_MISMATCH"]


def _edition(j: Asked, p: Asked) -> list[str]:
    _set_host(j, edition="premium")
    return ["LICENSE_HOST_POOL_MISMATCH", "Edition of the host: premium, of the pool: xcp-ng"]


def _backend(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "network_backend", "bridge")
    return ["OPERATION_NOT_ALLOWED", "Network backends differ"]


def _controller(j: Asked, p: Asked) -> list[str]:
    _set_pool(j, vswitch_controller="10.0.0.1")
    return ["OPERATION_NOT_ALLOWED", "SDN controller differs"]


def _api(j: Asked, p: Asked) -> list[str]:
    _set_host(j, API_version_minor=1)
    return ["POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION", "2.1", "2.23"]


def _schema(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "db_schema", "5.1")
    return ["POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", "5.1", "5.909"]


def _update(j: Asked, p: Asked) -> list[str]:
    _set_host(p, updates=[p.db.create("pool_update", enforce_homogeneity=True)])
    return ["HOSTS_NOT_HOMOGENEOUS", "Updates differ"]


def _family(j: Asked, p: Asked) -> list[str]:
    j.db.set("PIF", j.pif("eth0"), primary_address_type="IPv6")
    return ["OPERATION_NOT_ALLOWED", "Primary address type differs"]


def _purpose(j: Asked, p: Asked) -> list[str]:
    j("network.add_purpose", j.network(), "nbd")
    p("network.add_purpose", p.network(), "insecure_nbd")
    return ["OPERATION_NOT_ALLOWED", "Incompatible network purposes: nbd and insecure_nbd"]


def _tls(j: Asked, p: Asked) -> list[str]:
    p("pool.enable_tls_verification")
    return ["POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"]


def _ca(j: Asked, p: Asked) -> list[str]:
    for asked, fingerprint in ((j, "AA"), (p, "BB")):
        _certificate(asked, "ca", "lab.pem", fingerprint)
    return ["POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT", "lab.pem"]


def _trusted(j: Asked, p: Asked) -> list[str]:
    mine = _certificate(j, "pinned", "", "AA", purpose=["licensing"])
    return ["POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT", _certificate(p, "pinned", "", "AA", purpose=["ldaps"]), mine]


def _updating(j: Asked, p: Asked) -> list[str]:
    _set_pool(p, current_operations={"OpaqueRef:t": "apply_updates"})
    return ["NOT_SUPPORTED_DURING_UPGRADE"]


def _driver_missing(j: Asked, p: Asked) -> list[str]:
    j.db.destroy("SM", j.db.one("SM", type="nfs"))
    return ["POOL_JOINING_SM_FEATURES_INCOMPATIBLE", p.db.one("SM", type="nfs"), ""]


def _driver_older(j: Asked, p: Asked) -> list[str]:
    mine = j.db.one("SM", type="nfs")
    j.db.set("SM", mine, features={})
    return ["POOL_JOINING_SM_FEATURES_INCOMPATIBLE", p.db.one("SM", type="nfs"), mine]


# as the facts number them; each obstacle brings itself about and says how it is answered
OBSTACLES: tuple[t.Callable[[Asked, Asked], list[str]], ...] = (
    _licence, _licensed_size, _no_management, _own_ha, _own_cluster, _cluster_on_vlan, _cluster_without_address, _ha, _other_hosts,
    _running_vm, _busy_vm, _own_guidance, _guidance, _platform, _brand, _build, _cpus, _shared_sr, _bond, _tunnel, _sriov, _vlan,
    _management_vlan, _directory, _edition, _backend, _controller, _api, _schema, _update, _family, _purpose, _tls, _ca, _trusted,
    _updating, _driver_missing, _driver_older,
)  # fmt: skip


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda f: f.__name__.strip("_"))
def test_each_obstacle_is_named_and_nothing_is_changed(joiner: Asked, pool: Asked, obstacle: t.Callable[[Asked, Asked], list[str]]) -> None:
    wanted = obstacle(joiner, pool)
    before = set(pool.db.all("host")), set(pool.db.all("SR")), set(pool.db.all("network"))
    assert refused(joiner) == wanted
    assert (set(pool.db.all("host")), set(pool.db.all("SR")), set(pool.db.all("network"))) == before
    assert not joiner.machine.world.agenda


@pytest.mark.parametrize("obstacle", [_build, _cpus], ids=["build", "cpus"])
def test_force_takes_other_builds_and_processors(joiner: Asked, pool: Asked, obstacle: t.Callable[[Asked, Asked], list[str]]) -> None:
    obstacle(joiner, pool)
    join(joiner, force=True)
    assert len(pool.db.all("host")) == 2


@pytest.mark.parametrize("obstacle", [_platform, _shared_sr, _vlan], ids=["platform", "shared SR", "VLAN"])
def test_force_takes_nothing_else(joiner: Asked, pool: Asked, obstacle: t.Callable[[Asked, Asked], list[str]]) -> None:
    wanted = obstacle(joiner, pool)
    assert refused(joiner, force=True) == wanted


def test_the_first_obstacle_in_order_is_the_one_named(joiner: Asked, pool: Asked) -> None:
    """Brought about from the last to the first, each new one comes before those there are."""
    last_first = (_driver_missing, _tls, _family, _api, _backend, _directory, _vlan, _bond, _shared_sr, _cpus, _platform)
    for obstacle in (*last_first, _running_vm):
        wanted = obstacle(joiner, pool)
        assert refused(joiner) == wanted


def test_a_host_does_not_join_itself(pool: Asked) -> None:
    assert pool.refused("pool.join", ADDRESS, "root", "xapi-test") == ["OPERATION_NOT_ALLOWED", "Host cannot become slave of itself"]


def test_a_coordinator_does_not_join_its_own_pool(joiner: Asked) -> None:
    coordinator = joined(joiner)
    answer = coordinator.refused("pool.join", ADDRESS, "root", "xapi-test")
    assert answer == ["OPERATION_NOT_ALLOWED", "Host is already part of a pool"]


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
    vm = _vm(joiner.db, power_state="Halted", metrics=joiner.db.create("VM_metrics"))
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
    _certificate(joiner, "ca", "lab.pem", "AA")
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


def manage_on_vlan(asked: Asked, tag: int) -> None:
    """The management interface becomes a VLAN of the first card."""
    pif = asked.record("VLAN", asked("VLAN.create", asked.pif("eth0"), tag, asked.network("Management VLAN")))["untagged_PIF"]
    address = asked.record("PIF", asked.pif("eth0"))["IP"]
    asked("PIF.reconfigure_ip", pif, "Static", address, "255.255.255.0", "", "")
    asked("host.management_reconfigure", pif)


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
