# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of actions on the VMs of a pool that is to be upgraded, over the wire."""

from __future__ import annotations

import threading
import typing as t
from collections import Counter

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import capacity
from ansible_collections.domzero.xen.plugins.module_utils.client import Session, is_read
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.side import Interrupted
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import marks
from ansible_collections.domzero.xen.plugins.modules import xen_vm_moves
from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.unit.plugins.conftest import validated
from ansible_collections.domzero.xen.tests.unit.plugins.test_bad_input import user

from .moving_lab import GIB, NULL, Lab

Run = t.Callable[..., t.Any]


class Pool(Lab):
    """Four hosts; what the tests ask about VMs by name."""

    def vm_record(self, name: str) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self("VM.get_record", self.one("VM", name)))

    def marks(self, name: str) -> dict[str, str]:
        return {key: value for key, value in self.vm_record(name)["other_config"].items() if key.startswith("domzero.xen:")}

    def at(self, name: str) -> str:
        """The host a VM is on, or its power state."""
        record = self.vm_record(name)
        host = record["resident_on"]
        return str(record["power_state"]) if host == NULL else str(self("host.get_name_label", host))

    def uuid(self, cls: str, name: str) -> str:
        return str(self(f"{cls}.get_uuid", self.one(cls, name)))


def start(simulator: t.Any, session_to: t.Any, **options: t.Any) -> Pool:
    sim = simulator(upgrade_lab.build(**options))
    return Pool(sim, session_to(sim))


@pytest.fixture
def lab(simulator: t.Any, session_to: t.Any) -> Pool:
    return start(simulator, session_to, special=False)


@pytest.fixture
def special(simulator: t.Any, session_to: t.Any) -> Pool:
    return start(simulator, session_to, special=True)


def to(host: str, *vms: str, **more: t.Any) -> list[dict[str, t.Any]]:
    return [{"action": "migrate", "vm": vm, "host": host, **more} for vm in vms]


def test_vms_move_and_their_home_is_remembered(lab: Pool, converges: Run) -> None:
    done = converges("xen_vm_moves", actions=to("lab1", "app0-01", "web0") + to("lab2", "app0-02"), remember_home=True)
    assert [(row["vm"], row["from"], row["to"]) for row in done["moved"]] == [
        ("app0-01", "lab0", "lab1"), ("web0", "lab0", "lab1"), ("app0-02", "lab0", "lab2"),
    ]  # fmt: skip
    assert [lab.at(vm) for vm in ("app0-01", "web0", "app0-02", "app0-03")] == ["lab1", "lab1", "lab2", "lab0"]
    assert lab.marks("app0-01") == {marks.HOME: lab.uuid("host", "lab0")}
    assert done["operations"] == ["VM.add_to_other_config", "VM.pool_migrate"] * 3
    assert done["moved"][0]["memory"] > 8 * GIB
    assert done["diff"] == {
        "before": dict.fromkeys(("app0-01", "web0", "app0-02"), "lab0"),
        "after": {"app0-01": "lab1", "web0": "lab1", "app0-02": "lab2"},
    }


@pytest.mark.parametrize("kind", ["repository", "pool_update", "installer"])
def test_other_releases_do_the_same(simulator: t.Any, session_to: t.Any, converges: Run, kind: str) -> None:
    lab = start(simulator, session_to, kind=kind)
    actions = [
        *to("lab1", "web0"),
        *end("shutdown", "special-toolless"),
        *end("suspend", "special-local"),
        *begin("resume", "lab3", "asleep"),
    ]
    assert len(converges("xen_vm_moves", actions=actions, remember_home=True)["operations"]) == 7
    assert [lab.at(vm) for vm in ("web0", "special-toolless", "special-local", "asleep")] == ["lab1", "Halted", "Suspended", "lab3"]


def test_a_vm_that_comes_home_has_no_home_to_remember(lab: Pool, converges: Run, run: Run) -> None:
    run("xen_vm_moves", actions=to("lab1", "web0"), remember_home=True)
    run("xen_vm_moves", actions=to("lab2", "web0"), remember_home=True)
    assert lab.marks("web0") == {marks.HOME: lab.uuid("host", "lab0")}, "where it was at first"
    done = converges("xen_vm_moves", actions=to("lab0", "web0"), remember_home=True)
    assert done["operations"] == ["VM.pool_migrate", "VM.remove_from_other_config"]
    assert (lab.at("web0"), lab.marks("web0")) == ("lab0", {})


def test_what_is_so_already_is_left_alone_but_for_marks_that_have_served(lab: Pool, converges: Run) -> None:
    lab("VM.add_to_other_config", lab.one("VM", "web0"), marks.HOME, lab.uuid("host", "lab0"))
    lab("VM.add_to_other_config", lab.one("VM", "web1"), marks.STOPPED, f"shutdown {lab.uuid('host', 'lab1')}")
    actions = [*to("lab0", "web0", "app0-01"), *begin("start", "lab1", "web1"), *end("shutdown", "halted"), *end("suspend", "asleep")]
    done = converges("xen_vm_moves", actions=actions)
    assert done["operations"] == ["VM.remove_from_other_config"] * 2
    assert (lab.marks("web0"), lab.marks("web1")) == ({}, {})
    assert (done["moved"], done["started"], done["stopped"]) == ([], [], [])


def begin(action: str, host: str, *vms: str) -> list[dict[str, t.Any]]:
    return [{"action": action, "vm": vm, "host": host} for vm in vms]


def end(action: str, *vms: str) -> list[dict[str, t.Any]]:
    return [{"action": action, "vm": vm} for vm in vms]


def test_a_vm_moves_twice_in_the_order_of_the_list(lab: Pool, converges: Run) -> None:
    done = converges("xen_vm_moves", actions=[*to("lab1", "web0"), *to("lab3", "web0")])
    assert [(row["from"], row["to"]) for row in done["moved"]] == [("lab0", "lab1"), ("lab1", "lab3")]
    assert lab.at("web0") == "lab3"


def test_a_vm_makes_way_for_another(lab: Pool, converges: Run, session: Session) -> None:
    """The room on lab3 is enough for one of them, so the second waits until the first has left."""
    lab.bend("host_metrics", lab("host.get_metrics", lab.host("lab3")), memory_total=32 * GIB)
    room = capacity.memory_free(Objects(session), lab.host("lab3"))
    lab("VM.set_memory_dynamic_range", lab.one("VM", "slow"), 2 * GIB, 2 * GIB)
    actions = [*to("lab3", "db"), *to("lab2", "app3-01"), *to("lab3", "app1-01")]
    assert 12 * GIB < room < 18 * GIB + GIB // 2
    done = converges("xen_vm_moves", actions=actions)
    assert (lab.at("db"), lab.at("app3-01"), lab.at("app1-01"), done["surprises"]) == ("lab3", "lab2", "lab3", [])


def test_what_finds_no_room_is_told_and_left(lab: Pool, converges: Run) -> None:
    lab.bend("host_metrics", lab("host.get_metrics", lab.host("lab3")), memory_total=20 * GIB)
    done = converges("xen_vm_moves", actions=[*to("lab3", "db"), *to("lab2", "web0"), *to("lab0", "db")])
    assert [row["vm"] for row in done["moved"]] == ["web0"]
    assert [row["msg"].split(":")[0] for row in done["surprises"]] == ["VM 'db' was left where it is"] * 2
    assert "host 'lab3' has" in done["surprises"][0]["msg"]
    assert (done["failed_actions"], lab.at("db")) == ([], "lab1")


# limits -----------------------------------------------------------------------------------------------------------------
class Watching(Session):
    """Notes the most migrations that were under way at a time: in the pool, out of a host, into a host."""

    def __init__(self, lab: Pool):
        super().__init__(lab.session.endpoint)
        self._session = lab.session.handle
        self.was = {vm: record["resident_on"] for vm, record in lab("VM.get_all_records").items()}
        self.going: dict[str, tuple[str, str]] = {}
        self.most = (0, 0, 0)

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        result = super().call(method, *params, **more)
        if method == "Async.VM.pool_migrate":
            self.going[result] = (self.was[params[0]], params[1])
        elif method == "task.destroy":
            self.going.pop(params[0], None)
        out, into = (max(Counter(ends[i] for ends in self.going.values()).values(), default=0) for i in (0, 1))
        self.most = (max(self.most[0], len(self.going)), max(self.most[1], out), max(self.most[2], into))
        return result


def carried_out(session: Session, **params: t.Any) -> dict[str, t.Any]:
    """The module with a session of the test's own."""
    known = validated(xen_vm_moves.MODULE, {"session": {"url": session.endpoint.url, "ref": session.handle}, **params})
    return xen_vm_moves.MODULE.run(session, known, False)


@pytest.mark.parametrize(
    ("options", "most"), [({}, (6, 3, 3)), ({"max_parallel": 2}, (2, 2, 2)), ({"per_host": 1}, (2, 1, 1)), ({"per_host": 5}, (7, 4, 4))]
)
def test_no_more_move_at_once_than_allowed(lab: Pool, options: dict[str, int], most: tuple[int, int, int]) -> None:
    """web0 and web1 are of one group: the second does not begin before the first is there."""
    watching = Watching(lab)
    actions = [*to("lab2", "app0-01", "app0-02", "app0-03", "web0"), *to("lab3", *ONES)]
    assert len(carried_out(watching, actions=actions, **options)["moved"]) == 8
    assert watching.most == most


ONES = ("app1-01", "app1-02", "app1-03", "web1")


# stopping and starting ----------------------------------------------------------------------------------------------------
def test_guests_are_shut_down_and_started_where_they_were(special: Pool, converges: Run) -> None:
    lab = special
    done = converges("xen_vm_moves", actions=end("shutdown", "slow", "special-toolless", "special-local"))
    assert {row["vm"]: row["how"] for row in done["stopped"]} == {"slow": "clean", "special-toolless": "hard", "special-local": "clean"}
    assert [lab.at(vm) for vm in ("slow", "special-toolless", "special-local")] == ["Halted"] * 3
    assert lab.marks("slow") == {marks.STOPPED: f"shutdown {lab.uuid('host', 'lab3')}"}
    starts = [*begin("start", "lab3", "slow", "special-toolless"), *begin("start", "lab2", "special-local")]
    done = converges("xen_vm_moves", actions=starts)
    assert [(row["vm"], row["host"]) for row in done["started"]] == [
        ("slow", "lab3"),
        ("special-toolless", "lab3"),
        ("special-local", "lab2"),
    ]
    assert done["operations"] == ["VM.start_on", "VM.remove_from_other_config"] * 3
    assert [lab.at(vm) for vm in ("slow", "special-toolless", "special-local")] == ["lab3", "lab3", "lab2"]
    assert lab.marks("slow") == {}


def test_guests_are_suspended_and_resumed(special: Pool, converges: Run) -> None:
    done = converges("xen_vm_moves", actions=end("suspend", "special-local"))
    assert done["stopped"][0]["how"] == "suspend"
    assert special.marks("special-local") == {marks.STOPPED: f"suspend {special.uuid('host', 'lab2')}"}
    done = converges("xen_vm_moves", actions=begin("resume", "lab2", "special-local"))
    assert done["operations"] == ["VM.resume_on", "VM.remove_from_other_config"]
    assert (special.at("special-local"), special.marks("special-local")) == ("lab2", {})


def test_a_guest_that_does_not_listen_is_switched_off(special: Pool, run: Run) -> None:
    done = run("xen_vm_moves", actions=end("shutdown", "special-deaf"))
    assert (done["stopped"][0]["how"], special.at("special-deaf")) == ("hard", "Halted")


def test_a_guest_that_takes_too_long_is_switched_off(lab: Pool, run: Run) -> None:
    lab.sim.world.clock.set_speed(20)
    done = run("xen_vm_moves", actions=end("shutdown", "slow"), shutdown_timeout=1)
    assert (done["stopped"][0]["how"], lab.at("slow")) == ("hard", "Halted")


def test_a_guest_that_is_not_to_be_switched_off_goes_on(special: Pool, run: Run) -> None:
    done = run("xen_vm_moves", actions=end("shutdown", "special-deaf", "special-toolless"), stop="clean")
    assert done["failed"] is True
    rows = {row["vm"]: row["error_code"] for row in done["failed_actions"]}
    assert rows == {"special-deaf": "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", "special-toolless": "VM_LACKS_FEATURE"}
    assert (special.at("special-deaf"), special.at("special-toolless")) == ("lab1", "lab3")


# others --------------------------------------------------------------------------------------------------------------------
def test_a_vm_that_is_not_as_was_thought_is_not_touched(lab: Pool, converges: Run) -> None:
    lab("VM.hard_shutdown", lab.one("VM", "web1"))
    lab("VM.pause", lab.one("VM", "slow"))
    uuid = "00000000-0000-4000-8000-000000000000"
    actions = [
        *to("lab0", "web1"),
        *to("lab0", "web2", source="lab3"),
        *to("lab0", "db", memory=GIB),
        *to("lab0", uuid, name="gone"),
        *end("shutdown", "slow"),
        *[{"action": "shutdown", "vm": "app1-01", "host": "lab2"}],
        *to("lab2", "app3-01", source="lab3", memory=5 * GIB),
    ]
    done = converges("xen_vm_moves", actions=actions)
    assert [row["vm"] for row in done["moved"]] == ["app3-01"]
    assert [row["msg"] for row in done["surprises"]] == [
        "VM 'web1' is halted.",
        "VM 'web2' is on host 'lab2' now, not on 'lab3'.",
        "VM 'db' has grown from 1 GiB to 12.1 GiB.",
        "VM 'gone' is not there any more.",
        "VM 'slow' is paused.",
        "VM 'app1-01' is on host 'lab1' now, not on 'lab2'.",
    ]
    assert done["surprises"][3]["uuid"] == uuid


def test_what_cannot_move_is_told_before_anything_else_is_done(special: Pool, run: Run) -> None:
    special("VM.add_to_blocked_operations", special.one("VM", "web0"), "pool_migrate", "backup")
    actions = to("lab1", "special-local", "special-toolless", "special-pci", "web0", "app0-01")
    told = run("xen_vm_moves", actions=actions, check=True)
    assert told["failed"] is True
    assert {row["vm"]: row["error_code"] for row in told["failed_actions"]} == {
        "special-local": "VM_REQUIRES_SR",
        "special-toolless": "VM_LACKS_FEATURE",
        "special-pci": "VM_HAS_PCI_ATTACHED",
        "web0": "OPERATION_BLOCKED",
    }
    assert "Could not move VM 'web0' from host 'lab0' to host 'lab1': VM 'web0' has pool_migrate blocked (backup)." in told["msg"]
    done = run("xen_vm_moves", actions=actions, strict=False)
    assert done["failed_actions"] == told["failed_actions"]
    assert "failed" not in done
    assert [row["vm"] for row in done["moved"]] == ["app0-01"]


def test_a_disc_that_the_target_cannot_see_is_ejected_and_noted(special: Pool, converges: Run, run: Run) -> None:
    lab = special
    (cd,) = (vbd for vbd in lab("VBD.get_all_records").values() if vbd["type"] == "CD" and vbd["VM"] == lab.one("VM", "special-disc"))
    sr = lab("VDI.get_SR", cd["VDI"])
    (pbd,) = (ref for ref, pbd in lab("PBD.get_all_records").items() if pbd["SR"] == sr and pbd["host"] == lab.host("lab1"))
    lab("PBD.unplug", pbd)
    actions = to("lab1", "special-disc")
    refused = run("xen_vm_moves", actions=actions, eject=False)
    assert [row["error_code"] for row in refused["failed_actions"]] == ["VM_REQUIRES_SR"]
    done = converges("xen_vm_moves", actions=actions)
    assert done["operations"] == ["VBD.add_to_other_config", "VBD.eject", "VM.pool_migrate"]
    after = lab("VBD.get_by_uuid", cd["uuid"])
    assert lab("VBD.get_other_config", after) == {marks.DISC: lab("VDI.get_uuid", cd["VDI"])}
    assert lab.at("special-disc") == "lab1"


def test_migrations_go_over_the_network_that_was_named(lab: Pool, run: Run) -> None:
    network = next(r["name_label"] for r in lab("network.get_all_records").values() if "eth2" in r["name_label"])
    mark = lab.sim.mark()
    run("xen_vm_moves", actions=to("lab1", "web0"), network=network)
    (call,) = (call for call in lab.sim.calls(mark) if call["method"].endswith("pool_migrate"))
    assert call["params"][2] == {"live": "true", "network": lab.one("network", network)}
    other = next(r["name_label"] for r in lab("network.get_all_records").values() if "eth1" in r["name_label"])
    done = run("xen_vm_moves", actions=to("lab2", "web0"), network=other)
    assert [row["error_code"] for row in done["failed_actions"]] == ["INTERFACE_HAS_NO_IP"]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"actions": [{"action": "migrate", "vm": "web0"}]}, InvalidChange, "names no host"),
        ({"actions": [{"action": "migrate", "vm": "web9", "host": "lab1"}]}, NotFound, "No VM is named 'web9'"),
        ({"actions": [{"action": "migrate", "vm": "web0", "host": "lab9"}]}, NotFound, "lab9"),
        ({"actions": [], "per_host": 0}, InvalidChange, "per_host cannot be 0"),
        ({"actions": [], "max_parallel": 0}, InvalidChange, "max_parallel cannot be 0"),
        ({"actions": [], "run": "mine"}, InvalidChange, "No upgrade of this pool is under way"),
    ],
)
def test_what_cannot_be_meant_is_refused(lab: Pool, run: Run, options: dict[str, t.Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        run("xen_vm_moves", **options)


def test_who_may_not_move_vms_is_told_before_anything_is_done(lab: Pool, run: Run) -> None:
    user(lab.sim, "jo", "vm-operator")
    mark = lab.sim.mark()
    with pytest.raises(InvalidChange, match=r"the role of user 'jo' does not allow VM\.pool_migrate"):
        run("xen_vm_moves", actions=to("lab1", "web0"), username="jo")
    assert lab.sim.calls(mark) == []


def test_a_run_that_another_has_taken_over_changes_nothing(lab: Pool, run: Run) -> None:
    for mine in ("first", "second"):
        run("xen_upgrade", state="begun", run=mine, method="reboot", takeover_after=0)
    mark = lab.sim.mark()
    with pytest.raises(InvalidChange, match=r"taken over by .* it belongs to run 'second', not to 'first' any more"):
        run("xen_vm_moves", actions=to("lab1", "web0"), run="first")
    assert lab.sim.calls(mark) == []
    assert len(run("xen_vm_moves", actions=to("lab1", "web0"), run="second")["moved"]) == 1


# faults --------------------------------------------------------------------------------------------------------------------
def test_a_migration_that_fails_is_told_and_the_others_go_on(lab: Pool, run: Run) -> None:
    lab.sim.faults.fail_migration("VM_MIGRATE_FAILED", vm=lab.uuid("VM", "web0"))
    actions = to("lab1", "app0-01", "web0", "app0-02")
    done = run("xen_vm_moves", actions=actions)
    assert done["failed"] is True
    assert [(row["vm"], row["error_code"]) for row in done["failed_actions"]] == [("web0", "VM_MIGRATE_FAILED")]
    assert done["msg"].startswith(
        "Could not move VM 'web0' from host 'lab0' to host 'lab1': VM.pool_migrate was refused: VM_MIGRATE_FAILED"
    )
    assert [lab.at(vm) for vm in ("app0-01", "web0", "app0-02")] == ["lab1", "lab0", "lab1"]
    done = run("xen_vm_moves", actions=actions)
    assert [row["vm"] for row in done["moved"]] == ["web0"]
    assert lab.at("web0") == "lab1"


def test_a_vm_that_is_halted_while_it_moves_is_a_surprise(lab: Pool, run: Run) -> None:
    lab.sim.faults.fail_migration("VM_BAD_POWER_STATE", vm=lab.uuid("VM", "web0"))
    moved = run("xen_vm_moves", actions=to("lab1", "web0"), strict=False)
    assert [row["error_code"] for row in moved["failed_actions"]] == ["VM_BAD_POWER_STATE"]
    lab.sim.world.clock.set_speed(10)
    halting = threading.Timer(0.3, lambda: lab("VM.hard_shutdown", lab.one("VM", "app0-01")))
    halting.start()
    done = run("xen_vm_moves", actions=to("lab1", "app0-01"), strict=False)
    halting.join()
    assert [row["msg"] for row in done["surprises"]] == ["VM 'app0-01' is halted."]


@pytest.mark.parametrize(("source", "ends"), [(None, "lab1"), ("lab0", "lab3")])
def test_a_vm_that_somebody_moves_meanwhile(lab: Pool, run: Run, source: str | None, ends: str) -> None:
    lab.sim.world.clock.set_speed(20)
    moving = threading.Timer(0.3, lambda: lab("VM.pool_migrate", lab.one("VM", "web0"), lab.host("lab3"), {"live": "true"}))
    moving.start()
    done = run("xen_vm_moves", actions=to("lab1", "app0-01", "web0", source=source), max_parallel=1)
    moving.join()
    assert lab.at("web0") == ends
    told = [row["msg"] for row in done["surprises"]]
    assert told == (["VM 'web0' is on host 'lab3' now, not on 'lab0'."] if source else [])


def test_the_restart_of_the_coordinators_toolstack_is_survived(lab: Pool, run: Run) -> None:
    lab.sim.world.clock.set_speed(20)
    restarting = threading.Timer(0.5, lambda: lab("host.restart_agent", lab.host("lab0")))
    restarting.start()
    done = run("xen_vm_moves", actions=to("lab1", "app0-01", "app0-02", "web0"))
    restarting.join()
    assert done["failed_actions"] == []
    db = lab.sim.world.pools[0].db
    hosts = {db.get("VM", db.one("VM", name_label=name))["resident_on"] for name in ("app0-01", "app0-02", "web0")}
    assert hosts == {lab.sim.world.machines["lab1"].host_ref}


def test_what_is_under_way_is_waited_for(lab: Pool, run: Run) -> None:
    lab.sim.world.clock.set_speed(20)
    for vm, host in (("app0-01", "lab1"), ("web0", "lab3")):
        lab("Async.VM.pool_migrate", lab.one("VM", vm), lab.host(host), {"live": "true"})
        lab.moving(lab.one("VM", vm))
    done = run("xen_vm_moves", actions=to("lab1", "app0-01", "web0"))
    assert [(row["vm"], row["from"]) for row in done["moved"]] == [("web0", "lab3")]
    assert (lab.at("app0-01"), lab.at("web0")) == ("lab1", "lab1")


LIST = [
    *to("lab2", "app0-01"), *to("lab3", "web0", "app0-02"), *end("shutdown", "slow", "special-toolless"),
    *end("suspend", "special-local"), *begin("start", "lab2", "app1-01"), *begin("resume", "lab1", "asleep"),
]  # fmt: skip
ENDS = {
    "app0-01": "lab2", "web0": "lab3", "app0-02": "lab3", "slow": "Halted", "special-toolless": "Halted",
    "special-local": "Suspended", "app1-01": "lab2", "asleep": "lab1",
}  # fmt: skip
CALLS = 16  # changing ones, without task.destroy
EACH = [pytest.param(nth, marks=[] if nth in (1, 9) else pytest.mark.slow) for nth in range(1, CALLS + 1)]


@pytest.fixture
def list_lab(special: Pool) -> Pool:
    """app1-01 and asleep were stopped by an earlier run."""
    vm = special.one("VM", "app1-01")
    special("VM.hard_shutdown", vm)
    special("VM.add_to_other_config", vm, marks.STOPPED, f"shutdown {special.uuid('host', 'lab2')}")
    special("VM.add_to_other_config", special.one("VM", "asleep"), marks.STOPPED, f"suspend {special.uuid('host', 'lab1')}")
    return special


def ended_well(lab: Pool) -> None:
    assert {vm: lab.at(vm) for vm in ENDS} == ENDS
    host = {name: lab.uuid("host", name) for name in ("lab0", "lab1", "lab2", "lab3")}
    assert {vm: lab.marks(vm) for vm in ENDS} == {
        **{vm: {marks.HOME: host["lab0"]} for vm in ("app0-01", "web0", "app0-02")},
        "slow": {marks.STOPPED: f"shutdown {host['lab3']}"},
        "special-toolless": {marks.STOPPED: f"shutdown {host['lab3']}"},
        "special-local": {marks.STOPPED: f"suspend {host['lab2']}"},
        "app1-01": {},
        "asleep": {},
    }


def test_the_list_of_the_faults_has_that_many_changing_calls(list_lab: Pool, converges: Run) -> None:
    done = converges("xen_vm_moves", actions=LIST, remember_home=True)
    assert len(done["operations"]) == CALLS
    ended_well(list_lab)


@pytest.mark.parametrize("nth", EACH)
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
def test_whatever_call_is_cut_the_list_is_done(list_lab: Pool, run: Run, cut: str, nth: int) -> None:
    getattr(list_lab.sim.faults, cut)(nth)
    done = run("xen_vm_moves", actions=LIST, remember_home=True)
    assert (done["failed_actions"], done["surprises"]) == ([], [])
    ended_well(list_lab)
    assert run("xen_vm_moves", actions=LIST, remember_home=True)["changed"] is False


@pytest.mark.parametrize("nth", EACH)
def test_whatever_call_fails_the_list_is_done_by_the_next_run(list_lab: Pool, run: Run, nth: int) -> None:
    list_lab.sim.faults.add("fail", None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    done = run("xen_vm_moves", actions=LIST, remember_home=True, strict=False)
    assert len(done["failed_actions"]) <= 1
    run("xen_vm_moves", actions=LIST, remember_home=True)
    ended_well(list_lab)


class Ending(Session):
    """Told to end while it waits for what it has begun."""

    def __init__(self, session: Session):
        super().__init__(session.endpoint)
        self._session = session.handle

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        if method == "event.from" and any(name.startswith("task/") for name in params[0]):
            raise Interrupted
        return super().call(method, *params, **more)


def test_a_run_that_is_told_to_end_leaves_nothing_under_way(lab: Pool, run: Run) -> None:
    lab.sim.world.clock.set_speed(1)
    with pytest.raises(Interrupted):
        carried_out(Ending(lab.session), actions=to("lab1", "app0-01", "app0-02"))
    lab.sim.world.clock.set_speed(240)
    assert len(run("xen_vm_moves", actions=to("lab1", "app0-01", "app0-02"))["moved"]) == 2


class Killed(BaseException):
    """The process is no more."""


class Mortal(Session):
    """The process that has it is killed at its n-th changing call, before or after that: nothing is cancelled or given back."""

    def __init__(self, session: Session, nth: int, *, after: bool):
        super().__init__(session.endpoint)
        self._session, self._left, self._after = session.handle, nth, after

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        self._left -= not is_read(method)
        if self._left < 0 or (self._left == 0 and not self._after and not is_read(method)):
            self._left = -1
            raise Killed
        return super().call(method, *params, **more)


@pytest.mark.parametrize("nth", EACH)
@pytest.mark.parametrize("after", [False, True])
def test_after_a_kill_the_next_run_finishes_the_list(list_lab: Pool, run: Run, nth: int, after: bool) -> None:
    with pytest.raises(Killed):
        carried_out(Mortal(list_lab.session, nth, after=after), actions=LIST, remember_home=True)
    done = run("xen_vm_moves", actions=LIST, remember_home=True)
    assert (done["failed_actions"], done["surprises"]) == ([], [])
    ended_well(list_lab)
