# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a host cannot join a pool: xapi's checks before a join, in xapi's order, on the records of both sides.

xapi stops at the first; here all are looked at. Order and errors: xen-api, ocaml/xapi/xapi_pool.ml (pre_join_checks).
Not among them, because no record tells it: whether licence editions of different names rank the same (xapi asks its licence daemon),
and conflicts between trusted certificates.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .side import Side

Check = t.Callable[[Side, Side], t.Iterable[str]]  # the host, the pool -> what is wrong, one sentence each


@dataclass(frozen=True)
class Rule:
    """error: the code xapi would refuse with; todo: what helps; forced: whether join_force skips it."""

    error: str
    check: Check
    todo: str
    forced: bool = False


@dataclass(frozen=True)
class Reason:
    """Why one host cannot join."""

    error_code: str
    message: str
    hint: str
    forced: bool = False

    def told(self) -> dict[str, str]:
        return {"error_code": self.error_code, "message": self.message, "hint": self.hint}


def reasons(host: Side, pool: Side) -> list[Reason]:
    """All of them, in xapi's order."""
    return [Reason(rule.error, message, rule.todo, rule.forced) for rule in RULES for message in rule.check(host, pool)]


# makers of checks ---------------------------------------------------------------
def same(what: str, read: t.Callable[[Side], object]) -> Check:
    """Both sides must have the same."""

    def check(host: Side, pool: Side) -> t.Iterable[str]:
        mine, theirs = read(host), read(pool)
        if mine != theirs:
            yield f"{what} differs: the host has {_shown(mine)}, the pool has {_shown(theirs)}"

    return check


def nothing(what: str, find: t.Callable[[Side], t.Iterable[str]]) -> Check:
    """The host must have none of it."""

    def check(host: Side, _pool: Side) -> t.Iterable[str]:
        if found := sorted(find(host)):
            yield f"the host has {what}: {', '.join(found)}"

    return check


def _shown(value: object) -> str:
    return ", ".join(sorted(map(str, value))) or "none" if isinstance(value, (list, set)) else str(value or "none")


# single checks ------------------------------------------------------------------
def licence_without_pools(host: Side, _pool: Side) -> t.Iterable[str]:
    if "true" in (host.host["license_params"].get("restrict_pooling"), host.pool.get("restrictions", {}).get("restrict_pooling")):
        yield "the host's licence does not include pools"


def pool_is_full(host: Side, pool: Side) -> t.Iterable[str]:
    members = len(pool.all("host")) + pool.coming
    restricted = [side for side in (host, pool) if side.pool.get("restrictions", {}).get("restrict_pool_size") == "true"]
    if restricted and members >= 3:
        yield f"the {'host' if host in restricted else 'pool'}'s licence allows pools of 3 hosts, the pool would have {members + 1}"


def still_booting(host: Side, _pool: Side) -> t.Iterable[str]:
    if host.management is None:
        yield "the host has no management interface yet"


def clustered(side: Side) -> t.Iterable[str]:
    return [c["uuid"] for c in side.rows("Cluster_host") if c["host"] == side.ref and c["enabled"]]


def cluster_networks(pool: Side) -> t.Iterator[tuple[str, str]]:
    """The tag ("" unless it runs on a VLAN of its own) and bridge of every cluster that new members join at once."""
    for node in pool.rows("Cluster_host"):
        cluster, pif = pool.all("Cluster").get(node["cluster"]), pool.all("PIF").get(node["PIF"])
        if node["host"] == pool.ref and cluster and cluster["pool_auto_join"] and pif:
            tag = "" if int(pif["VLAN"]) < 0 or pif["management"] else str(pif["VLAN"])
            yield tag, pool.objects.get("network", pif["network"])["bridge"]


def cluster_on_vlan(_host: Side, pool: Side) -> t.Iterable[str]:
    return [
        f"the pool's cluster runs on VLAN {tag}, which a host gets only after it has joined"
        for tag, _bridge in cluster_networks(pool)
        if tag
    ]


def cluster_address(host: Side, pool: Side) -> t.Iterable[str]:
    for tag, bridge in cluster_networks(pool):
        networks = [ref for ref, network in host.all("network").items() if network["bridge"] == bridge]
        ips = [pif["IP"] for pif in host.rows("PIF") if pif["network"] in networks and pif["IP"]]
        if not tag and len(ips) != 1:
            yield f"the host has {len(ips)} addresses on the cluster's network (bridge {bridge}), it needs exactly one"


def itself(host: Side, pool: Side) -> t.Iterable[str]:
    if host.host["uuid"] == pool.host["uuid"]:
        yield "the host is the pool's coordinator itself"


def other_hosts(host: Side) -> t.Iterable[str]:
    return [row["name_label"] for ref, row in host.all("host").items() if ref != host.ref]


def mandatory_guidance(host: Side, pool: Side) -> t.Iterable[str]:
    for who, side in (("the host", host), ("the pool's coordinator", pool)):
        if pending := side.host.get("pending_guidances"):
            yield f"{who} must first do what its updates ask for: {', '.join(sorted(pending))}"


def non_management_vlans(host: Side) -> t.Iterable[str]:
    pifs = host.all("PIF")
    rows = [v for v in host.rows("VLAN") if not pifs.get(v["untagged_PIF"], {}).get("management")]
    return [f"VLAN {v['tag']} on {host.device(v['tagged_PIF'])}" for v in rows]


def editions(host: Side, pool: Side) -> t.Iterable[str]:
    theirs = sorted({row["edition"] for row in pool.rows("host")})
    if host.host["edition"] not in theirs:
        yield f"licence edition differs: the host has {_shown(host.host['edition'])}, the pool has {_shown(theirs)}"


def sdn(host: Side, pool: Side) -> t.Iterable[str]:
    mine, theirs = host.sdn_controllers(), pool.sdn_controllers()
    if mine and mine != theirs and host.software("network_backend") == "openvswitch":
        yield f"the SDN controller differs: the host has {_shown(mine)}, the pool has {_shown(theirs)}"


def db_schema(host: Side, pool: Side) -> t.Iterable[str]:
    mine, theirs = host.software("db_schema"), pool.software("db_schema")
    if not mine or mine != theirs:
        yield f"the database schema differs: the host has {_shown(mine)}, the pool has {_shown(theirs)}"


def nbd_purposes(host: Side, pool: Side) -> t.Iterable[str]:
    mine, theirs = host.purposes(), pool.purposes()
    if mine and theirs and mine != theirs:
        yield f"the purpose of networks differs: the host has {_shown(mine)}, the pool has {_shown(theirs)}"


def ca_certificates(host: Side, pool: Side) -> t.Iterable[str]:
    mine, theirs = host.ca_certificates(), pool.ca_certificates()
    for name in sorted(set(mine) & set(theirs)):
        if mine[name] != theirs[name]:
            yield f"CA certificate {name!r} differs: the host has {mine[name]}, the pool has {theirs[name]}"


def updating(host: Side, pool: Side) -> t.Iterable[str]:
    for who, side in (("the host", host), ("the pool", pool)):
        if "apply_updates" in side.pool.get("current_operations", {}).values():
            yield f"updates are being installed in {who}" if side is pool else f"updates are being installed on {who}"


def drivers(host: Side, pool: Side) -> t.Iterable[str]:
    mine = host.drivers()
    for kind, theirs in sorted(pool.drivers().items()):
        if kind not in mine:
            yield f"the host has no driver for SRs of type {kind}, the pool has version {theirs['version']}"
            continue
        have, want = mine[kind].get("features", {}), theirs.get("features", {})
        lacking = sorted(f for f, version in want.items() if int(have.get(f, 0)) < int(version))
        if lacking:
            yield (
                f"the host's driver for SRs of type {kind} (version {mine[kind]['version']}) lacks {', '.join(lacking)}, "
                f"which the pool's (version {theirs['version']}) has"
            )


TURN_OFF = "Turn it off for the join (ha: {enabled: false}) and on again afterwards."
SAME_RELEASE = "Install the same release on both."
MOVE_HALTED = "Join with force: true if it is enough that VMs are moved while they are halted."
SAME_UPDATES = "Install the same updates on both."
RULES: tuple[Rule, ...] = (
    Rule("LICENCE_RESTRICTION", licence_without_pools, "Give the host a licence that includes pools."),
    Rule("LICENCE_RESTRICTION", pool_is_full, "Give the host a licence for larger pools."),
    Rule("HOST_STILL_BOOTING", still_booting, "Wait until it has started."),
    Rule("HA_IS_ENABLED", lambda host, _pool: ["high availability is on at the host"] if host.ha else [], "Turn it off there."),
    Rule("CLUSTERING_ENABLED", nothing("clustering on", clustered), "Destroy its cluster first."),
    Rule("POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK", cluster_on_vlan, "Move the cluster to another network."),
    Rule("POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK", cluster_address, "Give it one address there."),
    Rule("HA_IS_ENABLED", lambda _host, pool: ["high availability is on in the pool"] if pool.ha else [], TURN_OFF),
    Rule("OPERATION_NOT_ALLOWED", itself, "Leave it out of members."),
    Rule("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS", nothing("members of its own", other_hosts), "Eject them there first."),
    Rule(
        "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS",
        nothing("running VMs", lambda s: s.vms(lambda vm: vm["power_state"] == "Running")),
        "Shut them down or suspend them.",
    ),
    Rule(
        "JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS",
        nothing("VMs with an operation under way", lambda s: s.vms(lambda vm: vm["current_operations"])),
        "Wait until these have finished.",
    ),
    Rule("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", mandatory_guidance, "Reboot it or restart its toolstack as asked."),
    Rule("HOSTS_NOT_COMPATIBLE", same("the platform version", lambda s: s.software("platform_version")), SAME_RELEASE),
    Rule("HOSTS_NOT_COMPATIBLE", same("the product", lambda s: s.brand), "Only hosts of one product form a pool."),
    Rule("HOSTS_NOT_HOMOGENEOUS", same("the version of xapi", lambda s: s.software("xapi")), SAME_UPDATES, forced=True),
    Rule("HOSTS_NOT_HOMOGENEOUS", same("the build of xapi", lambda s: s.software("git_id")), SAME_UPDATES, forced=True),
    Rule(
        "HOSTS_NOT_HOMOGENEOUS",
        same("the Linux pack", lambda s: "installed" if s.software("xs:linux") else "not installed"),
        SAME_UPDATES,
        forced=True,
    ),
    Rule("HOSTS_NOT_HOMOGENEOUS", same("the CPU vendor", lambda s: s.cpu_info.get("vendor", "")), MOVE_HALTED, forced=True),
    Rule(
        "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS",
        nothing("shared SRs", lambda s: [sr["name_label"] for sr in s.rows("SR") if sr["shared"] and not sr.get("is_tools_sr")]),
        "Forget them there (xen_sr with state: forgotten); the pool attaches its own.",
    ),
    Rule(
        "POOL_JOINING_HOST_HAS_BONDS",
        nothing("bonds", lambda s: [s.device(bond["master"]) for bond in s.rows("Bond")]),
        "Remove them; a member gets the pool's bonds.",
    ),
    Rule(
        "POOL_JOINING_HOST_HAS_TUNNELS",
        nothing("tunnels", lambda s: [s.device(tunnel["access_PIF"]) for tunnel in s.rows("tunnel")]),
        "Remove them; a member gets the pool's tunnels.",
    ),
    Rule(
        "POOL_JOINING_HOST_HAS_NETWORK_SRIOVS",
        nothing("SR-IOV networks", lambda s: [s.device(row["physical_PIF"]) for row in s.rows("network_sriov")]),
        "Remove them; a member gets the pool's.",
    ),
    Rule(
        "POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS",
        nothing("VLANs that do not carry its management interface", non_management_vlans),
        "Remove them; a member gets the pool's VLANs.",
    ),
    Rule(
        "POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH",
        same("the management VLAN", lambda s: s.management_vlan),
        "Move the host's management interface to the pool's VLAN.",
    ),
    Rule(
        "POOL_JOINING_EXTERNAL_AUTH_MISMATCH",
        same("external authentication", lambda s: f"{s.host['external_auth_type']} {s.host['external_auth_service_name']}".strip()),
        "Let both use the same directory, or none.",
    ),
    Rule("LICENSE_HOST_POOL_MISMATCH", editions, "Give the host the pool's licence."),
    Rule(
        "OPERATION_NOT_ALLOWED",
        same("the network backend", lambda s: s.software("network_backend") or "bridge"),
        "Switch the host with xe-switch-network-backend and reboot it.",
    ),
    Rule("OPERATION_NOT_ALLOWED", sdn, "Remove the host's SDN controller."),
    Rule(
        "POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION",
        same("the API version", lambda s: f"{s.host['API_version_major']}.{s.host['API_version_minor']}"),
        SAME_RELEASE,
    ),
    Rule("POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA", db_schema, SAME_UPDATES),
    Rule("HOSTS_NOT_HOMOGENEOUS", same("the set of binding updates", lambda s: s.binding_updates()), SAME_UPDATES),
    Rule(
        "OPERATION_NOT_ALLOWED",
        same("the address family of the management interface", lambda s: (s.management or {}).get("primary_address_type", "IPv4")),
        "Let both use the same.",
    ),
    Rule("OPERATION_NOT_ALLOWED", nbd_purposes, "Use either nbd or insecure_nbd on both."),
    Rule(
        "POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH",
        same("verification of certificates inside the pool", lambda s: "on" if s.pool.get("tls_verification_enabled") else "off"),
        "Turn it on where it is off (xen_pool with tls_verification: true).",
    ),
    Rule("POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT", ca_certificates, "Remove the host's certificate of that name."),
    Rule("NOT_SUPPORTED_DURING_UPGRADE", updating, "Wait until that has finished."),
    Rule("POOL_JOINING_SM_FEATURES_INCOMPATIBLE", drivers, SAME_UPDATES),
)
