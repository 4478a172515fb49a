# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Product releases by name (releases.yml)."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

import yaml

DEFAULT = "xcp-ng-8.3"


@functools.cache
def _table() -> dict[str, dict[str, t.Any]]:
    table: dict[str, dict[str, t.Any]] = yaml.safe_load(Path(__file__).with_name("releases.yml").read_text(encoding="utf-8"))
    table.pop("defaults")
    return {name: {**entry, "name": name} for name, entry in table.items()}


def names() -> list[str]:
    """All releases a site can name."""
    return list(_table())


def release(name: str) -> dict[str, t.Any]:
    """``software_version``, ``api_version``, ``model``, ``edition``, ``sm``, ``templates``, ``tools``, ``local_storage``.

    LookupError names the releases there are.
    """
    if name not in _table():
        raise LookupError(f"no release {name!r} (known: {', '.join(names())})")
    entry = _table()[name]
    return {**entry, "software_version": {k: str(v) for k, v in entry["software_version"].items()}}
