# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each reason against a join: found before anything is changed, and the one the host itself would refuse with."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.resources.pool.join_rules import RULES
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator.database import Database

Run = Start = t.Callable[..., t.Any]
Sim = t.Any
Spoil = t.Callable[[Database, Database], object]  # the host's database, the pool's


def set_host(db: Database, **fields: t.Any) -> None:
    db.set("host", db.one("host"), **fields)


def set_pool(db: Database, **fields: t.Any) -> None:
    db.set("pool", db.one("pool"), **fields)


def version(db: Database, **keys: str) -> None:
    ref = db.one("host")
    db.set("host", ref, software_version={**db.get("host", ref)["software_version"], **keys})


def management(db: Database) -> str:
    return db.one("PIF", management=True)


def vlan(db: Database, base: str, tag: int, *, management: bool = False) -> str:
    pif = db.create("PIF", device="eth0", VLAN=tag, host=db.one("host"), management=management, network=db.create("network"))
    made = db.create("VLAN", tagged_PIF=base, untagged_PIF=pif, tag=tag)
    db.set("PIF", pif, VLAN_master_of=made)
    return pif


def manage_on_vlan(db: Database, tag: int) -> None:
    base = management(db)
    db.set("PIF", base, management=False)
    vlan(db, base, tag, management=True)


def cluster(db: Database, pif: str) -> None:
    made = db.create("Cluster", pool_auto_join=True)
    db.create("Cluster_host", cluster=made, host=db.one("host"), PIF=pif, enabled=True)


def update(db: Database, name: str, *, binding: bool) -> None:
    made = db.create("pool_update", name_label=name, enforce_homogeneity=binding)
    set_host(db, updates=[made])


def less_of(db: Database, kind: str) -> None:
    ref = db.one("SM", type=kind)
    features = dict(db.get("SM", ref)["features"])
    features.pop("VDI_CREATE")
    db.set("SM", ref, features=features)


def both(act: t.Callable[[Database], object], other: t.Callable[[Database], object]) -> Spoil:
    def spoil(mine: Database, theirs: Database) -> None:
        act(mine)
        other(theirs)

    return spoil


CASES: dict[str, tuple[str, str, Spoil]] = {
    "no licence for pools": (
        "LICENCE_RESTRICTION",
        "does not include pools",
        lambda mine, _: set_pool(mine, restrictions={"restrict_pooling": "true"}),
    ),
    "no management interface": (
        "HOST_STILL_BOOTING",
        "no management interface yet",
        lambda mine, _: mine.set("PIF", management(mine), management=False),
    ),
    "own HA": ("HA_IS_ENABLED", "on at the host", lambda mine, _: set_pool(mine, ha_enabled=True)),
    "own cluster": ("CLUSTERING_ENABLED", "clustering on", lambda mine, _: cluster(mine, management(mine))),
    "cluster on a VLAN": (
        "POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK",
        "VLAN 7",
        lambda _, theirs: cluster(theirs, vlan(theirs, management(theirs), 7)),
    ),
    "no address for the cluster": (
        "POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK",
        "has 0 addresses on the cluster's network (bridge xenbr1)",
        lambda _, theirs: cluster(theirs, theirs.one("PIF", device="eth1")),
    ),
    "HA of the pool": ("HA_IS_ENABLED", "on in the pool", lambda _, theirs: set_pool(theirs, ha_enabled=True)),
    "a running VM": (
        "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS",
        "running VMs: web1",
        lambda mine, _: mine.create("VM", name_label="web1", power_state="Running"),
    ),
    "a busy VM": (
        "JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS",
        "operation under way: web1",
        lambda mine, _: mine.create("VM", name_label="web1", current_operations={"OpaqueRef:x": "export"}),
    ),
    "guidance on the host": (
        "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY",
        "the host must first do what its updates ask for: reboot_host",
        lambda mine, _: set_host(mine, pending_guidances=["reboot_host"]),
    ),
    "guidance on the coordinator": (
        "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY",
        "the pool's coordinator must first",
        lambda _, theirs: set_host(theirs, pending_guidances=["restart_toolstack"]),
    ),
    "another platform": (
        "HOSTS_NOT_COMPATIBLE",
        "the platform version differs: the host has 3.2.1, the pool has 3.4.0",
        lambda mine, _: version(mine, platform_version="3.2.1"),
    ),
    "another product": (
        "HOSTS_NOT_COMPATIBLE",
        "the product differs: the host has XenServer, the pool has XCP-ng",
        lambda mine, _: version(mine, product_brand="XenServer"),
    ),
    "another xapi": ("HOSTS_NOT_HOMOGENEOUS", "the version of xapi differs: the host has 1.2", lambda mine, _: version(mine, xapi="1.2")),
    "another build": ("HOSTS_NOT_HOMOGENEOUS", "the build of xapi differs: the host has abc", lambda mine, _: version(mine, git_id="abc")),
    "Linux pack": ("HOSTS_NOT_HOMOGENEOUS", "the host has installed", lambda mine, _: version(mine, **{"xs:linux": "x"})),
    "a shared SR": (
        "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS",
        "shared SRs: Filer",
        lambda mine, _: mine.create("SR", name_label="Filer", shared=True),
    ),
    "a bond": ("POOL_JOINING_HOST_HAS_BONDS", "bonds: eth1", lambda mine, _: mine.create("Bond", master=mine.one("PIF", device="eth1"))),
    "a tunnel": (
        "POOL_JOINING_HOST_HAS_TUNNELS",
        "tunnels: eth1",
        lambda mine, _: mine.create("tunnel", access_PIF=mine.one("PIF", device="eth1")),
    ),
    "SR-IOV": (
        "POOL_JOINING_HOST_HAS_NETWORK_SRIOVS",
        "SR-IOV networks: eth1",
        lambda mine, _: mine.create("network_sriov", physical_PIF=mine.one("PIF", device="eth1")),
    ),
    "a VLAN": (
        "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS",
        "VLAN 20 on eth1",
        lambda mine, _: vlan(mine, mine.one("PIF", device="eth1"), 20),
    ),
    "another management VLAN": (
        "POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH",
        "the host has 5, the pool has none",
        lambda mine, _: manage_on_vlan(mine, 5),
    ),
    "another directory": (
        "POOL_JOINING_EXTERNAL_AUTH_MISMATCH",
        "the host has AD lab.example, the pool has none",
        lambda mine, _: set_host(mine, external_auth_type="AD", external_auth_service_name="lab.example"),
    ),
    "another edition": (
        "LICENSE_HOST_POOL_MISMATCH",
        "the host has free, the pool has xcp-ng",
        lambda mine, _: set_host(mine, edition="free"),
    ),
    "another network backend": (
        "OPERATION_NOT_ALLOWED",
        "the network backend differs: the host has bridge, the pool has openvswitch",
        lambda mine, _: version(mine, network_backend="bridge"),
    ),
    "another SDN controller": (
        "OPERATION_NOT_ALLOWED",
        "the SDN controller differs: the host has 192.0.2.9, the pool has none",
        lambda mine, _: set_pool(mine, vswitch_controller="192.0.2.9"),
    ),
    "another API": (
        "POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION",
        "the host has 2.15",
        lambda mine, _: set_host(mine, API_version_minor=15),
    ),
    "another schema": (
        "POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA",
        "the host has 5.603, the pool has 5.909",
        lambda mine, _: version(mine, db_schema="5.603"),
    ),
    "a binding update": (
        "HOSTS_NOT_HOMOGENEOUS",
        "the set of binding updates differs: the host has XS82E001",
        lambda mine, _: update(mine, "XS82E001", binding=True),
    ),
    "another address family": (
        "OPERATION_NOT_ALLOWED",
        "the host has IPv6, the pool has IPv4",
        lambda mine, _: mine.set("PIF", management(mine), primary_address_type="IPv6"),
    ),
    "another nbd": (
        "OPERATION_NOT_ALLOWED",
        "the host has nbd, the pool has insecure_nbd",
        both(lambda db: db.create("network", purpose=["nbd"]), lambda db: db.create("network", purpose=["insecure_nbd"])),
    ),
    "TLS verification": (
        "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH",
        "the host has off, the pool has on",
        lambda _, theirs: set_pool(theirs, tls_verification_enabled=True),
    ),
    "another CA certificate of that name": (
        "POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT",
        "CA certificate 'lab' differs: the host has AA, the pool has BB",
        both(
            lambda db: db.create("Certificate", type="ca", name="lab", fingerprint_sha256="AA"),
            lambda db: db.create("Certificate", type="ca", name="lab", fingerprint_sha256="BB"),
        ),
    ),
    "updates running": (
        "NOT_SUPPORTED_DURING_UPGRADE",
        "updates are being installed in the pool",
        lambda _, theirs: set_pool(theirs, current_operations={"OpaqueRef:x": "apply_updates"}),
    ),
    "a driver less": (
        "POOL_JOINING_SM_FEATURES_INCOMPATIBLE",
        "no driver for SRs of type nfs",
        lambda mine, _: mine.destroy("SM", mine.one("SM", type="nfs")),
    ),
    "a driver that can less": ("POOL_JOINING_SM_FEATURES_INCOMPATIBLE", "lacks VDI_CREATE", lambda mine, _: less_of(mine, "nfs")),
}


def databases(sim: Sim) -> tuple[Database, Database]:
    pool, host = sim.world.machines.values()
    return host.pool.db, pool.pool.db


@pytest.mark.parametrize("case", CASES)
def test_a_reason_is_told_in_words_and_is_what_the_host_would_refuse_with(case: str, simulator: Start, run: Run) -> None:
    code, words, spoil = CASES[case]
    sim = simulator(2, joined=False)
    with sim.world.lock:
        spoil(*databases(sim))
    with pytest.raises(InvalidChange) as refused:
        run("xen_pool", members=[{"address": sim.hosts[1].url}])
    (host,) = refused.value.facts["join"]
    assert [reason["error_code"] for reason in host["reasons"]] == [code]
    assert words in host["reasons"][0]["message"]
    assert host["reasons"][0]["hint"]
    joiner = Session(Endpoint.parse(sim.hosts[1].url, fingerprints=(sim.hosts[1].fingerprint_sha256,)))
    joiner.log_in_here(sim.username, sim.password)
    with pytest.raises(ApiError) as by_the_host:
        joiner.call("pool.join", sim.hosts[0].address, sim.username, sim.password)
    assert by_the_host.value.code == code


HARMLESS: dict[str, Spoil] = {
    "a halted VM": lambda mine, _: mine.create("VM", name_label="web1", power_state="Halted"),
    "a suspended VM": lambda mine, _: mine.create("VM", name_label="web1", power_state="Suspended"),
    "an update that binds nobody": lambda mine, _: update(mine, "tools", binding=False),
    "the same management VLAN": both(lambda db: manage_on_vlan(db, 5), lambda db: manage_on_vlan(db, 5)),
    "fewer CPU features": lambda mine, _: set_host(mine, cpu_info={"vendor": "GenuineIntel", "features_hvm_host": "00000001"}),
    "another name": lambda mine, _: set_host(mine, name_label="elsewhere", hostname="elsewhere"),
    "a driver the pool lacks": lambda mine, _: mine.create("SM", type="exotic"),
    "nbd on one side only": lambda mine, _: mine.create("network", purpose=["nbd"]),
    "the same CA certificate": both(
        lambda db: db.create("Certificate", type="ca", name="lab", fingerprint_sha256="AA"),
        lambda db: db.create("Certificate", type="ca", name="lab", fingerprint_sha256="AA"),
    ),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_no_obstacle_is_not_made_one(case: str, simulator: Start, run: Run) -> None:
    sim = simulator(2, joined=False)
    with sim.world.lock:
        HARMLESS[case](*databases(sim))
    assert run("xen_pool", check=True, members=[{"address": sim.hosts[1].url}])["operations"] == ["pool.join"]


def test_every_rule_is_tried() -> None:
    """Those of other files: too many hosts for the licence, the coordinator itself, members of its own, CPUs."""
    elsewhere = {"JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"}
    assert {rule.error for rule in RULES} == {code for code, _words, _spoil in CASES.values()} | elsewhere


def test_only_what_join_force_skips_can_be_forced() -> None:
    assert {rule.error for rule in RULES if rule.forced} == {"HOSTS_NOT_HOMOGENEOUS"}


def test_a_release_without_the_newer_classes_can_be_looked_at(simulator: Start, run: Run) -> None:
    sim = simulator(2, joined=False, release="xenserver-7.0")
    assert run("xen_pool", check=True, members=[{"address": sim.hosts[1].url}])["operations"] == ["pool.join"]
