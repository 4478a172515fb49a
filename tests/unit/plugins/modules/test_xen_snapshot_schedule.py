# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot schedules: when, of which VMs, how many are kept; and what cannot be is said before."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError

from .guest_lab import NULL, Guests

Run = t.Callable[..., t.Any]
NIGHTLY = {"name": "nightly", "schedule": {"hour": 2, "min": 15}, "retained_snapshots": 2, "vms": ["web", "db"]}


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(1)
    lab = Guests(sim, session_to(sim))
    for name in ("web", "db"):
        lab.vm(name, "root")
    return lab


def vmss(lab: Guests) -> dict[str, t.Any]:
    ((_ref, record),) = lab.db.all("VMSS").items()
    return t.cast("dict[str, t.Any]", record)


def test_a_schedule_is_made_once(lab: Guests, converges: Run) -> None:
    done = converges("xen_snapshot_schedule", **NIGHTLY)
    assert done["operations"] == ["VMSS.create", "VM.set_snapshot_schedule", "VM.set_snapshot_schedule"]
    told = done["snapshot_schedule"]
    assert (told["frequency"], told["type"], told["enabled"], told["vms"]) == ("daily", "snapshot", True, ["db", "web"])
    assert vmss(lab)["schedule"] == {"hour": "2", "min": "15"}


def test_it_is_changed_by_what_the_task_says_only(lab: Guests, converges: Run) -> None:
    converges("xen_snapshot_schedule", **NIGHTLY)
    assert converges("xen_snapshot_schedule", name="nightly", schedule={"hour": 3})["operations"] == ["VMSS.set_schedule"]
    assert vmss(lab)["schedule"] == {"hour": "3", "min": "15"}
    done = converges("xen_snapshot_schedule", name="nightly", frequency="weekly", schedule={"days": ["sunday", "Monday"]}, vms=["db"])
    assert done["operations"] == ["VMSS.set_frequency", "VMSS.set_schedule", "VM.set_snapshot_schedule"]
    assert done["snapshot_schedule"]["schedule"] == {"days": ["Monday", "Sunday"], "hour": 3, "min": 15}
    done = converges("xen_snapshot_schedule", name="nightly", frequency="hourly", enabled=False, type="checkpoint", retained_snapshots=10)
    assert done["snapshot_schedule"]["schedule"] == {"min": 15}
    assert vmss(lab)["enabled"] is False


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {"frequency": st.just("hourly"), "schedule": st.fixed_dictionaries({"min": st.sampled_from([0, 15, 30, 45])})}
            ),
            st.fixed_dictionaries({"frequency": st.just("daily"), "schedule": st.fixed_dictionaries({"hour": st.integers(0, 23)})}),
            st.fixed_dictionaries(
                {
                    "frequency": st.just("weekly"),
                    "schedule": st.fixed_dictionaries(
                        {"days": st.lists(st.sampled_from(["monday", "Tuesday", "FRIDAY", "Sunday"]), min_size=1)}
                    ),
                }
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_from_any_times_to_any_others(lab: Guests, converges: Run, run: Run, wishes: list[dict[str, t.Any]]) -> None:
    for wish in wishes:
        converges("xen_snapshot_schedule", name="s", **wish)
    run("xen_snapshot_schedule", name="s", state="absent")


def test_snapshots_are_taken_now_and_as_many_kept_as_it_says(lab: Guests, run: Run) -> None:
    vm = lab.db.one("VM", name_label="web")
    for number in (1, 2, 2):
        assert "VMSS.snapshot_now" in run("xen_snapshot_schedule", **NIGHTLY, snapshot_now=True)["operations"]
        assert len(lab.snapshots(vm)) == number
    told = run("xen_snapshot_info", vm="web")
    assert all(facts["scheduled"] for facts in told["facts"].values())
    (facts,) = run("xen_snapshot_schedule_info")["facts"].values()
    assert facts["last_run_time"]
    with pytest.raises(InvalidChange, match="'empty' has no VMs"):
        run("xen_snapshot_schedule", name="empty", snapshot_now=True)


def test_its_vms_leave_before_it_goes_and_keep_their_snapshots(lab: Guests, converges: Run, run: Run) -> None:
    run("xen_snapshot_schedule", **NIGHTLY, snapshot_now=True)
    done = converges("xen_snapshot_schedule", name="nightly", state="absent")
    assert done["operations"] == ["VM.set_snapshot_schedule", "VM.set_snapshot_schedule", "VMSS.destroy"]
    assert lab.named("web")["snapshot_schedule"] == NULL
    assert len(lab.snapshots(lab.db.one("VM", name_label="web"))) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"schedule": {"days": ["Monday"]}}, r"A schedule that is daily has no days\. It has: hour, min"),
        ({"frequency": "hourly", "schedule": {"hour": 3}}, "hourly has no hour"),
        ({"schedule": {"hour": 24}}, "24 is no hour of a day"),
        ({"frequency": "weekly", "schedule": {"days": ["Funday"]}}, "'Funday' is no day"),
        ({"frequency": "weekly", "schedule": {"days": []}}, "There is no day in days"),
        ({"retained_snapshots": 11}, "cannot keep 11 snapshots"),
        ({"retained_snapshots": 0}, "cannot keep 0 snapshots"),
        ({"type": "snapshot_with_quiesce", "vms": ["web"]}, "cannot be snapshotted quiesced: 'web'"),
    ],
)
def test_what_cannot_be_is_said_before(lab: Guests, run: Run, options: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        run("xen_snapshot_schedule", name="s", **options)
    assert not lab.db.all("VMSS")


def test_a_vm_has_one_schedule_at_most(lab: Guests, converges: Run, run: Run) -> None:
    run("xen_snapshot_schedule", **NIGHTLY)
    with pytest.raises(InvalidChange, match=r"in another snapshot schedule already: 'web \(nightly\)'"):
        run("xen_snapshot_schedule", name="s", vms=["web"])
    converges("xen_snapshot_schedule", name="s", vms=["web"], take_over=True)


def test_a_release_without_schedules_says_so(simulator: Run, run: Run) -> None:
    simulator(1, release="xenserver-7.0")
    with pytest.raises(InvalidChange, match=r"knows no snapshot schedules\. They came with XenServer 7\.2"):
        run("xen_snapshot_schedule", name="s")


@pytest.mark.parametrize("how", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_wherever_a_task_is_cut_off_it_ends_the_same(how: str, state: str, simulator: Run, session_to: Run, run: Run) -> None:
    task = NIGHTLY if state == "present" else {"name": "nightly", "state": "absent"}
    for number in range(1, 4):
        sim = simulator(1)
        lab = Guests(sim, session_to(sim))
        for name in ("web", "db"):
            lab.vm(name)
        if state == "absent":
            run("xen_snapshot_schedule", **NIGHTLY)
        getattr(sim.faults, how)(number)
        with contextlib.suppress(XenError):
            run("xen_snapshot_schedule", **task)
        sim.faults.clear()
        run("xen_snapshot_schedule", **task)
        assert run("xen_snapshot_schedule", **task)["changed"] is False
        assert len(lab.db.all("VMSS")) == (state == "present")
