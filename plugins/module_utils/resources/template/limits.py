# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limits of a template: what it recommends for the VMs made from it."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ...errors import InvalidChange
from ...formats.sizes import size
from ...plan import Plan
from ...recommendations import LIMITS, PAIRS, read, write
from ..vm.part import Part, Subject

ANSIBLE = {"size": "str", "int": "int", "bool": "bool"}


class Limits(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "limits": {"type": "dict", "options": {option: {"type": ANSIBLE[limit.type]} for option, limit in LIMITS.items()}},
    }

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {"limits": read(subject.record["recommendations"])}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        out = dict(have["limits"])
        for option, value in (self.params.get("limits") or {}).items():
            if value is not None:
                out[option] = size(value) if LIMITS[option].type == "size" else value
        for low, high in PAIRS:
            if out != have["limits"] and low in out and high in out and out[low] > out[high]:
                raise InvalidChange(
                    f"Template {self.label!r} cannot have limits where {low} ({out[low]}) is more than {high} ({out[high]}).",
                )
        negative = [option for option, value in out.items() if LIMITS[option].type == "int" and value < 0]
        if negative:
            raise InvalidChange(f"limits.{negative[0]} of template {self.label!r} is {out[negative[0]]}.", hint="It is not less than 0.")
        self._refuse_firmware(out)
        return {"limits": out}

    def _refuse_firmware(self, limits: t.Mapping[str, t.Any]) -> None:
        """This much of it is more than advice: such a guest does not start."""
        wanted = self.params.get("firmware")
        if wanted and limits.get(wanted) is False:
            raise InvalidChange(
                f"VMs of template {self.label!r} do not start with {wanted.upper()}: its limits say so.",
                hint=f"Take another template, or say that it can (limits: {{{wanted}: true}}).",
            )

    def change(self, plan: Plan, subject: Subject) -> None:
        have, want = plan.before["limits"], plan.after["limits"]
        if have == want:
            return
        try:
            text = write(subject.record["recommendations"], want)
        except ET.ParseError as e:
            raise InvalidChange(
                f"The recommendations of template {self.label!r} are not XML ({e}), so its limits cannot be changed.",
                hint="Repair the field first: xe template-param-set recommendations=.",
            ) from e
        plan.add("VM.set_recommendations", subject.ref, text, what=f"set the limits of template {self.label!r}")
