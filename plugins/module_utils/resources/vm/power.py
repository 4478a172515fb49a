# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running, halted, suspended or paused; and the halt in between that some changes need. Rules: xen-api allowed_operations, xapi_vm.ml."""

from __future__ import annotations

import typing as t

from ... import capacity, hosts
from ...errors import InvalidChange
from ...formats.sizes import readable_size
from ...plan import Plan
from ...refs import NULL
from ...refused import refuse_blocked
from .part import Part, Subject

STATES = {"running": "Running", "halted": "Halted", "suspended": "Suspended", "paused": "Paused"}
# how to get from one state to the next; what is not there goes through Running, or cannot be
STEPS = {
    ("Halted", "Running"): "start",
    ("Halted", "Paused"): "start",
    ("Paused", "Running"): "unpause",
    ("Running", "Paused"): "pause",
    ("Running", "Suspended"): "suspend",
    ("Suspended", "Running"): "resume",
    ("Suspended", "Paused"): "resume",
    ("Running", "Halted"): "clean_shutdown",
    ("Paused", "Halted"): "hard_shutdown",
    ("Suspended", "Halted"): "hard_shutdown",
}
# in other_config while a VM that ran is halted for a change, so that a run that breaks off there is finished by the next
RESTARTING = "domzero.xen:restarting"
STOPS = {"Paused": "switch VM {0!r} off, which is paused", "Suspended": "throw away what VM {0!r} had in memory when it was suspended"}


class Power(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "power_state": {"type": "str", "choices": list(STATES)},
        "host": {"type": "str"},
        "force": {"type": "bool", "default": False},
        "shutdown_timeout": {"type": "int", "default": 600},
    }

    noted = False  # whether the plan writes RESTARTING

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {"power_state": str(subject.record["power_state"]).lower()}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        if self.params.get("host"):
            self._target()
        again = "running" if not subject.new and RESTARTING in subject.record["other_config"] else have["power_state"]
        return {"power_state": self.params.get("power_state") or again}

    # before the changes -------------------------------------------------------------
    def prepare(self, plan: Plan, subject: Subject, reasons: t.Sequence[str]) -> None:
        """Halt it if it is to be halted, or has to be for the changes (reasons). Sets subject.at."""
        subject.at = now = subject.record["power_state"]
        if now == "Halted":
            return
        if plan.after["power_state"] == "halted":
            self._halt(plan, subject, [])
        elif reasons and now in ("Suspended", "Paused"):
            raise InvalidChange(
                f"VM {self.label!r} is {now.lower()}: it has to be halted to {reasons[0]}.",
                hint="Set power_state: halted, or running first.",
            )
        elif reasons:
            self._halt(plan, subject, reasons)

    def _halt(self, plan: Plan, subject: Subject, reasons: t.Sequence[str]) -> None:
        label, now = self.label, subject.at
        why = f"restart VM {label!r} to {' and '.join(reasons)}" if reasons else STOPS.get(now, "").format(label)
        if reasons and not self.params.get("power_state") and RESTARTING not in subject.record["other_config"]:
            plan.add("VM.add_to_other_config", subject.ref, RESTARTING, "true", what=f"remember that VM {label!r} ran")
            self.noted = True
        self.halt(plan, subject, why)

    def halt(self, plan: Plan, subject: Subject, disruptive: str) -> None:
        """Cleanly, by force after shutdown_timeout where the task allows it."""
        label, force = self.label, bool(self.params.get("force"))
        more: dict[str, t.Any] = {"what": f"shut VM {label!r} down", "slow": True, "disruptive": disruptive}
        clean = subject.at == "Running" and "clean_shutdown" in subject.record["allowed_operations"]
        if subject.at == "Running" and not clean and not force:
            refuse_blocked(subject.record, "clean_shutdown", str(more["what"]))
            raise InvalidChange(
                f"VM {label!r} cannot be shut down cleanly: its guest tools do not run.",
                hint="Shut it down from inside, or set force: true to switch it off.",
            )
        if clean:
            timeout = float(self.params.get("shutdown_timeout") or 0)
            plan.add("VM.clean_shutdown", subject.ref, timeout=timeout, instead="VM.hard_shutdown" if force else "", **more)
        else:
            plan.add("VM.hard_shutdown", subject.ref, **more)
        subject.at = "Halted"

    # after them ---------------------------------------------------------------------
    def change(self, plan: Plan, subject: Subject) -> None:
        want = STATES[plan.after["power_state"]]
        while subject.at != want:
            step = (subject.at, want if (subject.at, want) in STEPS else "Running")
            self._step(plan, subject, step)
            subject.at = step[1]
        if self.noted or RESTARTING in subject.record["other_config"]:
            plan.add("VM.remove_from_other_config", subject.ref, RESTARTING, what=f"forget that VM {self.label!r} was restarted")

    def _step(self, plan: Plan, subject: Subject, step: tuple[str, str]) -> None:
        verb, label = STEPS[step], self.label
        if verb in ("start", "resume"):
            paused = step[1] == "Paused"
            host = self._target()
            self._refuse_lack_of_memory(plan, subject, host)
            method, params = (f"VM.{verb}_on", (host, paused, False)) if host else (f"VM.{verb}", (paused, False))
            plan.add(method, subject.ref, *params, what=f"{verb} VM {label!r}", slow=True)
            return
        if verb == "suspend" and subject.at == subject.record["power_state"] and "suspend" not in subject.record["allowed_operations"]:
            refuse_blocked(subject.record, "suspend", f"suspend VM {label!r}")
            raise InvalidChange(f"VM {label!r} cannot be suspended now.", hint="It needs guest tools that run, and no PCI device or vGPU.")
        plan.add(f"VM.{verb}", subject.ref, what=f"{verb} VM {label!r}", slow=True)

    def _refuse_lack_of_memory(self, plan: Plan, subject: Subject, host: str) -> None:
        """Said before anything is made. What a restart gives back counts, and high availability may keep more for itself."""
        record = {
            **subject.record,
            "memory_dynamic_min": plan.after["memory_dynamic_min"],
            "memory_static_max": plan.after["memory_static_max"],
        }
        need = capacity.memory_needed(record)
        rows = (
            [host]
            if host
            else [ref for ref, row in self.objects.all("host").items() if row["enabled"] and hosts.is_live(self.objects, ref)]
        )
        back = {subject.record["resident_on"]: capacity.memory_needed(subject.record)} if subject.record["power_state"] == "Running" else {}
        free = {ref: capacity.memory_free(self.objects, ref) + back.get(ref, 0) for ref in rows}
        if free and max(free.values()) < need:
            most = max(free, key=lambda ref: free[ref])
            raise InvalidChange(
                f"VM {self.label!r} needs {readable_size(need)} of memory to start; host {hosts.name_of(self.objects, most)!r}, "
                f"{'where it is to start' if host else 'which has most'}, has {readable_size(free[most])} free.",
                hint="Give it less (memory, memory_dynamic_min), or move or halt other VMs first.",
            )

    def _target(self) -> str:
        """The host it is to be started on. Raises NotFound, Ambiguous."""
        if not self.params.get("host"):
            return ""
        return hosts.resolve(self.objects, self.params["host"])

    def facts(self, subject: Subject) -> dict[str, t.Any]:
        on = subject.record["resident_on"]
        return {"host": hosts.name_of(self.objects, on) if on != NULL else ""}
