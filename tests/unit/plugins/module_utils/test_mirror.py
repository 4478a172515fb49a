# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a pool between the items of a loop is what the pool would tell."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.mirror import Mirror, read
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects

if t.TYPE_CHECKING:
    from ansible_collections.domzero.xen.plugins.module_utils.client import Session
    from ansible_collections.domzero.xen.tests.simulator.running import InProcess

    Pool = t.Callable[[], InProcess]

NETWORK = {"name_label": "lab", "name_description": "", "MTU": 1500, "other_config": {}, "bridge": "", "managed": True, "tags": []}
CLASSES = ("network", "VM", "host", "PIF", "VBD")


@pytest.fixture(params=[True, False], ids=["JSON-RPC", "XML-RPC"])
def mirror(request: pytest.FixtureRequest, session: Session) -> Mirror:
    if not request.param:
        session._json = False
    return Mirror(session)


def test_what_others_make_change_and_remove_is_seen_after_catching_up(mirror: Mirror, session_to: t.Any, pool: Pool) -> None:
    other = session_to(pool())
    before = {cls: mirror.table(cls) for cls in CLASSES}
    assert before == {cls: read(mirror.session, cls) for cls in CLASSES}
    lab = other.call("network.create", NETWORK)
    other.call("network.set_MTU", lab, 9000)
    assert lab not in mirror.table("network")
    mirror.catch_up()
    assert mirror.table("network")[lab]["MTU"] == 9000
    assert lab not in before["network"]
    other.call("network.destroy", lab)
    template = next(ref for ref, vm in mirror.table("VM").items() if vm["name_label"] == "Other install media")
    other.call("VM.clone", template, "web01")
    mirror.catch_up()
    assert {cls: mirror.table(cls) for cls in CLASSES} == {cls: read(mirror.session, cls) for cls in CLASSES}


def test_nothing_new_costs_one_request_whatever_is_kept(session: Session) -> None:
    session.mirror = Mirror(session)
    for cls in CLASSES:
        Objects(session).all(cls)
    before = session.requests
    objects = Objects(session)
    for cls in CLASSES:
        objects.all(cls)
    assert session.requests == before + 1


def test_what_was_missed_is_noticed_by_the_number_of_objects_and_read_again(mirror: Mirror, session_to: t.Any, pool: Pool) -> None:
    mirror.table("network")
    lab = session_to(pool()).call("network.create", NETWORK)
    mirror._token = mirror.session.call("event.from", ["network"], "", 0.0)["token"]
    mirror.catch_up()
    assert lab in mirror.table("network")


def test_a_token_the_pool_does_not_take_makes_it_read_everything_again(mirror: Mirror) -> None:
    mirror.table("network")
    mirror._token = "nonsense"
    mirror.catch_up()
    assert mirror.table("network") == read(mirror.session, "network")
