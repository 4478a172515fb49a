# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host is the coordinator. Rules: xen-api ocaml/xapi/xapi_pool.ml, xapi_pool_transition.ml."""

from __future__ import annotations

import typing as t

from .. import agent, joining, operations
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import EPOCH
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import Machine, Pool


@message("pool.designate_new_master")
def designate_new_master(call: Call, host: str) -> None:
    """Every toolstack restarts and every session ends; naming the present one changes nothing."""
    call.db.get("host", host)
    if host == call.pool.pool["master"]:
        return
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    with operations.running_in_pool(call, "designate_new_master"):
        for member in call.db.all("host"):
            at_host(call, member)  # each has to agree
    _appoint(call.pool, host)
    for machine in sorted(call.pool.machines, key=lambda m: not m.is_coordinator):
        agent.restart(machine)


def _appoint(pool: Pool, host: str) -> None:
    pool.db.set("pool", pool.pool_ref, master=host, last_update_sync=EPOCH)


@message("pool.emergency_transition_to_master")
def emergency_transition_to_master(call: Call) -> None:
    """A member that lost its coordinator takes over; raises NOT_IN_EMERGENCY_MODE."""
    if not call.machine.emergency:
        raise Fault("NOT_IN_EMERGENCY_MODE")
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    _appoint(call.pool, call.machine.host_ref)
    agent.restart(call.machine)


@message("pool.emergency_reset_master")
def emergency_reset_master(call: Call, master_address: str) -> None:
    """The host looks for its coordinator there from now on; raises HOST_ITS_OWN_SLAVE."""
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    if joining.find_coordinator(call.world, master_address) is call.machine:
        raise Fault("HOST_ITS_OWN_SLAVE")
    agent.restart(call.machine)


@message("pool.recover_slaves")
def recover_slaves(call: Call) -> list[str]:
    """Members that answer are told where the coordinator is; returns them."""
    found = [machine for machine in call.pool.machines if machine is not call.machine and machine.power == "on"]
    for machine in found:
        if _is_lost(machine):
            agent.restart(machine)
    return [machine.host_ref for machine in found]


def _is_lost(machine: Machine) -> bool:
    metrics = machine.host_record()["metrics"]
    return not machine.pool.db.get("host_metrics", metrics)["live"]


@message("pool.sync_database")
def sync_database(call: Call) -> None:
    """Every live member gets a copy at once; nothing to see from outside."""


@message("pool.rotate_secret")
def rotate_secret(call: Call) -> None:
    """Every host must take part; nothing to see from outside."""
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    if operations.upgrading(call.db):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    for host in call.db.all("host"):
        at_host(call, host)
