# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones of VMs and of their snapshots."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

if t.TYPE_CHECKING:
    from ansible_collections.domzero.xen.plugins.module_utils.client import Session

    from ..conftest import Run, Start

VM = {"name": "web01", "template": "Debian Bookworm 12", "sr": "vms", "disks": [{"size": "1 GiB"}], "memory": "2 GiB"}


@pytest.fixture(autouse=True)
def site(simulator: Start, run: Run) -> None:
    simulator("examples")
    run("xen_sr", name="vms", type="nfs", server="127.40.0.10", path="/export/vms")
    run("xen_sr", name="more", type="nfs", server="127.40.0.10", path="/export/more")
    run("xen_vm", **VM)


def test_a_fast_clone_shares_data_and_says_how_long_its_chain_is(converges: Run) -> None:
    done = converges("xen_vm_clone", name="web02", vm="web01", description="The second")
    assert (done["clone"], done["chain_length"], done["operations"][0]) == ("fast", 2, "VM.clone")
    assert (done["vm"]["description"], done["vm"]["memory_static_max"]) == ("The second", 2**31)


def test_a_full_clone_shares_nothing(converges: Run) -> None:
    done = converges("xen_vm_clone", name="web02", vm="web01", clone="full")
    assert (done["clone"], done["chain_length"], done["operations"][0]) == ("full", 1, "VM.copy")


def test_a_clone_in_another_sr_is_a_full_one(converges: Run, run: Run) -> None:
    done = converges("xen_vm_clone", name="web02", vm="web01", sr="more")
    assert done["clone"] == "full"
    assert done["vm"]["disks"][0]["sr"] == "more"
    with pytest.raises(InvalidChange, match="cannot be a fast clone in SR 'more'"):
        run("xen_vm_clone", name="web03", vm="web01", sr="more", clone="fast")


def test_a_running_vm_is_cloned_from_a_snapshot(converges: Run, run: Run, session: Session) -> None:
    run("xen_vm", name="web01", power_state="running")
    with pytest.raises(InvalidChange, match=r"cannot be made from VM 'web01' while that is running.*snapshot"):
        run("xen_vm_clone", name="web02", vm="web01")
    ((ref, _record),) = [(r, x) for r, x in session.call("VM.get_all_records").items() if x["name_label"] == "web01"]
    session.call("VM.snapshot", ref, "before", [])
    done = converges("xen_vm_clone", name="web02", vm="web01", snapshot="before")
    assert done["vm"]["power_state"] == "halted"
    assert not next(r for r in session.call("VM.get_all_records").values() if r["name_label"] == "web02")["is_a_template"]


def test_a_vm_that_is_there_is_left_as_it_is(converges: Run, run: Run) -> None:
    converges("xen_vm_clone", name="web02", vm="web01")
    assert run("xen_vm_clone", name="web02", vm="web01", description="other")["changed"] is False
