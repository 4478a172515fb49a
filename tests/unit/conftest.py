# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from ansible.plugins.loader import init_plugin_loader

# Before anything of the collection is imported: pytest-ansible installs Ansible's importer after the first conftest files were
# read, and what was imported past it cannot be imported from afterwards.
init_plugin_loader()

FEW = 9  # a sweep of so many cases is run whole


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of long sweeps (one case for each call that may be cut) every tenth case is run, unless SWEEP=whole or some are named.

    What is marked slow(whole=True) is always run whole.
    """
    if os.environ.get("SWEEP") == "whole" or config.getoption("keyword"):
        return
    sweeps: dict[str, list[pytest.Item]] = {}
    for item in items:
        mark = item.get_closest_marker("slow")
        if mark and not mark.kwargs.get("whole") and isinstance(item, pytest.Function) and not any("::" in a for a in config.args):
            sweeps.setdefault(f"{item.path}::{item.originalname}", []).append(item)
    left_out = {item for sweep in sweeps.values() if len(sweep) > FEW for place, item in enumerate(sweep) if place % 10}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]
