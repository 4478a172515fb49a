# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of VMs: who is in them, how they are placed, and releases that know none."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

from .guest_lab import Guests

Run = t.Callable[..., t.Any]
APART = {"name": "apart", "placement": "anti_affinity", "vms": ["db2", "db1"]}


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(2)
    lab = Guests(sim, session_to(sim))
    for name in ("db1", "db2", "db3"):
        lab.vm(name)
    return lab


def test_a_group_has_exactly_its_vms(lab: Guests, converges: Run) -> None:
    done = converges("xen_vm_group", **APART, description="d")
    assert done["operations"] == ["VM_group.create", "VM.set_groups", "VM.set_groups"]
    assert done["vm_group"]["vms"] == ["db1", "db2"]
    done = converges("xen_vm_group", name="apart", vms=["db1", "db3"])
    assert done["operations"] == ["VM.set_groups", "VM.set_groups"]
    assert lab.named("db2")["groups"] == []
    assert converges("xen_vm_group", name="apart", vms=[])["vm_group"]["vms"] == []


def test_it_is_told_where_they_run(lab: Guests, run: Run) -> None:
    run("xen_vm_group", **APART)
    for name in ("db1", "db2"):
        lab.call("VM.start", lab.db.one("VM", name_label=name), False, False)
    (facts,) = run("xen_vm_group_info")["facts"].values()
    assert sorted(len(vms) for vms in facts["running_on"].values()) == [1, 1]


def test_the_placement_is_fixed(lab: Guests, run: Run) -> None:
    run("xen_vm_group", **APART)
    with pytest.raises(InvalidChange, match="placement of VM_group 'apart' is fixed"):
        run("xen_vm_group", name="apart", placement="normal")


def test_a_vm_is_in_one_group_at_most(lab: Guests, converges: Run, run: Run) -> None:
    run("xen_vm_group", **APART)
    with pytest.raises(InvalidChange, match=r"in another VM group already: 'db1 \(apart\)'"):
        run("xen_vm_group", name="other", vms=["db1"])
    converges("xen_vm_group", name="other", vms=["db1"], take_over=True)
    with pytest.raises(NotFound, match="No VM is named 'db9'"):
        run("xen_vm_group", name="other", vms=["db9"])


def test_its_vms_stay_when_it_goes(lab: Guests, converges: Run) -> None:
    converges("xen_vm_group", **APART)
    assert converges("xen_vm_group", name="apart", state="absent")["operations"] == ["VM_group.destroy"]
    assert lab.named("db1")["groups"] == []


def test_a_release_without_groups_says_so(simulator: Run, run: Run) -> None:
    simulator(1, release="xcp-ng-8.2")
    for module, options in (("xen_vm_group", APART), ("xen_vm_group_info", {})):
        with pytest.raises(InvalidChange, match=r"knows no VM groups\. They came with XenServer 8\.4"):
            run(module, **options)


@pytest.mark.parametrize("how", ["cut_before_change", "cut_after_change"])
def test_wherever_a_task_is_cut_off_it_ends_the_same(how: str, simulator: Run, session_to: Run, run: Run) -> None:
    for number in range(1, 4):
        sim = simulator(1)
        lab = Guests(sim, session_to(sim))
        for name in ("db1", "db2"):
            lab.vm(name)
        getattr(sim.faults, how)(number)
        with contextlib.suppress(XenError):
            run("xen_vm_group", **APART)
        sim.faults.clear()
        run("xen_vm_group", **APART)
        assert run("xen_vm_group", **APART)["changed"] is False
        assert len(lab.db.all("VM_group")) == 1
