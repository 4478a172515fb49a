# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the commands of a plan are run where xl alone is not enough: it returns too early, waits for ever, or leaves half a device."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import typing as t

from ...errors import Timeout, XenError
from ..output.domains import networks
from ..step import Step
from ..tool import Tool
from .reading import Domain, domains

GONE = 60.0  # seconds a domain may take to be gone after xl called it ended
PAUSE = 0.3


@dataclasses.dataclass
class Doing:
    """Runs the steps of one domain.

    Attributes: tool, name, shutdown_timeout (seconds), force (destroy a guest that does not shut down), slow_timeout (of commands that move
    memory), notes (what happened beside the plan).
    """

    tool: Tool
    name: str
    shutdown_timeout: float
    force: bool
    slow_timeout: float
    notes: list[str] = dataclasses.field(default_factory=list)

    def armed(self, steps: t.Sequence[Step]) -> list[Step]:
        """The same steps; those that need more than their command run what is here."""
        ways = {
            "shutdown": self.shutdown, "destroy": self.destroy, "create": self.start, "restore": self.start, "save": self.save,
            "network-attach": self.attach_nic, "block-detach": self.detach_disk,
        }  # fmt: skip
        result = []
        for index, step in enumerate(steps):
            way = ways.get(step.argv[1]) if step.argv[0] == "xl" and step.run is None else None
            if way is None:
                result.append(step)
                continue
            kept = any(later.argv[:2] == ("xl", "destroy") for later in steps[index + 1 :])
            result.append(dataclasses.replace(step, run=self._call(way, step, kept)))
        return result

    def _call(self, way: t.Callable[[Step, bool], None], step: Step, kept: bool) -> t.Callable[[], None]:
        return lambda: way(step, kept)

    def found(self, step: Step) -> Domain | None:
        """The domain of a step; one that is renamed when it starts again ends under the name it has."""
        name = {"shutdown": step.argv[-1], "destroy": step.argv[-1], "save": step.argv[-2]}.get(step.argv[1], self.name)
        return next((one for one in domains(self.tool) if one.name == name), None)

    def shutdown(self, step: Step, kept: bool) -> None:
        """Raises Timeout for a guest that does not end, unless it is to be destroyed then."""
        try:
            self.tool.command(step.argv, timeout=self.shutdown_timeout)
        except XenError as e:
            if self.found(step) is None:
                return
            if not self.force:
                told = f"within {self.shutdown_timeout:g} seconds" if isinstance(e, Timeout) else f"({e.message})"
                hint = "Look at its console; force: true destroys it then, and a larger shutdown_timeout gives it more time."
                raise Timeout(f"{step.argv[-1]} did not shut down {told}.", hint=hint) from None
            self.notes.append(f"{step.argv[-1]} did not shut down in time and was destroyed.")
            self.destroy(dataclasses.replace(step, argv=("xl", "destroy", step.argv[-1])), False)
            return
        self.gone(step, kept)

    def gone(self, step: Step, kept: bool) -> None:
        """Waits until it is in no list any more (or, of one that is kept when it ended, until it ended)."""
        end = time.monotonic() + GONE
        one = None
        while time.monotonic() < end:
            one = self.found(step)
            if one is None or (kept and one.state in ("shutdown", "crashed")):
                return
            time.sleep(PAUSE)
        raise Timeout(
            f"{one.name if one else self.name} ended, and is still in the list of domains after {GONE:g} seconds.",
            hint="See xl list and /var/log/xen.",
        )

    def destroy(self, step: Step, kept: bool) -> None:
        try:
            self.tool.command(step.argv)
        except XenError:
            if self.found(step) is not None:
                raise
            return
        self.gone(step, False)

    def start(self, step: Step, kept: bool) -> None:
        """Of a start that failed nothing is left.

        What was there before stays, and what runs: somebody else started it, or it was restored, and its disks have changed since.
        """
        slow = step.argv[1] == "restore"
        before = self.found(step)
        try:
            self.tool.command(step.argv, timeout=self.slow_timeout if slow else None)
        except XenError as e:
            with contextlib.suppress(XenError):
                made = self.found(step)
                if made and before is None and (made.state != "running" or (isinstance(e, Timeout) and not slow)):
                    self.tool.run("destroy", str(made.domid))
            raise

    def save(self, step: Step, kept: bool) -> None:
        path = step.argv[-1]
        try:
            self.tool.command(step.argv, timeout=self.slow_timeout)
        except XenError:
            left = self.found(step)
            if left and left.state in ("running", "paused"):  # it goes on, so that what was written is no state of it
                with contextlib.suppress(OSError):
                    os.unlink(path)
            raise
        self.gone(step, False)

    def attach_nic(self, step: Step, kept: bool) -> None:
        """An interface whose script fails stays in xenstore, and the domain could not be restored any more."""
        before = {one["devid"] for one in self.nics()}
        try:
            self.tool.command(step.argv)
        except XenError:
            with contextlib.suppress(XenError):
                for one in self.nics():
                    if one["devid"] not in before:
                        self.tool.run("network-detach", self.name, str(one["devid"]))
            raise

    def nics(self) -> list[dict[str, t.Any]]:
        return networks(self.tool.run("network-list", self.name).out)

    def detach_disk(self, step: Step, kept: bool) -> None:
        try:
            self.tool.command(step.argv)
        except XenError as e:
            e.hint = e.hint or "The guest may still use it: unmount it there."
            raise
