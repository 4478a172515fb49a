# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and uuids to references and back, from one bulk read per class."""

from __future__ import annotations

import difflib
import re
import typing as t

from .client import Session
from .errors import Ambiguous, NotFound
from .mirror import Mirror, read

NULL = "OpaqueRef:NULL"
Record = t.Mapping[str, t.Any]
_REF = re.compile(r"OpaqueRef:[0-9A-Za-z-]+")
WORDS = {"VM_appliance": "appliance", "VMSS": "snapshot schedule", "VM_group": "VM group"}  # what is not told by the name of its class
SHOWN = 12  # names an error tells


def told_names(text: str, names: t.Sequence[str]) -> str:
    """What could have been meant: those whose spelling comes near, and as many of all as one can read."""
    lower = {name.lower(): name for name in names}
    near = [repr(lower[found]) for found in difflib.get_close_matches(text.lower(), lower, n=3, cutoff=0.7)]
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    if near and len(names) > SHOWN:
        return meant.rstrip()
    return f"{meant}There are: {', '.join([*names[:SHOWN], *(['...'] if len(names) > SHOWN else [])])}."


def kind_of(cls: str, record: Record) -> str:
    """What a record of class VM is, with its article; "" for other classes."""
    if cls != "VM":
        return ""
    kinds = (("is_a_snapshot", "a snapshot"), ("is_a_template", "a template"), ("is_control_domain", "a control domain"))
    return next((told for field, told in kinds if record.get(field)), "a VM")


class Objects:
    """The pool's records by class and reference, each class read once when first asked for.

    mirror: what keeps them up to date, if it is not the session's.
    """

    def __init__(self, session: Session, mirror: Mirror | None = None):
        self.session = session
        self._tables: dict[str, dict[str, Record]] = {}
        self._mirror: Mirror | None = mirror or session.mirror

    def all(self, cls: str) -> dict[str, Record]:
        if cls not in self._tables:
            if self._mirror and not self._tables:
                self._mirror.catch_up()
            self._tables[cls] = self._mirror.table(cls) if self._mirror else read(self.session, cls)
        return self._tables[cls]

    def get(self, cls: str, ref: str) -> Record:
        """Raises NotFound: it vanished between two reads."""
        try:
            return self.all(cls)[ref]
        except KeyError:
            raise NotFound(f"{cls} {ref} is not there any more.") from None

    def take(self, other: Objects) -> None:
        """What another has read counts as read here."""
        self._tables.update(other._tables)

    def forget(self) -> None:
        """Read everything anew: something was changed."""
        self._tables.clear()

    def named(self, cls: str, text: str, among: t.Callable[[Record], bool] = lambda record: True) -> list[str]:
        """References whose uuid or name_label is text."""
        rows = self.all(cls).items()
        by_uuid = [ref for ref, record in rows if record["uuid"] == text and among(record)]
        return by_uuid or [ref for ref, record in rows if record.get("name_label") == text and among(record)]

    def resolve(self, cls: str, text: str, among: t.Callable[[Record], bool] = lambda record: True, *, what: str = "") -> str:
        """The one object of that name or uuid. what: the word for those that are meant, where not all of the class are.

        Raises NotFound (with the names that come near, or those there are), Ambiguous (with the candidates).
        """
        found = self.named(cls, text, among)
        what = what or WORDS.get(cls, cls)
        if not found:
            names = sorted({r["name_label"] for r in self.all(cls).values() if r.get("name_label") and among(r)})
            known = told_names(str(text), names) if names else f"The pool has no {what} at all."
            other = next((kind_of(cls, self.all(cls)[ref]) for ref in self.named(cls, text)), "")
            raise NotFound(f"No {what} is named {text!r} or has it as uuid{f': that is {other}' if other else ''}.", hint=known)
        if len(found) > 1:
            objects = f"{what}s" if what in (*WORDS.values(), "template", "snapshot") else f"objects of class {cls}"
            raise Ambiguous(
                f"{len(found)} {objects} are named {text!r}: {', '.join(self.all(cls)[r]['uuid'] for r in found)}.",
                hint="Tell them apart with the uuid.",
            )
        return found[0]

    def label(self, cls: str, ref: str) -> str:
        """The name if it is the only one of that name, else the uuid; "" for none."""
        if ref in ("", NULL) or ref not in self.all(cls):
            return ""
        record = self.all(cls)[ref]
        name = record.get("name_label") or ""
        return name if name and len(self.named(cls, name)) == 1 else t.cast(str, record["uuid"])

    def readable(self, text: str) -> str:
        """References in a message replaced by class and name, as far as they have been read."""

        def name(match: re.Match[str]) -> str:
            for cls, table in self._tables.items():
                if match.group() in table:
                    record = table[match.group()]
                    return f"{cls} {record.get('name_label') or record.get('device') or record['uuid']!r}"
            return match.group()

        return _REF.sub(name, text)
