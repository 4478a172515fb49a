# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What event.from tells, when, and how often."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from .conversation import Asked, build


@pytest.fixture
def ask() -> Asked:
    return Asked(build().machines["xcp00"])


def events(ask: Asked, classes: list[str], token: str = "", timeout: float = 0.0) -> tuple[list[dict[str, t.Any]], str]:
    """Events and the next token."""
    answer = ask("event.from", classes, token, timeout)
    return answer["events"], answer["token"]


def told(found: list[dict[str, t.Any]]) -> list[tuple[str, str]]:
    return [(e["operation"], e["ref"]) for e in found]


def test_at_first_everything_there_is_comes_once_as_added(ask: Asked) -> None:
    found, _token = events(ask, ["network", "pif"])
    assert {e["operation"] for e in found} == {"add"}
    assert {e["ref"] for e in found} == {*ask("network.get_all"), *ask("PIF.get_all")}
    assert {e["class"] for e in found} == {"network", "pif"}
    assert {e["timestamp"] for e in found} == {"0.0"}
    assert found[0]["snapshot"] == ask(f"{'network' if found[0]['class'] == 'network' else 'PIF'}.get_record", found[0]["ref"])


def test_nothing_new_is_an_empty_answer_with_a_token(ask: Asked) -> None:
    _found, token = events(ask, ["network"])
    begin = time.monotonic()
    found, again = events(ask, ["network"], token, 0.2)
    assert found == []
    assert again == token
    assert 0.15 < time.monotonic() - begin < 10


def test_an_object_is_told_once_with_its_state_now(ask: Asked) -> None:
    network = ask.network("a")
    _found, token = events(ask, ["network"])
    for name in ("b", "c"):
        ask("network.set_name_label", network, name)
    found, token = events(ask, ["network"], token)
    assert told(found) == [("mod", network)]
    assert found[0]["snapshot"]["name_label"] == "c"
    assert events(ask, ["network"], token)[0] == []


def test_what_came_and_went_meanwhile_is_not_told(ask: Asked) -> None:
    old = ask.network("old")
    _found, token = events(ask, ["network"])
    brief, new = ask.network("brief"), ask.network("new")
    ask("network.set_name_label", new, "newer")
    ask("network.destroy", brief)
    ask("network.destroy", old)
    found, _token = events(ask, ["network"], token)
    assert sorted(told(found)) == sorted([("add", new), ("del", old)])
    assert "snapshot" not in next(e for e in found if e["operation"] == "del")


def test_one_object_may_be_listened_to(ask: Asked) -> None:
    first, second = ask.network("1"), ask.network("2")
    found, token = events(ask, [f"network/{first}"])
    assert told(found) == [("add", first)]
    ask("network.set_name_label", second, "x")
    assert events(ask, [f"network/{first}"], token)[0] == []


def test_upper_and_lower_case_do_not_matter_and_a_star_is_everything(ask: Asked) -> None:
    assert {e["class"] for e in events(ask, ["PIF"])[0]} == {e["class"] for e in events(ask, ["pif"])[0]} == {"pif"}
    every = {e["class"] for e in events(ask, ["*"])[0]}
    assert {"host", "pool", "network", "vm"} <= every
    assert "session" not in every


def test_a_class_nobody_knows_is_never_heard_of(ask: Asked) -> None:
    assert events(ask, ["frob"])[0] == []


def test_bad_tokens_and_subscriptions_are_refused(ask: Asked) -> None:
    assert ask.refused("event.from", ["VM"], "garbage", 1.0) == ["EVENT_FROM_TOKEN_PARSE_FAILURE", "garbage"]
    assert ask.refused("event.from", ["VM/a/b"], "", 1.0) == ["EVENT_SUBSCRIPTION_PARSE_FAILURE", "VM/a/b"]


def test_existing_objects_are_counted_by_class(ask: Asked) -> None:
    counts = ask("event.from", ["pool"], "", 0.0)["valid_ref_counts"]
    assert counts["host"] == 1
    assert counts["pif"] == len(ask("PIF.get_all"))
    assert counts["vtpm"] == 0


def test_a_waiting_client_is_told_at_once(ask: Asked) -> None:
    _found, token = events(ask, ["network"])
    threading.Timer(0.1, ask.network, ("late",)).start()
    begin = time.monotonic()
    found, _token = events(ask, ["network"], token, 30.0)
    assert [e["operation"] for e in found] == ["add"]
    assert time.monotonic() - begin < 20


def test_many_may_wait_and_others_go_on(ask: Asked) -> None:
    _found, token = events(ask, ["network"])
    heard: list[int] = []

    def wait() -> None:
        heard.append(len(events(Asked(ask.machine), ["network"], token, 30.0)[0]))

    waiting = [threading.Thread(target=wait) for _waiting in range(50)]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)
    ask.network("for all")
    for thread in waiting:
        thread.join(25)
    assert heard == [1] * 50


def test_a_logout_ends_the_waiting(ask: Asked) -> None:
    other = Asked(ask.machine)
    _found, token = events(other, ["network"])
    threading.Timer(0.1, lambda: ask.db.destroy("session", other.session)).start()
    assert other.refused("event.from", ["network"], token, 30.0) == ["SESSION_INVALID", other.session]


def test_an_injected_event_is_told(ask: Asked) -> None:
    network = ask.network("i")
    _found, token = events(ask, ["network"])
    injected = ask("event.inject", "network", network)
    found, after = events(ask, ["network"], token)
    assert told(found) == [("mod", network)]
    assert after >= injected


def test_setting_what_is_set_already_is_no_event(ask: Asked) -> None:
    network = ask.network("same")
    _found, token = events(ask, ["network"])
    ask("network.set_name_label", network, "same")
    assert events(ask, ["network"], token)[0] == []


def test_the_elders_still_work(ask: Asked) -> None:
    assert ask.refused("event.next") == ["SESSION_NOT_REGISTERED", ask.session]
    ask("event.register", ["network"])
    network = ask.network("next")
    (event,) = ask("event.next")
    assert (event["operation"], event["ref"], event["obj_uuid"]) == ("add", network, ask("network.get_uuid", network))
    ask("event.unregister", ["network"])
    assert ask.refused("event.next") == ["SESSION_NOT_REGISTERED", ask.session]
