# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM that is as another one and nothing else."""

from __future__ import annotations

import typing as t

from ...client import Session
from ...plan import Plan
from ...refs import Record
from ...resource import Found
from . import Vm
from .creation import OPTIONS

TAKEN = {"vm": "from_vm", "snapshot": "from_snapshot"}


class Clone(Vm):
    """Knows no option of Vm but those of its making; a VM that is there is left as it is."""

    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["vm", "snapshot"]]}

    @classmethod
    def arguments(cls) -> dict[str, dict[str, t.Any]]:
        own: dict[str, dict[str, t.Any]] = {"name": {"type": "str", "required": True}, "vm": {"type": "str"}, "snapshot": {"type": "str"}}
        own.update(description={"type": "str"}, wait_timeout={"type": "int", "default": 3600})
        return {**own, **{option: OPTIONS[option] for option in ("clone", "sr")}}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, {**params, "state": "present", **{TAKEN[option]: params.get(option) for option in TAKEN}})
        self.creation.ways, self.creation.from_snapshot = "Give vm or snapshot.", "snapshot"

    def plan(self, found: Found | None) -> Plan:
        if found:
            there = self.observe(found)
            return Plan(there, there)
        return super().plan(None)
