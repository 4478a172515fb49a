# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters and their hosts. Rules: xen-api ocaml/xapi/xapi_cluster.ml, xapi_cluster_host.ml, xapi_cluster_helpers.ml."""

from __future__ import annotations

import typing as t
import uuid

from .. import networking as net
from .. import operations
from ..errors import Fault
from ..hosts import at_host
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call

STACK = "corosync"
SHORTEST_TIMEOUT = 1.0
USERS = ("gfs2",)  # storage types that need the cluster


@message("Cluster.create")
def create(call: Call, PIF: str, cluster_stack: str, pool_auto_join: bool, token_timeout: float, token_timeout_coefficient: float) -> str:
    """With one host, that of the PIF."""
    if cluster_stack != STACK:
        raise Fault("INVALID_CLUSTER_STACK", cluster_stack)
    if token_timeout < SHORTEST_TIMEOUT:
        raise Fault("INVALID_VALUE", "token_timeout", f"{token_timeout:g}")
    if token_timeout_coefficient < 0:
        raise Fault("INVALID_VALUE", "token_timeout_coefficient", f"{token_timeout_coefficient:g}")
    _check_interface(call.db, PIF)
    with operations.running_in_pool(call, "cluster_create"):
        cluster = call.db.create(
            "Cluster", cluster_token=str(uuid.uuid4()), cluster_stack=cluster_stack, pool_auto_join=pool_auto_join,
            token_timeout=token_timeout, token_timeout_coefficient=token_timeout_coefficient, cluster_stack_version=3,
            allowed_operations=["add", "remove", "enable", "disable", "destroy"],
        )  # fmt: skip
        _add(call, cluster, call.db.get("PIF", PIF)["host"], PIF)
        call.db.set("pool", call.pool.pool_ref, ha_cluster_stack=cluster_stack)
    return cluster


def _check_interface(db: Database, pif: str) -> None:
    """Raises INTERFACE_HAS_NO_IP, PIF_ALLOWS_UNPLUG or REQUIRED_PIF_IS_UNPLUGGED."""
    record = db.get("PIF", pif)
    if not record["IP"]:
        raise Fault("INTERFACE_HAS_NO_IP", pif)
    if not record["disallow_unplug"]:
        raise Fault("PIF_ALLOWS_UNPLUG", pif)
    if not record["currently_attached"]:
        raise Fault("REQUIRED_PIF_IS_UNPLUGGED", pif)


def _add(call: Call, cluster: str, host: str, pif: str) -> str:
    at_host(call, host)
    ref = call.db.create(
        "Cluster_host", cluster=cluster, host=host, PIF=pif, enabled=True, joined=True, live=True, last_update_live=call.world.clock.iso(),
        allowed_operations=["enable", "disable", "destroy"],
    )  # fmt: skip
    _count(call.db, cluster)
    return ref


def _count(db: Database, cluster: str) -> None:
    """Quorum and numbers of hosts follow."""
    if not db.exists("Cluster", cluster):
        return
    members = [db.get("Cluster_host", ref) for ref in db.get("Cluster", cluster)["cluster_hosts"]]
    live, quorum = sum(member["enabled"] for member in members), len(members) // 2 + 1
    db.set("Cluster", cluster, live_hosts=live, expected_hosts=len(members), quorum=quorum, is_quorate=live >= quorum)


@message("Cluster.pool_create")
def pool_create(call: Call, network: str, cluster_stack: str, token_timeout: float, token_timeout_coefficient: float) -> str:
    """On every host, through its PIF on the network."""
    db = call.db
    pifs = {}
    for host in db.all("host"):
        pif = net.pif_on(db, host, network)
        if not pif:
            raise Fault("PIF_NOT_PRESENT", host, network)
        _check_interface(db, pif)
        pifs[host] = pif
    master = call.pool.pool["master"]
    cluster = create(call, pifs.pop(master), cluster_stack, True, token_timeout, token_timeout_coefficient)
    for host, pif in pifs.items():
        _add(call, cluster, host, pif)
    return cluster


def _refuse_used(db: Database, cluster: str) -> None:
    """Raises CLUSTER_STACK_IN_USE [stack]."""
    plugged = (pbd for pbd in db.all("PBD").values() if pbd["currently_attached"] and db.exists("SR", pbd["SR"]))
    if any(db.get("SR", pbd["SR"])["type"] in USERS for pbd in plugged):
        raise Fault("CLUSTER_STACK_IN_USE", db.get("Cluster", cluster)["cluster_stack"])


@message("Cluster.destroy")
def destroy(call: Call, self: str) -> None:
    """Only with one host left."""
    members = call.db.get("Cluster", self)["cluster_hosts"]
    if len(members) != 1:
        raise Fault("CLUSTER_DOES_NOT_HAVE_ONE_NODE", str(len(members)))
    _refuse_used(call.db, self)
    _drop(call, self)


@message("Cluster.pool_destroy")
def pool_destroy(call: Call, self: str) -> None:
    """On every host."""
    _refuse_used(call.db, self)
    for member in call.db.get("Cluster", self)["cluster_hosts"]:
        at_host(call, call.db.get("Cluster_host", member)["host"])
    _drop(call, self)


@message("Cluster.pool_force_destroy")
def pool_force_destroy(call: Call, self: str) -> None:
    """Whoever answers."""
    _refuse_used(call.db, self)
    _drop(call, self)


def _drop(call: Call, cluster: str) -> None:
    for member in call.db.get("Cluster", cluster)["cluster_hosts"]:
        call.db.destroy("Cluster_host", member)
    call.db.destroy("Cluster", cluster)
    call.db.set("pool", call.pool.pool_ref, ha_cluster_stack="xhad")
    operations.refresh_pool(call.db)


@message("Cluster.pool_resync")
def pool_resync(call: Call, self: str) -> None:
    """Hosts that were left out are added."""
    db = call.db
    members = [db.get("Cluster_host", ref) for ref in db.get("Cluster", self)["cluster_hosts"]]
    network = get_network(call, self)
    for host in db.all("host"):
        pif = net.pif_on(db, host, network)
        if pif and host not in {member["host"] for member in members}:
            _add(call, self, host, pif)


@message("Cluster.get_network")
def get_network(call: Call, self: str) -> str:
    """The one its interfaces are on."""
    members = call.db.get("Cluster", self)["cluster_hosts"]
    networks = {call.db.get("PIF", call.db.get("Cluster_host", member)["PIF"])["network"] for member in members}
    if len(networks) != 1:
        raise Fault("INTERNAL_ERROR", 'Failure("the cluster\'s hosts are on different networks")')
    return str(networks.pop())


# one host ------------------------------------------------------------------------------------------------------------
@message("Cluster_host.create")
def create_host(call: Call, cluster: str, host: str, pif: str) -> str:
    """Another host joins the cluster."""
    call.db.get("Cluster", cluster)
    if call.db.get("PIF", pif)["host"] != host:
        raise Fault("PIF_NOT_ATTACHED_TO_HOST", pif, host)
    _check_interface(call.db, pif)
    return _add(call, cluster, host, pif)


@message("Cluster_host.enable")
def enable_host(call: Call, self: str) -> None:
    """Its interface must be in place."""
    record = call.db.get("Cluster_host", self)
    at_host(call, record["host"])
    _check_interface(call.db, record["PIF"])
    call.db.set("Cluster_host", self, enabled=True, live=True)
    _count(call.db, record["cluster"])


@message("Cluster_host.disable")
def disable_host(call: Call, self: str) -> None:
    """Not while storage needs it."""
    record = call.db.get("Cluster_host", self)
    _refuse_used(call.db, record["cluster"])
    call.db.set("Cluster_host", self, enabled=False, live=False)
    _count(call.db, record["cluster"])


@message("Cluster_host.destroy")
def destroy_host(call: Call, self: str) -> None:
    """Not the last one, not a disabled one."""
    record = call.db.get("Cluster_host", self)
    _refuse_used(call.db, record["cluster"])
    if not record["enabled"]:
        raise Fault("CLUSTERING_DISABLED", self)
    if len(call.db.get("Cluster", record["cluster"])["cluster_hosts"]) == 1:
        raise Fault("CLUSTER_HOST_IS_LAST", self)
    call.db.destroy("Cluster_host", self)
    _count(call.db, record["cluster"])


@message("Cluster_host.force_destroy")
def force_destroy_host(call: Call, self: str) -> None:
    """Also a disabled one."""
    record = call.db.get("Cluster_host", self)
    _refuse_used(call.db, record["cluster"])
    call.db.destroy("Cluster_host", self)
    _count(call.db, record["cluster"])
