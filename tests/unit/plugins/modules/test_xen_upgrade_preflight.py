# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xen_upgrade_preflight over the wire: what is in the way of an upgrade is told at once, each with what to do about it."""

from __future__ import annotations

import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import NotFound
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import preflight_self
from ansible_collections.domzero.xen.tests.simulator import agent
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from ..conftest import carry_out
from .upgrade_state_lab import RUN, Lab, until

GIB = 1 << 30


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab(ha=False, special=False)
    made.call("pool.remove_from_other_config", made.ref, "auto_poweron")
    made.call("pool.set_wlb_enabled", made.ref, False)
    yield made
    made.stop()


@pytest.fixture
def full() -> t.Iterator[Lab]:
    """With everything on, and the VMs that need care."""
    made = Lab()
    yield made
    made.stop()


def look(lab: Lab, **options: t.Any) -> dict[str, t.Any]:
    mark = lab.sim.mark()
    found = carry_out("xen_upgrade_preflight", {"session": lab.login, **options})
    assert lab.sim.calls(mark) == []
    assert bool(found["problems"]) == bool(found.get("failed"))
    assert all(text.endswith(".") for text in (*found["problems"], *found["notes"]))
    assert "OpaqueRef" not in str(found)
    return found


def problem(lab: Lab, **options: t.Any) -> str:
    (told,) = look(lab, **options)["problems"]
    return str(told)


def change(lab: Lab, cls: str, ref: str, **fields: t.Any) -> None:
    with lab.sim.world.lock:
        lab.db.set(cls, ref, **fields)


def test_a_pool_that_is_ready_has_no_problems(lab):
    found = look(lab, method="xcpng_packages")
    assert (found["problems"], found["resumes"], found["control_node"]) == ([], False, "")
    assert [note for note in found["notes"] if "asleep" not in note] == []


def test_one_look_at_the_pool_is_enough_however_many_vms_it_has(lab):
    before = lab.sim.received
    look(lab)
    assert lab.sim.received - before < 20


def test_all_problems_are_told_at_once(full):
    full.hide(full.named("SR", "isos"), "lab3")
    full.call("host.disable", full.named("host", "lab2"))
    found = look(full, ha=False, eject=False)
    assert len(found["problems"]) == 3
    assert found["msg"] == "The pool is not ready to be upgraded: " + " ".join(found["problems"])


# hosts -----------------------------------------------------------------------------
def test_a_host_that_is_down_is_named(lab):
    with lab.sim.world.lock:
        agent.power_off(lab.sim.world.machines["lab3"])
    until(lambda: not lab.db.get("host_metrics", lab.db.get("host", lab.named("host", "lab3"))["metrics"])["live"])
    assert problem(lab) == "Host 'lab3' is down. Start it, or leave it out with hosts."
    assert look(lab, hosts=["lab1", "lab0"])["problems"] == []


def test_a_host_in_maintenance_is_named_unless_it_is_the_upgrade_that_goes_on_that_disabled_it(lab):
    lab.call("host.disable", lab.named("host", "lab2"))
    assert problem(lab) == "Host 'lab2' is disabled. Enable it (xen_host with enabled: true), or leave it out with hosts."
    lab.call("host.enable", lab.named("host", "lab2"))
    lab.task("begun", run=RUN)
    lab.call("host.disable", lab.named("host", "lab2"))
    found = look(lab, run=RUN)
    assert (found["problems"], found["resumes"]) == ([], True)
    assert "Host 'lab2' is disabled. The upgrade goes on with it." in found["notes"]


def test_a_shared_sr_that_lacks_on_a_host_is_named(lab):
    sr = lab.named("SR", "vms")
    pbd = next(r for r, row in lab.db.all("PBD").items() if row["SR"] == sr and row["host"] == lab.named("host", "lab3"))
    change(lab, "PBD", pbd, currently_attached=False)
    assert problem(lab) == "SR 'vms' is not attached on host 'lab3'. Attach it (xen_sr does), or the VMs that use it could not go there."
    lab.task("begun", run=RUN)
    assert look(lab, run=RUN)["problems"] == []


def test_a_library_that_lacks_on_a_host_is_only_worth_knowing(lab):
    lab.hide(lab.named("SR", "isos"), "lab3")
    assert "SR 'isos' is not attached on host 'lab3'. Its discs tie VMs to the others." in look(lab)["notes"]


def test_a_coordinator_that_is_older_must_be_upgraded_too(lab):
    first = lab.named("host", "lab0")
    version = dict(lab.db.get("host", first)["software_version"])
    change(lab, "host", first, software_version={**version, "platform_version": "1.0"})
    assert "The coordinator 'lab0' is older than 'lab1', 'lab2', 'lab3'" in problem(lab, hosts=["lab1"])
    assert look(lab)["problems"] == []


def test_hosts_of_different_versions_are_worth_knowing(lab):
    host = lab.named("host", "lab3")
    change(lab, "host", host, software_version={**lab.db.get("host", host)["software_version"], "platform_version": "1.0"})
    lab.call("pool.add_to_other_config", lab.ref, "rolling_upgrade_in_progress", "true")
    notes = " ".join(look(lab)["notes"])
    assert "Host 'lab3' is older than others: an upgrade has not ended. VMs cannot go to older hosts." in notes
    assert "The pool takes itself for half upgraded." in notes


def test_what_earlier_updates_ask_for_is_told(lab):
    change(lab, "host", lab.named("host", "lab1"), pending_guidances=["reboot_host"])
    change(lab, "VM", lab.named("VM", "web1"), pending_guidances=["restart_device_model"])
    notes = " ".join(look(lab)["notes"])
    assert "Host 'lab1' is to be rebooted for earlier updates (pending_guidances: reboot_host). The upgrade does that." in notes
    assert "Earlier updates ask that VM 'web1' be moved or restarted." in notes


def test_a_disk_in_a_control_domain_keeps_its_host_from_rebooting(lab):
    host = lab.named("host", "lab1")
    domain = next(r for r, vm in lab.db.all("VM").items() if vm["is_control_domain"] and vm["resident_on"] == host)
    disk = lab.call("VDI.create", {
        "name_label": "backup", "name_description": "", "SR": lab.named("SR", "vms"), "virtual_size": GIB, "type": "user",
        "sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [],
    })  # fmt: skip
    vbd = lab.call("VBD.create", {
        "VM": domain, "VDI": disk, "userdevice": "autodetect", "bootable": False, "mode": "RO", "type": "Disk", "unpluggable": True,
        "empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}, "device": "", "currently_attached": False,
    })  # fmt: skip
    lab.call("VBD.plug", vbd)
    assert problem(lab).startswith("Host 'lab1' has a disk attached to its control domain ('backup').")
    assert look(lab, hosts=["lab0", "lab2"])["problems"] == []
    lab.call("VBD.unplug", vbd)
    assert look(lab)["problems"] == []


# space -----------------------------------------------------------------------------
def test_update_files_need_room_in_the_default_sr(lab):
    sr = lab.named("SR", "vms")
    assert look(lab, method="pool_update")["problems"] == []
    change(lab, "SR", sr, physical_utilisation=lab.db.get("SR", sr)["physical_size"] - (100 << 20))
    assert "SR 'vms', where update files go, has 100 MiB free of the 1 GiB they may need." in problem(lab, method="pool_update")
    found = look(lab, method="reboot")
    assert found["problems"] == []
    assert any("SR 'vms' is nearly full." in note for note in found["notes"])
    change(lab, "pool", lab.ref, default_SR=NULL)
    assert "The pool has no default SR" in problem(lab, method="pool_update")


def test_an_old_release_is_looked_at_too(simulator, run):
    simulator(2, release="xenserver-6.5")
    assert run("xen_upgrade_preflight", method="reboot")["problems"] == []
    (told,) = run("xen_upgrade_preflight", method="pool_update")["problems"]
    assert told == "This release does not know update files of the kind pool_update. Choose another method."


def test_suspending_needs_room_too(full):
    options = {"unmovable": "suspend"}
    full.call("pool.set_suspend_image_SR", full.ref, full.named("SR", "vms"))
    assert look(full, **options)["problems"] == []
    sr = full.named("SR", "vms")
    change(full, "SR", sr, physical_utilisation=full.db.get("SR", sr)["physical_size"])
    assert "has not enough room to suspend" in problem(full, **options)
    full.call("pool.set_suspend_image_SR", full.ref, NULL)
    assert any("no SR for suspended VMs" in note for note in look(full, **options)["notes"])


# what is set aside, and what is under way ---------------------------------------------
def test_what_will_be_set_aside_is_told_and_only_a_problem_where_it_must_not_be(full):
    full.hide(full.named("SR", "isos"), "lab3")
    notes = look(full)["notes"]
    for text in (
        "High availability is on. It is set aside while the upgrade runs, and given back.",
        "Workload balancing is on. It is set aside while the upgrade runs, and given back.",
        "VM 'special-disc' has a CD that some hosts lack. It is ejected, and inserted again at the end.",
    ):
        assert text in notes
    assert any(note.startswith("VMs start with their hosts (auto_poweron of the pool). It is set aside") for note in notes)
    assert "turn it off (xen_pool with ha" in problem(full, ha=False, wlb=False, auto_poweron=False)
    assert problem(full, eject=False) == "VM 'special-disc' has a CD that some hosts lack. Leave eject: true, or eject it."


@pytest.mark.parametrize(("name", "bad"), [("Export of VM db", True), ("[XO] backup of web1", True), ("Something else", False)])
def test_work_under_way_is_named(lab, name, bad):
    task = lab.call("task.create", name, "")
    found = look(lab)
    (told,) = [text for text in (*found["problems"], *found["notes"]) if text.startswith("Under way")]
    assert told.startswith(f"Under way: {name!r}.")
    assert bool(found["problems"]) is bad
    lab.call("task.set_status", task, "success")
    assert look(lab)["problems"] == []


def test_work_of_an_earlier_run_is_waited_for(lab):
    lab.call("task.create", "Async.VM.pool_migrate", "")
    assert "Wait until that has ended, or cancel it." in problem(lab)
    lab.task("begun", run=RUN)
    assert look(lab, run=RUN)["problems"] == []


def test_vms_that_need_care_are_named(full):
    full.call("VM.pause", full.named("VM", "web1"))
    notes = " ".join(look(full)["notes"])
    assert "VM 'special-toolless' has no guest tools running: it cannot move. Install them, or say with unmovable what is" in notes
    assert "VM 'asleep' is suspended." in notes
    assert "VM 'web1' is paused: it cannot move." in notes


def test_what_another_run_left_is_told(lab):
    login = lab.login_again()
    lab.task("begun", run="another", login=login)
    (note,) = [note for note in look(lab, takeover_after=0)["notes"] if "was upgrading" in note]
    assert "(run 'another', phase 'begun'). The upgrade goes on from there." in note


def test_a_host_that_is_not_there_is_refused_with_those_there_are(lab):
    with pytest.raises(NotFound, match=r"No host is named 'nope'.*lab0, lab1"):
        look(lab, hosts=["nope"])


# the control node ---------------------------------------------------------------------
def ours() -> str:
    """An address of this machine that a guest could have as well."""
    return next((address for address in sorted(preflight_self.addresses()) if "." in address), "")


@pytest.mark.skipif(not ours(), reason="this machine has no address but its own loopback")
def test_a_vm_with_the_address_of_this_machine_is_taken_for_it(lab):
    vm = lab.named("VM", "web1")
    change(lab, "VM_guest_metrics", lab.db.get("VM", vm)["guest_metrics"], networks={"0/ip": ours(), "0/ipv6/0": "fe80::1"})
    told = problem(lab)
    assert told.startswith(f"This task runs in VM 'web1' of the pool (it has this machine's address {ours()})")
    assert "name the VM in control_node_last" in told
    assert look(lab)["control_node"] == "web1"
    assert look(lab, control_node_last="web1")["problems"] == []
    assert look(lab, control_node_last="")["problems"] == []
    assert "This task runs in VM 'web1'" in problem(lab, control_node_last="db")


@pytest.mark.skipif(not ours(), reason="this machine has no address but its own loopback")
def test_a_host_of_the_pool_is_no_place_to_run_it(lab):
    change(lab, "host", lab.named("host", "lab3"), address=ours())
    assert problem(lab).startswith("This task runs on host 'lab3' itself, which is to be rebooted.")
    assert look(lab, hosts=["lab0", "lab1"])["problems"] == []


def test_the_vm_that_is_named_must_be_there(lab):
    assert problem(lab, control_node_last="nope").startswith("control_node_last: No VM is named 'nope'")
    found = look(lab, control_node_last="web0")
    assert (found["problems"], found["control_node"]) == ([], "web0")
    assert "VM 'web0', where this runs, is on the coordinator, which comes first. Move it to another host before." in found["notes"]


@pytest.mark.parametrize("path", preflight_self.UUIDS)
@pytest.mark.parametrize("swapped", [False, True], ids=["as Xen tells it", "as newer firmware tells it"])
def test_a_vm_with_the_uuid_of_this_machine_is_it(lab, tmp_path: Path, path: str, swapped: bool):
    known = uuid.UUID(lab.db.get("VM", lab.named("VM", "halted"))["uuid"])
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(f"{uuid.UUID(bytes=known.bytes_le) if swapped else known}\n".upper())
    found = preflight_self.find(Objects(lab.session), tmp_path)
    assert found is not None
    assert (found.vm["name_label"], found.how) == ("halted", "it has the uuid of this machine")


def test_a_machine_that_is_no_vm_of_the_pool_is_none(lab, tmp_path):
    for n, path in enumerate(preflight_self.UUIDS):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(["00000000-0000-0000-0000-000000000000\n", "To be filled by O.E.M.\n"][n])
    net = tmp_path / "proc/net"
    net.mkdir(parents=True)
    (net / "fib_trie").write_text(
        "Main:\n  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 192.0.2.7\n     /32 host LOCAL\n  |-- 192.0.2.0\n     /24 link UNICAST\n"
    )
    (net / "if_inet6").write_text(f"{'0' * 31}1 01 80 10 80 lo\nfe800000000000000000000000000001 02 40 20 80 eth0\n")
    assert preflight_self.addresses(tmp_path) == {"192.0.2.7"}
    assert preflight_self.uuids(tmp_path) == set()
    assert preflight_self.find(Objects(lab.session), tmp_path) is None
