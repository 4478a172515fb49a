# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of a domain, its backups, and the link that starts it with the host."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import typing as t

from ...errors import InvalidChange
from ..cfg import Cfg
from ..step import Step
from .reading import write

PRIVATE = 0o600  # a file can hold passwords of displays
SECRET = re.compile(r"""((?:vncpasswd|spicepasswd)\s*\+?=\s*)("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^,\n]*?(?=["']?\s*(?:[],;\n]|$)))""")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the file of a domain is. Attributes: folder (config_dir), name."""

    folder: str
    name: str

    @property
    def path(self) -> str:
        return os.path.join(self.folder, f"{self.name}.cfg")

    @property
    def auto(self) -> str:
        return os.path.join(self.folder, "auto")

    @property
    def mark(self) -> str:
        """The file that says what a restart is to bring back, until it has."""
        return os.path.join(self.folder, f".{self.name}.restart")

    def cut(self) -> str:
        """What a restart that was cut off was to bring back: "running" or "paused"; "" where there was none. OSError."""
        if not os.path.isfile(self.mark):
            return ""
        with open(self.mark, encoding="utf-8", errors="replace") as file:
            return "paused" if file.read().strip() == "paused" else "running"

    def text(self) -> str | None:
        """What is in it; None without one."""
        return str(Cfg.read(self.path)) if os.path.isfile(self.path) else None

    def links(self) -> list[str]:
        """The links (and copies) by which xendomains starts it."""
        found = []
        for entry in sorted(os.listdir(self.auto)) if os.path.isdir(self.auto) else []:
            path = os.path.join(self.auto, entry)
            leads = os.path.normpath(os.path.join(self.auto, os.readlink(path))) if os.path.islink(path) else ""
            if leads == os.path.normpath(self.path) or entry in (self.name, f"{self.name}.cfg"):
                found.append(path)
        return found


def backup_of(path: str, text: str) -> tuple[str, bool]:
    """Where the text is kept: NAME.cfg.~N~, the next number; and whether it is there already, as after a run that was cut."""
    folder, base = os.path.split(path)
    taken = {}
    for entry in os.listdir(folder):
        match = re.fullmatch(re.escape(base) + r"\.~(\d+)~", entry)
        if match:
            taken[int(match[1])] = os.path.join(folder, entry)
    last = max(taken, default=0)
    if last:
        with open(taken[last], encoding="utf-8", errors="surrogateescape", newline="") as file:
            if file.read() == text:
                return taken[last], True
    return f"{path}.~{last + 1}~", False


def kept(path: str, text: str | None, backup: bool) -> tuple[list[Step], str]:
    """The steps that keep the earlier text, and where it is then."""
    if text is None or not backup:
        return [], ""
    where, there = backup_of(path, text)
    return [] if there else [Step(("cp", "-p", path, where), f"keep the earlier {path}")], where


def written(place: Place, before: str | None, after: str, backup: bool) -> tuple[list[Step], str]:
    """The steps that make it the file's text, and where the earlier one is kept."""
    if before == after:
        return [], ""
    steps, where = kept(place.path, before, backup)
    folder = [] if os.path.isdir(place.folder) else [Step(("mkdir", "-p", place.folder), f"make {place.folder}")]
    mode = stat.S_IMODE(os.stat(place.path).st_mode) if before is not None else PRIVATE
    return [*folder, *steps, Step(("write", place.path), f"write {place.path}", run=lambda: write(place.path, after, mode))], where


def kept_in(path: str, other: str) -> bool:
    """Whether a file has the same text as another, which it is not."""
    return not os.path.samefile(path, other) and str(Cfg.read(path)) == str(Cfg.read(other))


def linked(place: Place, autostart: bool | None) -> list[Step]:
    """The link, made or taken away; None leaves it. Raises InvalidChange for a file in its place that is nowhere else."""
    links = place.links()
    for path in links if autostart is False else []:
        if not os.path.islink(path) and not (os.path.isfile(place.path) and kept_in(place.path, path)):
            raise InvalidChange(f"{path} is no link, but a file of its own; it is not removed.", hint=f"Move it to {place.path}.")
    if autostart and not links:
        folder = [] if os.path.isdir(place.auto) else [Step(("mkdir", "-p", place.auto), f"make {place.auto}")]
        link = os.path.join(place.auto, f"{place.name}.cfg")
        return [*folder, Step(("ln", "-s", place.path, link), f"{place.name} starts with the host")]
    return [Step(("rm", link), f"{place.name} does not start with the host") for link in links] if autostart is False else []


def marked(place: Place, state: str) -> Step:
    """A run that is cut off, or a start that fails, leaves word of what ran before."""
    return Step(("write", place.mark), f"note that {place.name} was {state}", run=lambda: write(place.mark, f"{state}\n", PRIVATE))


def unmarked(place: Place) -> Step:
    return Step(("rm", place.mark), f"the restart of {place.name} is over")


def removed(place: Place, before: str | None, backup: bool) -> tuple[list[Step], str]:
    if before is None:
        return [], ""
    steps, where = kept(place.path, before, backup)
    return [*steps, Step(("rm", place.path), f"remove {place.path}")], where


def shown(text: str | None) -> str:
    """A file as a difference tells it, without passwords."""
    return SECRET.sub(r"\1********", text or "")


def difference(place: Place, before: str | None, after: str | None) -> dict[str, t.Any]:
    return {"before_header": place.path, "after_header": place.path, "before": shown(before), "after": shown(after)}
