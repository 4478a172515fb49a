# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XCP-ng's updater.py: yum on a host. Answers are JSON texts; failures are code -1, or the exit status of yum.

Rules: xcp-ng/xcp-ng-xapi-plugins updater.py. New packages run after the toolstack's restart (xapi) or a boot (all others).
"""

from __future__ import annotations

import contextlib
import json
import typing as t

from .. import software, tasks, updates
from ..errors import Fault
from . import function

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import Machine

PLUGIN = "updater.py"
DEFAULT_REPOS = ("xcp-ng-base", "xcp-ng-updates", "xcp-ng-linstor")
BUSY, PROXIES = updates.BUSY, "proxies"  # in Machine.state: the operation under way; repository -> proxy
PATIENCE = 10  # virtual seconds an update waits for another operation
LOOK = 20.0  # virtual seconds that yum needs to read the repositories
SPEED = 10 << 20  # bytes of packages in a virtual second
NO_MATCH = 1  # exit status of yum


def failed(text: str, code: str = "-1") -> Fault:
    """As error_wrapped of the plugins makes it: message, details, backtrace."""
    return Fault(code, text, "", "")


@contextlib.contextmanager
def _alone(call: Call, machine: Machine, operation: str, patience: int = 0) -> t.Iterator[None]:
    """Raises -1 ["The updater plugin is busy (current operation: ...)"] or -1 ["Update already in progress"]."""
    while running := machine.state.get(BUSY):
        if operation == running == "update":
            raise failed("Update already in progress")
        if operation != "update" or patience <= 0:
            raise failed(f"The updater plugin is busy (current operation: {running})")
        call.sleep(1)
        call.world.pause(0.001)
        patience -= 1
    machine.state[BUSY] = operation
    try:
        yield
    finally:
        machine.state.pop(BUSY, None)


def _repos(args: t.Mapping[str, str]) -> list[str]:
    more = [name.strip() for name in args.get("repos", "").split(",")]
    return [*DEFAULT_REPOS, *(name for name in more if name)]


@function(PLUGIN)
def check_update(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """What is newer in the repositories."""
    with _alone(call, machine, "check_update"):
        call.sleep(LOOK / 4)
        names = ("name", "version", "release", "description", "changelog", "url", "size", "license")
        found = updates.missing_packages(machine, _repos(args))
        return json.dumps([{name: getattr(package, name) for name in names} for package in found])


@function(PLUGIN)
def update(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """All packages, or the named ones."""
    name, uuid = (machine.host_record()[field] for field in ("name_label", "uuid"))
    wanted = args.get("packages", "")
    command = ["yum", "update", '--disablerepo="*"', f"--enablerepo={','.join(_repos(args))}", "-y", *([wanted] if wanted else [])]
    with _alone(call, machine, "update", PATIENCE):
        return _yum(call, machine, f"Update host {name} ({uuid})", command, _repos(args), wanted.split())


@function(PLUGIN)
def install(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """The named packages."""
    name, uuid = (machine.host_record()[field] for field in ("name_label", "uuid"))
    wanted = args.get("packages", "")
    if not wanted:
        raise failed("Missing or empty argument `packages`.")
    command = ["yum", "install", '--disablerepo="*"', f"--enablerepo={','.join(_repos(args))}", "-y", wanted]
    with _alone(call, machine, "install", PATIENCE):
        known = {package.name for package in machine.world.updates.packages if package.repo in _repos(args)}
        if unknown := [one for one in wanted.split() if one not in known]:
            raise failed(f"Error: Nothing to do ({', '.join(unknown)})", str(NO_MATCH))
        return _yum(call, machine, f"Install {wanted} on host {name} ({uuid})", command, _repos(args), wanted.split(), fresh=True)


def _yum(
    call: Call, machine: Machine, label: str, command: list[str], repos: list[str], wanted: t.Collection[str], *, fresh: bool = False
) -> str:
    """A task lasts as long as yum does."""
    task = tasks.create(call, label)
    try:
        offered = [one for one in machine.world.updates.packages if fresh and one.repo in repos]
        found = [one for one in offered or updates.missing_packages(machine, repos) if not wanted or one.name in wanted]
        for one in found:
            call.sleep(LOOK + one.size / SPEED if one is found[0] else one.size / SPEED)
            call.world.pause(0.001)
            machine.state[updates.INSTALLED] = {**machine.state.get(updates.INSTALLED, {}), one.name: one.offered}
            software.put_on_disk(machine, one.software)
    finally:
        if call.db.exists("task", task):
            call.db.destroy("task", task)
    stdout = "".join(f"Updated: {one.name}-{one.offered}\n" for one in found) or "No packages marked for update\n"
    return json.dumps({"stdout": stdout, "stderr": "", "command": command, "returncode": 0})


@function(PLUGIN)
def query_installed(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """Full names of those packages that are there; "" for the others."""
    if not args.get("packages"):
        raise failed("Missing or empty argument `packages`.")
    known = {package.name: package for package in machine.world.updates.packages}
    out = {}
    for name in args["packages"].replace(",", " ").split():
        held = updates.installed(machine, known[name]) if name in known else ""
        out[name] = f"{name}-{held}.x86_64" if held else ""
    return json.dumps(out)


@function(PLUGIN)
def get_proxies(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """The proxy of each repository; "_none_" without one."""
    with _alone(call, machine, "get_proxies"):
        return json.dumps(dict.fromkeys(DEFAULT_REPOS, "_none_") | machine.state.get(PROXIES, {}))


@function(PLUGIN)
def set_proxies(call: Call, machine: Machine, args: dict[str, str]) -> str:
    """The argument ``proxies`` is such a mapping, of those that change."""
    with _alone(call, machine, "set_proxies"):
        try:
            wanted = json.loads(args["proxies"])
        except KeyError:
            raise failed("'proxies'") from None
        except ValueError as error:
            raise failed(str(error)) from None
        for section in wanted:
            if section not in DEFAULT_REPOS:
                raise failed(f"Can't find section '{section}' in config file")
        machine.state[PROXIES] = {**machine.state.get(PROXIES, {}), **wanted}
        return ""
