# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory of a VM: what it may have (static), and the range it is held in while it runs (dynamic). Bytes.

Rules: xen-api ocaml/xapi/xapi_vm.ml, xapi_vm_memory_constraints.ml: static_min <= dynamic_min <= dynamic_max <= static_max.
The static range changes while the VM is halted, the dynamic one while it runs too.
"""

from __future__ import annotations

import itertools
import typing as t

from ...errors import InvalidChange
from ...formats.sizes import readable_size, size
from ...plan import Plan
from .part import Part, Subject

# lowest first
LIMITS = ("static_min", "dynamic_min", "dynamic_max", "static_max")
TINY = 1 << 20
STATIC, DYNAMIC = ("static_min", "static_max"), ("dynamic_min", "dynamic_max")


def option(limit: str) -> str:
    return f"memory_{limit}"


class Memory(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {"memory": {"type": "str"}, **{option(limit): {"type": "str"} for limit in LIMITS}}

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {option(limit): int(subject.record[f"memory_{limit}"]) for limit in LIMITS}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        want = {limit: have[option(limit)] for limit in LIMITS}
        if self.params.get("memory") is not None:
            fixed = size(self.params["memory"])
            want.update(static_min=min(want["static_min"], fixed), dynamic_min=fixed, dynamic_max=fixed, static_max=fixed)
        given = {limit: size(self.params[option(limit)]) for limit in LIMITS if self.params.get(option(limit)) is not None}
        want.update(given)
        self._refuse_tiny(have, want)
        self._refuse_disorder(want)
        return {option(limit): value for limit, value in want.items()}

    def _refuse_tiny(self, have: t.Mapping[str, t.Any], want: dict[str, int]) -> None:
        """A number without its unit is bytes."""
        for limit in LIMITS[1:]:
            if want[limit] < TINY and want[limit] != have[option(limit)]:
                raise InvalidChange(
                    f"Memory of VM {self.label!r}: {option(limit)} would be {readable_size(want[limit])}, with which nothing starts.",
                    hint="Give a unit, such as 4 GiB.",
                )

    def _refuse_disorder(self, want: dict[str, int]) -> None:
        for low, high in itertools.pairwise(LIMITS):
            if want[low] > want[high]:
                raise InvalidChange(
                    f"Memory of VM {self.label!r}: {option(low)} would be {readable_size(want[low])}, "
                    f"more than {option(high)}, {readable_size(want[high])}.",
                    hint="Give memory alone for a fixed size, or limits in the order static_min, dynamic_min, dynamic_max, static_max.",
                )

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        changed = [option(limit) for limit in STATIC if have[option(limit)] != want[option(limit)]]
        return [f"change {' and '.join(changed)}"] if changed else []

    def change(self, plan: Plan, subject: Subject) -> None:
        have, want = ({limit: options[option(limit)] for limit in LIMITS} for options in (plan.before, plan.after))
        what = f"set the memory of VM {self.label!r}"
        if any(have[limit] != want[limit] for limit in STATIC):
            values = [want[limit] for limit in ("static_min", "static_max", "dynamic_min", "dynamic_max")]
            plan.add("VM.set_memory_limits", subject.ref, *values, what=what)
        elif have != want:
            plan.add("VM.set_memory_dynamic_range", subject.ref, *(want[limit] for limit in DYNAMIC), what=what)
