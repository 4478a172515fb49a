# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a domain is after the task: whether its guest follows what xl was told."""

from __future__ import annotations

import dataclasses
import time

from ...errors import XenError
from ..tool import Tool
from .change import Change
from .reading import domains, vcpus
from .request import Request, Scene

PATIENCE = 10.0  # seconds a guest may take to follow
STEP = 0.5


@dataclasses.dataclass(frozen=True)
class Seen:
    """Attributes: domid (None where it does not run), power_state, notes (what the guest has not done)."""

    domid: int | None
    power_state: str
    notes: tuple[str, ...] = ()


def after(tool: Tool, asked: Request, now: Scene, planned: Change, *, carried_out: bool) -> Seen:
    """As it is, or without anything carried out as it was; in check mode with the power state it would have."""
    if not carried_out:
        return Seen(now.domain.domid if now.domain else None, planned.power_state)
    told = {step.argv[1]: step.argv for step in planned.steps if step.argv[0] == "xl"}
    notes = [*memory(tool, asked.name, told.get("mem-set")), *online(tool, asked.name, told.get("vcpu-set"))]
    found = next((one for one in domains(tool) if one.name == asked.name), None)
    return Seen(found.domid if found else None, found.state if found else "stopped", tuple(notes))


def memory(tool: Tool, name: str, argv: tuple[str, ...] | None) -> list[str]:
    """Nothing, when the guest has taken or given what it was told within PATIENCE."""
    if argv is None:
        return []
    target, has = int(argv[-1]), 0
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        has = next((one.memory for one in domains(tool) if one.name == name), target)
        if abs(has - target) <= 1:
            return []
        time.sleep(STEP)
    return [f"{name} has {has} MiB of memory and not yet {target}: its guest takes its time, or has no balloon driver."]


def online(tool: Tool, name: str, argv: tuple[str, ...] | None) -> list[str]:
    if argv is None:
        return []
    target, count = int(argv[-1]), 0
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            count = sum(one.online for one in vcpus(tool, name))
        except XenError:
            return []
        if count == target:
            return []
        time.sleep(STEP)
    hint = (
        "bring the others online in the guest (echo 1 > /sys/devices/system/cpu/cpu1/online)"
        if count < target
        else "the guest keeps the others"
    )
    return [f"{name} has {count} vCPUs online and not {target}: {hint}."]
