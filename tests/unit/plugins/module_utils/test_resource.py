# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one road from parameters to result, on the smallest resource there can be."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, ApiError, InvalidChange, NotFound, OutcomeUnknown
from ansible_collections.domzero.xen.plugins.module_utils.fields import Field, Table
from ansible_collections.domzero.xen.plugins.module_utils.plan import Later, Operation, Plan
from ansible_collections.domzero.xen.plugins.module_utils.resource import Found, Resource, converge


class Net(Resource):
    table = Table(
        "network",
        (
            Field("name_label", "name"),
            Field("name_description", "description", default=""),
            Field("MTU", "mtu", "int", default=1500),
            Field("tags", "tags", "tags", default=()),
            Field("other_config", "other_config", "dict", default={}),
        ),
    )


class Slow(Net):
    def create(self, plan: Plan) -> Later:
        return plan.add("network.create", self.table.record(plan.after, self.objects), slow=True)


class Interrupting(Net):
    def update(self, plan: Plan, found: Found) -> None:
        plan.add("network.set_MTU", found.ref, 9000, disruptive=f"interrupt network {self.label!r}")


class Elsewhere(Net):
    """Sends its last operation to another host."""

    opened: t.ClassVar[list[Session]] = []

    def update(self, plan: Plan, found: Found) -> None:
        super().update(plan, found)
        plan.add("network.set_name_description", found.ref, "from there", on="xcp01")

    def session_on(self, host: str) -> Session:
        assert host == "xcp01"
        self.opened.append(Session(self.session.endpoint))
        self.opened[-1].log_in("root", "xapi-test")
        return self.opened[-1]


@pytest.fixture
def do(session):
    def do(cls: type[Resource] = Net, *, check: bool = False, **params: t.Any) -> dict[str, t.Any]:
        return converge(cls(session, {"state": "present", **params}), check_mode=check)

    return do


@pytest.fixture
def sim(pool):
    return pool()


def made(sim, name: str) -> list[dict[str, t.Any]]:
    db = sim.world.pools[0].db
    return [db.get("network", ref) for ref in db.find("network", name_label=name)]


def changes(sim) -> list[str]:
    return [call["method"] for call in sim.calls()]


# one task ---------------------------------------------------------------------------------------------------------------
def test_check_mode_predicts_everything_but_the_new_uuid_and_calls_nothing(sim, do):
    predicted = do(check=True, name="a", mtu=9000, other_config={"x": 1})
    assert changes(sim) == []
    done = do(name="a", mtu=9000, other_config={"x": 1})
    assert done["network"].pop("uuid")
    assert predicted == done
    assert changes(sim) == ["network.create"] == done["operations"]


def test_the_second_run_changes_nothing(sim, do):
    do(name="a", tags=["y", "x"])
    again = do(name="a", tags=["x", "y"])
    assert again["changed"] is False
    assert again["operations"] == []
    assert changes(sim) == ["network.create"]


def test_only_what_differs_is_set_and_told(sim, do):
    do(name="a", other_config={"theirs": "1"})
    done = do(name="a", mtu=9000, other_config={"ours": 2})
    assert done["operations"] == ["network.set_MTU", "network.set_other_config"]
    assert done["diff"]["before"]["mtu"] == 1500
    assert done["diff"]["after"]["other_config"] == {"theirs": "1", "ours": "2"}


def test_an_absent_object_is_gone_and_stays_gone(sim, do):
    do(name="a")
    done = do(name="a", state="absent")
    assert (done["changed"], done["network"], done["diff"]["after"]) == (True, {}, {})
    assert made(sim, "a") == []
    assert do(name="a", state="absent")["changed"] is False


def test_with_the_uuid_the_name_is_what_it_is_to_be_named(sim, do):
    uuid = do(name="a")["network"]["uuid"]
    assert do(uuid=uuid, name="b")["network"]["name"] == "b"
    assert len(made(sim, "b")) == 1


def test_a_uuid_that_should_be_there_is_missed(do):
    with pytest.raises(NotFound, match="No network has the uuid 12345"):
        do(uuid="12345", name="a")
    assert do(uuid="12345", name="a", state="absent")["changed"] is False


def test_an_ambiguous_name_is_refused_before_anything_is_changed(sim, do, session):
    for _turn in range(2):
        session.call("network.create", {"name_label": "twin", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    mark = sim.mark()
    with pytest.raises(Ambiguous):
        do(name="twin", mtu=9000)
    assert sim.calls(mark) == []


# what goes wrong --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("resource", [Net, Slow])
@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_an_unknown_outcome_is_looked_at_and_planned_again(sim, do, resource, cut):
    getattr(sim.faults, cut)("network.create")
    done = do(resource, name="a", mtu=9000)
    assert (done["changed"], done["network"]["mtu"]) == (True, 9000)
    assert len(made(sim, "a")) == 1


def test_what_is_half_done_is_finished(sim, do):
    do(name="a")
    sim.faults.cut_after("network.set_MTU")
    done = do(name="a", mtu=9000, description="d", tags=["t"])
    (record,) = made(sim, "a")
    assert (record["MTU"], record["name_description"], record["tags"]) == (9000, "d", ["t"])
    assert changes(sim).count("network.set_MTU") == 1
    assert done["network"]["description"] == "d"


def test_a_task_that_comes_on_is_finished_however_often_the_connection_breaks(sim, do):
    do(name="a")
    sim.faults.cut_after("network.set_name_description")
    sim.faults.cut_after("network.set_MTU")
    sim.faults.cut_after("network.set_tags")
    sim.faults.cut_after("network.set_other_config")
    sim.faults.cut_before("network.set_MTU")
    done = do(name="a", mtu=9000, description="d", tags=["t"], other_config={"k": "v"})
    (record,) = made(sim, "a")
    assert (record["MTU"], record["name_description"], record["tags"], record["other_config"]) == (9000, "d", ["t"], {"k": "v"})
    assert done["changed"]


def test_an_outcome_that_stays_unknown_is_told_with_what_was_done(sim, do):
    do(name="a")
    for nth in range(1, 10):
        sim.faults.cut_before("network.set_MTU", nth=nth)
    with pytest.raises(OutcomeUnknown, match="Could not set mtu of network 'a'") as failed:
        do(name="a", mtu=9000, description="d")
    assert failed.value.done == ["network.set_name_description"]


def test_a_refusal_of_the_pool_is_not_tried_again(sim, do):
    sim.faults.fail("network.create", error=["LICENCE_RESTRICTION", "x"])
    with pytest.raises(ApiError, match="Could not create network 'a'"):
        do(name="a")
    assert changes(sim) == ["network.create"]


def test_an_error_names_the_object_not_its_reference(sim, do):
    do(name="a")
    (ref,) = sim.world.pools[0].db.find("network", name_label="a")
    sim.faults.fail("network.set_MTU", error=["OTHER_OPERATION_IN_PROGRESS", "network", ref])
    with pytest.raises(ApiError, match="Something else is working on the object") as failed:
        do(name="a", mtu=9000)
    assert ref not in str(failed.value)
    assert "network 'a'" in str(failed.value)
    assert failed.value.params == ["network", ref]


# what interrupts somebody -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("check", [True, False])
def test_what_interrupts_somebody_is_refused_before_the_first_call(sim, do, check):
    do(name="a")
    mark = sim.mark()
    with pytest.raises(InvalidChange, match=r"This would interrupt network 'a'\. Set allow_disruption: true"):
        do(Interrupting, name="a", check=check)
    assert sim.calls(mark) == []


def test_what_interrupts_somebody_is_done_when_the_task_allows_it(sim, do):
    do(name="a")
    assert do(Interrupting, name="a", allow_disruption=True)["network"]["mtu"] == 9000


# to whom ----------------------------------------------------------------------------------------------------------------
def test_a_session_on_another_host_ends_with_its_operation(sim, do):
    do(name="a")
    done = do(Elsewhere, name="a", mtu=9000)
    assert done["operations"] == ["network.set_MTU", "network.set_name_description"]
    assert done["network"]["description"] == "from there"
    (there,) = Elsewhere.opened
    assert not there.handle


def test_a_resource_that_knows_no_other_host_says_so(session):
    with pytest.raises(NotImplementedError, match="Net sends nothing to xcp01"):
        Net(session, {}).call(Operation("host.reboot", (), on="xcp01"), [])
