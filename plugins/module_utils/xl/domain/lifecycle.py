# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the power state a domain has to the one it is to have. Pure."""

from __future__ import annotations

import dataclasses

from ...errors import InvalidChange, NotFound
from ..step import Step

STATES = ("present", "running", "paused", "stopped", "destroyed", "saved", "restored", "absent")
RESTARTS = ("restart", "rename-restart", "coredump-restart")


@dataclasses.dataclass(frozen=True)
class Life:
    """A domain before the task.

    Attributes: name, state ("stopped" without a domain, "running", "paused", "shutdown" (it ended and is kept), "crashed" (likewise),
    "suspended", "dying"), path (of its file), save_path, saved (its state lies there), taken (a file lies there that is not its state),
    hvm, on_poweroff.
    """

    name: str
    state: str
    path: str
    save_path: str = ""
    saved: bool = False
    taken: bool = False
    hvm: bool = False
    on_poweroff: str = "destroy"

    @property
    def alive(self) -> bool:
        return self.state in ("running", "paused")


def xl(*words: str, what: str, disruptive: str = "") -> Step:
    return Step(("xl", *words), what, disruptive=disruptive)


def plan(life: Life, target: str, *, force: bool = False, keep_saved: bool = False) -> list[Step]:
    """Raises InvalidChange for what cannot be, NotFound where nothing was saved."""
    if life.name == "Domain-0" and target != "present":
        raise InvalidChange("Domain-0 is the host itself.", hint="Shut down the host instead.")
    if life.state == "dying":
        raise InvalidChange(
            f"{life.name} is being destroyed, and is not gone yet.",
            hint="Something may still hold its disks: see xl list and /var/log/xen.",
        )
    if life.state == "suspended" and target not in ("present", "destroyed"):
        raise InvalidChange(
            f"{life.name} is suspended, as by a save or a migration that was cut off, and its memory is still there.",
            hint=f"Where this xl has the command resume: `xl resume {life.name}`. Otherwise use state: destroyed, and start it again.",
        )
    if target in ("running", "paused"):
        return started(life, target, force)
    if target == "stopped" or target == "absent":
        return stopped(life, force)
    if target == "destroyed":
        return [] if life.state == "stopped" else [destroy(life)]
    if target == "saved":
        return saved(life)
    return restored(life, keep_saved) if target == "restored" else []


def started(life: Life, target: str, force: bool) -> list[Step]:
    if life.alive:
        if life.state == target:
            return []
        word = "unpause" if target == "running" else "pause"
        return [xl(word, life.name, what=f"{word} {life.name}")]
    steps = cleared(life, force)
    if life.saved and not force:
        raise InvalidChange(
            f"{life.name} was saved to {life.save_path}; started afresh, it could not be restored any more.",
            hint="Use state: restored, or force: true to start it without that state.",
        )  # fmt: skip
    if life.saved:
        steps.append(Step(("rm", life.save_path), f"remove the saved state of {life.name}"))
    return [*steps, create(life, paused=target == "paused")]


def create(life: Life, paused: bool = False) -> Step:
    return xl("create", *(["-p"] if paused else []), life.path, what=f"start {life.name}")


def cleared(life: Life, force: bool) -> list[Step]:
    """What is left of a domain that ended goes."""
    if life.state == "crashed" and not force:
        raise InvalidChange(
            f"{life.name} crashed and is kept for examination (on_crash).",
            hint="Use force: true or state: destroyed when it has been examined.",
        )
    return [destroy(life)] if life.state in ("shutdown", "crashed") else []


def destroy(life: Life) -> Step:
    return xl("destroy", life.name, what=f"destroy {life.name}", disruptive=f"{life.name} ends without having shut down")


def stopped(life: Life, force: bool) -> list[Step]:
    if not life.alive:
        return cleared(life, force)
    if life.on_poweroff in RESTARTS and not force:
        raise InvalidChange(
            f"{life.name} starts again when it shuts down (on_poweroff: {life.on_poweroff}).", hint="Use state: destroyed, or force: true."
        )
    if life.on_poweroff in RESTARTS:
        return [destroy(life)]
    return [*awake(life), shutdown(life), *([destroy(life)] if life.on_poweroff == "preserve" else [])]


def awake(life: Life) -> list[Step]:
    """A guest that is paused hears nothing."""
    return [xl("unpause", life.name, what=f"unpause {life.name}")] if life.state == "paused" else []


def shutdown(life: Life) -> Step:
    more = ["-F"] if life.hvm else []
    return xl("shutdown", "-w", *more, life.name, what=f"shut {life.name} down", disruptive=f"{life.name} shuts down")


def saved(life: Life) -> list[Step]:
    if life.state == "stopped" and life.saved:
        return []
    if not life.alive:
        raise InvalidChange(f"{life.name} does not run; there is nothing to save.", hint="Use state: stopped where it need not run.")
    if life.taken:
        raise InvalidChange(
            f"{life.save_path} is there and is no saved state of {life.name}; it is not overwritten.",
            hint="Give another save_path, or remove the file.",
        )
    return [*awake(life), xl("save", life.name, life.save_path, what=f"save {life.name}", disruptive=f"{life.name} stops")]


def restored(life: Life, keep_saved: bool) -> list[Step]:
    remove = [] if keep_saved or not life.saved else [Step(("rm", life.save_path), f"remove the saved state of {life.name}")]
    if life.alive:
        return remove  # of an earlier run
    if not life.saved:
        told = "and what is there is none of it" if life.taken else "no file is there"
        raise NotFound(f"No saved state of {life.name} at {life.save_path}: {told}.", hint="Give save_path, or use state: running.")
    return [*cleared(life, False), xl("restore", life.save_path, what=f"restore {life.name}"), *remove]
