# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs: made, changed, started, removed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

if t.TYPE_CHECKING:
    from ansible_collections.domzero.xen.plugins.module_utils.client import Session
    from ansible_collections.domzero.xen.tests.simulator.running import InProcess

    from ..conftest import Run

    Pool = t.Callable[[], InProcess]

DEBIAN = "Debian Bookworm 12"


def vm(session: Session, name: str) -> dict[str, t.Any]:
    ((_ref, record),) = [(r, x) for r, x in session.call("VM.get_all_records").items() if x["name_label"] == name]
    return t.cast("dict[str, t.Any]", record)


def test_a_vm_is_made_from_a_template(converges: Run, session: Session) -> None:
    done = converges("xen_vm", name="web01", template=DEBIAN, description="Front end", tags=["web"], folder="/web")
    assert done["changed"]
    assert done["operations"][0] == "VM.clone"
    assert done["operations"][-1] == "VM.set_name_label"
    record = vm(session, "web01")
    assert (record["is_a_template"], record["power_state"], record["tags"]) == (False, "Halted", ["web"])
    assert record["other_config"]["folder"] == "/web"
    assert "disks" not in record["other_config"]


def test_a_new_vm_needs_a_source(run: Run) -> None:
    with pytest.raises(InvalidChange, match="does not say what to make it from"):
        run("xen_vm", name="web01")


def test_a_template_that_is_not_there_is_named_with_those_that_are(run: Run) -> None:
    with pytest.raises(NotFound, match="No template is named 'Debian 1'"):
        run("xen_vm", name="web01", template="Debian 1")


def test_a_vm_is_started_and_halted(converges: Run, run: Run, session: Session) -> None:
    converges("xen_vm", name="web01", template="Other install media", power_state="running")
    assert vm(session, "web01")["power_state"] == "Running"
    run("xen_vm", name="web01", power_state="paused")
    assert vm(session, "web01")["power_state"] == "Paused"
    with pytest.raises(InvalidChange, match="switch VM 'web01' off, which is paused"):
        run("xen_vm", name="web01", power_state="halted")
    done = run("xen_vm", name="web01", power_state="running")
    assert done["operations"] == ["VM.unpause"]


def test_a_vm_without_tools_is_switched_off_only_when_the_task_allows_it(converges: Run, run: Run) -> None:
    data = {"vm-data/sim-agent": "none"}
    converges("xen_vm", name="web01", template="Other install media", power_state="running", xenstore_data=data)
    with pytest.raises(InvalidChange, match="cannot be shut down cleanly"):
        run("xen_vm", name="web01", power_state="halted")
    assert converges("xen_vm", name="web01", power_state="halted", force=True)["operations"] == ["VM.hard_shutdown"]


@pytest.mark.parametrize("cut", range(1, 6))
def test_an_interrupted_creation_is_finished_by_the_next_run(run: Run, session: Session, pool: Pool, cut: int) -> None:
    options = {"name": "web01", "template": DEBIAN, "description": "Front end"}
    calls = ("VM.clone", "VM.remove_from_other_config", "VM.provision", "VM.set_name_description", "VM.set_name_label")
    pool().faults.fail(calls[cut - 1], error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError, match="out of luck"):
        run("xen_vm", **options)
    run("xen_vm", **options)
    names = [r["name_label"] for r in session.call("VM.get_all_records").values() if r["name_label"].startswith("web01")]
    assert names == ["web01"]
    assert run("xen_vm", **options)["changed"] is False


def test_an_absent_vm_is_gone(converges: Run, session: Session) -> None:
    converges("xen_vm", name="web01", template=DEBIAN)
    converges("xen_vm", name="web01", state="absent")
    assert not [r for r in session.call("VM.get_all_records").values() if r["name_label"].startswith("web01")]


def test_a_vm_with_snapshots_goes_only_when_the_task_says_what_becomes_of_them(converges: Run, run: Run, session: Session) -> None:
    converges("xen_vm", name="web01", template=DEBIAN)
    for name in ("one", "two"):
        ((ref, _record),) = [(r, x) for r, x in session.call("VM.get_all_records").items() if x["name_label"] == "web01"]
        session.call("VM.snapshot", ref, name, [])
    with pytest.raises(InvalidChange, match="VM 'web01' has snapshots: one, two"):
        run("xen_vm", name="web01", state="absent")
    done = converges("xen_vm", name="web01", state="absent", snapshots="delete")
    assert done["operations"].count("VM.destroy") == 3
    assert not [r for r in session.call("VM.get_all_records").values() if r["name_label"] in ("one", "two", "web01")]


def test_a_vm_that_no_host_has_memory_for_is_refused_before_it_is_made(run: Run) -> None:
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"VM 'web01' needs 900.* of memory to start; host 'xcp0.', which has most, has"):
            run("xen_vm", name="web01", template=DEBIAN, memory="900 GiB", power_state="running", check=check)
    assert run("xen_vm_info")["vms"] == []


def test_a_vm_is_started_where_the_task_says(converges: Run, run: Run) -> None:
    done = converges("xen_vm", name="web01", template="Other install media", power_state="running", host="xcp01")
    assert run("xen_vm_info", name="web01")["facts"][done["vm"]["uuid"]]["host"] == "xcp01"
    assert "VM.start_on" in done["operations"]
