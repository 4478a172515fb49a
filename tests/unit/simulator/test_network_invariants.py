# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever networks, VLANs, bonds and tunnels are made and destroyed in whatever order: the objects fit together."""

from __future__ import annotations

import typing as t

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator.database import Database
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .conversation import Asked, build

# a number chooses among the objects there are at that moment
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("network.create")),
        st.tuples(st.just("network.destroy"), st.integers(0, 9)),
        st.tuples(st.just("VLAN.create"), st.integers(0, 9), st.integers(-1, 4), st.integers(0, 9)),
        st.tuples(st.just("VLAN.destroy"), st.integers(0, 9)),
        st.tuples(st.just("Bond.create"), st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3)),
        st.tuples(st.just("Bond.destroy"), st.integers(0, 9)),
        st.tuples(st.just("tunnel.create"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("tunnel.destroy"), st.integers(0, 9)),
        st.tuples(st.just("PIF.plug"), st.integers(0, 9)),
        st.tuples(st.just("PIF.unplug"), st.integers(0, 9)),
        st.tuples(st.just("PIF.reconfigure_ip"), st.integers(0, 9), st.sampled_from(["None", "DHCP", "Static"])),
        st.tuples(st.just("host.management_reconfigure"), st.integers(0, 9)),
    ),
    max_size=40,
)


def _pick(db: Database, cls: str, number: int) -> str:
    refs = list(db.all(cls))
    return refs[number % len(refs)] if refs else NULL


def _arguments(db: Database, method: str, *numbers: t.Any) -> list[t.Any]:
    cls = method.partition(".")[0]
    if method == "network.create":
        return [{"name_label": "n", "other_config": {}}]
    if method == "VLAN.create":
        return [_pick(db, "PIF", numbers[0]), numbers[1], _pick(db, "network", numbers[2])]
    if method == "Bond.create":
        return [_pick(db, "network", numbers[0]), [_pick(db, "PIF", n) for n in numbers[1]], ""]
    if method == "tunnel.create":
        return [_pick(db, "PIF", numbers[0]), _pick(db, "network", numbers[1])]
    if method == "PIF.reconfigure_ip":
        return [_pick(db, "PIF", numbers[0]), numbers[1], "10.0.0.5", "255.0.0.0", "", ""]
    return [_pick(db, "PIF" if cls == "host" else cls, numbers[0])]


def _check(db: Database) -> None:
    pifs = db.all("PIF")
    for ref, pif in pifs.items():
        assert ref in db.get("network", pif["network"])["PIFs"]
        assert ref in db.get("host", pif["host"])["PIFs"]
        if pif["bond_slave_of"] != NULL:
            assert ref in db.get("Bond", pif["bond_slave_of"])["slaves"]
            for field in ("management", "currently_attached", "VLAN_slave_of", "tunnel_transport_PIF_of"):
                assert not pif[field], f"a bond's member has {field}"
        assert (pif["VLAN_master_of"] != NULL) == (pif["VLAN"] >= 0)
        made = pif["physical"] + (pif["VLAN"] >= 0) + bool(pif["bond_master_of"]) + bool(pif["tunnel_access_PIF_of"])
        assert made == 1, "an interface is a card, a VLAN, a bond or a tunnel's end"
    for network in db.all("network").values():
        hosts = [pifs[pif]["host"] for pif in network["PIFs"]]
        assert len(hosts) == len(set(hosts)), "a host is connected to a network once"
    for host in db.all("host"):
        assert sum(pif["management"] and pif["currently_attached"] for pif in pifs.values() if pif["host"] == host) == 1
    _check_objects(db)


def _check_objects(db: Database) -> None:
    for ref, vlan in db.all("VLAN").items():
        assert db.get("PIF", vlan["untagged_PIF"])["VLAN_master_of"] == ref
        assert db.get("PIF", vlan["untagged_PIF"])["VLAN"] == vlan["tag"]
        assert ref in db.get("PIF", vlan["tagged_PIF"])["VLAN_slave_of"]
    pairs = [(vlan["tagged_PIF"], vlan["tag"]) for vlan in db.all("VLAN").values()]
    assert len(pairs) == len(set(pairs)), "a tag is used once on an interface"
    for ref, bond in db.all("Bond").items():
        assert db.get("PIF", bond["master"])["bond_master_of"] == [ref]
        assert bond["primary_slave"] in bond["slaves"]
    for ref, tunnel in db.all("tunnel").items():
        assert db.get("PIF", tunnel["access_PIF"])["tunnel_access_PIF_of"] == [ref]
        assert ref in db.get("PIF", tunnel["transport_PIF"])["tunnel_transport_PIF_of"]
    devices = [(pif["host"], pif["device"], pif["VLAN"]) for pif in db.all("PIF").values()]
    assert len(devices) == len(set(devices))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_any_sequence_of_network_calls_leaves_a_consistent_host(steps: list[tuple[t.Any, ...]]) -> None:
    ask = Asked(next(iter(build(1).machines.values())))
    for name in ("first", "second", "third"):
        ask.network(name)
    for method, *numbers in steps:
        assert _code(ask, method, *numbers) not in ("INTERNAL_ERROR", "NOT_IMPLEMENTED")
        _check(ask.db)


def _code(ask: Asked, method: str, *numbers: t.Any) -> str:
    """Of the error, or nothing."""
    try:
        ask(method, *_arguments(ask.db, method, *numbers))
    except Fault as fault:
        return fault.code
    return ""
