# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""XCP-ng: yum on each host, through the plugin updater.py (xcp-ng/xcp-ng-xapi-plugins).

xapi takes no notice of it. Before packages are installed that is noted at the host, under the key that Xen Orchestra uses; a host that
has not booted since is still due, and so is one whose hypervisor on the disk is newer than the one that runs.
"""

from __future__ import annotations

import json
import re
import typing as t

from ...client import Session
from ...errors import ApiError, InvalidChange, XenError
from ...host_return import INSTALLED, boot_time, seconds
from ...plan import Operation, Plan
from ...refs import Record
from ..at_once import at_once
from .method import Due, Method, epoch, server_time
from .plugin import ask

UPDATER = "updater.py"
# in effect when the toolstack has been restarted; all others are taken to need a boot
TOOLSTACK = frozenset(
    ["xapi-core", "xapi-xe", "xapi-nbd", "xapi-rrd2csv", "xapi-tests", "xapi-client-devel", "xcp-ng-xapi-plugins", "xo-lite", "xsconsole"]
)
RUNNING = {"xen-hypervisor": "xen", "xapi-core": "xapi_build"}  # package -> key of software_version that tells what runs of it


class Packages(Method):
    name = "xcpng_packages"

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        told = at_once(self.session, {ref: self.label(ref) for ref in refs}, self._ask)
        out = {}
        for ref in refs:
            missing, held = told[ref]
            due = self._missing(ref, missing) if missing else self._left(ref, held)
            if due:
                out[ref] = due
        return out

    def _missing(self, ref: str, missing: t.Mapping[str, str]) -> Due:
        """Where a boot is outstanding anyway, what is installed now is in effect after it, too."""
        count = f"{len(missing)} packages are" if len(missing) > 1 else f"Package {next(iter(missing))} is"
        boots = bool(set(missing) - TOOLSTACK) or self._noted(ref)
        return Due(f"{count} out of date", boots, boots, packages=sorted(missing.values()), restart=not boots)

    def _left(self, ref: str, held: t.Mapping[str, str]) -> Due | None:
        record = self.objects.get("host", ref)
        newer = {package for package, full in held.items() if is_newer(package, full, record)}
        if self._noted(ref) or ("xen-hypervisor" in newer and not self._booted_in_this_upgrade(record)):
            return Due("packages were installed after its last boot", True, True, install=False)
        if "xapi-core" in newer and not self._booted_in_this_upgrade(record):
            return Due("its toolstack was updated after its last start", False, False, install=False, restart=True)
        return self.restart_left(record)

    def _noted(self, ref: str) -> bool:
        record = self.objects.get("host", ref)
        return seconds(record["other_config"].get(INSTALLED)) > boot_time(record) > 0

    def _booted_in_this_upgrade(self, record: Record) -> bool:
        """What did not change with a boot would not change with the next one."""
        since = self.since()
        return bool(since) and boot_time(record) > epoch(since)

    def _arguments(self) -> dict[str, str]:
        return {"repos": ",".join(self.options["repos"])} if self.options.get("repos") else {}

    def _ask(self, session: Session, ref: str) -> tuple[dict[str, str], dict[str, str]]:
        """What the host lacks: name -> full name; if nothing, what it has of the packages one can tell by."""
        try:
            found = json.loads(ask(session, ref, UPDATER, "check_update", self._arguments()))
        except ApiError as e:
            raise self._not_told(ref, e) from e
        chosen = [one for one in found if not self.options.get("packages") or one["name"] in self.options["packages"]]
        if chosen:
            return {one["name"]: f"{one['name']}-{one['version']}-{one['release']}" for one in chosen}, {}
        try:
            return {}, json.loads(ask(session, ref, UPDATER, "query_installed", {"packages": " ".join(RUNNING)}))
        except ApiError:
            return {}, {}  # a plugin that does not have the function

    def _not_told(self, ref: str, error: ApiError) -> XenError:
        told = f"Host {self.label(ref)!r} does not tell which packages are out of date: {error.message}"
        if error.code == "XENAPI_MISSING_PLUGIN":
            return InvalidChange(told, hint="Is it XCP-ng? Others have the methods repository and pool_update.", code=error.code)
        return XenError(told, hint="Look at the repositories of the host.", code=error.code, params=error.params)

    def install(self, plan: Plan, ref: str, due: Due) -> None:
        label, names = self.label(ref), sorted(self.options.get("packages") or ())
        boots = due.reboot or bool(due.packages and not _toolstack_only(due))
        if not boots:
            self.note_restart(plan, ref)
        elif not self._noted(ref):
            self.note(plan, ref, INSTALLED, f"{server_time(self.session, ref):.0f}.")
        args = {**self._arguments(), **({"packages": " ".join(names)} if names else {})}
        plan.add("host.call_plugin", ref, UPDATER, "update", args, what=f"update packages of host {label!r}", slow=True)

    def answered(self, operation: Operation, answer: t.Any) -> None:
        """yum's own words for its failure, where the plugin does not make an error of it."""
        if operation.method != "host.call_plugin":
            return
        told = json.loads(answer)
        if told.get("returncode"):
            text = str(told.get("stderr") or told.get("stdout")).strip()
            raise XenError(f"yum ended with status {told['returncode']}: {text}", code=str(told["returncode"]))


def _toolstack_only(due: Due) -> bool:
    return all(any(full.startswith(f"{name}-") for name in TOOLSTACK) for full in due.packages)


def is_newer(package: str, full: str, record: Record) -> bool:
    """Whether a package (xen-hypervisor-4.17.5-15.1.xcpng8.3.x86_64) is newer than what runs of it (4.17.5-13)."""
    runs = _numbers(str(record["software_version"].get(RUNNING[package], "")))
    held = _numbers(full.removeprefix(f"{package}-"))
    return bool(runs and held) and held[: len(runs)] > runs


def _numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]
