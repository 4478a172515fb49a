# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, XenError
from ansible_collections.domzero.xen.tests.unit.plugins.conftest import open_sessions


@pytest.fixture
def sim(simulator):
    return simulator(2)


def test_a_session_is_opened_and_told_how_to_be_used(sim, run):
    done = run("xen_session")
    assert done["changed"] is False
    assert open_sessions(sim) == {done["session"]["ref"]}
    pins = [host.fingerprint_sha256 for host in sim.hosts]
    assert {**done["session"], "ref": ""} == {
        "url": sim.hosts[0].url, "ref": "", "validate_certs": True, "ca_file": None, "fingerprint": pins,
    }  # fmt: skip


def test_other_tasks_work_in_it_and_do_not_end_it(sim, run):
    session = run("xen_session")["session"]
    assert run("xen_network", session=session, name="storage")["changed"]
    assert open_sessions(sim) == {session["ref"]}


def test_a_member_is_asked_and_the_coordinator_answers(sim, run):
    assert run("xen_session", on="xcp01")["session"]["url"] == sim.hosts[0].url


def test_a_session_is_ended_and_an_ended_one_stays_so(sim, run):
    session = run("xen_session")["session"]
    for _turn in range(2):
        assert run("xen_session", state="absent", session=session) == {"changed": False}
        assert open_sessions(sim) == set()
    with pytest.raises(ApiError, match="The session has ended; log in again"):
        run("xen_info", session=session, **{"class": "pool"})


def test_ending_a_session_of_a_pool_that_is_gone_is_fine(simulators, sim, run):
    session = run("xen_session")["session"]
    simulators.pop().stop()
    assert run("xen_session", state="absent", session=session) == {"changed": False}


def test_ending_no_session_is_fine(sim, run):
    assert run("xen_session", state="absent") == {"changed": False}
    assert open_sessions(sim) == set()


def test_check_mode_logs_in_and_out_too(sim, run):
    session = run("xen_session", check=True)["session"]
    assert run("xen_network", check=True, session=session, name="storage")["changed"]
    run("xen_session", check=True, state="absent", session=session)
    assert open_sessions(sim) == set()


def test_with_a_session_at_hand_a_new_one_is_opened_all_the_same(sim, run):
    first = run("xen_session")["session"]
    host = sim.hosts[0]
    again = {"hostname": host.url, "password": sim.password, "fingerprint": [host.fingerprint_sha256]}
    second = run("xen_session", session=first, **again)["session"]
    assert open_sessions(sim) == {first["ref"], second["ref"]}


def test_what_is_missing_for_a_login_is_named(sim, run):
    with pytest.raises(XenError, match="password missing"):
        run("xen_session", password=None)


def test_a_wrong_password_opens_nothing(sim, run):
    with pytest.raises(ApiError, match="Check username and password"):
        run("xen_session", password="wrong")
    assert open_sessions(sim) == set()


def test_a_host_that_is_not_there_is_named(sim, run):
    with pytest.raises(ConnectionFailed, match="Cannot reach"):
        run("xen_session", hostname="https://127.99.0.1:1")
