# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host is emptied by a plan, over the wire; plans are carried out by hand and held against xapi's own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound
from ansible_collections.domzero.xen.tests.simulator import instances

from ..conftest import Run, Start
from .upgrade_plan_lab import Planned, Row, lab

GIB = 1024
EMPTY_INSTANCE: Row = {"target": "2", "coordinator": "a", "params": {}, "policy": {"unmovable": "shutdown", "anti_affinity": "hard"}}


@pytest.fixture
def site(simulator: Start) -> Planned:
    return lab(simulator, special=True)


def guest(name: str, host: str, size: int, allowed: list[str] | None = None) -> Row:
    """size: GiB."""
    rest = {"overhead": 0, "vcpus": 1, "movable": True, "reason": "", "group": None, "affinity": None}
    return {"id": name, "host": host, "memory": size * GIB, "allowed": allowed, **rest}


def small(start: Start, vms: list[Row], memory: int = 10) -> Planned:
    """Three hosts a, b and c."""
    hosts = [{"id": name, "memory": memory * GIB, "cpus": 8, "version": "1"} for name in "abc"]
    sim = start(instances.build({**EMPTY_INSTANCE, "hosts": hosts, "vms": vms}))
    found = Planned(sim.world.machines["a"])
    found.port, found.sim = sim.hosts[0].port, sim
    return found


def test_a_host_is_emptied_as_planned(site: Planned, run: Run) -> None:
    mark = site.sim.mark()
    result = run("xen_evacuation_plan", name="lab1", unmovable="shutdown")
    assert site.sim.calls(mark) == []
    assert (result["changed"], result["passed"]) == (False, False)
    assert {row["vm"] for row in result["moves"]} == {"app1-01", "app1-02", "app1-03", "db", "web1"}
    assert [(row["vm"], row["action"]) for row in result["stops"]] == [("special-deaf", "shutdown")]
    assert result["cost"]["memory"] == result["cost"]["bound"]["memory"]
    assert result["table"][0] == f"Host lab1 is emptied in about {result['cost']['minutes']:g} minutes"
    for action in result["actions"]:
        site.do(action)
    assert site.guests("lab1") == []


def test_what_cannot_move_is_named(site: Planned, run: Run) -> None:
    result = run("xen_evacuation_plan", name="lab3", compare=True)
    assert result["failed"]
    assert [row["vm"] for row in result["blockers"]] == ["special-pci", "special-toolless"]
    assert result["table"][0] == "Host lab3 cannot be emptied:"
    assert (result["actions"], result["cost"]) == ([], None)
    assert result["xapi"] == {
        "empties": False, "prevented_by": {"special-pci": ["VM_HAS_PCI_ATTACHED"], "special-toolless": ["VM_LACKS_FEATURE"]}
    }  # fmt: skip
    assert "It cannot be suspended either." in run("xen_evacuation_plan", name="lab3", unmovable="suspend")["msg"]


def test_a_vm_that_fits_no_host_as_they_are_gets_room_where_xapi_gives_up(simulator: Start, run: Run) -> None:
    pool = small(simulator, [guest("big", "a", 6), guest("b1", "b", 3), guest("b2", "b", 2), guest("c1", "c", 3), guest("c2", "c", 2)])
    result = run("xen_evacuation_plan", name="a", compare=True)
    assert result["xapi"] == {"empties": False, "prevented_by": {"big": ["HOST_NOT_ENOUGH_FREE_MEMORY"]}}
    assert result["table"][-1] == "xapi itself gives up because of big (HOST_NOT_ENOUGH_FREE_MEMORY)."
    assert pool.refused("host.evacuate", pool.ref("a"), "OpaqueRef:NULL", 0)[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
    assert (len(result["moves"]), result["cost"]["memory"]) == (2, 8 << 30)
    for action in result["actions"]:
        pool.do(action)
    assert pool.guests("a") == []


def test_where_hardly_any_room_is_left_vms_change_places_over_the_host_itself(simulator: Start, run: Run) -> None:
    vms = [guest("a0", "a", 3), guest("b0", "b", 4), guest("b1", "b", 5), guest("c0", "c", 3), guest("c1", "c", 5)]
    pool = small(simulator, vms)
    result = run("xen_evacuation_plan", name="a")
    assert result["passed"]
    assert "a" in [row["to"] for row in result["moves"]]
    step = run("xen_upgrade_plan", method="reboot", hosts=["a"])["next"]
    assert (step["hosts"], step["disable"]) == ([pool.uuid_of_host("a")], []), "it takes VMs until they have changed places"
    for action in result["actions"]:
        pool.do(action)
    assert pool.guests("a") == []
    pool("host.disable", pool.ref("b"))
    assert run("xen_upgrade_plan", method="reboot", hosts=["a"])["next"]["disable"] == [pool.uuid_of_host("a")]


def test_a_vm_that_may_not_run_on_one_of_the_others_goes_to_another(simulator: Start, run: Run) -> None:
    pool = small(simulator, [guest("tied", "a", 2, ["a", "c"])])
    result = run("xen_evacuation_plan", name="a", compare=True)
    assert [(row["vm"], row["to"]) for row in result["moves"]] == [("tied", "c")]
    assert result["xapi"]["prevented_by"]["tied"][0] == "VM_REQUIRES_NETWORK"
    pool.do(result["actions"][0])
    assert pool.where() == {"tied": "c"}


def test_where_xapi_would_do_it_that_is_told(simulator: Start, run: Run) -> None:
    small(simulator, [guest("one", "a", 2)])
    result = run("xen_evacuation_plan", name="a", compare=True)
    assert result["xapi"] == {"empties": True, "prevented_by": {}}
    assert result["table"][-1] == "xapi itself would empty it as well."


def test_memory_that_is_missing_is_counted(simulator: Start, run: Run) -> None:
    small(simulator, [guest("one", "a", 9), guest("two", "b", 6), guest("three", "c", 9)])
    result = run("xen_evacuation_plan", name="a")
    assert "Memory is short by 4 GiB: shut VMs down, or add a host." in result["msg"]


def test_an_empty_host_needs_nothing_and_stays_so(simulator: Start, run: Run) -> None:
    small(simulator, [guest("one", "b", 9)])
    result = run("xen_evacuation_plan", name="a")
    assert (result["moves"], result["actions"], result["cost"]["moves"]) == ([], [], 0)


@pytest.mark.parametrize(
    ("given", "text"), [({"name": "lab9"}, "No host is named 'lab9'"), ({"name": "lab0", "max_parallel_migrations": 0}, "cannot be 0")]
)
@pytest.mark.usefixtures("site")
def test_what_cannot_be_is_said_in_one_sentence(run: Run, given: dict[str, t.Any], text: str) -> None:
    with pytest.raises((InvalidChange, NotFound), match=text):
        run("xen_evacuation_plan", **given)
