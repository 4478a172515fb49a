# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the template of a VM recommended. More than that is told and not refused, since the hosts bear it.

They do not start a VM whose memory_static_min is less than its template's least (xen-api: ocaml/xapi/xapi_vm_helpers.ml).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...formats.sizes import readable_size
from ...plan import Plan
from ...recommendations import read
from .part import Part, Subject

STARTS_NOT = "The hosts do not start it so."
BEARS_NOT = "The hosts bear that, its guest may not."


@dataclass(frozen=True)
class Rule:
    """limit: a key of recommendations; options: those whose task is warned; of: what is counted, from the options as they will be."""

    limit: str
    options: tuple[str, ...]
    what: str
    of: t.Callable[[t.Mapping[str, t.Any]], int]

    def broken(self, value: int, bound: int) -> bool:
        return value < bound if self.limit.endswith("_min") else value > bound

    def told(self, value: int) -> str:
        return readable_size(value) if self.limit.startswith("memory") else str(value)


RULES = (
    Rule("memory_min", ("memory", "memory_static_min"), "memory_static_min", lambda after: int(after["memory_static_min"])),
    Rule("memory_max", ("memory", "memory_static_max"), "memory", lambda after: int(after["memory_static_max"])),
    Rule("vcpus_min", ("vcpus",), "vCPUs", lambda after: int(after["vcpus"])),
    Rule("vcpus_max", ("vcpus", "vcpus_max"), "vCPUs", lambda after: int(after["vcpus_max"])),
    Rule("disks_max", ("disks", "cd"), "disks and drives", lambda after: len(after["disks"])),
    Rule("nics_max", ("nics",), "NICs", lambda after: len(after["nics"])),
)


class Recommended(Part):
    """A task is told about what it names."""

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        return {}

    def change(self, plan: Plan, subject: Subject) -> None:
        rules = [rule for rule in RULES if any(self.params.get(option) is not None for option in rule.options)]
        limits = read(subject.record["recommendations"]) if rules else {}
        for rule in rules:
            if rule.limit not in limits:
                continue
            value, bound = rule.of(plan.after) + (self._drives(plan, subject) if rule.limit == "disks_max" else 0), limits[rule.limit]
            if rule.broken(value, bound):
                word = "least" if rule.limit.endswith("_min") else "most"
                told = f"VM {self.label!r} has {rule.told(value)} {rule.what}, its template recommends at {word} {rule.told(bound)}."
                plan.warnings.append(f"{told} {STARTS_NOT if rule.limit == 'memory_min' else BEARS_NOT}")

    @staticmethod
    def _drives(plan: Plan, subject: Subject) -> int:
        """CD drives count with the disks."""
        there = [vbd for vbd in subject.vbds.values() if vbd["type"] == "CD"]
        return max(len(there), int(plan.after["cd"] is not None))

    def facts(self, subject: Subject) -> dict[str, t.Any]:
        return {"limits": read(subject.record["recommendations"])}
