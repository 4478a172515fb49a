# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all checks before an upgrade look at, and how they tell what they find."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import hosts
from ..refs import Objects, Record
from .journal import Note

SHOWN = 8  # names a sentence tells


class Finding(t.NamedTuple):
    """bad: it is to be mended before; text: what it is; remedy: what to do, or what becomes of it."""

    bad: bool
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".rstrip()


Findings = t.Iterator[Finding]


@dataclass(frozen=True)
class Look:
    """The pool, read once. only: references of the hosts that are to be upgraded; note: of an upgrade that goes on; options: the task's."""

    objects: Objects
    only: frozenset[str]
    note: Note | None
    options: Record

    @property
    def resumes(self) -> bool:
        """Whether an earlier run may have left things under way."""
        return self.note is not None

    @property
    def pool(self) -> Record:
        """The pool's record."""
        return hosts.pool_of(self.objects)[1]

    def host(self, ref: str) -> str:
        """Its name, in quotes."""
        return repr(hosts.name_of(self.objects, ref))

    def by_name(self) -> list[str]:
        """References of all hosts."""
        return sorted(self.objects.all("host"), key=self.host)


def listed(names: t.Iterable[str]) -> str:
    """Names in a sentence, not more than one can read."""
    known = sorted(set(names))
    more = [f"and {len(known) - SHOWN} more"] if len(known) > SHOWN else []
    return ", ".join([*map(repr, known[:SHOWN]), *more])


def vms(names: t.Iterable[str], one: str, many: str) -> str:
    """ "VM 'a' is" or "VMs 'a', 'b' are"."""
    known = set(names)
    return f"VM {listed(known)} {one}" if len(known) == 1 else f"VMs {listed(known)} {many}"
