# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A migration from its options to its result."""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

from ...errors import InvalidChange, XenError
from ..step import Step
from ..tool import Tool
from . import fit
from .copies import AWAY, Where, outcome, refused, seen, where
from .ends import Asked, End, Ssh, look_here, look_there, with_disks
from .journey import Journey, Places, steps

Json = dict[str, t.Any]
SLOWER = 10  # how much longer a migration may take than another command
SETTLE = 20.0  # seconds until the lists of both ends agree


class Task(t.Protocol):
    """What is used of a module's run."""

    params: dict[str, t.Any]
    check: bool
    tool: Tool
    timeout: float

    def carry_out(self, steps: t.Sequence[Step]) -> list[str]: ...


@dataclasses.dataclass(frozen=True)
class Both:
    """Both ends at one moment."""

    here: End
    there: End
    found: Where


def run(task: Task) -> Json:
    """The result of the module. Raises XenError."""
    journey = wanted(task.params, task.timeout)
    both, warnings = prepared(task, journey)
    plan = steps(journey, both.found, both.here, both.there, task.tool)
    if both.here.autostart and (both.here.config is None or not journey.move_config):
        warnings.append(
            f"{journey.places.auto} starts {journey.name} with this host too, while it runs on {journey.ssh.address}: remove it."
        )
    moved = both.found.here is not None
    arrived = [both.found]
    if moved:
        plan[0] = watched(task.tool, journey, plan[0], arrived)
    commands = task.carry_out(plan)
    there = arrived[-1].there
    domain = {"name": journey.name, "host": host_of(both.there), "domid": there.domid if there else None}
    diff = {"before": {"host": host_of(both.here if moved else both.there)}, "after": {"host": host_of(both.there)}}
    return {"changed": bool(commands), "commands": commands, "moved": moved, "warnings": warnings, "domain": domain, "diff": diff}


def host_of(end: End) -> str:
    return str(end.info.get("host", ""))


def wanted(params: t.Mapping[str, t.Any], timeout: float) -> Journey:
    """Raises InvalidChange."""
    name, address = params["name"], params["destination"]
    if name in ("Domain-0", "0"):
        raise InvalidChange("Domain-0 is the host itself, and cannot migrate.")
    if not address or address.startswith("-") or "/" in name:
        raise InvalidChange(f"{address!r} is no host name." if "/" not in name else f"{name!r} is no name of a domain.")
    target = f"{params['user']}@{address}" if params["user"] else address
    if not re.fullmatch(r"[\w.@:%\[\]-]+", target):  # which xl hands to a shell
        raise InvalidChange(f"{target!r} is no login and host name.", hint="Give destination and user as ssh takes them.")
    port = ["-p", str(params["port"])] if params["port"] else []
    words = (params["ssh_command"], "-o", "BatchMode=yes", "-o", "ConnectTimeout=30", *port, *params["ssh_options"])
    places = Places.of(params["config_dir"], name)
    longest = params["migration_timeout"] or timeout * SLOWER
    return Journey(name, Ssh(words, target), places, params["move_config"], longest, params["paused"])


def look(tool: Tool, journey: Journey) -> Where:
    """Where the domain is now. Raises XenError, ConnectionFailed."""
    asked = Asked(journey.places.config, journey.places.auto)
    return where(journey.name, look_here(tool, asked), look_there(tool, journey.ssh, asked))


def prepared(task: Task, journey: Journey) -> tuple[Both, list[str]]:
    """Both ends, and warnings. Raises XenError for what stands in the way."""
    name, address = journey.name, journey.ssh.address
    asked = Asked(journey.places.config, journey.places.auto)
    first = look_here(task.tool, asked)
    if not first.xl or not first.table:
        raise InvalidChange("xl does not work on this host.", hint="Is it a Xen Dom0, and was it booted into Xen?")
    config: Json = {}
    if name in seen(first):
        config = fit.config_of(first.long, name)
        asked = dataclasses.replace(asked, disks=fit.disk_paths(config), bridges=fit.bridge_names(config))
    here, there = with_disks(task.tool, first, asked), look_there(task.tool, journey.ssh, asked)
    both = Both(here, there, where(name, here, there))
    # This host under another name: what is here is there. Machines cloned while they ran have one boot id, so the name counts too.
    if both.here.boot == both.there.boot and host_of(both.here) == host_of(both.there):
        if not both.found.here:
            raise InvalidChange(f"{name} does not run on this host, and {address} is this host.")
        return dataclasses.replace(
            both, found=Where(None, None, both.found.here, None), here=dataclasses.replace(both.here, config=None, autostart=False)
        ), []
    problem = refused(name, address, both.found)
    if problem:
        raise problem
    if both.found.away and fit.uuid_of(both.here.long, name + AWAY) != fit.uuid_of(both.there.long, name):
        raise InvalidChange(f"{name}{AWAY} on this host is suspended, and the {name} on {address} is another domain.")
    if both.found.there and not both.found.here and fit.of_another(both.here.config, both.there.long, name):
        raise InvalidChange(
            f"The {name} on {address} is another domain: its UUID is not that of {journey.places.config}.",
            hint="Nothing was moved; look which of them is meant.",
        )
    return both, fit.check(name, address, config, both.here, both.there, trusted=task.params["same_disks"]) if both.found.here else []


def watched(tool: Tool, journey: Journey, step: Step, arrived: list[Where]) -> Step:
    """The migration; both ends are looked at after it, and where the domain is then is added to `arrived`."""

    def migrate() -> None:
        try:
            tool.command(step.argv, timeout=step.timeout)
        except XenError as e:
            raise told_where(tool, journey, e) from e
        arrived.append(settled(tool, journey))

    return dataclasses.replace(step, run=migrate)


def settled(tool: Tool, journey: Journey) -> Where:
    """xl has ended well; a list may show the old copy for a moment. Raises XenError."""
    end = time.monotonic() + SETTLE
    while True:
        found = look(tool, journey)
        if found.there and not found.here and not found.away:
            return found
        if time.monotonic() > end:
            raise XenError(f"xl says that {journey.name} has migrated. {outcome(journey.name, journey.ssh.address, found)}")
        time.sleep(0.5)


def told_where(tool: Tool, journey: Journey, failure: XenError) -> XenError:
    """The failure, with where the domain is now."""
    try:
        now = outcome(journey.name, journey.ssh.address, look(tool, journey))
    except XenError as e:
        now = f"Where it is now could not be asked: {e}"
    hints = [now]
    if "logdirty" in str(failure):
        hints.append(
            "A PV domain migrates only where Xen has shadow paging, which Debian builds it without: save and restore it, or make it PVH."
        )
    return XenError(failure.message, hint=" ".join(hints), facts=failure.facts)
