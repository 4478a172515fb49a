# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How old the newest backup may be."""

from __future__ import annotations

import re
import time

from ...backup.names import moment
from ...errors import InvalidChange

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds(text: str) -> int:
    """Of "20h", "90m" or "1d12h". Raises InvalidChange."""
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise InvalidChange(f"if_older_than {text!r} is no length of time.", hint="Say it with s, m, h, d or w, such as 20h or 1d12h.")
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))


def is_due(created: str, limit: str | None, now: float | None = None) -> bool:
    """Whether one more backup is wanted. created: of the newest one, "" for none; one from the future tells nothing."""
    if not limit:
        return True
    allowed = seconds(limit)
    if not created:
        return True
    passed = (time.time() if now is None else now) - moment(created).timestamp()
    return not 0 <= passed < allowed
