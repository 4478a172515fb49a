# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How fast something long goes, and how long it will still take, in words."""

from __future__ import annotations

import time
import typing as t

from .formats.sizes import readable_size


class Pace:
    """Of several long calls, by name."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic):
        self._clock = clock
        self._began: dict[str, tuple[float, float, int]] = {}  # when it was first heard of, how far it was then, bytes

    def told(self, what: str, share: float, moved: int = 0) -> str:
        """Such as "40%, 45 MiB/s, 2 min left". share: from 0 to 1; moved: bytes so far, 0 where none are counted."""
        now = self._clock()
        if what not in self._began or share < self._began[what][1]:
            self._began[what] = (now, share, moved)
        began, first, before = self._began[what]
        words, seconds = [f"{share:.0%}"], now - began
        if seconds > 0 and moved > before:
            words.append(f"{readable_size(int((moved - before) / seconds))}/s")
        if seconds > 0 and first < share < 1:
            words.append(f"{duration(seconds * (1 - share) / (share - first))} left")
        return ", ".join(words)


def duration(seconds: float) -> str:
    """75 as "1 min 15 s", 7500 as "2 h 5 min"."""
    whole = int(seconds + 0.5)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
