# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all restores have in common: which backup is meant, and that nobody changes it meanwhile."""

from __future__ import annotations

import functools
import typing as t

from ...backup.manifest import Manifest
from ...backup.repository import Repository
from ...errors import InvalidChange
from ...fields import Table
from ...formats.compression import Damaged
from ...refs import Record
from ...resource import Resource

if t.TYPE_CHECKING:
    from ...backup.subject import Backup, Subject

OPTIONS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": ["pool", "host", "vm"], "default": "vm"},
    "pool": {"type": "str"},
    "name": {"type": "str"},
    "backup": {"type": "str", "default": "newest"},
    "sr": {"type": "str"},
    "networks": {"type": "dict", "default": {}},
    "preserve": {"type": "bool", "default": False},
    "new_name": {"type": "str"},
    "start": {"type": "bool", "default": False},
    "disks": {"type": "list", "elements": "str"},
    "onto": {"type": "str"},
    "replace": {"type": "bool", "default": False},
    "remove_replaced": {"type": "bool", "default": False},
    "dry_run": {"type": "bool", "default": False},
    "allow_disruption": {"type": "bool", "default": False},
    "host_timeout": {"type": "int", "default": 1800},
    "identity": {"type": "path"},
    "verify": {"type": "str", "choices": ["before", "during", "never"], "default": "before"},
    "wait_timeout": {"type": "int", "default": 86400},
}


class Restore(Resource):
    """Something as it was in a backup. Restore(session, params) is of the class that fits: by kind, and whether it goes onto a VM."""

    kind: t.ClassVar[str] = ""
    kinds: t.ClassVar[dict[str, type[Restore]]] = {}
    onto: t.ClassVar[bool] = False
    table = Table("VM", ())
    states = ()
    by_name = False
    options = OPTIONS
    rules: t.ClassVar[dict[str, t.Any]] = {"required_if": [["kind", "vm", ["name"]], ["kind", "host", ["name"]]]}

    def __init_subclass__(cls) -> None:
        if "kind" in cls.__dict__ and cls.kind:
            Restore.kinds[f"{cls.kind} onto" if cls.onto else cls.kind] = cls

    def __new__(cls, session: t.Any, params: Record) -> Restore:
        wanted = f"{params['kind']} onto" if params["kind"] == "vm" and params.get("onto") else params["kind"]
        return super().__new__(cls.kinds[wanted] if cls is Restore else cls)

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.repository = Repository(params["repository"])

    @classmethod
    def arguments(cls) -> dict[str, dict[str, t.Any]]:
        return dict(cls.options)

    # which backup ---------------------------------------------------------------------
    @functools.cached_property
    def subject(self) -> Subject:
        """Whose backups. Raises NotFound, Ambiguous."""
        return self.repository.find(self.params["kind"], str(self.params.get("pool") or ""), str(self.params.get("name") or ""))

    @functools.cached_property
    def backup(self) -> Backup:
        """The one the task means. Raises NotFound, Damaged for one that cannot be used."""
        found = self.subject.get(self.params["backup"])
        if not found.usable():
            raise Damaged(f"The backup {found.stamp} of {self.subject} cannot be restored: {found.problem}", hint=self.newest_good())
        return found

    @property
    def manifest(self) -> Manifest:
        """Of the backup. Raises Damaged."""
        if self.backup.manifest is None:
            raise Damaged(f"The backup {self.backup.stamp} of {self.subject} cannot be restored: {self.backup.problem}")
        return self.backup.manifest

    def newest_good(self) -> str:
        """What could be restored instead, as a hint."""
        newest = self.subject.newest()
        return f"The newest good one is {newest.stamp}." if newest else "There is no other that can be used."

    @property
    def passed_over(self) -> list[str]:
        """Warnings about newer backups that cannot be used, where the newest is asked for."""
        if self.params["backup"] != "newest":
            return []
        number = self.manifest.number
        newer = [
            b
            for b in self.subject.backups()
            if not b.usable() and (b.manifest.number > number if b.manifest else b.stamp > self.backup.stamp)
        ]
        return [f"The backup {b.stamp} of {self.subject} is newer than {self.backup.stamp}, but cannot be used: {b.problem}" for b in newer]

    @property
    def told(self) -> str:
        """The backup in a message."""
        return f"backup {self.backup.stamp} of {self.subject}"

    def alone(self) -> t.ContextManager[object]:
        """Others may read the backups meanwhile, nobody removes or merges them."""
        return self.subject.lock("restore", shared=True)

    def refuse_options(self, *names: str) -> None:
        """Raises InvalidChange for options that are for another kind of restore."""
        for name in names:
            if self.params.get(name) not in (None, False, [], {}, ""):
                raise InvalidChange(f"{name} is of no use here: {self._what_for}.", hint=f"Leave {name} out.")

    _what_for: t.ClassVar[str] = "it is for VMs"
