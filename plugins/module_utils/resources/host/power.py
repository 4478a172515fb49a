# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance, reboot, shutdown and power-on of a host. Rules: xen-api, ocaml/xapi/xapi_host.ml, xapi_host_helpers.ml."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...client import Session
from ...errors import ConnectionFailed, InvalidChange
from ...host_return import Leaving, has_left, leaving, returned, wants_reboot
from ...plan import Plan
from ...refs import Objects, Record
from ...resource import Found
from ...upgrade.maintenance import Maintenance

RUNNING, HALTED = "running", "halted"
State = t.Mapping[str, t.Any]


def state_of(objects: Objects, ref: str) -> str:
    return RUNNING if hosts.is_live(objects, ref) else HALTED


class Power:
    """What a task remembers of a host that is away, should it have to plan anew while it waits for it."""

    def __init__(self, session: Session, params: Record):
        self.session, self.params = session, params
        self.goal: State | None = None
        self.asked = ""  # power_on or reboot
        self.then: Leaving | None = None  # what it was before it went
        self.reboots = self.returns = False
        self.maintenance = Maintenance(session, params)

    def desired(self, before: State, label: str) -> State:
        """enabled and power_state afterwards. A host that is switched off is disabled, one that is switched on takes guests."""
        if self.goal is None:
            self.goal = _goal(before, self.params, label)
        return self.goal

    def first(self, plan: Plan, objects: Objects, found: Found, label: str) -> bool:
        """Everything up to the settings: it must be on for these, and perhaps in maintenance; whether it is."""
        before, after, self.maintenance = plan.before, plan.after, Maintenance(self.session, self.params)
        self.reboots, self.returns = self._reboots(before, found.record), self.asked != ""
        goes = self.reboots or (before["power_state"] == RUNNING and after["power_state"] == HALTED)
        if before["power_state"] == HALTED and after["power_state"] == RUNNING and self.asked != "reboot":
            self._power_on(plan, objects, found, label)
            self.returns = False
            return False
        leaves = before["power_state"] == RUNNING and (goes or not after["enabled"])
        if leaves and before["enabled"]:
            plan.add("host.disable", found.ref, what=f"put host {label!r} into maintenance")
        if leaves and self.params.get("evacuate"):
            self._evacuate(plan, objects, found, label)
        elif goes:
            _refuse_guests(objects, found, label)
        return leaves or not before["enabled"]

    def last(self, plan: Plan, objects: Objects, found: Found, label: str) -> None:
        """Everything after the settings."""
        before, after = plan.before, plan.after
        if self.reboots:
            self._refuse_lost_session(objects, found, label)
            self._remember("reboot", objects, found)
            plan.add("host.reboot", found.ref, what=f"reboot host {label!r}", disruptive=f"reboot host {label!r}")
        if before["power_state"] == RUNNING and after["power_state"] == HALTED:
            self._shut_down(plan, objects, found, label)
        if self.asked and after["power_state"] == RUNNING:
            if self.reboots or self.returns:
                plan.wait(f"host {label!r} to come back", self._back(), timeout=self.params["wait_timeout"])
            # a host enables itself at the end of its start-up, unless it was disabled for good
            word, what = (
                ("enable", f"let host {label!r} take guests") if after["enabled"] else ("disable", f"keep host {label!r} in maintenance")
            )
            plan.add(f"host.{word}", found.ref, what=what)
        elif after["enabled"] and not before["enabled"]:
            plan.add("host.enable", found.ref, what=f"let host {label!r} take guests")
        if after["enabled"] and after["power_state"] == RUNNING:
            self.maintenance.bring_back(plan, objects, found.ref)

    # parts ------------------------------------------------------------------------
    def _reboots(self, before: State, record: Record) -> bool:
        wish = self.params.get("reboot")
        if before["power_state"] == HALTED or self.asked == "power_on":
            return False
        if self.asked:
            return self.then is not None and not has_left(record, self.then)
        return wish == "always" or (wish == "required" and bool(wants_reboot(record)))

    def _remember(self, asked: str, objects: Objects, found: Found) -> None:
        if not self.asked:
            self.asked, self.then = asked, leaving(objects, found.ref)

    def _power_on(self, plan: Plan, objects: Objects, found: Found, label: str) -> None:
        if not found.record["power_on_mode"] and not self.params.get("power_on_mode"):
            raise InvalidChange(
                f"Host {label!r} cannot be switched on from here: it has no power_on_mode.",
                hint="Set power_on_mode, such as wake-on-lan, while it runs; now switch it on by hand.",
                code="HOST_POWER_ON_MODE_DISABLED",
            )
        self._remember("power_on", objects, found)
        if "power_on" not in found.record["current_operations"].values():
            plan.add("host.power_on", found.ref, what=f"switch on host {label!r}", slow=True)
        plan.wait(f"host {label!r} to come up", self._back(), timeout=self.params["wait_timeout"])

    def _evacuate(self, plan: Plan, objects: Objects, found: Found, label: str) -> None:
        if not hosts.guests(objects, found.ref):
            return
        if hosts.pool_of(objects)[1].get("wlb_enabled"):  # workload balancing is to say where they go, which xapi asks
            self._let_evacuate(plan, objects, found, label)
        else:
            self.maintenance.leave(plan, objects, found.ref)

    def _let_evacuate(self, plan: Plan, objects: Objects, found: Found, label: str) -> None:
        stuck = self.session.call("host.get_vms_which_prevent_evacuation", found.ref)
        if stuck:
            told = "; ".join(sorted(f"{objects.label('VM', vm)}: {' '.join(map(str, why))}" for vm, why in stuck.items()))
            raise InvalidChange(
                f"Host {label!r} cannot be evacuated: {objects.readable(told)}.",
                hint="Stop these VMs or make room for them.",
                code=str(next(iter(stuck.values()))[0]),
            )
        self.maintenance.remember(plan, objects, found.ref)
        plan.add("host.evacuate", found.ref, what=f"move all VMs away from host {label!r}", slow=True)

    def _refuse_lost_session(self, objects: Objects, found: Found, label: str) -> None:
        if found.ref == hosts.coordinator(objects) and not self.session.renewable:
            raise InvalidChange(
                f"Host {label!r} is the coordinator; a session that was handed over ends with it.",
                hint="Give username and password beside session.",
            )

    def _shut_down(self, plan: Plan, objects: Objects, found: Found, label: str) -> None:
        chief = found.ref == hosts.coordinator(objects)
        others = [hosts.name_of(objects, ref) for ref in hosts.all_but_one(objects, found.ref) if hosts.is_live(objects, ref)]
        told = f", the coordinator of {', '.join(others)}" if chief and others else ""
        plan.add("host.shutdown", found.ref, what=f"shut down host {label!r}", disruptive=f"shut down host {label!r}{told}")
        plan.silent = chief
        gone = self._silent if chief else self._away(found.ref)
        plan.wait(f"host {label!r} to go down", gone, timeout=self.params["wait_timeout"])

    # states to wait for -------------------------------------------------------------
    def _silent(self) -> object:
        try:
            self.session.call("session.get_this_host", self.session.handle)
        except ConnectionFailed:
            self.session.abandon()
            return True
        return "it still answers"

    def _away(self, ref: str) -> t.Callable[[], object]:
        return lambda: not hosts.is_live(Objects(self.session), ref) or "it is still live"

    def _back(self) -> t.Callable[[], object]:
        then = self.then
        return lambda: then is None or returned(self.session, then)


def _goal(before: State, params: Record, label: str) -> State:
    power = params.get("power_state") or before["power_state"]
    moved = power != before["power_state"]
    enabled = params.get("enabled")
    if power == HALTED and moved and params.get("reboot") not in (None, "never"):
        raise InvalidChange(f"Host {label!r} cannot be halted and rebooted.", hint="Leave out reboot or power_state.")
    if power == HALTED and enabled and (moved or not before["enabled"]):
        raise InvalidChange(f"Host {label!r} cannot be enabled while it is halted.", hint="Set power_state: running.")
    if enabled is None:
        enabled = power == RUNNING if moved else before["enabled"]
    elif power == HALTED and not moved and before["enabled"] and not enabled:
        told = f"Host {label!r} is down, so the task could not put it into maintenance."
        raise InvalidChange(told, hint="Set power_state: running.", code="HOST_OFFLINE")
    return {"enabled": enabled, "power_state": power}


def _refuse_guests(objects: Objects, found: Found, label: str) -> None:
    if guests := hosts.guests(objects, found.ref):
        raise InvalidChange(
            f"VMs run on host {label!r}: {', '.join(guests)}.", hint="Set evacuate: true to move them, or stop them.", code="HOST_IN_USE"
        )
