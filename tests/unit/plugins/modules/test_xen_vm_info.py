# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of VMs is what their module takes."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .info_lab import world_of

if t.TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Run, Start

DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
DEBIAN = "Debian Bookworm 12"


def test_what_info_tells_can_be_handed_back(converges: Run, run: Run) -> None:
    converges("xen_vm", name="web01", template=DEBIAN, custom_fields={"owner": "ops"}, auto_poweron=True, other_config={"a": "b"})
    for told in run("xen_vm_info")["vms"]:
        assert run("xen_vm", **told)["changed"] is False


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_every_vm_of_a_real_pool_can_be_handed_back(simulator: Start, run: Run, path: Path) -> None:
    world = world_of(path)
    sim = simulator(world)
    told = run("xen_vm_info")
    assert set(told["facts"]) == {vm["uuid"] for vm in told["vms"]}
    assert told["vms"]
    mark = sim.mark()
    for vm in told["vms"]:
        done = run("xen_vm", **vm)
        assert (done["changed"], done["operations"], done["vm"]) == (False, [], vm), vm["name"]
    assert sim.calls(mark) == []
