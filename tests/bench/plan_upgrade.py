# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts plan-upgrade of this checkout, wherever it lies: nothing but Python's standard library has to be installed."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.domzero.xen"


def main() -> int:
    """The checkout is the collection, as if it were installed."""
    parts = COLLECTION.split(".")
    for count in range(1, len(parts) + 1):
        package = types.ModuleType(".".join(parts[:count]))
        package.__path__ = [str(CHECKOUT)] if count == len(parts) else []
        sys.modules[package.__name__] = package
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    return int(importlib.import_module(f"{COLLECTION}.tests.bench.upgrades.command").main())


if __name__ == "__main__":
    sys.exit(main())
