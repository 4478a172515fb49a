# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What snapshots take of their storage: computed, compared with the free space, and found again afterwards."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.resources.snapshot import cost
from ansible_collections.domzero.xen.tests.simulator.behaviours.sr_types import vhd

from .guest_lab import GIB, Guests
from .sr_lab import LAB

Run = t.Callable[..., t.Any]
THICK = {"name": "Thick", "type": "lvm", "device": "/dev/sdb", "host": "xcp00"}  # 100 GiB
THIN = {"name": "Thin", "type": "ext", "device": "/dev/sdb", "host": "xcp00"}


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(LAB)
    return Guests(sim, session_to(sim))


def big(lab: Guests, run: Run, sr: dict[str, str], size: int) -> str:
    run("xen_sr", **sr)
    vm = lab.vm("db")
    lab.attach(vm, lab.vdi("data", sr["name"], size), 0)
    return vm


@given(st.integers(1, 2040 << 9).map(lambda n: n * (2 << 20)))
def test_images_are_as_large_as_the_driver_makes_them(size: int) -> None:
    assert cost.empty(size) == vhd.metadata(size)
    assert cost.full(size) == vhd.round_up(vhd.full(size), vhd.EXTENT)
    assert cost.of_copy("lvmoiscsi", size, thick=True) > size > cost.of_copy("nfs", size, thick=False)


@pytest.mark.parametrize("sr", [THICK, THIN], ids=["thick", "thin"])
def test_the_cost_bounds_what_is_taken(lab: Guests, run: Run, sr: dict[str, str]) -> None:
    big(lab, run, sr, 10 * GIB)
    before = lab.used(sr["name"])
    predicted = run("xen_snapshot", vm="db", name="s", check=True)["cost"]
    done = run("xen_snapshot", vm="db", name="s")["cost"]
    assert predicted == done
    assert list(done) == [sr["name"]]
    assert 0 < lab.used(sr["name"]) - before <= done[sr["name"]]
    assert (done["Thick"] > 10 * GIB) if sr is THICK else (done["Thin"] < 1 << 20)


def test_what_does_not_fit_is_refused_before(lab: Guests, run: Run) -> None:
    big(lab, run, THICK, 60 * GIB)
    mark = lab.sim.mark()
    with pytest.raises(InvalidChange, match=r"needs up to 60\.\d+ GiB in SR 'Thick', where 39\.\d+ GiB are free\. .*thick.*ignore_disks"):
        run("xen_snapshot", vm="db", name="s")
    assert lab.sim.calls(mark) == []
    (told,) = run("xen_snapshot", vm="db", name="s", check_space=False, check=True)["warnings"]
    assert "needs up to 60" in told
    assert run("xen_snapshot", vm="db", name="s", ignore_disks=["data"])["cost"] == {}


def test_a_template_from_it_counts_too(lab: Guests, run: Run) -> None:
    big(lab, run, THICK, 40 * GIB)
    assert 40 * GIB < run("xen_snapshot", vm="db", name="s", check=True)["cost"]["Thick"] < 50 * GIB
    with pytest.raises(InvalidChange, match="needs up to 80"):
        run("xen_snapshot", vm="db", name="s", as_template="T")


def test_going_back_needs_space_for_the_clone(lab: Guests, run: Run) -> None:
    vm = big(lab, run, THICK, 60 * GIB)
    run("xen_snapshot", vm="db", name="s", check_space=False)
    with pytest.raises(InvalidChange, match="Going back to snapshot 's' needs up to 60"):
        run("xen_snapshot", vm="db", name="s", state="reverted")
    assert lab.disks(vm) == {"0": "data"}


def test_going_back_takes_no_more_than_was_said(lab: Guests, run: Run) -> None:
    big(lab, run, THICK, 30 * GIB)
    run("xen_snapshot", vm="db", name="s")
    before = lab.used("Thick")
    done = run("xen_snapshot", vm="db", name="s", state="reverted")
    assert lab.used("Thick") - before <= done["cost"]["Thick"]


def test_memory_counts_where_it_is_kept(lab: Guests, run: Run) -> None:
    run("xen_sr", **THICK)
    run("xen_sr", name="Memory", type="ext", device="/dev/sdc", host="xcp00")
    run("xen_pool", suspend_image_sr="Memory")
    vm = lab.vm("db", "root", sr="Thick")
    lab.call("VM.start_on", vm, lab.db.one("host", name_label="xcp00"), False, False)
    lab.sim.world.clock.sleep(60)
    told = run("xen_snapshot", vm="db", name="s", kind="memory", check=True)["cost"]
    assert set(told) == {"Thick", "Memory"}
    assert told["Memory"] == lab.record(vm)["memory_static_max"]
    run("xen_pool", suspend_image_sr="Thick")
    before, told = lab.used("Thick"), run("xen_snapshot", vm="db", name="s", kind="memory")["cost"]
    assert lab.used("Thick") - before <= told["Thick"]


def test_a_thin_sr_that_is_nearly_full_is_warned_of(lab: Guests, run: Run) -> None:
    big(lab, run, THIN, 10 * GIB)
    sr = lab.sr("Thin")
    lab.db.set("SR", sr, physical_utilisation=int(lab.record(sr, "SR")["physical_size"] * 0.95))
    (told,) = run("xen_snapshot", vm="db", name="s", check=True)["warnings"]
    assert told.startswith("SR 'Thin' is nearly full")
