# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs of a pool a run is for: by name, tag, group or expression, without those that are left out."""

from __future__ import annotations

import typing as t

from . import joined
from .client import Session
from .errors import Ambiguous, NotFound
from .module import listing
from .refs import Objects, Record, told_names
from .resource import Found
from .resources.backup_verify.stale import PREFIX
from .resources.restore.description import RESTORING
from .resources.vm import Vm
from .vms import Vms, guests

OPTIONS: dict[str, dict[str, t.Any]] = {
    "names": {"type": "list", "elements": "str", "default": []},
    "tags": {"type": "list", "elements": "str", "default": []},
    "groups": {"type": "list", "elements": "str", "default": []},
    "query": {"type": "str"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "exclude_tags": {"type": "list", "elements": "str", "default": []},
}
WAYS = ("names", "tags", "groups", "query")
GROUPS = {"VM_group": "VM group", "VM_appliance": "appliance"}


class Missing(t.NamedTuple):
    """What was asked for and is not there: what it is called, and a sentence."""

    name: str
    problem: str


def _is_unready(vm: Record) -> bool:
    return RESTORING in vm["other_config"] or vm["name_label"].startswith(PREFIX)


class Choice:
    """chosen: the records of the VMs, in order of their names; missing: what was named and is not there; unready: names of those that are
    no VMs yet, such as copies that a boot test left, and were not named.

    Raises InvalidChange for an expression that cannot be read or answered.
    """

    def __init__(self, session: Session, select: Record):
        self.session, self.objects, self.missing = session, Objects(session), list[Missing]()
        self._guests = guests(self.objects)
        self._by_name: set[str] = set()
        wanted = self._asked(select) if any(select.get(way) for way in WAYS) else set(self._guests)
        out = {str(text) for text in select.get("exclude") or ()}
        tags = set(select.get("exclude_tags") or ())
        unready = {ref for ref in wanted - self._by_name if ref in self._guests and _is_unready(self._guests[ref])}
        self.unready = sorted(self._guests[ref]["name_label"] for ref in unready)
        rows = [vm for ref, vm in self._guests.items() if ref in wanted - unready]
        staying = [vm for vm in rows if not out & {vm["uuid"], vm["name_label"]} and not tags & set(vm["tags"])]
        self.chosen = sorted(staying, key=lambda vm: (vm["name_label"], vm["uuid"]))

    def _asked(self, select: Record) -> set[str]:
        found: set[str] = set()
        for name in select.get("names") or ():
            self._by_name |= self._named(str(name))
        for tag in select.get("tags") or ():
            found |= self._tagged(str(tag))
        for group in select.get("groups") or ():
            found |= self._grouped(str(group))
        return found | self._by_name | (self._answering(str(select["query"])) if select.get("query") else set())

    def _named(self, name: str) -> set[str]:
        try:
            return {Vms(self.objects).resolve(name)}
        except (NotFound, Ambiguous) as e:
            self.missing.append(Missing(name, str(e)))
            return set()

    def _tagged(self, tag: str) -> set[str]:
        found = {ref for ref, vm in self._guests.items() if tag in vm["tags"]}
        if not found:
            known = sorted({tag for vm in self._guests.values() for tag in vm["tags"]})
            told = told_names(tag, known) if known else "No VM has a tag at all."
            self.missing.append(Missing(tag, f"No VM has the tag {tag!r}. {told}"))
        return found

    def _grouped(self, group: str) -> set[str]:
        """The VMs of a VM group, or of an appliance."""
        there = [(cls, ref) for cls in GROUPS for ref in self._owners(cls) if group in self._words(cls, ref)]
        if not there:
            known = sorted({name for cls in GROUPS for ref in self._owners(cls) for name in self._words(cls, ref)[:1]})
            told = told_names(group, known) if known else "The pool has neither."
            self.missing.append(Missing(group, f"No VM group and no appliance is named {group!r}. {told}"))
        return {vm for cls, ref in there for vm in self.objects.get(cls, ref)["VMs"] if vm in self._guests}

    def _owners(self, cls: str) -> t.Iterable[str]:
        field = "groups" if cls == "VM_group" else "appliance"  # older releases know neither the class nor the field
        return self.objects.all(cls) if all(field in vm for vm in self._guests.values()) else ()

    def _words(self, cls: str, ref: str) -> list[str]:
        record = self.objects.get(cls, ref)
        return [record["name_label"], record["uuid"]]

    def _answering(self, query: str) -> set[str]:
        """Those for which the expression is true, each looked at as xen_vm_info tells it, with its facts."""
        asked = Vm(self.session, {})
        search = joined.compiled(query)
        found = set()
        for ref, record in self._guests.items():
            row = Found(ref, record)
            if search({**listing(asked, [row])[0], "facts": asked.facts(row)}):
                found.add(ref)
        return found
