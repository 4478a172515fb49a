# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drive with a guest's first configuration: made, replaced when it is another, removed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from dissect.fat import FATFS

from ansible_collections.domzero.xen.plugins.module_utils.disks import CONFIG_DRIVE
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.tests.simulator.disks import access

from .guest_lab import GIB, Guests

if t.TYPE_CHECKING:
    from ansible_collections.domzero.xen.plugins.module_utils.client import Session

    from ..conftest import Run, Start

OTHER = "Other install media"
NEW = {"name": "web01", "template": OTHER, "disks": [{"size": "1 GiB"}]}
DATA = {"packages": ["nginx"], "chpasswd": {"users": [{"name": "root", "password": "hunter2"}]}}
MAKE = ["VDI.create", "http/put_import_raw_vdi", "VDI.add_to_other_config", "VBD.create"]


@pytest.fixture(autouse=True)
def lab(simulator: Start, session_to: t.Callable[..., Session]) -> Guests:
    sim = simulator("examples")
    return Guests(sim, session_to(sim))


def drives(lab: Guests) -> list[dict[str, t.Any]]:
    """The config drives there are, those of snapshots left out."""
    return [r for r in lab.db.all("VDI").values() if CONFIG_DRIVE in r["other_config"] and not r["is_a_snapshot"]]


def content(lab: Guests, vm: str = "web01") -> dict[str, t.Any]:
    """What the guest finds on its drive."""
    (vbd,) = [lab.record(ref, "VBD") for ref in lab.named(vm)["VBDs"] if lab.record(ref, "VBD")["userdevice"] == "15"]
    machine = next(iter(lab.sim.world.machines.values()))
    with lab.sim.world.lock:
        chain = access.chain(machine, vbd["VDI"])
    image = b"".join(data or bytes(count) for count, data in chain.pieces())
    root = FATFS(io.BytesIO(image)).root
    return {e.name: yaml.safe_load(e.open().read()) for e in root.iterdir() if e.size}


def test_a_new_vm_gets_its_configuration(converges: Run, lab: Guests) -> None:
    done = converges("xen_vm", **NEW, cloud_init={"user_data": DATA, "network_config": {"version": 2}}, power_state="running")
    assert [o for o in done["operations"] if o in MAKE][-4:] == MAKE
    told = content(lab)
    assert told["user-data"] == DATA
    assert told["network-config"] == {"version": 2}
    assert told["meta-data"]["local-hostname"] == "web01"
    assert told["meta-data"]["instance-id"].startswith(lab.named("web01")["uuid"])
    assert len(done["vm"]["disks"]) == 1, "the drive is none of its disks"
    assert set(done["vm"]["cloud_init"]) == {"state", "digest", "sr"}


def test_what_it_holds_is_not_told(converges: Run, run: Run) -> None:
    for result in (converges("xen_vm", **NEW, cloud_init={"user_data": DATA}), run("xen_vm_info", name="web01")):
        assert "hunter2" not in json.dumps(result)


def test_what_was_told_can_be_handed_back(converges: Run, run: Run) -> None:
    done = converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    assert run("xen_vm", name="web01", cloud_init=done["vm"]["cloud_init"])["changed"] is False
    converges("xen_vm", **{**NEW, "name": "web02"})
    plain = run("xen_vm", name="web02", cloud_init={"state": "absent"})
    assert plain["changed"] is False


def test_another_configuration_replaces_the_drive(converges: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    before = content(lab)["meta-data"]["instance-id"]
    done = converges("xen_vm", name="web01", cloud_init={"user_data": "#!/bin/sh\nreboot\n"})
    assert done["operations"] == [*MAKE[:3], "VDI.destroy", MAKE[3]]
    assert content(lab)["meta-data"]["instance-id"] != before
    assert len(drives(lab)) == 1


def test_it_is_replaced_while_the_vm_runs(converges: Run, lab: Guests) -> None:
    agent = {"vm-data/sim-agent": "10.40.0.5"}
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA}, power_state="running", xenstore_data=agent, wait_for="tools", wait_timeout=5)
    done = converges("xen_vm", name="web01", cloud_init={"user_data": {}, "meta_data": {"a": "b"}})
    assert done["operations"] == [*MAKE[:3], "VBD.unplug", "VDI.destroy", "VBD.create", "VBD.plug"]
    assert content(lab)["meta-data"]["a"] == "b"


def test_a_guest_that_takes_no_disks_is_restarted_when_that_is_allowed(converges: Run, run: Run) -> None:
    none = {"vm-data/sim-agent": "none"}
    converges("xen_vm", **NEW, power_state="running", xenstore_data=none)
    with pytest.raises(InvalidChange, match="cannot be shut down cleanly"):
        run("xen_vm", name="web01", cloud_init={"user_data": DATA})
    done = converges("xen_vm", name="web01", cloud_init={"user_data": DATA}, force=True, allow_disruption=True)
    assert done["operations"] == ["VM.add_to_other_config", "VM.hard_shutdown", *MAKE, "VM.start", "VM.remove_from_other_config"]


def test_it_is_removed_after_the_first_start(converges: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    done = converges("xen_vm", name="web01", cloud_init={"state": "absent"})
    assert (done["operations"], drives(lab), done["vm"]["cloud_init"]) == (["VDI.destroy"], [], {"state": "absent"})


def test_it_goes_with_its_vm(converges: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    converges("xen_vm", name="web01", state="absent")
    assert drives(lab) == []


def test_it_stays_when_the_task_says_nothing_of_it(converges: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    converges("xen_vm", name="web01", description="x", disks=[{"size": "1 GiB"}], prune_disks=True)
    assert content(lab)["user-data"] == DATA


def test_a_new_name_leaves_it_as_it_is(converges: Run, run: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    done = run("xen_vm", uuid=lab.named("web01")["uuid"], name="web02", cloud_init={"user_data": DATA})
    assert done["operations"] == ["VM.set_name_label"]


def test_a_clone_gets_a_drive_of_its_own(converges: Run, lab: Guests) -> None:
    """Else its cloud-init would take itself for that of the source, and do nothing."""
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    converges("xen_vm", name="web02", from_vm="web01", cloud_init={"user_data": DATA})
    ids = [content(lab, name)["meta-data"]["instance-id"] for name in ("web01", "web02")]
    assert ids[0] != ids[1]
    assert len(drives(lab)) == 2


def test_it_lies_where_it_is_to_lie(converges: Run, lab: Guests) -> None:
    done = converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    assert done["vm"]["cloud_init"]["sr"] == done["vm"]["disks"][0]["sr"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"user_data": "hello"}, "user_data of VM 'web01' begins with nothing"),
        ({"user_data": "#cloud-config\na: ["}, "user_data of VM 'web01' is not YAML"),
        ({}, "does not say what the cloud-init drive of VM 'web01' is to hold"),
        ({"digest": "abc"}, "does not say what"),
        ({"user_data": DATA, "sr": "nowhere"}, "No SR is named 'nowhere'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(run: Run, lab: Guests, given: dict[str, t.Any], told: str) -> None:
    mark = lab.sim.mark()
    with pytest.raises(XenError, match=told):
        run("xen_vm", **NEW, cloud_init=given)
    assert lab.sim.calls(mark) == []


@pytest.mark.parametrize("how", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_a_replacement_that_breaks_off_is_finished(converges: Run, run: Run, lab: Guests, how: str, nth: int) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    getattr(lab.sim.faults, how)(nth)
    wanted = {"name": "web01", "cloud_init": {"user_data": {"packages": ["vim"]}}, "wait_timeout": 5}
    try:
        run("xen_vm", **wanted)
    except XenError:
        run("xen_vm", **wanted)
    assert content(lab)["user-data"] == {"packages": ["vim"]}
    assert len(drives(lab)) == 1
    assert run("xen_vm", **wanted)["changed"] is False


@pytest.mark.parametrize("method", [*(m for m in MAKE if "." in m), "VDI.destroy"])
def test_a_drive_that_was_begun_is_gone_on_with_or_removed(converges: Run, run: Run, lab: Guests, method: str) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    lab.sim.faults.fail(method, error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError, match="out of luck"):
        run("xen_vm", name="web01", cloud_init={"user_data": "#!/bin/sh\n"})
    run("xen_vm", name="web01", cloud_init={"user_data": "#!/bin/bash\n"})
    assert len(drives(lab)) == 1
    assert run("xen_vm", name="web01", cloud_init={"user_data": "#!/bin/bash\n"})["changed"] is False


def test_a_transfer_that_breaks_leaves_no_second_drive(converges: Run, run: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW)
    lab.sim.faults.transfers.append(("/import_raw_vdi", 1000))
    with pytest.raises(XenError):
        run("xen_vm", name="web01", cloud_init={"user_data": DATA})
    run("xen_vm", name="web01", cloud_init={"user_data": DATA})
    assert len(drives(lab)) == 1
    assert lab.record(lab.db.one("VDI", name_label="web01 cloud-init"), "VDI")["virtual_size"] < GIB


def test_it_can_be_empty_so_that_cloud_init_only_names_the_guest(converges: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": {}})
    assert content(lab)["user-data"] == {}


def test_it_goes_with_the_disks_to_other_storage_and_is_known_there(converges: Run, run: Run, lab: Guests) -> None:
    converges("xen_sr", name="NFS", type="nfs", server="127.40.0.10", path="/export/vms")
    agent = {"vm-data/sim-agent": "10.40.0.5"}
    made = converges("xen_vm", **NEW, cloud_init={"user_data": DATA}, power_state="running", xenstore_data=agent, wait_for="tools")
    run("xen_vm_migrate", name="web01", sr="NFS")
    again = run("xen_vm", name="web01", cloud_init={"user_data": DATA})
    assert (again["changed"], again["vm"]["cloud_init"]) == (False, {**made["vm"]["cloud_init"], "sr": "NFS"})


def test_a_snapshot_that_is_reverted_to_brings_its_drive_back(converges: Run, run: Run, lab: Guests) -> None:
    converges("xen_vm", **NEW, cloud_init={"user_data": DATA})
    before = content(lab)
    run("xen_snapshot", vm="web01", name="before")
    converges("xen_vm", name="web01", cloud_init={"user_data": "#!/bin/sh\n"})
    lab.session.call("VM.revert", lab.db.one("VM", name_label="before"))
    assert content(lab) == before
    done = converges("xen_vm", name="web01", cloud_init={"user_data": DATA})
    assert done["operations"] == ["VDI.destroy"], "the one it had in between was left by the revert"
    assert len(drives(lab)) == 1


def test_an_ordinary_module_does_not_tell_it_with_its_options(run: Run, lab: Guests, simulators: list[t.Any]) -> None:
    sim = simulators[-1]
    login = {"hostname": sim.hosts[0].url, "password": sim.password, "fingerprint": [h.fingerprint_sha256 for h in sim.hosts]}
    text = "#cloud-config\npassword: hunter2\n"
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {**login, **NEW, "cloud_init": {"user_data": text}}})
    path = Path(__file__).parents[4] / "plugins/modules/xen_vm.py"
    start = (
        f"from ansible.plugins.loader import init_plugin_loader as i; i(); import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", start], input=given, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["changed"], done.stderr
    assert "hunter2" not in done.stdout + done.stderr
