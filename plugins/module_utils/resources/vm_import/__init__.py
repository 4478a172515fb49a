# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM from an exported file. It bears a mark, the file's SHA-256 and the wanted name, by which it is found again."""

from __future__ import annotations

import typing as t

from ...plan import Plan
from ...refs import Record
from ...resource import Found
from . import unfinished
from .arrival import PUT, SEED, Arrival
from .source import Source

MARK = "domzero.xen:import"  # other_config of an imported VM
__all__ = ["MARK", "PUT", "SEED", "Arrival", "VmImport"]


class VmImport(Arrival):
    key_of_mark = MARK
    origin = "file"
    source: Source
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "src": {"type": "path", "required": True},
        "name": {"type": "str"},
        "sr": {"type": "str"},
        "networks": {"type": "dict", "default": {}},
        "preserve": {"type": "bool", "default": False},
        "verify": {"type": "str", "choices": ["before", "during", "never"], "default": "before"},
        "wait_timeout": {"type": "int", "default": 86400},
    }

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.source = Source(params["src"], params["verify"])

    @property
    def mark(self) -> str:
        return f"{self.digest()} {self.wanted_name}".strip()

    def digest(self) -> str:
        return self.source.sha256()

    # looking --------------------------------------------------------------------------
    def find(self) -> Found | None:
        """The VM that bears the mark, or that an unfinished run left without it. Raises InvalidChange, Damaged."""
        rows = self.objects.all("VM")
        marked = [ref for ref, row in rows.items() if MARK in row["other_config"] and not row["is_a_snapshot"]]
        if not marked and self.source.verify == "before":
            self.source.check()  # it is needed anyway, and tells the SHA-256 on the way
        found = next((ref for ref in marked if rows[ref]["other_config"][MARK] == self.mark), "")
        self._unfinished = unfinished.look_for(self.objects, self.description)
        found = found or self._unfinished.vm
        return Found(found, rows[found]) if found else None

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        plan = self._changed(found) if found else self.fresh()
        plan.facts["xva"] = {"src": str(self.source.path), "sha256": self.source.sha256(), "size": self.source.size}
        return plan

    def _changed(self, found: Found) -> Plan:
        """The VM is there; what an unfinished run left to do is done."""
        before = self.observe(found)
        plan = Plan(before, {**before, "name": self.wanted_name or before["name"]})
        if MARK not in found.record["other_config"]:
            self.mark_it(plan, found.ref)
        self._unfinished.forget(plan)
        if plan.after["name"] != before["name"]:
            plan.add("VM.set_name_label", found.ref, plan.after["name"], what=f"name {self.label}")
        self.move_found(plan, found)
        return plan
