# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM goes from one pool to another, or is copied there."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange, NotFound, XenError

from ..conftest import open_sessions, reach, validated
from .moving_lab import Lab

Run = t.Callable[..., t.Any]
MANAGEMENT = "Pool-wide network associated with eth0"
STORAGE = "Local storage"


@pytest.fixture
def east(simulator, session_to) -> Lab:
    sim = simulator("two-pools")
    return Lab(sim, session_to(sim), "east0", "127.50.0.5")


@pytest.fixture
def west(east: Lab) -> t.Iterator[Lab]:
    session: Session = seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(east.sim, "west0")))
    yield Lab(east.sim, session, "west0", "127.50.0.5")
    session.log_out()


@pytest.fixture
def to(east: Lab) -> dict[str, t.Any]:
    return {key: value for key, value in reach(east.sim, "west0").items() if key != "username"}


def guest(lab: Lab, host: str = "east0", name: str = "web1", *, run: bool = True, **options: t.Any) -> str:
    vm = lab.vm(name, **{"disks": 2, "sr": lab.local_sr(host), **options})
    lab.card(vm, lab.one("network", MANAGEMENT))
    if run:
        lab("VM.start_on", vm, lab.host(host), False, False)
    return vm


def names(lab: Lab) -> list[str]:
    rows = lab("VM.get_all_records").values()
    return sorted(vm["name_label"] for vm in rows if not (vm["is_a_template"] or vm["is_control_domain"]))


def disks(lab: Lab) -> list[str]:
    return sorted(v["name_label"] for v in lab("VDI.get_all_records").values() if v["name_label"].startswith("disk"))


def codes(refused: pytest.ExceptionInfo[InvalidChange]) -> list[str]:
    return [reason["code"] for reason in refused.value.facts["reasons"]]


# moving ------------------------------------------------------------------------------
def test_a_running_guest_goes_to_another_pool_once(east: Lab, west: Lab, converges: Run, to: dict[str, t.Any]) -> None:
    uuid = east("VM.get_uuid", guest(east))
    done = converges("xen_vm_migrate", name="web1", to=to, sr=STORAGE)
    assert done["operations"] == ["host.migrate_receive", "VM.migrate_send"]
    disks_there = {"0": STORAGE, "1": STORAGE}
    assert done["vm"] == {"name": "web1", "host": "west0", "disks": disks_there, "pool": "the other pool", "uuid": uuid}
    assert (names(east), names(west)) == ([], ["web1"])
    assert (disks(east), disks(west)) == ([], ["disk 0", "disk 1"])
    (vm,) = west("VM.get_by_name_label", "web1")
    assert west.where(vm) == "west0"
    assert west("VM.get_uuid", vm) == uuid


def test_networks_and_storage_are_mapped_by_name(east: Lab, west: Lab, converges: Run, to: dict[str, t.Any]) -> None:
    guest(east)
    west.shared_sr("West", "/export/west")
    network = west("network.create", {"name_label": "DMZ", "name_description": "", "other_config": {}})
    converges("xen_vm_migrate", name="web1", to=to, networks={MANAGEMENT: "DMZ"}, srs={STORAGE: STORAGE}, disks={"1": "West"})
    (vm,) = west("VM.get_by_name_label", "web1")
    assert [west("VIF.get_network", vif) for vif in west("VM.get_VIFs", vm)] == [network]
    vdis = [west("VDI.get_record", west("VBD.get_VDI", vbd)) for vbd in west("VM.get_VBDs", vm)]
    assert {v["name_label"]: west("SR.get_name_label", v["SR"]) for v in vdis} == {"disk 0": STORAGE, "disk 1": "West"}


def test_a_halted_guest_goes_too(east: Lab, west: Lab, converges: Run, to: dict[str, t.Any]) -> None:
    guest(east, run=False)
    assert converges("xen_vm_migrate", name="web1", to=to, sr=STORAGE)["vm"]["host"] == ""
    assert (names(east), names(west)) == ([], ["web1"])


def test_a_copy_leaves_the_original(east: Lab, west: Lab, converges: Run, to: dict[str, t.Any]) -> None:
    vm = guest(east, run=False)
    converges("xen_vm_migrate", name="web1", to=to, sr=STORAGE, copy=True)
    (there,) = west("VM.get_by_name_label", "web1")
    assert west("VM.get_uuid", there) != east("VM.get_uuid", vm)
    macs = [lab("VIF.get_MAC", lab("VM.get_VIFs", ref)[0]) for lab, ref in ((east, vm), (west, there))]
    assert macs[0] != macs[1]
    assert disks(east) == disks(west) == ["disk 0", "disk 1"]


def test_no_password_or_session_of_the_other_pool_is_told_or_left_open(east: Lab, west: Lab, run: Run, to: dict[str, t.Any]) -> None:
    guest(east)
    before = open_sessions(east.sim)
    told = json.dumps(run("xen_vm_migrate", name="web1", to=to, sr=STORAGE))
    assert to["password"] not in told
    assert "session" not in told
    assert open_sessions(east.sim) <= before


# obstacles ---------------------------------------------------------------------------
def test_all_that_speaks_against_it_is_told_at_once(east: Lab, west: Lab, run: Run, to: dict[str, t.Any]) -> None:
    vm = guest(east, tools=False)
    lonely = east("network.create", {"name_label": "Only here", "name_description": "", "other_config": {}})
    east.card(vm, lonely, "1")
    west("host.disable", west.host("west0"))
    host = west.host("west0")
    west.bend("host", host, software_version={**west("host.get_software_version", host), "platform_version": "3.2.0"})
    mark = east.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match="cannot move to host 'west0'") as refused:
            run("xen_vm_migrate", name="web1", to=to, disks={"0": STORAGE}, check=check)
        assert codes(refused) == [
            "VM_LACKS_FEATURE",
            "HOST_DISABLED",
            "VDI_NOT_IN_MAP",
            "VM_HOST_INCOMPATIBLE_VERSION_MIGRATE",
            "VIF_NOT_IN_MAP",
        ]
        assert "stands for 'Only here'" in str(refused.value)
    assert east.made(mark) == []


def test_what_is_left_of_an_earlier_try_is_named(east: Lab, west: Lab, run: Run, to: dict[str, t.Any]) -> None:
    vm = guest(east)
    rest = west.vm("web1")
    west.bend("VM", rest, uuid=east("VM.get_uuid", vm))
    with pytest.raises(InvalidChange, match="has a VM of the same uuid already: 'web1', halted"):
        run("xen_vm_migrate", name="web1", to=to, sr=STORAGE)


def test_a_running_guest_is_not_copied(east: Lab, run: Run, to: dict[str, t.Any]) -> None:
    guest(east)
    with pytest.raises(InvalidChange, match="only a halted VM is copied"):
        run("xen_vm_migrate", name="web1", to=to, sr=STORAGE, copy=True)


def test_the_own_pool_is_no_other_pool(east: Lab, run: Run) -> None:
    guest(east)
    with pytest.raises(InvalidChange, match="to is the pool that the VM is in"):
        run("xen_vm_migrate", name="web1", to={k: v for k, v in reach(east.sim, "east1").items() if k != "username"}, sr=STORAGE)


def test_a_vm_that_is_in_neither_pool_is_named(east: Lab, run: Run, to: dict[str, t.Any]) -> None:
    guest(east)
    with pytest.raises(NotFound, match=r"In neither pool is a VM 'web9'\. This one has: web1"):
        run("xen_vm_migrate", name="web9", to=to, sr=STORAGE)


def test_a_login_that_fails_says_where(east: Lab, run: Run, to: dict[str, t.Any]) -> None:
    with pytest.raises(XenError, match=r"The pool the VM is to go to: User 'root' could not log in"):
        run("xen_vm_migrate", name="web1", to={**to, "password": "wrong"}, sr=STORAGE)


# faults and interruption -------------------------------------------------------------
def test_what_fails_leaves_the_source_as_it_was_and_nothing_there(east: Lab, west: Lab, run: Run, to: dict[str, t.Any]) -> None:
    vm = guest(east)
    east.sim.faults.fail("VM.migrate_send", error=["VM_MIGRATE_FAILED", vm, "from", "to", "it did not answer"])
    with pytest.raises(ApiError, match="could not go on at the target: it did not answer"):
        run("xen_vm_migrate", name="web1", to=to, sr=STORAGE)
    assert (names(east), names(west)) == (["web1"], [])
    assert (disks(east), disks(west)) == (["disk 0", "disk 1"], [])
    assert east.where(vm) == "east0"


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("copy", [None, True], ids=["move", "copy"])
def test_an_interrupted_task_ends_where_it_would_have(
    east: Lab, west: Lab, run: Run, to: dict[str, t.Any], cut: str, nth: int, copy: bool | None
) -> None:
    guest(east, run=not copy)
    getattr(east.sim.faults, cut)(nth)
    run("xen_vm_migrate", name="web1", to=to, sr=STORAGE, copy=copy)
    assert (names(east), names(west)) == (["web1"] if copy else [], ["web1"])
    assert disks(west) == ["disk 0", "disk 1"]
    assert run("xen_vm_migrate", name="web1", to=to, sr=STORAGE, copy=copy)["changed"] is False
