# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host out of a pool, in the order xapi looks at it (xen-api: ocaml/xapi/xapi_pool.ml, pre_join_checks)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import networking as net
from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import Machine

LARGEST_RESTRICTED_POOL = 3


@dataclass(frozen=True)
class Join:
    """Who joins whom."""

    joiner: Machine
    coordinator: Machine

    @property
    def mine(self) -> Database:
        """The joiner's objects."""
        return self.joiner.pool.db

    @property
    def theirs(self) -> Database:
        """The pool's objects."""
        return self.coordinator.pool.db

    @property
    def hosts(self) -> tuple[Record, Record]:
        """The joiner's host record and the coordinator's."""
        return self.joiner.host_record(), self.coordinator.host_record()

    @property
    def pools(self) -> tuple[Record, Record]:
        """The joiner's pool record and the pool's."""
        return self.joiner.pool.pool, self.coordinator.pool.pool

    def management(self, machine: Machine) -> Record:
        """The management interface of one of the two."""
        pif = net.management_pif(machine.pool.db, machine.host_ref)
        if not pif:
            raise Fault("HOST_STILL_BOOTING")
        return machine.pool.db.get("PIF", pif)

    def differ(self, key: str) -> bool:
        """Whether a software version differs."""
        local, remote = self.hosts
        return bool(local["software_version"].get(key) != remote["software_version"].get(key))


def licensed_size(join: Join) -> None:
    """1"""
    restricted = join.pools[1]["restrictions"].get("restrict_pool_size") == "true"
    if restricted and len(join.theirs.all("host")) >= LARGEST_RESTRICTED_POOL:
        raise Fault("LICENCE_RESTRICTION", "Pool_size")


def management_interface(join: Join) -> None:
    """2"""
    join.management(join.joiner)


def own_high_availability(join: Join) -> None:
    """3, 4"""
    if join.pools[0]["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    for ref, record in join.mine.all("Cluster_host").items():
        if record["enabled"]:
            raise Fault("CLUSTERING_ENABLED", ref)


def clustered_pool(join: Join) -> None:
    """5"""
    if not any(cluster["pool_auto_join"] for cluster in join.theirs.all("Cluster").values()):
        return
    for member in join.theirs.all("Cluster_host").values():
        pif = join.theirs.get("PIF", member["PIF"])
        if pif["VLAN"] >= 0 and not pif["management"]:
            raise Fault("POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK", str(pif["VLAN"]))
        bridge = join.theirs.get("network", pif["network"])["bridge"]
        local = [p for p in join.mine.all("PIF").values() if p["IP"] and join.mine.get("network", p["network"])["bridge"] == bridge]
        if len(local) != 1:
            raise Fault("POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK")


def high_availability(join: Join) -> None:
    """6"""
    if join.pools[1]["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")


def not_itself(join: Join) -> None:
    """7"""
    if join.coordinator is join.joiner:
        alone = len(join.mine.all("host")) == 1
        raise Fault("OPERATION_NOT_ALLOWED", "Host cannot become slave of itself" if alone else "Host is already part of a pool")


def alone(join: Join) -> None:
    """8"""
    if len(join.mine.all("host")) > 1:
        raise Fault("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS")


def no_running_vms(join: Join) -> None:
    """9, 10"""
    vms = [vm for vm in join.mine.all("VM").values() if not vm["is_control_domain"]]
    if any(vm["power_state"] == "Running" for vm in vms):
        raise Fault("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS")
    if any(vm["current_operations"] for vm in join.mine.all("VM").values()):
        raise Fault("JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS")


def no_guidance(join: Join) -> None:
    """11"""
    for machine in (join.joiner, join.coordinator):
        if machine.host_record()["pending_guidances"]:
            raise Fault("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", machine.host_ref)


def _brand(version: dict[str, str]) -> str | None:
    return version.get("product_brand") or version.get("platform_name")


def compatible(join: Join) -> None:
    """12"""
    local, remote = (host["software_version"] for host in join.hosts)
    if join.differ("platform_version") or _brand(local) != _brand(remote):
        raise Fault("HOSTS_NOT_COMPATIBLE")


def homogeneous(join: Join) -> None:
    """13, the one join_force leaves out"""
    local, remote = join.hosts
    if any(join.differ(key) for key in ("xapi", "git_id", "xs:linux")):
        raise Fault("HOSTS_NOT_HOMOGENEOUS", "Software version differs")
    if local["cpu_info"].get("vendor") != remote["cpu_info"].get("vendor"):
        raise Fault("HOSTS_NOT_HOMOGENEOUS", "CPUs differ")


def no_shared_srs(join: Join) -> None:
    """14"""
    if any(sr["shared"] and not sr["is_tools_sr"] for sr in join.mine.all("SR").values()):
        raise Fault("JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS")


def plain_network(join: Join) -> None:
    """15 to 19"""
    for cls, code in (("Bond", "BONDS"), ("tunnel", "TUNNELS"), ("network_sriov", "NETWORK_SRIOVS")):
        if join.mine.all(cls):
            raise Fault(f"POOL_JOINING_HOST_HAS_{code}")
    local, remote = join.management(join.joiner), join.management(join.coordinator)
    if any(ref != local["VLAN_master_of"] for ref in join.mine.all("VLAN")):
        raise Fault("POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS")
    if local["VLAN"] != remote["VLAN"]:
        raise Fault("POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH", str(local["VLAN"]), str(remote["VLAN"]))


def same_directory(join: Join) -> None:
    """20"""
    local, remote = join.hosts
    if any(local[field] != remote[field] for field in ("external_auth_type", "external_auth_service_name")):
        raise Fault("POOL_JOINING_EXTERNAL_AUTH_MISMATCH")


def same_edition(join: Join) -> None:
    """21"""
    local, remote = join.hosts
    if local["edition"] != remote["edition"]:
        raise Fault("LICENSE_HOST_POOL_MISMATCH", f"Edition of the host: {local['edition']}, of the pool: {remote['edition']}")


def same_backend(join: Join) -> None:
    """22"""
    if join.differ("network_backend"):
        raise Fault("OPERATION_NOT_ALLOWED", "Network backends differ")
    local, remote = (pool["vswitch_controller"] for pool in join.pools)
    if local and local != remote:
        raise Fault("OPERATION_NOT_ALLOWED", "SDN controller differs")


def same_api(join: Join) -> None:
    """23, 24"""
    versions = [f"{host['API_version_major']}.{host['API_version_minor']}" for host in join.hosts]
    if versions[0] != versions[1]:
        raise Fault("POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION", *versions)
    schemas = [host["software_version"].get("db_schema", "") for host in join.hosts]
    if schemas[0] != schemas[1]:
        raise Fault("POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", *schemas)


def same_updates(join: Join) -> None:
    """25"""
    sides = [
        {record["uuid"] for update in host["updates"] if (record := db.get("pool_update", update))["enforce_homogeneity"]}
        for db, host in zip((join.mine, join.theirs), join.hosts)
    ]
    if sides[0] != sides[1]:
        raise Fault("HOSTS_NOT_HOMOGENEOUS", "Updates differ")


def same_address_family(join: Join) -> None:
    """26"""
    families = [join.management(machine)["primary_address_type"] for machine in (join.joiner, join.coordinator)]
    if families[0] != families[1]:
        raise Fault("OPERATION_NOT_ALLOWED", "Primary address type differs")


def same_purposes(join: Join) -> None:
    """27"""
    local, remote = ({p for network in db.all("network").values() for p in network["purpose"]} for db in (join.mine, join.theirs))
    if ("nbd" in local and "insecure_nbd" in remote) or ("insecure_nbd" in local and "nbd" in remote):
        raise Fault("OPERATION_NOT_ALLOWED", "Incompatible network purposes: nbd and insecure_nbd")


def same_tls(join: Join) -> None:
    """28"""
    local, remote = join.pools
    if local["tls_verification_enabled"] != remote["tls_verification_enabled"]:
        raise Fault("POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH")


def no_certificate_conflict(join: Join) -> None:
    """29, 30"""
    mine, theirs = join.mine.all("Certificate"), join.theirs.all("Certificate")
    trusted = {c["name"]: c["fingerprint_sha256"] for c in theirs.values() if c["type"] == "ca"}
    own = {c["name"]: c["fingerprint_sha256"] for c in mine.values() if c["type"] == "ca"}
    clashing = sorted(name for name in own.keys() & trusted.keys() if name and own[name] != trusted[name])
    if clashing:
        raise Fault("POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT", *clashing)
    pinned = {c["fingerprint_sha256"]: ref for ref, c in theirs.items() if c["type"] == "pinned"}
    for ref, record in mine.items():
        other = pinned.get(record["fingerprint_sha256"]) if record["type"] == "pinned" else None
        if other and set(theirs[other]["purpose"]) != set(record["purpose"]):
            raise Fault("POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT", other, ref)


def no_update_running(join: Join) -> None:
    """31, 32"""
    if any("apply_updates" in pool["current_operations"].values() for pool in join.pools):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")


def same_storage_drivers(join: Join) -> None:
    """33"""
    mine = {sm["type"]: (ref, sm) for ref, sm in join.mine.all("SM").items()}
    for ref, driver in join.theirs.all("SM").items():
        own_ref, own = mine.get(driver["type"], ("", None))
        if own is None or any(own["features"].get(name, 0) < version for name, version in driver["features"].items()):
            raise Fault("POOL_JOINING_SM_FEATURES_INCOMPATIBLE", ref, own_ref)


CHECKS: tuple[t.Callable[[Join], None], ...] = (
    licensed_size, management_interface, own_high_availability, clustered_pool, high_availability, not_itself, alone, no_running_vms,
    no_guidance, compatible, homogeneous, no_shared_srs, plain_network, same_directory, same_edition, same_backend, same_api, same_updates,
    same_address_family, same_purposes, same_tls, no_certificate_conflict, no_update_running, same_storage_drivers,
)  # fmt: skip


def check(join: Join, *, force: bool) -> None:
    """Raises the first reason."""
    for rule in CHECKS:
        if not (force and rule is homogeneous):
            rule(join)
