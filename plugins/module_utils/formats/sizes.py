# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes as people write and read them."""

from __future__ import annotations

import re
from decimal import Decimal

from ..errors import InvalidChange

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def size(text: str | int) -> int:
    """Bytes of "20 GiB", "512M", 1073741824: powers of 1024, whatever the spelling. Raises InvalidChange."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*", str(text), re.IGNORECASE)
    if not match:
        raise InvalidChange(f"{text!r} is not a size.", hint="Give bytes or a number with KiB, MiB, GiB, TiB.")
    return int(Decimal(match[1]) * UNITS[match[2].lower()])


def readable_size(size: int) -> str:
    """12884901888 as "12 GiB"."""
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.4g} {units[0]}"
