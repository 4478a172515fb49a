# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All layers of all disks of a world, in one folder."""

from __future__ import annotations

import shutil
import threading
import typing as t
from collections import Counter
from urllib.parse import unquote

from .chain import Chain
from .node import Node

if t.TYPE_CHECKING:
    from pathlib import Path

DISKS = "disks"  # the folder's name


class Shelf:
    """Layers by name. ``parent`` is asked for the folder when it is needed first."""

    def __init__(self, parent: t.Callable[[], Path]) -> None:
        self._parent = parent
        self.lock = threading.RLock()  # held while something is written or merged
        self.written: Counter[str] = Counter()  # layers somebody has open for writing
        self.changes = 0  # how often layers got another name or place

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._parent() / DISKS

    def node(self, name: str) -> Node:
        """The layer of that name, with or without data."""
        return Node(self.folder, name)

    def chain(self, names: t.Sequence[str], size: int) -> Chain:
        """A disk made of these layers, the newest first."""
        return Chain([self.node(name) for name in names], size, self.lock)

    def names(self) -> set[str]:
        """Layers with data."""
        folder = self.folder
        return {unquote(path.stem) for path in folder.iterdir() if path.suffix in (".data", ".cbt")} if folder.exists() else set()

    def split(self, leaf: str, base: str) -> None:
        """What the leaf holds becomes the base; the leaf is empty and stands on it."""
        with self.lock:
            self.changes += 1
            self.node(leaf).become(base)

    def merge(self, child: str, base: str) -> None:
        """The base goes, what it held and the child did not is the child's."""
        with self.lock:
            self.changes += 1
            above, below = self.node(child), self.node(base)
            if child in self.written or above.count() >= below.count():
                above.take(below)
                below.remove()
            else:
                below.cover(above)
                below.become(child)

    def drop(self, name: str) -> None:
        """The layer goes with its data."""
        with self.lock:
            self.node(name).remove()

    def clear(self) -> None:
        """Nothing is left."""
        shutil.rmtree(self.folder, ignore_errors=True)
