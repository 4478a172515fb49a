# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backups of one thing as they were when they were listed, and how they build on each other."""

from __future__ import annotations

import typing as t
from collections import defaultdict

from ..formats.compression import Damaged

if t.TYPE_CHECKING:
    from .stored import Backup


class Listing:
    """generation: of the subject when it was made; another one now means that something was changed since."""

    def __init__(self, generation: int):
        self.generation = generation
        self._by_stamp: dict[str, Backup] = {}
        self._children: dict[str, list[Backup]] | None = None
        self._problems: dict[str, str] = {}
        self._depths: dict[str, int] = {}

    def add(self, backup: Backup) -> None:
        self._by_stamp[backup.stamp] = backup
        self.changed()

    def forget(self, stamp: str) -> None:
        """It was removed."""
        self._by_stamp.pop(stamp, None)
        self.changed()

    def changed(self) -> None:
        """A manifest or a verdict is another one."""
        self._children = None
        self._problems.clear()
        self._depths.clear()

    def get(self, stamp: str) -> Backup | None:
        return self._by_stamp.get(stamp)

    def ordered(self) -> list[Backup]:
        """By number, oldest first; one whose manifest cannot be read stands where its stamp would."""
        known = [(b.stamp, b.manifest.number) for b in self._by_stamp.values() if b.manifest]

        def place(backup: Backup) -> tuple[int, int, str]:
            if backup.manifest:
                return backup.manifest.number, 0, backup.stamp
            return max((number for stamp, number in known if stamp < backup.stamp), default=0), 1, backup.stamp

        return sorted(self._by_stamp.values(), key=place)

    def next_number(self) -> int:
        """Above that of every one there is; one that cannot be read had one, too."""
        lost = sum(backup.manifest is None for backup in self._by_stamp.values())
        return 1 + lost + max((b.manifest.number for b in self._by_stamp.values() if b.manifest), default=0)

    def parents(self) -> set[str]:
        """Stamps of what others build on, be it there or not."""
        return {backup.manifest.parent for backup in self._by_stamp.values() if backup.manifest and backup.manifest.parent}

    def children(self, stamp: str) -> list[Backup]:
        """What builds on it directly."""
        if self._children is None:
            self._children = defaultdict(list)
            for backup in self.ordered():
                if backup.manifest and backup.manifest.parent:
                    self._children[backup.manifest.parent].append(backup)
        return list(self._children.get(stamp, []))

    def parent(self, backup: Backup) -> Backup | None:
        return self._by_stamp.get(backup.manifest.parent) if backup.manifest and backup.manifest.parent else None

    def chain(self, backup: Backup) -> list[Backup]:
        """Itself first, then what it builds on; verdicts are not asked. Raises Damaged where it is broken."""
        found = [backup]
        while True:
            problem = found[-1].damage or self.link(found[-1])
            if problem:
                raise Damaged(f"{backup.path} cannot be used: {'' if len(found) == 1 else f'it builds on {found[-1].stamp}: '}{problem}")
            parent = self.parent(found[-1])
            if parent is None:
                return found
            found.append(parent)

    def link(self, backup: Backup) -> str:
        """What is wrong between a backup and its parent."""
        manifest, parent = backup.manifest, self.parent(backup)
        if manifest is None or not manifest.parent:
            return ""
        if parent is None:
            return f"The backup {manifest.parent} it builds on is not there."
        if parent.manifest is None:
            return ""  # its own problem
        if parent.manifest.number >= manifest.number:
            return f"The backup {manifest.parent} it builds on is no older one."
        if not {disk.parent_vhd for disk in manifest.disks} <= {"", *(disk.vhd for disk in parent.manifest.disks)}:
            return f"The backup {manifest.parent} is not the one it was built on."
        return ""

    def problem(self, backup: Backup) -> str:
        """Why it cannot be used, by itself or for what it builds on. All together look at each backup once."""
        known, way = self._problems, [backup]
        while way[-1].stamp not in known:
            last = way[-1]
            own, parent = last.own_problem or self.link(last), self.parent(last)
            if own or parent is None:
                known[last.stamp] = own
            else:
                way.append(parent)
        for parent, child in zip(way[:0:-1], way[-2::-1]):
            text = known[parent.stamp]
            known[child.stamp] = text if not text or text.startswith("It builds on ") else f"It builds on {parent.stamp}: {text}"
        return known[backup.stamp]

    def depth(self, backup: Backup) -> int:
        """How many backups it consists of; 0 where the chain is broken."""
        way = [backup]
        while way[-1].stamp not in self._depths:
            last = way[-1]
            broken, parent = last.damage or self.link(last), self.parent(last)
            if broken or parent is None:
                self._depths[last.stamp] = 0 if broken else 1
            else:
                way.append(parent)
        for parent, child in zip(way[:0:-1], way[-2::-1]):
            above = self._depths[parent.stamp]
            self._depths[child.stamp] = above and above + 1
        return self._depths[backup.stamp]

    def problems(self) -> dict[str, str]:
        """Of each, by its stamp."""
        return {backup.stamp: self.problem(backup) for backup in self._by_stamp.values()}
