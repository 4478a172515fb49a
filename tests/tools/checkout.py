# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the checkout is and which files belong to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def files() -> list[Path]:
    """The files git knows or would add, relative to the checkout, without those deleted but still in the index."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    names = sorted({Path(name) for name in listing.stdout.split("\0") if name})
    return [name for name in names if (CHECKOUT / name).is_file()]
