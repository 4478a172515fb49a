# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam to Ansible: options, sessions, lists; whole runs are in plugins/action."""

from __future__ import annotations

import os
import signal

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.resources.network import Network
from ansible_collections.domzero.xen.plugins.module_utils.side import Interrupted
from ansible_collections.domzero.xen.tests.unit.plugins.conftest import open_sessions, reach, validated

PLAIN = seam.Module({}, lambda *_: {})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hostname": "xcp00"}, False),
        ({"hostname": "xcp00", "validate_certs": False}, True),
        ({"hostname": "http://xcp00"}, True),
        ({"hostname": "xcp00", "validate_certs": False, "session": {"url": "https://xcp00", "ref": "OpaqueRef:1"}}, False),
    ],
)
def test_a_task_that_lets_others_listen_says_so(options, told):
    assert bool(seam.warn_about(validated(PLAIN, options))) is told


def test_the_environment_fills_in_for_options(monkeypatch):
    monkeypatch.setenv("XEN_HOST", "xcp00:8443")
    monkeypatch.setenv("XEN_FINGERPRINT", f"{'0' * 64},{'1' * 64}")
    monkeypatch.setenv("XEN_VALIDATE_CERTS", "yes")
    endpoint = seam.endpoint(validated(PLAIN, {}))
    assert (endpoint.url, endpoint.fingerprints) == ("https://xcp00:8443", ("0" * 64, "1" * 64))


def test_a_session_of_the_tasks_own_ends_however_the_task_ends(pool):
    sim = pool()

    def task() -> None:
        with seam.session_for(validated(PLAIN, reach(sim))):
            assert len(open_sessions(sim)) == 1
            raise XenError("no")

    with pytest.raises(XenError, match="no"):
        task()
    assert open_sessions(sim) == set()


def test_a_session_handed_over_is_replaced_when_it_ends_and_the_password_is_known(pool, run, session):
    sim = pool()
    handed = run("xen_session")["session"]
    with sim.world.lock:
        sim.world.pools[0].db.destroy("session", handed["ref"])
    assert run("xen_info", **{"class": "pool"}, session=handed, username=sim.username, password=sim.password)["objects"]
    assert open_sessions(sim) == {session.handle}, "the replacement is ended"


def test_a_rehearsal_tells_what_would_be_done_and_does_nothing(pool, session):
    sim = pool()
    done = seam.rehearse(Network, session, {"name": "storage"})
    assert (done["changed"], done["operations"]) == (True, ["network.create"])
    assert sim.calls() == []


def test_a_rehearsal_refuses_what_ansible_would(session):
    with pytest.raises(InvalidChange, match="colour"):
        seam.rehearse(Network, session, {"name": "storage", "colour": "blue"})


def test_a_list_holds_what_was_asked_for_in_order(session):
    names = [row["name"] for row in seam.listing(Network(session, {}))]
    assert names == sorted(names)
    assert len(names) > 1
    (row,) = seam.listing(Network(session, {"name": names[0]}))
    assert [r["name"] for r in seam.listing(Network(session, {"uuid": row["uuid"]}))] == [names[0]]


def test_a_failure_is_told_in_full():
    error = NotFound("Nothing is there.", hint="Look elsewhere.", code="X", params=["y"], facts={"seen": []})
    error.done = ["network.create"]
    assert seam.failure(error) == {
        "failed": True, "msg": "Nothing is there. Look elsewhere.", "error_code": "X", "error_params": ["y"],
        "operations_done": ["network.create"], "seen": [],
    }  # fmt: skip


def test_who_is_told_to_end_cleans_up_and_ends_as_ever():
    ended: list[object] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _frame: ended.append(signum))

    def task() -> None:
        with seam.orderly_end():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # who ends a run may say so several times
                ended.append("cleaned up")

    try:
        with pytest.raises(Interrupted):
            task()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == ["cleaned up", signal.SIGTERM]
