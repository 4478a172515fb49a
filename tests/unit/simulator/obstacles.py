# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host out of a pool: each function brings one reason about and returns the error that names it.

Called with the joiner and the pool's coordinator.
"""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator.database import Database

from .conversation import Asked, manage_on_vlan

Obstacle = t.Callable[[Asked, Asked], list[str]]


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


def no_management(j: Asked, p: Asked) -> list[str]:
    j.db.set("PIF", j.pif("eth0"), management=False)
    return ["HOST_STILL_BOOTING"]


def licence(j: Asked, p: Asked) -> list[str]:
    _set_pool(j, restrictions={"restrict_pooling": "true"})
    return ["LICENCE_RESTRICTION", "Pooling"]


def licensed_size(j: Asked, p: Asked) -> list[str]:
    _set_pool(p, restrictions={"restrict_pool_size": "true"})
    for _turn in range(2):
        p.db.create("host", name_label="more")
    return ["LICENCE_RESTRICTION", "Pool_size"]


def own_ha(j: Asked, p: Asked) -> list[str]:
    _set_pool(j, ha_enabled=True)
    return ["HA_IS_ENABLED"]


def own_cluster(j: Asked, p: Asked) -> list[str]:
    return ["CLUSTERING_ENABLED", j.db.create("Cluster_host", host=j.host, enabled=True)]


def cluster_on_vlan(j: Asked, p: Asked) -> list[str]:
    pif = p.record("VLAN", p("VLAN.create", p.pif("eth1"), 7, p.network()))["untagged_PIF"]
    p.db.create("Cluster_host", cluster=p.db.create("Cluster", pool_auto_join=True), host=p.host, PIF=pif)
    return ["POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK", "7"]


def cluster_without_address(j: Asked, p: Asked) -> list[str]:
    p.db.create("Cluster_host", cluster=p.db.create("Cluster", pool_auto_join=True), host=p.host, PIF=p.pif("eth1"))
    return ["POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK"]


def ha(j: Asked, p: Asked) -> list[str]:
    _set_pool(p, ha_enabled=True)
    return ["HA_IS_ENABLED"]


def other_hosts(j: Asked, p: Asked) -> list[str]:
    j.db.create("host", name_label="member")
    return ["JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"]


def running_vm(j: Asked, p: Asked) -> list[str]:
    _vm(j.db, power_state="Running")
    return ["JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"]


def busy_vm(j: Asked, p: Asked) -> list[str]:
    _vm(j.db, power_state="Halted", current_operations={"OpaqueRef:t": "start"})
    return ["JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS"]


def own_guidance(j: Asked, p: Asked) -> list[str]:
    _set_host(j, pending_guidances=["reboot_host"])
    return ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", j.host]


def guidance(j: Asked, p: Asked) -> list[str]:
    _set_host(p, pending_guidances=["reboot_host"])
    return ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", p.host]


def platform(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "platform_version", "9.9.9")
    return ["HOSTS_NOT_COMPATIBLE"]


def brand(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "product_brand", "Another")
    return ["HOSTS_NOT_COMPATIBLE"]


def build(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "git_id", "other")
    return ["HOSTS_NOT_HOMOGENEOUS", "Software version differs"]


def cpus(j: Asked, p: Asked) -> list[str]:
    j.db.add_to_map("host", j.host, "cpu_info", "vendor", "AuthenticAMD")
    return ["HOSTS_NOT_HOMOGENEOUS", "CPUs differ"]


def shared_sr(j: Asked, p: Asked) -> list[str]:
    j.db.create("SR", type="nfs", shared=True)
    return ["JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"]


def bond(j: Asked, p: Asked) -> list[str]:
    j("Bond.create", j.network(), [j.pif("eth1"), j.pif("eth2")], "")
    return ["POOL_JOINING_HOST_HAS_BONDS"]


def tunnel(j: Asked, p: Asked) -> list[str]:
    j("PIF.reconfigure_ip", j.pif("eth1"), "DHCP", "", "", "", "")
    j("tunnel.create", j.pif("eth1"), j.network())
    return ["POOL_JOINING_HOST_HAS_TUNNELS"]


def sriov(j: Asked, p: Asked) -> list[str]:
    j.db.create("network_sriov", physical_PIF=j.pif("eth1"))
    return ["POOL_JOINING_HOST_HAS_NETWORK_SRIOVS"]


def vlan(j: Asked, p: Asked) -> list[str]:
    j("VLAN.create", j.pif("eth1"), 7, j.network())
    return ["POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS"]


def management_vlan(j: Asked, p: Asked) -> list[str]:
    manage_on_vlan(j, 7)
    return ["POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH", "7", "-1"]


def directory(j: Asked, p: Asked) -> list[str]:
    _set_host(p, external_auth_type="AD", external_auth_service_name="example.com")
    return ["POOL_JOINING_EXTERNAL_AUTH_MISMATCH"]


def edition(j: Asked, p: Asked) -> list[str]:
    _set_host(j, edition="premium")
    return ["LICENSE_HOST_POOL_MISMATCH", "Edition of the host: premium, of the pool: xcp-ng"]


def backend(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "network_backend", "bridge")
    return ["OPERATION_NOT_ALLOWED", "Network backends differ"]


def controller(j: Asked, p: Asked) -> list[str]:
    _set_pool(j, vswitch_controller="10.0.0.1")
    return ["OPERATION_NOT_ALLOWED", "SDN controller differs"]


def api(j: Asked, p: Asked) -> list[str]:
    _set_host(j, API_version_minor=1)
    return ["POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION", "2.1", "2.23"]


def schema(j: Asked, p: Asked) -> list[str]:
    _set_version(j, "db_schema", "5.1")
    return ["POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", "5.1", "5.909"]


def update(j: Asked, p: Asked) -> list[str]:
    _set_host(p, updates=[p.db.create("pool_update", enforce_homogeneity=True)])
    return ["HOSTS_NOT_HOMOGENEOUS", "Updates differ"]


def family(j: Asked, p: Asked) -> list[str]:
    j.db.set("PIF", j.pif("eth0"), primary_address_type="IPv6")
    return ["OPERATION_NOT_ALLOWED", "Primary address type differs"]


def purpose(j: Asked, p: Asked) -> list[str]:
    j("network.add_purpose", j.network(), "nbd")
    p("network.add_purpose", p.network(), "insecure_nbd")
    return ["OPERATION_NOT_ALLOWED", "Incompatible network purposes: nbd and insecure_nbd"]


def tls(j: Asked, p: Asked) -> list[str]:
    p("pool.enable_tls_verification")
    return ["POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"]


def ca(j: Asked, p: Asked) -> list[str]:
    for asked, fingerprint in ((j, "AA"), (p, "BB")):
        _certificate(asked, "ca", "lab.pem", fingerprint)
    return ["POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT", "lab.pem"]


def trusted(j: Asked, p: Asked) -> list[str]:
    mine = _certificate(j, "pinned", "", "AA", purpose=["licensing"])
    return ["POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT", _certificate(p, "pinned", "", "AA", purpose=["ldaps"]), mine]


def updating(j: Asked, p: Asked) -> list[str]:
    _set_pool(p, current_operations={"OpaqueRef:t": "apply_updates"})
    return ["NOT_SUPPORTED_DURING_UPGRADE"]


def driver_missing(j: Asked, p: Asked) -> list[str]:
    j.db.destroy("SM", j.db.one("SM", type="nfs"))
    return ["POOL_JOINING_SM_FEATURES_INCOMPATIBLE", p.db.one("SM", type="nfs"), ""]


def driver_older(j: Asked, p: Asked) -> list[str]:
    mine = j.db.one("SM", type="nfs")
    j.db.set("SM", mine, features={})
    return ["POOL_JOINING_SM_FEATURES_INCOMPATIBLE", p.db.one("SM", type="nfs"), mine]


# as the facts number them; each obstacle brings itself about and says how it is answered
ALL: tuple[Obstacle, ...] = (
    licence, licensed_size, no_management, own_ha, own_cluster, cluster_on_vlan, cluster_without_address, ha, other_hosts,
    running_vm, busy_vm, own_guidance, guidance, platform, brand, build, cpus, shared_sr, bond, tunnel, sriov, vlan,
    management_vlan, directory, edition, backend, controller, api, schema, update, family, purpose, tls, ca, trusted,
    updating, driver_missing, driver_older,
)  # fmt: skip
# some that can be there together, the last one looked at first
LAST_FIRST: tuple[Obstacle, ...] = (
    driver_missing, tls, family, api, backend, directory, vlan, bond, shared_sr, cpus, platform, running_vm,
)  # fmt: skip
