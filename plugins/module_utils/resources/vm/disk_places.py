# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which disk of a VM an entry of the option disks means. Knows positions and names only."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...errors import Ambiguous, InvalidChange


@dataclass(frozen=True)
class Have:
    """A disk there is: its position, name, and the uuids it has and had."""

    position: int
    name: str
    uuids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Entry:
    """What an entry says of which disk it means; uuid: of the disk that its option vdi names."""

    position: int | None = None
    name: str | None = None
    uuid: str = ""


def places(
    entries: t.Sequence[Entry], have: t.Sequence[Have], drives: t.Collection[int], label: str, *, making: bool
) -> list[tuple[int, int | None]]:  # fmt: skip
    """For each entry the position it is to have, and that of the disk it means (None: a new one).

    An entry means the disk that its vdi names, else the one disk that has its name, else the one at its position. One that says neither
    name nor position means the next disk that no other entry means; so does one of a VM that is being made from a template. Any other
    is new, in the first free place. drives: positions of drives that are no disks of its own. Raises Ambiguous, InvalidChange.
    """
    there = {disk.position: disk for disk in have}
    means = [_known(entry, have, label) for entry in entries]
    for n, entry in enumerate(entries):
        if means[n] is None and entry.position in there and entry.position not in means:
            means[n] = entry.position
    chosen = [entry.position if entry.position is not None else means[n] for n, entry in enumerate(entries)]
    for n, entry in enumerate(entries):
        if chosen[n] is not None:
            continue
        next_disk = making or not (entry.name or entry.uuid)
        taken = {*drives, *(p for p in chosen if p is not None), *(() if next_disk else there)}
        chosen[n] = place = next(p for p in range(len(taken) + 1) if p not in taken)
        means[n] = place if place in there and place not in means else None
    _refuse_clash(t.cast("list[int]", chosen), means, drives, label)
    _refuse_occupied(t.cast("list[int]", chosen), means, there, label)
    return list(zip(t.cast("list[int]", chosen), means))


def _known(entry: Entry, have: t.Sequence[Have], label: str) -> int | None:
    if entry.uuid:
        return next((disk.position for disk in have if entry.uuid in disk.uuids), None)
    named = [disk.position for disk in have if entry.name and disk.name == entry.name]
    if len(named) > 1 and entry.position not in named:
        raise Ambiguous(
            f"VM {label!r} has {len(named)} disks named {entry.name!r}, at {_list(named)}.", hint="Tell them apart with position."
        )
    if len(named) > 1:
        return entry.position
    return named[0] if named else None


def _refuse_clash(chosen: list[int], means: list[int | None], drives: t.Collection[int], label: str) -> None:
    for n, place in enumerate(chosen):
        if place in chosen[:n]:
            raise InvalidChange(f"Two disks of VM {label!r} are to be at position {place}.", hint="Give each a position of its own.")
        if place in drives:
            raise InvalidChange(f"Position {place} of VM {label!r} is that of a CD or config drive.", hint="Take another position.")
        if means[n] is not None and means[n] in means[:n]:
            raise InvalidChange(f"Two entries of disks mean the disk at position {means[n]} of VM {label!r}.")


def _refuse_occupied(chosen: list[int], means: list[int | None], there: t.Mapping[int, Have], label: str) -> None:
    for place in chosen:
        if place in there and place not in means:
            raise InvalidChange(
                f"Disk {there[place].name!r} is at position {place} of VM {label!r}, where the task wants another one.",
                hint="Give it another position, or leave the position out.",
            )


def _list(numbers: t.Iterable[int]) -> str:
    return " and ".join(str(n) for n in sorted(numbers))
