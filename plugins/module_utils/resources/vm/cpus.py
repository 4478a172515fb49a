# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual processors: how many, how they are shown to the guest and how they are scheduled.

Rules: xen-api ocaml/xapi/xapi_vm.ml (0 < VCPUs_at_startup <= VCPUs_max; the live number needs a guest that plays along),
xapi_vm_helpers.ml (platform:cores-per-socket divides VCPUs_max).
"""

from __future__ import annotations

import re
import typing as t

from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Plan
from .part import Part, Subject

CORES = "cores-per-socket"
# options that are keys of VCPUs_params, with what they may be (credit scheduler)
SCHEDULING = {"cpu_weight": ("weight", 1, 65535), "cpu_cap": ("cap", 0, 1_000_000)}
KEYS = tuple(key for key, _low, _high in SCHEDULING.values())


class Cpus(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "vcpus": {"type": "int"},
        "vcpus_max": {"type": "int"},
        "cores_per_socket": {"type": "int"},
        "cpu_weight": {"type": "int"},
        "cpu_cap": {"type": "int"},
        "vcpus_params": {"type": "dict"},
    }

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        record, params = subject.record, subject.record["VCPUs_params"]
        return {
            "vcpus": int(record["VCPUs_at_startup"]),
            "vcpus_max": int(record["VCPUs_max"]),
            "cores_per_socket": int(record["platform"].get(CORES) or 1),
            **{option: int(params[key]) if params.get(key, "").isdigit() else None for option, (key, _l, _h) in SCHEDULING.items()},
            "vcpus_params": {key: value for key, value in params.items() if key not in KEYS or not value.isdigit()},
        }

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given = {option: self.params[option] for option in self.options if self.params.get(option) is not None}
        want = {**have, **given}
        if "vcpus" in given and "vcpus_max" not in given:
            want["vcpus_max"] = max(have["vcpus_max"], want["vcpus"])
        if "vcpus_max" in given and "vcpus" not in given:
            want["vcpus"] = min(have["vcpus"], want["vcpus_max"])
        merged = {**have["vcpus_params"], **text_map(given.get("vcpus_params", {}))}
        want["vcpus_params"] = {key: value for key, value in merged.items() if value is not None}
        self._refuse(have, want, given)
        return want

    def _refuse(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> None:
        label = self.label
        if not 1 <= want["vcpus"] <= want["vcpus_max"]:
            raise InvalidChange(
                f"VM {label!r} cannot have {want['vcpus']} vCPUs of at most {want['vcpus_max']}.",
                hint="Give vcpus between 1 and vcpus_max.",
            )
        for option, (_key, low, high) in SCHEDULING.items():
            if option in given and not low <= given[option] <= high:
                raise InvalidChange(f"{option} of VM {label!r} cannot be {given[option]}.", hint=f"Give a number from {low} to {high}.")
        taken = [key for key in KEYS if key in text_map(given.get("vcpus_params", {})) and want["vcpus_params"].get(key, "").isdigit()]
        if taken:
            raise InvalidChange(
                f"vcpus_params of VM {label!r} cannot hold {taken[0]}.", hint=f"It is an option of its own: cpu_{taken[0]}."
            )
        mask = text_map(given.get("vcpus_params", {})).get("mask")
        if mask is not None and not re.fullmatch(r"\d+(,\d+)*", mask):
            raise InvalidChange(
                f"mask in vcpus_params of VM {label!r} cannot be {mask!r}.", hint="Give numbers of processors, such as 0,1,2."
            )
        cores = want["cores_per_socket"]
        touched = any(have[option] != want[option] for option in ("cores_per_socket", "vcpus_max"))
        if touched and (cores < 1 or want["vcpus_max"] % cores):
            raise InvalidChange(
                f"VM {label!r} cannot have {want['vcpus_max']} vCPUs in sockets of {cores} cores.",
                hint="vcpus_max has to be a multiple of cores_per_socket.",
            )

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        out = [f"change {option}" for option in ("vcpus_max", "cores_per_socket") if have[option] != want[option]]
        if not out and have["vcpus"] != want["vcpus"] and subject.at != "Halted" and not self._live(subject):
            out.append("change vcpus, which its guest does not take while it runs,")
        return out

    def _live(self, subject: Subject) -> bool:
        return "changing_VCPUs_live" in subject.record["allowed_operations"]

    def change(self, plan: Plan, subject: Subject) -> None:
        have, want, label = plan.before, plan.after, self.label
        self._numbers(plan, subject)
        if have["cores_per_socket"] != want["cores_per_socket"]:
            cores = str(want["cores_per_socket"]) if want["cores_per_socket"] > 1 else None
            self.vm.set_key(plan, subject, "platform", CORES, cores, there=CORES in subject.record["platform"])
        now, then = _params(have), _params(want)
        if now == then:
            return
        plan.add("VM.set_VCPUs_params", subject.ref, then, what=f"set the scheduling of VM {label!r}")
        if subject.at != "Halted":  # no xapi has VM.add_to_VCPUs_params_live
            plan.warnings.append(f"VM {label!r} takes its scheduling into account when it starts the next time.")

    def _numbers(self, plan: Plan, subject: Subject) -> None:
        """The lower one first when both become fewer, the higher one when they become more."""
        have, want, label = plan.before, plan.after, self.label
        startup, most = (have[option] != want[option] for option in ("vcpus", "vcpus_max"))
        if startup and not most and subject.at == "Running":
            plan.add("VM.set_VCPUs_number_live", subject.ref, want["vcpus"], what=f"give VM {label!r} {want['vcpus']} vCPUs")
            return
        calls = [("VM.set_VCPUs_max", "vcpus_max", most), ("VM.set_VCPUs_at_startup", "vcpus", startup)]
        for method, option, differs in calls if want["vcpus_max"] >= have["vcpus"] else reversed(calls):
            if differs:
                plan.add(method, subject.ref, want[option], what=f"set {option} of VM {label!r}")


def _params(options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """As they stand in VCPUs_params."""
    named = {key: str(options[option]) for option, (key, _low, _high) in SCHEDULING.items() if options[option] is not None}
    return {**options["vcpus_params"], **named}
