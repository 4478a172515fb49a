# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new release: the next boot of a host starts its installer (the public host-upgrade plugin, prepare_host_upgrade.py)."""

from __future__ import annotations

import json
import typing as t

from ...client import Session
from ...errors import ApiError, InvalidChange, XenError
from ...plan import Operation, Plan
from ...planner.model import version_of
from ...refs import Objects, Record
from .method import NEVER, Due, Method
from .plugin import ask

PREPARE = "prepare_host_upgrade.py"
KINDS = ("product", "platform")
UNKNOWN = "UNKNOWN_XENAPI_PLUGIN_FUNCTION"


class Installer(Method):
    """Due is who runs an older release than the medium has."""

    name = "installer"
    tests = True
    patience = 7200

    def __init__(self, options: Record, session: Session, objects: Objects, run: str = ""):
        super().__init__(options, session, objects, run)
        self.url = str(options.get("install_url") or "")
        self._medium: dict[str, str] = {}

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        if self.reboot == NEVER:
            raise InvalidChange("An installer runs when the host boots, so reboot: never cannot be.", hint="Leave reboot out.")
        if not self._medium:
            self._medium = self._versions(refs[0])
        out, is_now = {}, ", ".join(filter(None, self._medium.values()))
        for ref in refs:
            if has := self._older(self.objects.get("host", ref)):
                out[ref] = Due(f"it runs {has}, the medium has {is_now}", True, True, version=self._medium["platform"])
        return out

    def _older(self, record: Record) -> str:
        """What an older host runs; "" for one that has the release of the medium, or a newer one."""
        mine = {kind: str(record["software_version"].get(f"{kind}_version", "")) for kind in KINDS}
        known = [(version_of(mine[kind]), version_of(self._medium[kind])) for kind in KINDS if mine[kind] and self._medium[kind]]
        return ", ".join(filter(None, mine.values())) if any(has < offered for has, offered in known) else ""

    def _versions(self, ref: str) -> dict[str, str]:
        """Of the medium, as a host sees it."""
        told = json.loads(self._asked(self.session, ref, "getVersion"))
        found = {kind: str(told.get(f"{kind}-version", "")) for kind in KINDS}
        if not any(found.values()):
            raise InvalidChange(f"The release of {self.url} is not told.", hint="Is it an installation medium?")
        return found

    def _asked(self, session: Session, ref: str, function: str) -> str:
        """Raises InvalidChange for a medium the host cannot use."""
        try:
            return ask(session, ref, PREPARE, function, {"url": self.url})
        except ApiError as e:
            told = e.params[-1] if e.params else e.message
            label = self.label(ref)
            hint = {
                "XENAPI_MISSING_PLUGIN": f"The host lacks the plugin {PREPARE}.",
                UNKNOWN: f"Its plugin {PREPARE} is too old.",
                "INVALID_VER": "The medium is of an older release.",
            }
            raise InvalidChange(
                f"Host {label!r} cannot use install_url {self.url!r}: {told}.",
                hint=hint.get(e.code) or hint.get(told) or "It has to be an unpacked installation medium that the host can reach.",
                code=e.code, params=e.params,
            ) from e  # fmt: skip

    def test(self, session: Session, ref: str, due: Due) -> None:
        """Raises InvalidChange where the medium, or the disk of the host, would not do."""
        self._asked(session, ref, "testUrl")
        try:
            safe = ask(session, ref, PREPARE, "testSafe2Upgrade", {"url": self.url})
        except ApiError as e:
            if e.code != UNKNOWN:
                raise
            safe = "true"
        if safe.lower() != "true":
            raise InvalidChange(
                f"Host {self.label(ref)!r} cannot be upgraded by the installer: {safe}.", hint="Is its system disk too small?"
            )

    def install(self, plan: Plan, ref: str, due: Due) -> None:
        self.test(self.session, ref, due)
        args = {"url": self.url}
        plan.add("host.call_plugin", ref, PREPARE, "main", args, what=f"prepare host {self.label(ref)!r} for the installer", slow=True)

    def answered(self, operation: Operation, answer: t.Any) -> None:
        if operation.method == "host.call_plugin" and str(answer).lower() != "true":
            raise XenError(f"The host could not be prepared for the installer: {answer}.")

    def check(self, ref: str, due: Due) -> object:
        has = self._older(Objects(self.session).get("host", ref))
        return f"the installer did not do its work, it runs {has}" if has else True
