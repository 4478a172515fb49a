# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check itself: a sound pool has no breach, and each kind of breach is told."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants, site
from ansible_collections.domzero.xen.tests.simulator.database import Database
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conversation import Asked, build


@pytest.mark.parametrize("name", ["homogeneous", "heterogeneous", "recorded-host", "recorded-pool"])
def test_a_fresh_site_is_sound(name: str) -> None:
    assert invariants.check(site.build(site.load(name), speed=0)) == []


def twin(db: Database, cls: str, **changed: t.Any) -> str:
    """Another object like the first of its class."""
    derived = {back for _cls, _field, other, back in db.schema.relations if other == cls}
    record = next(iter(db.all(cls).values()))
    return db.create(cls, **{k: v for k, v in record.items() if k not in derived and k != "uuid"}, **changed)


BREACHES: dict[str, tuple[t.Callable[[Database], object], str]] = {
    "a PIF without host": (lambda db: db.set("PIF", db.find("PIF")[0], host="OpaqueRef:x"), "host leads nowhere"),
    "two PIFs of one card": (lambda db: twin(db, "PIF"), "2 PIFs for eth0 VLAN -1"),
    "two networks on a bridge": (lambda db: twin(db, "network"), "2 networks have the bridge"),
    "a uuid twice": (lambda db: db.create("network", uuid=db.get("network", db.find("network")[0])["uuid"]), "have the uuid"),
    "two PBDs": (lambda db: twin(db, "PBD"), "2 PBDs connect xcp00"),
    "no coordinator": (lambda db: db.set("pool", db.find("pool")[0], master="OpaqueRef:x"), "no coordinator"),
    "a host without machine": (lambda db: db.create("host", name_label="ghost"), "host ghost has no machine"),
    "a bond without members": (lambda db: db.create("Bond", master=db.find("PIF")[0]), "lacks its interface or its members"),
    "a VLAN without PIF": (lambda db: db.create("VLAN", tag=5), "lacks one of its PIFs"),
    "a guest that runs nowhere": (lambda db: db.create("VM", name_label="vm", power_state="Running"), "VM vm is Running nowhere"),
    "more guests than memory": (
        lambda db: db.create("VM", power_state="Running", resident_on=db.find("host")[0], memory_dynamic_min=1 << 50),
        "the guests of xcp00 take",
    ),
    "a wrong type": (lambda db: db.note("network", db.find("network")[0], MTU="1500"), "MTU holds '1500'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_told(name: str) -> None:
    world = build()
    damage, expected = BREACHES[name]
    damage(world.pools[0].db)
    found = invariants.check(world)
    assert any(expected in breach for breach in found), found


def test_a_watched_simulator_ends_with_what_it_saw() -> None:
    world = build()
    simulator = InProcess(world).start()
    ask = Asked(world.machines["xcp00"])
    ask.db.create("network", bridge="xenbr0")
    ask.network("seen")
    ask.network("and told once")
    (breach,) = world.breaches
    assert breach == "pool0: 2 networks have the bridge xenbr0 (after network.create)"
    with pytest.raises(AssertionError, match=r"after network\.create"):
        simulator.__exit__(None)
