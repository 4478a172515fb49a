# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of simulated pools."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible.inventory.data import InventoryData

from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .inventory_lab import parsed

Populate = t.Callable[..., InventoryData]


@pytest.fixture
def config(tmp_path: Path) -> t.Callable[..., Path]:
    """A configuration file; to the simulators given, one pool each, or with a connection of its own."""

    def write(*sims: InProcess, name: str = "lab.xen.yml", **options: t.Any) -> Path:
        reached = [
            {"hostname": s.hosts[0].url, "password": s.password, "fingerprint": [h.fingerprint_sha256 for h in s.hosts]} for s in sims
        ]
        where: dict[str, t.Any] = {"pools": reached} if len(reached) > 1 else reached[0] if reached else {}
        path = tmp_path / name
        path.write_text(json.dumps({"plugin": "domzero.xen.xen", **where, **options}))
        return path

    return write


@pytest.fixture
def inventory(config: t.Callable[..., Path]) -> Populate:
    """inventory(simulator, objects="both"): the inventory. Raises AnsibleParserError."""

    def populate(*sims: InProcess, cache: bool = True, **options: t.Any) -> InventoryData:
        return parsed(config(*sims, **options), cache=cache)

    return populate
