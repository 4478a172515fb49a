# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator answers as the recorded xapi did. What it can't yet is listed by label; the list only shrinks."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.comparison import Mapping, answers
from ansible_collections.domzero.xen.tests.simulator.conformance import Replay
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

RECORDED_COORDINATOR = "10.77.0.2"


def not_yet(recording: str) -> set[str]:
    """Labels of one recording that differ and are known to."""
    lines = (line.split() for line in (DATA / "not-yet.txt").read_text().splitlines() if line and not line.startswith("#"))
    return {label for name, label in lines if name == recording}


@pytest.mark.parametrize(("recording", "start"), [("exchanges", "recorded-host"), ("exchanges-pool", "recorded-pool")])
def test_recorded_exchanges_are_answered_alike(recording: str, start: str) -> None:
    with InProcess(site.build(site.load(start), speed=0)) as simulator:
        mapping = Mapping({RECORDED_COORDINATOR: simulator.hosts[0].address} if recording == "exchanges-pool" else {})
        results = Replay([host.url for host in simulator.hosts], mapping).run(DATA / f"{recording}.jsonl")
    assert results
    different = {label: found for label, found in results.items() if found}
    listed = not_yet(recording)
    unexpected = {label: found[:3] for label, found in different.items() if label not in listed}
    assert not unexpected, "answers differ that are not in data/not-yet.txt"
    assert listed <= different.keys(), f"take out of data/not-yet.txt: {sorted(listed - different.keys())}"


def test_a_difference_is_seen() -> None:
    """The comparison itself: other codes, missing keys, wrong references are told."""
    a, b = (f"OpaqueRef:{'0' * 8}-0000-0000-0000-{i:012}" for i in (1, 2))
    good = {"Status": "Success", "Value": {"name_label": "x", "network": a, "managed": True}}
    assert not answers(good, good, Mapping(), frozenset())
    assert answers(good, {"Status": "Failure", "ErrorDescription": ["X"]}, Mapping(), frozenset())
    assert answers(good, {"Status": "Success", "Value": {**good["Value"], "managed": False}}, Mapping(), frozenset())
    assert answers(good, {"Status": "Success", "Value": {**good["Value"], "network": b}}, Mapping({a: a}), frozenset())
    assert answers(good, {"Status": "Success", "Value": {"name_label": "x", "network": a}}, Mapping(), frozenset())
