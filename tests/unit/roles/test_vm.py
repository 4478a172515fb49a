# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role vm on the pool that comes with the collection."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants

from .conftest import Site


@pytest.fixture
def lab(shipped: t.Callable[..., Site], tmp_path: Path) -> Site:
    """The pool, built; and the image its template is made from."""
    image = tmp_path / "cloud.raw"
    image.write_bytes(bytes(1 << 20))
    lab = shipped("homogeneous", template_build_image=str(image))
    ran = lab.run("pool_build")
    assert ran.code == 0, ran.output
    return lab


def guests(lab: Site) -> dict[str, dict[str, t.Any]]:
    with lab.sim.world.lock:
        rows = lab.sim.world.pools[0].db.all("VM").values()
        return {r["name_label"]: dict(r) for r in rows if not (r["is_a_template"] or r["is_a_snapshot"] or r["is_control_domain"])}


def test_the_vms_of_the_file_are_made_and_a_second_run_changes_nothing(lab: Site) -> None:
    first = lab.run("vms", "-vvv", "--diff")
    assert first.code == 0, first.output
    assert "postgresql" not in first.output.replace("/var/lib/postgresql", "")
    vms = guests(lab)
    assert {name: vm["power_state"] for name, vm in vms.items()} == {
        "db01": "Running", "web01": "Running", "web02": "Running", "build01": "Halted",
    }  # fmt: skip
    mark = lab.sim.mark()
    second = lab.run("vms")
    assert (second.code, second.changed) == (0, 0), second.output
    assert lab.sim.calls(mark) == []
    assert invariants.check(lab.sim.world) == []
