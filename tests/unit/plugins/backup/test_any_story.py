# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to a repository in whatever order: what is good stays good, what was damaged is never called good."""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Backup, Subject
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

from .killed import dies_at
from .shelf import NOON, add, vm


class Story:
    """One repository and what was done to it. sound: stamps with what nobody touched; spoilt: what was."""

    def __init__(self, root: Path, seed: int):
        self.root, self.dice, self.log = root, random.Random(seed), list[str]()
        self.spoilt: set[str] = set()

    @property
    def subject(self) -> Subject:
        return vm(self.root)

    def any(self) -> Backup | None:
        backups = self.subject.backups()
        return self.dice.choice(backups) if backups else None

    def run(self, steps: int) -> None:
        for _step in range(steps):
            before = {b.stamp: b.manifest.id for b in self.subject.backups() if b.usable() and b.manifest}
            action = self.dice.choice([self.backup, self.backup, self.killed, self.flip, self.cut, self.lose, self.prune, self.judge])
            gone = action() or set()
            self.check(before, gone)

    def check(self, before: t.Mapping[str, str], gone: set[str]) -> None:
        after = self.subject.backups()
        self.spoilt &= {b.stamp for b in after}  # the stamp of one that is gone may be that of another
        numbers = [b.manifest.number for b in after if b.manifest]
        assert numbers == sorted(set(numbers)), self.log
        for backup in after:
            chain = {one.stamp for one in backup.chain()} if backup.usable() else set()
            assert not chain & self.spoilt, (self.log, backup.stamp)
        there = {b.stamp: b for b in after}
        for stamp, identity in before.items():
            if stamp not in gone:
                kept = there[stamp].manifest
                assert kept and kept.id == identity, self.log
                assert there[stamp].usable() or self.builds_on_spoilt(there, stamp), (self.log, there[stamp].problem)

    def builds_on_spoilt(self, there: t.Mapping[str, Backup], stamp: str) -> bool:
        while stamp in there and stamp not in self.spoilt:
            known = there[stamp].manifest
            stamp = known.parent if known else ""
        return stamp in self.spoilt or bool(stamp)

    def _backup(self, now: float, whole: bool) -> None:
        subject = self.subject
        with subject.lock("backup"):
            subject.tidy()
            add(subject, parent=None if whole else subject.newest(), now=now)

    def backup(self) -> None:
        self._backup(NOON + self.dice.choice([-5000, 0, 1, 2, 3, 10**6]), self.dice.random() < 0.3)
        self.log.append("backup")

    def killed(self) -> set[str]:
        newest = [b for b in self.subject.backups() if not b.children()][-1:]
        works = [functools.partial(self._backup, NOON, False), functools.partial(self._remove, [b.stamp for b in newest])]
        number = self.dice.randrange(2)
        dies_at(self.dice.randrange(60), works[number])
        self.log.append(f"killed while {('backing up', 'removing')[number]}")
        return {b.stamp for b in newest} if number else set()

    def _remove(self, stamps: list[str]) -> None:
        subject = self.subject
        with subject.lock("prune"):
            for backup in subject.backups():
                if backup.stamp in stamps:
                    backup.remove()

    def prune(self) -> set[str]:
        chosen = self.any()
        if chosen is None:
            return set()
        self.log.append(f"remove {chosen.stamp}")
        if chosen.children():
            with pytest.raises(InvalidChange, match="builds on it"):
                self._remove([chosen.stamp])
            return set()
        self._remove([chosen.stamp])
        return {chosen.stamp}

    def _spoil(self, what: str, change: t.Callable[[Path], object], names: t.Sequence[str]) -> set[str]:
        chosen = self.any()
        path = chosen.path / self.dice.choice(names) if chosen else None
        if chosen is None or path is None or not path.exists() or not path.stat().st_size:
            return set()
        change(path)
        self.log.append(f"{what} {path.relative_to(chosen.path.parent)}")
        self.spoilt.add(chosen.stamp)
        return {chosen.stamp}

    def flip(self) -> set[str]:
        def change(path: Path) -> None:
            data = bytearray(path.read_bytes())
            data[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)
            path.write_bytes(data)

        return self._spoil("flip", change, ["manifest.json", "verified.json"])

    def cut(self) -> set[str]:
        return self._spoil("cut", lambda path: path.write_bytes(path.read_bytes()[:-1]), ["manifest.json", "verified.json", "disk0.vhd"])

    def lose(self) -> set[str]:
        return self._spoil("lose", lambda path: path.unlink(), ["disk0.vhd"])

    def judge(self) -> set[str]:
        chosen = self.any()
        if chosen is None or chosen.manifest is None:
            return set()
        ok = self.dice.random() < 0.6 and not chosen.damage
        with chosen.subject.lock("verify", shared=True):
            chosen.judge(Verdict("2026-11-21T22:58:09Z", "checksum", ok, "" if ok else "It is not what was written."))
        if ok:
            self.spoilt.discard(chosen.stamp)
        else:
            self.spoilt.add(chosen.stamp)
        self.log.append(f"judge {chosen.stamp} {ok}")
        return {chosen.stamp}


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(100, 160), marks=pytest.mark.slow)], ids=["some", "many"])
def test_whatever_happens_good_ones_stay_and_bad_ones_are_known(seeds: range, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    for seed in seeds:
        root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
        try:
            Story(root, seed).run(25)
        finally:
            shutil.rmtree(root)
