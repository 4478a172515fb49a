# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of templates, and that it can be handed back."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .info_lab import world_of

Run = Start = t.Callable[..., t.Any]
DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))


def handed_back_changes_nothing(sim: t.Any, run: Run) -> int:
    listed = run("xen_template_info")["templates"]
    mark = sim.mark()
    for template in listed:
        done = run("xen_template", **template)
        assert (done["changed"], done["operations"]) == (False, []), template["name"]
        assert done["template"] == template
    assert sim.calls(mark) == []
    return len(listed)


def test_every_stock_template_can_be_handed_back(simulator: Start, run: Run) -> None:
    assert handed_back_changes_nothing(simulator(1), run) == 56


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_every_template_of_a_real_pool_can_be_handed_back(simulator: Start, run: Run, path: t.Any) -> None:
    world = world_of(path)
    assert handed_back_changes_nothing(simulator(world), run) > 50
