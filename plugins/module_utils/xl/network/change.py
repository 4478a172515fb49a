# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of a host's network as a value: files and commands, there and back."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..tool import typed
from .device import Live
from .taking import Noted

IFUPDOWN, NETWORKD = "ifupdown", "networkd"


@dataclass(frozen=True)
class Command:
    """must: the change is taken back if it fails."""

    argv: tuple[str, ...]
    must: bool = True

    def __str__(self) -> str:
        return typed(self.argv)


def must(*argv: str) -> Command:
    return Command(argv)


def may(*argv: str) -> Command:
    """One that may fail: what it does has often happened already."""
    return Command(argv, must=False)


@dataclass(frozen=True)
class Facts:
    """What was read of the host.

    manager: ifupdown or networkd. texts: the configuration files there are, by path, ours and those of others. active: which of our
    units (and systemd-networkd.service) run. sysctl: present values of kernel settings.
    """

    manager: str
    live: Live
    noted: Noted = field(default_factory=Noted)
    texts: t.Mapping[str, str] = field(default_factory=dict)
    active: frozenset[str] = frozenset()
    sysctl: t.Mapping[str, str] = field(default_factory=dict)


@dataclass
class Change:
    """files: text by path, None for one that goes. The commands are run in the order: stop, files, start; taken back by undo_stop, files,
    undo_start. verify: what has to be so afterwards, as (device, address), ("" for any address)."""

    files: dict[str, str | None] = field(default_factory=dict)
    stop: list[Command] = field(default_factory=list)
    start: list[Command] = field(default_factory=list)
    undo_stop: list[Command] = field(default_factory=list)
    undo_start: list[Command] = field(default_factory=list)
    verify: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.files or self.stop or self.start)

    @property
    def commands(self) -> list[str]:
        return [str(one) for one in (*self.stop, *self.start)]
