# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: enabled and disabled, reboot, shutdown, power-on, removal. Rules: xen-api ocaml/xapi/xapi_host.ml, xapi_host_helpers.ml."""

from __future__ import annotations

import typing as t

from .. import agent, failover, fresh_pool, garbage, operations
from ..errors import Fault
from ..hosts import at_host, is_live, set_live
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call

POWER_ON_PATIENCE = 800  # virtual seconds the power-on script waits for the host


@message("host.disable")
def disable(call: Call, host: str, auto_enable: bool) -> None:
    """No new guests; without auto_enable it stays so over a reboot."""
    machine = at_host(call, host)
    _refuse_breaking_the_plan(call, host)
    if auto_enable:
        machine.state.pop(agent.STAYS_DISABLED, None)
    else:
        machine.state[agent.STAYS_DISABLED] = True
    call.db.set("host", host, enabled=False)
    operations.refresh_host(call.db, host)


def _refuse_breaking_the_plan(call: Call, host: str) -> None:
    """Raises HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN where protected guests would have nowhere to go."""
    pool, vms = call.pool.pool, failover.protected(call.db)
    if not pool["ha_enabled"] or pool["ha_allow_overcommit"] or not pool["ha_plan_exists_for"] or not vms:
        return
    if not failover.plan_exists(call.db, pool["ha_host_failures_to_tolerate"], vms, without=host):
        raise Fault("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN")


@message("host.enable")
def enable(call: Call, host: str) -> None:
    """Guests may come again."""
    machine = at_host(call, host)
    record = call.db.get("host", host)
    if machine.state.get(agent.STARTING):
        raise Fault("HOST_STILL_BOOTING")
    if record["pending_guidances"]:
        raise Fault("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host)
    if machine.state.get(agent.LEAVING):
        raise Fault("HOST_DISABLED_UNTIL_REBOOT", host)
    with operations.running_on_host(call, host, "enable"):
        machine.state.pop(agent.STAYS_DISABLED, None)
        call.db.set("host", host, enabled=True)


@message("host.reboot")
def reboot(call: Call, host: str) -> None:
    """Answered before the host leaves."""
    machine = at_host(call, host)
    with operations.running_on_host(call, host, "reboot"):
        _refuse_in_use(call.db, host)
        agent.reboot(machine)


@message("host.shutdown")
def shutdown(call: Call, host: str) -> None:
    """Answered before the host leaves."""
    machine = at_host(call, host)
    with operations.running_on_host(call, host, "shutdown"):
        _refuse_in_use(call.db, host)
        agent.power_off(machine)


def _refuse_in_use(db: Database, host: str) -> None:
    """Raises HOST_IN_USE for a running guest or an attached disk of a control domain."""
    for vm in db.get("host", host)["resident_VMs"]:
        record = db.get("VM", vm)
        if not record["is_control_domain"] and record["power_state"] == "Running":
            raise Fault("HOST_IN_USE", host, "vm", vm)
        for vbd in record["VBDs"] if record["is_control_domain"] else ():
            if db.get("VBD", vbd)["currently_attached"]:
                raise Fault("HOST_IN_USE", host, "vbd", vbd)


@message("host.power_on")
def power_on(call: Call, host: str) -> None:
    """Waits until the host is live again."""
    with operations.running_on_host(call, host, "power_on"):
        agent.power_on(call.world.machine_of(call.pool, host))
        waited = 0
        while not is_live(call.db, host):
            if waited >= POWER_ON_PATIENCE:
                raise Fault("XENAPI_PLUGIN_FAILURE", "main", "Exception", "the host did not come up")
            call.sleep(10)
            waited += 10


@message("host.restart_agent")
def restart_agent(call: Call, host: str) -> None:
    """The toolstack starts anew; guests and plugged storage stay."""
    agent.restart(at_host(call, host))


@message("host.shutdown_agent")
def shutdown_agent(call: Call) -> None:
    """The toolstack of the host that was asked ends, and nobody starts it."""
    call.world.after(agent.ANSWER_SENT, "agent leaves", machine=call.machine.name, back=None, rebooted=False)


@message("host.declare_dead")
def declare_dead(call: Call, host: str) -> None:
    """For a host that will not come back by itself: its guests count as halted."""
    _refuse_live(call, host)
    set_live(call.db, host, False, call.world.clock.iso())
    agent.halt_guests(call.db, host)


@message("host.destroy")
def destroy(call: Call, self: str) -> None:
    """The record of a host that is gone for good."""
    db = call.db
    _refuse_live(call, self)
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    residents = db.get("host", self)["resident_VMs"]
    if any(not db.get("VM", vm)["is_control_domain"] for vm in residents):
        raise Fault("HOST_HAS_RESIDENT_VMS", self)
    garbage.remove_host(db, self)
    fresh_pool.level_cpus(db)


def _refuse_live(call: Call, host: str) -> None:
    """Raises HOST_IS_LIVE [host] for the coordinator and for one that answers."""
    call.db.get("host", host)
    if host == call.pool.pool["master"] or any(m.host_ref == host and m.power == "on" for m in call.pool.machines):
        raise Fault("HOST_IS_LIVE", host)
