# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole pool is shut down, guests first and the coordinator last, and brought back as it was."""

from __future__ import annotations

import json
import typing as t

from .. import hosts
from ..errors import InvalidChange, NotFound
from ..fields import Table
from ..plan import Plan
from ..refs import Objects, Record
from ..resource import Found, Resource

# what was running before, kept in the pool's other_config until everything is back
KEY = "domzero.xen:running_before_shutdown"


class PoolPower(Resource):
    """power_state: halted or running. What ran is remembered in the pool itself, so that any control node can bring it back."""

    table = Table("pool", ())
    states = ()
    options = {
        "power_state": {"type": "str", "choices": ["running", "halted"], "required": True},
        "force": {"type": "bool", "default": False},
        "guest_timeout": {"type": "int", "default": 600},
        "host_timeout": {"type": "int", "default": 1800},
    }

    def find(self) -> Found:
        found = Found(*hosts.pool_of(self.objects))
        if self.params["uuid"] not in (None, found.record["uuid"]):
            raise NotFound(f"The host belongs to the pool {found.record['uuid']}, not to {self.params['uuid']}.")
        return found

    def observe(self, found: Found) -> dict[str, t.Any]:
        up = [hosts.name_of(self.objects, ref) for ref in self.objects.all("host") if hosts.is_live(self.objects, ref)]
        whole = len(up) == len(self.objects.all("host")) and KEY not in found.record["other_config"]
        return {
            "power_state": "running" if whole else "partly running",
            "hosts_running": sorted(up),
            "guests_running": sorted(vm["name_label"] for vm in _guests(self.objects).values()),
        }

    def plan(self, found: Found | None) -> Plan:
        found = t.cast(Found, found)
        plan = Plan(self.observe(found), {})
        if self.params["power_state"] == "halted":
            self._halt(plan, found)
        else:
            self._start(plan, found)
        return plan

    # down -----------------------------------------------------------------------
    def _halt(self, plan: Plan, found: Found) -> None:
        objects, guests = self.objects, _guests(self.objects)
        self._refuse_to_halt(found, guests)
        self._remember(plan, found, guests)
        message = "VM.shutdown" if self.params["force"] else "VM.clean_shutdown"
        for ref, vm in guests.items():
            plan.add(f"Async.{message}", ref, what=f"shut VM {vm['name_label']!r} down")
        if guests:
            plan.wait("the guests to shut down", self._guests_are_down, timeout=self.params["guest_timeout"])
        leader = hosts.coordinator(objects)
        members = [ref for ref in hosts.all_but_one(objects, leader) if hosts.is_live(objects, ref)]
        for ref in [*members, leader]:
            if ref == leader and members:
                plan.wait("the members to shut down", self._members_are_down, timeout=self.params["host_timeout"])
            label = hosts.name_of(objects, ref)
            if objects.get("host", ref)["enabled"]:
                plan.add("host.disable", ref, what=f"disable host {label!r}")
            plan.add("host.shutdown", ref, what=f"shut host {label!r} down", slow=ref != leader)
        plan.silent = True  # nobody is left to be asked
        plan.after = {"power_state": "halted", "hosts_running": [], "guests_running": []}

    def _refuse_to_halt(self, found: Found, guests: t.Mapping[str, Record]) -> None:
        if found.record["ha_enabled"]:
            raise InvalidChange(
                "The pool cannot be shut down: high availability is on and would start everything again.",
                hint="Turn it off first (xen_pool with ha: {enabled: false}).",
                code="HA_IS_ENABLED",
            )
        stubborn = sorted(vm["name_label"] for vm in guests.values() if "clean_shutdown" not in vm["allowed_operations"])
        if stubborn and not self.params["force"]:
            raise InvalidChange(
                f"These VMs cannot be shut down cleanly, for want of guest tools or because they are paused: {', '.join(stubborn)}.",
                hint="Shut them down from inside, or set force: true to switch them off.",
            )

    def _remember(self, plan: Plan, found: Found, guests: t.Mapping[str, Record]) -> None:
        """A run that was interrupted has noted some already; those that run now are added."""
        before = _remembered(found)
        rows, pbds = self.objects.all("host").values(), self.objects.all("PBD").values()
        record = {
            "guests": sorted({vm["uuid"] for vm in guests.values()} | set(before.get("guests", ()))),
            "hosts": sorted({row["uuid"] for row in rows if row["enabled"]} | set(before.get("hosts", ()))),
            "pbds": sorted({pbd["uuid"] for pbd in pbds if pbd["currently_attached"]} | set(before.get("pbds", ()))),
        }
        if record == before:
            return
        if before:
            plan.add("pool.remove_from_other_config", found.ref, KEY, what="forget what was running before")
        plan.add("pool.add_to_other_config", found.ref, KEY, json.dumps(record), what="remember what is running")

    def _guests_are_down(self) -> object:
        left = sorted(vm["name_label"] for vm in _guests(Objects(self.session)).values())
        return True if not left else f"still running: {', '.join(left)}"

    def _members_are_down(self) -> object:
        fresh = Objects(self.session)
        left = [hosts.name_of(fresh, ref) for ref in hosts.all_but_one(fresh, hosts.coordinator(fresh)) if hosts.is_live(fresh, ref)]
        return True if not left else f"still up: {', '.join(left)}"

    # up -------------------------------------------------------------------------
    def _start(self, plan: Plan, found: Found) -> None:
        objects, before = self.objects, _remembered(found)
        down = [ref for ref in objects.all("host") if not hosts.is_live(objects, ref)]
        for ref in down:
            label = hosts.name_of(objects, ref)
            if objects.get("host", ref)["power_on_mode"]:
                plan.add("host.power_on", ref, what=f"switch host {label!r} on", slow=True)
            else:
                plan.warnings.append(f"Host {label!r} is down and has no power_on_mode: switch it on by hand, the task waits for it.")
        if down:
            plan.wait("all hosts to be up", self._hosts_are_up, timeout=self.params["host_timeout"])
        wanted = [ref for ref, row in objects.all("host").items() if row["uuid"] in before.get("hosts", ()) and not row["enabled"]]
        for ref in wanted:
            plan.add("host.enable", ref, what=f"enable host {hosts.name_of(objects, ref)!r}")
        if before:
            plan.wait("the storage to be attached", lambda: self._storage_is_attached(before["pbds"]), timeout=self.params["host_timeout"])
        started = self._start_guests(plan, before)
        if before:
            plan.add("pool.remove_from_other_config", found.ref, KEY, what="forget what was running before")
        plan.after = {
            "power_state": "running",
            "hosts_running": sorted(hosts.name_of(objects, ref) for ref in objects.all("host")),
            "guests_running": sorted([*plan.before["guests_running"], *started]),
        }

    def _start_guests(self, plan: Plan, before: Record) -> list[str]:
        vms = {vm["uuid"]: (ref, vm) for ref, vm in self.objects.all("VM").items()}
        gone = [uuid for uuid in before.get("guests", ()) if uuid not in vms]
        if gone:
            plan.warnings.append(f"VMs that ran before are not there any more: {', '.join(gone)}.")
        halted = [vms[uuid] for uuid in before.get("guests", ()) if uuid in vms and vms[uuid][1]["power_state"] == "Halted"]
        for ref, vm in halted:
            plan.add("VM.start", ref, False, False, what=f"start VM {vm['name_label']!r}", slow=True)
        return [vm["name_label"] for _ref, vm in halted]

    def _hosts_are_up(self) -> object:
        left = hosts.down(Objects(self.session))
        return True if not left else f"still down: {', '.join(left)}"

    def _storage_is_attached(self, before: t.Collection[str]) -> object:
        """What was detached before stays so: nobody waits for it."""
        fresh = Objects(self.session)
        detached = [pbd for pbd in fresh.all("PBD").values() if pbd["uuid"] in before and not pbd["currently_attached"]]
        left = sorted({f"{fresh.label('SR', pbd['SR'])} on {hosts.name_of(fresh, pbd['host'])}" for pbd in detached})
        return True if not left else f"not attached: {', '.join(left)}"


def _guests(objects: Objects) -> dict[str, Record]:
    """VMs that occupy a host, control domains left out."""
    rows = objects.all("VM").items()
    return {ref: vm for ref, vm in rows if vm["power_state"] in ("Running", "Paused") and not vm["is_control_domain"]}


def _remembered(found: Found) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(found.record["other_config"].get(KEY) or "{}"))
