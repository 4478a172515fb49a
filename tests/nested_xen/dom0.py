# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Dom0 as a story sees it."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import playbook
from ansible_collections.domzero.xen.tests.nested_xen.playbook import Result, Task, TaskFailed
from ansible_collections.domzero.xen.tests.nested_xen.ssh import TIMEOUT, Ssh

PREDICTED = ("diff", "commands")  # what a prediction says besides `changed`, where a module says it at all


class Dom0:
    """Runs tasks and commands in one guest. `serial` is the file with what its console said, where that is known."""

    def __init__(self, ssh: Ssh, serial: Path | None = None, name: str = "dom0"):
        self.ssh, self.serial, self.name = ssh, serial, name

    def _play(self, tasks: list[Task], **more: t.Any) -> dict[str, t.Any]:
        return {"hosts": self.name, "gather_facts": False, "any_errors_fatal": True, **more, "tasks": tasks}

    def plays(self, plays: list[dict[str, t.Any]]) -> list[Result]:
        """Run whole plays on `hosts: dom0`. Raises TaskFailed."""
        return playbook.run({self.name: self.ssh}, plays)

    def tasks(self, tasks: list[Task], **more: t.Any) -> list[Result]:
        """Run tasks; their results. `more` are keywords of the play (vars, check_mode, gather_facts). Raises TaskFailed."""
        return self.plays([self._play(tasks, **more)])

    def task(self, task: Task, **more: t.Any) -> Result:
        """Run one task; its result. Raises TaskFailed."""
        return self.tasks([task], **more)[-1]

    def fails(self, task: Task, **more: t.Any) -> Result:
        """The result of a task that has to fail."""
        try:
            result = self.task(task, **more)
        except TaskFailed as failed:
            return failed.result
        raise AssertionError(f"this was to fail: {result}")

    def converges(self, task: Task, changed: bool | None = True) -> Result:
        """Check mode predicts the task, it is done, and again nothing changes; its result. `changed` is what it is to be, None: either.

        The prediction has to be right in `changed`, `diff` and `commands`. Raises TaskFailed, AssertionError.
        """
        shown = {**task, "diff": True}
        predicted, done, again = self.tasks([{**shown, "check_mode": True}, shown, shown])
        assert changed in (None, done["changed"]), f"changed is {done['changed']}: {done}"
        for key in ("changed", *PREDICTED):
            assert predicted.get(key) == done.get(key), f"check mode predicted {key} {predicted.get(key)}, it was {done.get(key)}"
        assert not again["changed"], f"the second run changed something: {again}"
        assert not again.get("commands"), f"the second run ran {again['commands']}"
        return done

    def role(self, role: str, variables: dict[str, t.Any], **more: t.Any) -> list[Result]:
        """Run a role of the collection; the results of its tasks. Raises TaskFailed."""
        return self.plays([self._role(role, variables, **more)])

    def role_converges(self, role: str, variables: dict[str, t.Any]) -> list[Result]:
        """A role in check mode, for real, and again, which changes nothing; the results of the real run. Raises TaskFailed."""
        mark = {"ansible.builtin.debug": {"msg": "mark"}, "name": "nested-xen: mark"}
        play = self._role(role, variables)
        results = self.plays([{**play, "check_mode": True}, self._play([mark]), play, self._play([mark]), play])
        first, second = (place for place, result in enumerate(results) if result["_task"] == mark["name"])
        again = [result["_task"] for result in results[second:] if result.get("changed")]
        assert not again, f"the second run changed something: {again}"
        return results[first + 1 : second]

    def _role(self, role: str, variables: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
        task = {"name": role, "ansible.builtin.include_role": {"name": f"domzero.xen.{role}"}}
        return self._play([task], gather_facts=True, gather_subset=["!all"], vars=variables, **more)

    def sh(self, script: str, *, timeout: float = TIMEOUT, check: bool = True) -> str:
        """Run a line of shell; what it said on stdout and stderr. Raises CommandFailed, subprocess.TimeoutExpired."""
        return self.ssh.run(script, timeout=timeout, check=check).stdout

    def until(self, script: str, *, timeout: float = TIMEOUT) -> str:
        """Run a line of shell each second until it succeeds; what it said then. Raises CommandFailed when it never does."""
        return self.sh(f"for _ in $(seq {timeout:.0f}); do {{ {script}\n}} && exit 0; sleep 1; done; exit 1", timeout=timeout * 2)

    def put(self, text: str, path: str) -> None:
        """Write a small text file."""
        self.task({"ansible.builtin.copy": {"content": text, "dest": path, "mode": "0600"}})

    def console(self, lines: int = 60) -> str:
        """What hypervisor and Dom0 last wrote to the serial console."""
        return "\n".join(self.serial.read_text(errors="replace").splitlines()[-lines:]) if self.serial else "(not known)"
