# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the xl_* modules have in common: they run on Dom0 as root, plan, and carry the plan out unless they are only asked."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from .errors import InvalidChange, XenError
from .xl.step import Step, carry_out
from .xl.tool import Tool

COMMON: dict[str, t.Any] = {"timeout": {"type": "float", "default": 120.0}}
SLOWER = 10  # how much longer a command may take that moves memory


class Task:
    """One run of a module.

    Attributes: params (its options), check (nothing is changed), tool (runs xl, and whatever else, with the timeout of the task).
    """

    def __init__(self, module: AnsibleModule, name: str):
        self._module = module
        self.params: dict[str, t.Any] = module.params
        self.check = bool(module.check_mode)
        self.timeout = float(module.params["timeout"])
        self.tool = Tool(name, timeout=self.timeout)
        self.planned: list[str] = []

    def hide(self, secret: str | None) -> None:
        """Nothing that is told of the run shows it."""
        if secret:
            self._module.no_log_values.add(secret)

    def warn(self, sentence: str) -> None:
        self._module.warn(sentence)

    def carry_out(self, steps: t.Sequence[Step]) -> list[str]:
        """The commands, which were run unless in check mode. Raises XenError with those done before the one that failed."""
        told = [str(step) for step in steps]
        if not self.check:
            try:
                carry_out(steps, self.tool)
            except XenError as e:
                e.done = [*self.planned, *e.done]
                raise
        self.planned += told
        return told


def main(arguments: t.Mapping[str, t.Any], run: t.Callable[[Task], dict[str, t.Any]], *, tool: str = "xl", **rules: t.Any) -> None:
    """Run a module whose options are `arguments` and those of COMMON.

    `run` gives the result; its "warnings" are told as such. It raises XenError for what cannot be, before it changes anything. `rules` go
    to AnsibleModule (required_if and so on).
    """
    module = AnsibleModule(argument_spec={**COMMON, **arguments}, supports_check_mode=True, **rules)
    try:
        if os.geteuid() != 0:
            raise InvalidChange(f"Only root can use {tool}.", hint="Use become: true.")
        result = run(Task(module, tool))
    except XenError as e:
        facts = {key: value for key, value in e.facts.items() if key not in ("changed", "warnings", "diff")}
        module.fail_json(msg=str(e), **{"commands_done": list(e.done), **facts})
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**result)
