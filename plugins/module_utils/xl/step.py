# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A step of a plan: one command, told before it is run."""

from __future__ import annotations

import dataclasses
import typing as t

from ..errors import XenError
from .tool import Tool, typed


@dataclasses.dataclass(frozen=True)
class Step:
    """One change.

    Attributes:
        argv: the command with its program first ("xl", "lvcreate"...). Where `run` does the work, words that say the same.
        what: the change in words, for messages: "attach disk xvdb".
        timeout: seconds it may take; 0 means what the tool allows.
        run: is called in place of the command.
        disruptive: what it does to a running domain, in words; empty where it does nothing to it.
    """

    argv: tuple[str, ...]
    what: str
    timeout: float = 0
    run: t.Callable[[], None] | None = None
    disruptive: str = ""

    def __str__(self) -> str:
        """The command as one types it."""
        return typed(self.argv)


def commands(steps: t.Iterable[Step]) -> list[str]:
    """What a task tells of its steps, in check mode and after."""
    return [str(step) for step in steps]


def carry_out(steps: t.Iterable[Step], tool: Tool) -> list[str]:
    """Does all of it, one after another; returns the commands. A XenError of a step has those done before in `.done`."""
    done: list[str] = []
    for step in steps:
        try:
            if step.run:
                step.run()
            else:
                tool.command(step.argv, timeout=step.timeout or None)
        except XenError as e:
            e.done = [*done, *e.done]
            raise
        except OSError as e:  # a full disk, a file system that is read-only
            failed = XenError(f"{step} failed: {e.strerror or e}.", hint=f"It was to {step.what}.")
            failed.done = done
            raise failed from e
        done.append(str(step))
    return done
