# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, and what they may do then."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.sessions import ROLES
from ansible_collections.domzero.xen.tests.simulator.world import Machine, World

from .conversation import Asked, build


@pytest.fixture
def world() -> World:
    return build(2, joined=True)


@pytest.fixture
def coordinator(world: World) -> Machine:
    return world.machines["xcp00"]


@pytest.fixture
def member(world: World) -> Machine:
    return world.machines["xcp01"]


def refusal(machine: Machine, method: str, *params: t.Any) -> list[str]:
    with pytest.raises(Fault) as e:
        dispatch(machine, method, params)
    return e.value.description


def test_a_wrong_password_is_refused_after_a_while(coordinator: Machine) -> None:
    world, before = coordinator.world, coordinator.world.clock.now()
    code, user, _text = refusal(coordinator, "session.login_with_password", "root", "wrong")
    assert (code, user) == ("SESSION_AUTHENTICATION_FAILED", "root")
    assert world.clock.now() - before >= 1.8


def test_a_member_names_the_coordinator_before_it_looks_at_the_password(member: Machine, coordinator: Machine) -> None:
    for password in ("xapi-test", "wrong"):
        assert refusal(member, "session.login_with_password", "root", password) == ["HOST_IS_SLAVE", coordinator.address]


def test_a_session_of_the_coordinator_is_not_served_by_a_member(member: Machine, coordinator: Machine) -> None:
    session = Asked(coordinator).session
    assert refusal(member, "host.get_all", session) == ["HOST_IS_SLAVE", coordinator.address]
    assert refusal(member, "host.get_all", "OpaqueRef:x") == ["SESSION_INVALID", "OpaqueRef:x"]


def test_a_local_session_of_a_member_is_good_for_emergency_calls_only(member: Machine) -> None:
    session = dispatch(member, "session.slave_local_login_with_password", ["root", "xapi-test"])
    assert refusal(member, "host.get_all", session) == ["SESSION_INVALID", session]
    dispatch(member, "session.local_logout", [session])
    assert refusal(member, "session.local_logout", session) == ["SESSION_INVALID", session]


def test_a_member_that_has_not_found_its_coordinator_is_still_booting(member: Machine, coordinator: Machine) -> None:
    member.go_down()
    coordinator.go_down()
    member.come_up()
    assert refusal(member, "session.login_with_password", "root", "xapi-test") == ["HOST_STILL_BOOTING"]
    assert dispatch(member, "session.slave_local_login_with_password", ["root", "xapi-test"])
    coordinator.come_up()
    assert refusal(member, "session.login_with_password", "root", "xapi-test") == ["HOST_IS_SLAVE", coordinator.address]


def test_a_host_that_is_off_does_not_answer(member: Machine) -> None:
    member.go_down()
    with pytest.raises(ConnectionRefusedError):
        dispatch(member, "session.login_with_password", ["root", "xapi-test"])


def test_a_session_ends_with_its_logout_and_with_its_host(coordinator: Machine) -> None:
    first, second = Asked(coordinator), Asked(coordinator)
    first("session.logout")
    assert first.refused("host.get_all") == ["SESSION_INVALID", first.session]
    assert first.refused("session.logout") == ["SESSION_INVALID", first.session]
    coordinator.go_down()
    coordinator.come_up()
    assert second.refused("host.get_all") == ["SESSION_INVALID", second.session]


def test_a_session_knows_who_asked(coordinator: Machine) -> None:
    ask = Asked(coordinator)
    record = ask("session.get_record", ask.session)
    assert (record["auth_user_name"], record["is_local_superuser"], record["originator"]) == ("root", True, "tests")
    assert record["this_host"] == ask.host
    assert ask("session.get_this_host", ask.session) == ask.host


def test_the_oldest_of_five_hundred_sessions_of_an_originator_makes_room(coordinator: Machine) -> None:
    other = dispatch(coordinator, "session.login_with_password", ["root", "xapi-test", "2.0", "another"])
    mine = [Asked(coordinator) for _login in range(501)]
    assert mine[0].refused("host.get_all") == ["SESSION_INVALID", mine[0].session]
    assert all(ask("host.get_all") for ask in mine[1:])
    assert dispatch(coordinator, "host.get_all", [other])


def test_an_idle_session_is_gone_after_a_day(coordinator: Machine) -> None:
    idle = Asked(coordinator)
    coordinator.world.clock.sleep(25 * 3600)
    assert Asked(coordinator)("host.get_all")
    assert idle.refused("host.get_all") == ["SESSION_INVALID", idle.session]


def test_the_password_can_be_changed(coordinator: Machine) -> None:
    ask = Asked(coordinator)
    ask("session.change_password", "xapi-test", "new one")
    assert refusal(coordinator, "session.login_with_password", "root", "xapi-test")[0] == "SESSION_AUTHENTICATION_FAILED"
    assert Asked(coordinator, "new one")


# roles ---------------------------------------------------------------------------------------------------------------
class Subject(Asked):
    """An external user with one role."""

    def __init__(self, root: Asked, name: str, role: str) -> None:
        self.ref = root("subject.create", {"subject_identifier": f"S-{name}", "other_config": {"subject-name": name}})
        root("subject.add_to_roles", self.ref, f"OpaqueRef:{ROLES[role]}")
        self.machine = root.machine
        self.session = dispatch(root.machine, "session.login_with_password", [name, "xapi-test"])


@pytest.fixture
def root(coordinator: Machine) -> Asked:
    ask = Asked(coordinator)
    ask("pool.enable_external_auth", ask.machine.pool.pool_ref, {"user": "a", "pass": "b"}, "example.com", "AD")
    return ask


def test_a_reader_may_read_and_nothing_else(root: Asked) -> None:
    reader = Subject(root, "reader", "read-only")
    network = root.network("n")
    assert reader("network.get_name_label", network) == "n"
    code, permission, text = reader.refused("network.set_name_label", network, "x")
    assert (code, permission) == ("RBAC_PERMISSION_DENIED", "network.set_name_label")
    assert "pool-admin, pool-operator" in text
    assert reader.refused("Async.network.destroy", network)[0] == "RBAC_PERMISSION_DENIED"
    assert root("network.get_name_label", network) == "n"


def test_an_operator_of_the_pool_may_change_networks_but_not_subjects(root: Asked) -> None:
    operator = Subject(root, "operator", "pool-operator")
    operator("network.destroy", operator.network("n"))
    assert operator.refused("subject.add_to_roles", operator.ref, f"OpaqueRef:{ROLES['pool-admin']}")[:2] == [
        "RBAC_PERMISSION_DENIED",
        "subject.add_to_roles",
    ]


def test_a_role_counts_from_the_next_login(root: Asked) -> None:
    reader = Subject(root, "reader", "read-only")
    root("subject.add_to_roles", reader.ref, f"OpaqueRef:{ROLES['pool-operator']}")
    assert reader.refused("network.create", {"name_label": "n", "other_config": {}})[0] == "RBAC_PERMISSION_DENIED"
    reader.session = dispatch(root.machine, "session.login_with_password", ["reader", "xapi-test"])
    assert reader.network("n")


def test_a_user_without_role_or_directory_does_not_get_in(root: Asked) -> None:
    root("subject.create", {"subject_identifier": "S-x", "other_config": {"subject-name": "x"}})
    assert refusal(root.machine, "session.login_with_password", "x", "xapi-test")[0] == "RBAC_PERMISSION_DENIED"
    assert refusal(root.machine, "session.login_with_password", "nobody", "xapi-test")[0] == "SESSION_AUTHENTICATION_FAILED"
    reader = Subject(root, "reader", "read-only")
    root("pool.disable_external_auth", root.machine.pool.pool_ref, {})
    assert reader.refused("host.get_all")[0] == "SESSION_INVALID"
    assert refusal(root.machine, "session.login_with_password", "reader", "xapi-test")[0] == "SESSION_AUTHENTICATION_FAILED"


def test_subjects_need_a_directory(coordinator: Machine) -> None:
    ask = Asked(coordinator)
    assert ask.refused("subject.create", {"subject_identifier": "S-1", "other_config": {}}) == ["AUTH_IS_DISABLED"]


def test_the_tasks_of_others_are_for_operators_of_the_pool(root: Asked) -> None:
    reader, operator = Subject(root, "helper", "vm-operator"), Subject(root, "operator", "pool-operator")
    task = root("task.create", "mine", "")
    assert reader.refused("task.destroy", task)[:2] == ["RBAC_PERMISSION_DENIED", "task.destroy/any"]
    own = reader("task.create", "its own", "")
    reader("task.set_status", own, "success")
    reader("task.destroy", own)
    operator("task.set_status", task, "success")
    operator("task.destroy", task)
    assert root("task.get_all") == []


def test_sessions_of_a_subject_can_be_ended(root: Asked) -> None:
    reader = Subject(root, "reader", "read-only")
    assert root("session.get_all_subject_identifiers") == ["S-reader"]
    root("session.logout_subject_identifier", "S-reader")
    assert reader.refused("host.get_all") == ["SESSION_INVALID", reader.session]


def test_roles_tell_their_permissions(root: Asked) -> None:
    assert {root("role.get_name_label", ref) for ref in root("role.get_all")} == set(ROLES)
    (reader,) = root("role.get_by_name_label", "read-only")
    held = root("role.get_permissions_name_label", reader)
    assert "vm.get_record" in held
    assert "vm.start" not in held
    assert {root("role.get_name_label", ref) for ref in root("role.get_by_permission_name_label", "VM.start")} == {
        "pool-admin",
        "pool-operator",
        "vm-power-admin",
        "vm-admin",
        "vm-operator",
    }


def test_a_refused_login_does_not_hold_up_others(world: World) -> None:
    world.set_speed(0.1)
    slow = threading.Thread(target=refusal, args=(world.machines["xcp00"], "session.login_with_password", "root", "wrong"))
    slow.start()
    begin = time.monotonic()
    assert Asked(world.machines["xcp00"])("host.get_all")
    assert time.monotonic() - begin < 10
    world.set_speed(0)
    slow.join(5)
