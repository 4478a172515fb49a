# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xen_upgrade over the wire: what would act on its own is set aside, and given back as it was."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import marks
from ansible_collections.domzero.xen.tests.simulator import agent

from ..conftest import carry_out, reach
from .upgrade_state_lab import ISO, RUN, Lab, until

OUT = ["pool.add_to_other_config", "pool.disable_ha", "pool.remove_from_other_config", "pool.set_wlb_enabled"]
DISC = ["VBD.add_to_other_config", "VBD.eject"]
BACK = ["VBD.insert", "VBD.remove_from_other_config", "pool.add_to_other_config", "pool.set_wlb_enabled", "pool.enable_ha"]
END = ["pool.set_ha_host_failures_to_tolerate", "pool.remove_from_other_config"]


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab()
    made.hide(made.named("SR", "isos"), "lab3")
    made.before = made.state()
    yield made
    made.stop()


def same(lab: Lab, state: str, **options: t.Any) -> dict[str, t.Any]:
    """Predicted without a changing call, done as predicted, and nothing is left to do."""
    mark = lab.sim.mark()
    predicted = lab.task(state, check=True, **options)
    assert lab.sim.calls(mark) == []
    done = lab.task(state, **options)
    assert (predicted["operations"], predicted["diff"], predicted["upgrade"]) == (done["operations"], done["diff"], done["upgrade"])
    mark = lab.sim.mark()
    assert lab.task(state, **options)["changed"] is False
    assert lab.sim.calls(mark) == []
    return done


def test_what_acts_on_its_own_is_set_aside_and_given_back_as_it_was(lab):
    begun = same(lab, "begun", run=RUN, method="reboot", options={"hosts": ["lab1"], "sync": True})
    assert begun["operations"] == [*OUT, *DISC]
    assert begun["aside"]["ha"] == {"srs": [lab.db.get("SR", lab.named("SR", "vms"))["uuid"]], "ntol": 1, "config": {"timeout": "60"}}
    assert begun["aside"]["discs"] == [{"vm": "special-disc", "disc": ISO}]
    assert (begun["run"], begun["resumed"]) == (RUN, False)
    assert lab.state()["ha"][0] is False
    assert (lab.state()["auto"], lab.state()["wlb"], lab.drive("special-disc")[1]["empty"]) == (None, False, True)
    ended = same(lab, "ended", run=RUN)
    assert ended["operations"] == [*BACK, *END]
    assert (lab.state(), lab.marks(), ended["still_aside"]) == (lab.before, [], [])


def test_the_journal_comes_before_what_is_set_aside_and_goes_last(lab):
    mark = lab.sim.mark()
    lab.task("begun", run=RUN)
    first = lab.sim.calls(mark)[0]
    assert (first["method"], first["params"][1]) == ("pool.add_to_other_config", "domzero.xen:upgrade-1")
    lab.task("ended", run=RUN)
    assert lab.sim.calls(mark)[-1]["params"][1] == "domzero.xen:upgrade-1"


def test_what_is_not_to_be_set_aside_stays_on(lab):
    begun = same(lab, "begun", run=RUN, ha=False, auto_poweron=False, wlb=False, eject=False)
    assert begun["operations"] == ["pool.add_to_other_config"]
    assert lab.state() == lab.before
    same(lab, "ended", run=RUN)
    assert (lab.state(), lab.marks()) == (lab.before, [])


def test_what_was_off_before_stays_off():
    lab = Lab(ha=False)
    lab.call("pool.remove_from_other_config", lab.ref, "auto_poweron")
    lab.call("pool.set_wlb_enabled", lab.ref, False)
    before = lab.state()
    assert same(lab, "begun", run=RUN)["aside"] == {}
    assert same(lab, "ended", run=RUN)["operations"] == ["pool.remove_from_other_config"]
    assert lab.state() == before
    lab.stop()


def test_a_disc_that_every_host_has_stays_in(lab):
    lab.task("begun", run=RUN, eject=True)
    lab.task("ended", run=RUN)
    for ref, pbd in lab.db.all("PBD").items():
        if pbd["SR"] == lab.named("SR", "isos") and not pbd["currently_attached"]:
            lab.call("PBD.plug", ref)
    assert "discs" not in lab.task("begun", run=RUN)["aside"]


def test_the_phase_is_noted_and_options_are_kept(lab):
    lab.task("begun", run=RUN, method="reboot", options={"a": [1, {"b": None}]})
    since = lab.note().since
    noted = same(lab, "begun", run=RUN, phase="working")
    assert (noted["resumed"], noted["since"]) == (True, since)
    assert (lab.note().phase, lab.note().method, lab.note().options) == ("working", "reboot", {"a": [1, {"b": None}]})
    assert lab.keys() == ["domzero.xen:upgrade-2"]


def test_options_that_are_too_long_for_the_journal_are_refused_before_anything_is_done(lab):
    mark = lab.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"would take .* bytes, 4095 are allowed"):
            lab.task("begun", run=RUN, options={"packages": ["x" * 40] * 100}, check=check)
    assert lab.sim.calls(mark) == []


@pytest.mark.parametrize("run", ["a b", "ä", "x" * 65, "{{ x }}"])
def test_a_run_is_a_plain_word(lab, run):
    with pytest.raises(InvalidChange, match="run is"):
        lab.task("begun", run=run)


def test_a_run_without_an_id_gets_one_and_goes_on_in_its_session(lab):
    first = lab.task("begun")
    again = lab.task("begun")
    assert (again["run"], again["changed"]) == (first["run"], False)
    assert lab.task("ended")["changed"]
    assert lab.state() == lab.before


# giving back --------------------------------------------------------------------
def test_high_availability_stays_aside_while_a_host_is_down_and_the_rest_comes_back(lab):
    lab.task("begun", run=RUN)
    with lab.sim.world.lock:
        agent.power_off(lab.sim.world.machines["lab3"])
    until(lambda: not lab.db.get("host_metrics", lab.db.get("host", lab.named("host", "lab3"))["metrics"])["live"])
    for check in (True, False, False):
        ended = lab.task("ended", run=RUN, check=check)
        assert ended["failed"]
        assert "High availability stays off" in ended["msg"]
        assert "lab3" in ended["still_aside"][0]
        assert list(ended["aside"]) == ["ha"]
    assert (lab.note().phase, list(lab.note().aside)) == ("giving back", ["ha"])
    assert lab.state()["discs"] == lab.before["discs"]
    assert (lab.state()["auto"], lab.state()["wlb"]) == ("true", True)
    with lab.sim.world.lock:
        agent.power_on(lab.sim.world.machines["lab3"])
    until(lambda: lab.db.get("host", lab.named("host", "lab3"))["enabled"])
    assert not lab.task("ended", run=RUN).get("failed")
    assert (lab.state()["ha"], lab.keys()) == (lab.before["ha"], [])


def test_hosts_that_were_disabled_meanwhile_are_enabled_before_and_others_are_left_so(lab):
    lab.call("host.disable", lab.named("host", "lab2"))
    lab.task("begun", run=RUN)
    lab.call("host.disable", lab.named("host", "lab1"))
    done = same(lab, "ended", run=RUN)
    assert done["operations"].index("host.enable") < done["operations"].index("pool.enable_ha")
    assert done["operations"].count("host.enable") == 1
    assert done["upgrade"]["hosts_disabled"] == ["lab2"]
    assert lab.state() == lab.before


def test_high_availability_waits_for_hosts_of_an_older_version(lab):
    lab.task("begun", run=RUN)
    host = lab.named("host", "lab2")
    old = dict(lab.db.get("host", host)["software_version"])
    with lab.sim.world.lock:
        lab.db.set("host", host, software_version={**old, "platform_version": "1.0"})
    ended = lab.task("ended", run=RUN)
    assert ended["failed"]
    assert "'lab2'" in ended["msg"] or "lab2" in ended["msg"]
    with lab.sim.world.lock:
        lab.db.set("host", host, software_version=old)
    lab.call("pool.add_to_other_config", lab.ref, "rolling_upgrade_in_progress", "true")
    threading.Timer(0.5, lambda: lab.call("pool.remove_from_other_config", lab.ref, "rolling_upgrade_in_progress")).start()
    assert not lab.task("ended", run=RUN).get("failed")
    assert lab.state() == lab.before


def test_high_availability_that_somebody_turned_on_again_is_given_back(lab):
    lab.task("begun", run=RUN)
    lab.call("pool.enable_ha", [lab.named("SR", "vms")], {})
    ended = lab.task("ended", run=RUN)
    assert "pool.enable_ha" not in ended["operations"]
    assert (lab.pool()["ha_enabled"], lab.keys()) == (True, [])


def test_an_sr_that_lacks_on_a_host_keeps_high_availability_off_and_is_named(lab):
    lab.task("begun", run=RUN)
    sr = lab.named("SR", "vms")
    with lab.sim.world.lock:
        pbd = next(ref for ref, row in lab.db.all("PBD").items() if row["SR"] == sr and row["host"] == lab.named("host", "lab2"))
        lab.db.set("PBD", pbd, currently_attached=False)
    ended = lab.task("ended", run=RUN)
    assert "SR 'vms' cannot carry the heartbeat: it is not attached on lab2" in ended["msg"]
    with lab.sim.world.lock:
        lab.db.set("PBD", pbd, currently_attached=True)
    assert not lab.task("ended", run=RUN).get("failed")


def test_a_disc_of_a_vm_that_was_halted_meanwhile_is_inserted(lab):
    lab.task("begun", run=RUN)
    lab.call("VM.hard_shutdown", lab.named("VM", "special-disc"))
    assert lab.task("ended", run=RUN)["still_aside"] == []
    assert lab.state()["discs"] == lab.before["discs"]


def test_a_disc_of_a_suspended_vm_stays_out_is_told_and_comes_back_later(lab):
    lab.task("begun", run=RUN)
    vm = lab.named("VM", "special-disc")
    lab.call("VM.suspend", vm)
    ended = same(lab, "ended", run=RUN)
    assert not ended.get("failed")
    assert ended["still_aside"] == [
        f"The disc {ISO!r} of VM 'special-disc' stays out of its drive: the VM is suspended. Resume it, then run the task again."
    ]
    lab.call("VM.resume_on", vm, lab.named("host", "lab0"), False, False)
    assert lab.task("ended")["operations"] == ["VBD.insert", "VBD.remove_from_other_config"]
    assert (lab.state(), lab.marks()) == (lab.before, [])


def test_a_disc_stays_out_of_a_vm_whose_host_lacks_its_sr(lab):
    lab.task("begun", run=RUN)
    lab.call("VM.pool_migrate", lab.named("VM", "special-disc"), lab.named("host", "lab3"), {"live": "true"})
    ended = lab.task("ended", run=RUN)
    assert "host 'lab3' does not have SR 'isos'" in ended["still_aside"][0]
    assert not ended.get("failed")


def test_what_is_gone_with_its_vm_or_from_its_library_is_no_obstacle(lab):
    lab.task("begun", run=RUN)
    with lab.sim.world.lock:
        ref, vbd = lab.drive("special-disc")
        lab.db.set("VBD", ref, other_config={**vbd["other_config"], marks.DISC: "5b0a7f26-0000-4000-8000-000000000000"})
    ended = lab.task("ended", run=RUN)
    assert "is not there any more: its drive stays empty" in ended["warnings"][0]
    assert lab.marks() == []
    lab.task("begun", run=RUN)
    vm = lab.named("VM", "special-disc")
    lab.call("VM.hard_shutdown", vm)
    lab.call("VM.destroy", vm)
    assert not lab.task("ended", run=RUN).get("failed")


def test_a_disc_that_somebody_inserted_meanwhile_stays(lab):
    lab.task("begun", run=RUN)
    other = next(ref for ref, vdi in lab.db.all("VDI").items() if vdi["name_label"] == "XS76E999.iso")
    drive = lab.drive("special-disc")[0]
    lab.call("VBD.insert", drive, other)
    assert lab.task("ended", run=RUN)["still_aside"] == []
    assert (lab.state()["discs"][drive], lab.marks()) == (other, [])


def test_a_disc_that_is_refused_keeps_nothing_else_from_being_given_back(lab):
    lab.task("begun", run=RUN)
    lab.sim.faults.fail("VBD.insert", error=["VBD_NOT_REMOVABLE_MEDIA", lab.drive("special-disc")[0]])
    ended = lab.task("ended", run=RUN)
    (why,) = ended["still_aside"]
    assert why.startswith("Could not insert the disc of VM 'special-disc' again: VBD.insert was refused: VBD_NOT_REMOVABLE_MEDIA")
    assert "OpaqueRef" not in why
    assert (lab.state()["ha"], lab.marks()) == (lab.before["ha"], [marks.DISC])
    assert lab.task("ended", run=RUN)["still_aside"] == []
    assert (lab.state(), lab.marks()) == (lab.before, [])


# pausing and aborting -------------------------------------------------------------
def test_a_paused_upgrade_has_given_back_and_goes_on_later(lab):
    lab.task("begun", run=RUN, method="reboot", options={"a": 1})
    paused = same(lab, "paused", run=RUN)
    assert (lab.state(), paused["aside"]) == (lab.before, {})
    assert (lab.note().phase, lab.note().method, lab.note().options) == ("paused", "reboot", {"a": 1})
    number = lab.note().id
    begun = same(lab, "begun", run="tomorrow", takeover_after=0)
    assert (begun["resumed"], begun["id"], lab.note().phase, lab.note().options) == (True, number, "begun", {"a": 1})
    lab.task("ended", run="tomorrow")
    assert (lab.state(), lab.marks()) == (lab.before, [])


def test_pausing_does_not_fail_where_high_availability_cannot_be_given_back(lab):
    lab.task("begun", run=RUN)
    with lab.sim.world.lock:
        agent.power_off(lab.sim.world.machines["lab3"])
    until(lambda: not lab.db.get("host_metrics", lab.db.get("host", lab.named("host", "lab3"))["metrics"])["live"])
    paused = lab.task("paused", run=RUN)
    assert not paused.get("failed")
    assert paused["still_aside"]
    assert paused["undone"] == ["Host 'lab3' is down."]
    assert list(lab.note().aside) == ["ha"]


def test_aborting_gives_back_and_tells_what_remains_undone(lab):
    lab.task("begun", run=RUN)
    vm, host = lab.named("VM", "web1"), lab.db.get("host", lab.named("host", "lab2"))
    lab.call("VM.add_to_other_config", vm, marks.HOME, host["uuid"])
    down = lab.named("VM", "halted")
    lab.call("VM.add_to_other_config", down, marks.STOPPED, f"shutdown {host['uuid']}")
    aborted = same(lab, "aborted", run=RUN)
    assert aborted["undone"] == ["VM 'web1' is not at home on host 'lab2'.", "VM 'halted' was stopped (shutdown) on host 'lab2'."]
    assert (lab.state(), lab.keys()) == (lab.before, [])


@pytest.mark.parametrize("state", ["ended", "aborted"])
def test_marks_of_hosts_that_were_finished_go_with_the_journal(lab, state):
    host = lab.named("host", "lab2")
    lab.task("begun", run=RUN)
    lab.call("host.add_to_other_config", host, marks.UPGRADED, lab.note().id)
    lab.task("paused", run=RUN)
    assert marks.upgraded(lab.db.get("host", host)) == lab.note().id
    assert same(lab, state, run=RUN)["operations"] == ["host.remove_from_other_config", "pool.remove_from_other_config"]
    assert lab.marks() == []


@pytest.mark.parametrize(("state", "left"), [("ended", []), ("aborted", [marks.HOME])])
def test_marks_of_vms_that_run_or_are_at_home_go_and_of_those_that_are_away_when_it_has_ended(lab, state, left):
    there, away = (lab.db.get("host", lab.named("host", host))["uuid"] for host in ("lab1", "lab2"))
    lab.task("begun", run=RUN)
    for vm, key, value in (("db", marks.HOME, there), ("web1", marks.HOME, away), ("web0", marks.STOPPED, f"shutdown {there}")):
        lab.call("VM.add_to_other_config", lab.named("VM", vm), key, value)
    same(lab, state, run=RUN)
    assert (lab.marks(), lab.state()) == (left, lab.before)


@pytest.mark.parametrize("state", ["ended", "paused", "aborted"])
def test_where_nothing_was_begun_there_is_nothing_to_give_back(lab, state):
    mark = lab.sim.mark()
    assert lab.task(state, run=RUN)["changed"] is False
    assert lab.sim.calls(mark) == []
    assert lab.state() == lab.before


def test_a_session_of_its_own_for_each_task_is_enough(lab):
    begin, end = ({**reach(lab.sim), "state": state, "run": RUN} for state in ("begun", "ended"))
    assert carry_out("xen_upgrade", begin)["changed"]
    assert carry_out("xen_upgrade", begin)["changed"] is False
    assert carry_out("xen_upgrade", end)["changed"]
    assert lab.state() == lab.before


def test_what_cannot_be_set_aside_is_told_and_what_was_is_given_back(lab):
    lab.sim.faults.fail("pool.disable_ha", error=["INTERNAL_ERROR", "no"])
    with pytest.raises(XenError, match="Could not turn high availability off"):
        lab.task("begun", run=RUN)
    assert lab.task("ended", run=RUN)["upgrade"]["begun"] is False
    assert lab.state() == lab.before
