# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail for every source file that doesn't name its licence in its first lines."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT, files

LINE = "SPDX-License-Identifier: GPL-3.0-or-later"
# what can't carry a comment, is text for people, or is written by a tool; LICENSE covers it
EXEMPT_SUFFIXES = {".json", ".jsonl", ".md", ".rst", ".xml", ".gz", ".pem"}
EXEMPT_FOLDERS = ("tests/data/xl/outputs/", "tests/data/xl/lab/")  # recorded word for word
EXEMPT_NAMES = {"LICENSE", "changelog.yaml", ".gitignore"}


def is_exempt(name: Path) -> bool:
    if str(name).startswith(EXEMPT_FOLDERS):
        return True
    return name.name in EXEMPT_NAMES or name.suffix in EXEMPT_SUFFIXES or not (CHECKOUT / name).stat().st_size


def head(name: Path) -> str:
    return (CHECKOUT / name).read_bytes()[:600].decode(errors="replace")


if __name__ == "__main__":
    without = [name for name in files() if not is_exempt(name) and LINE not in head(name)]
    for name in without:
        print(f"{name}: no line '{LINE}' at its top")
    sys.exit(bool(without))
