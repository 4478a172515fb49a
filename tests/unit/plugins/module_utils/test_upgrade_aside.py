# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade notes as set aside: what is on and is to be off, and whatever was noted before and is off still."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.plan import Plan
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import aside

NOTED: dict[str, t.Any] = {"ha": {"srs": [], "ntol": 2, "config": {}}, "auto_poweron": "true", "wlb": True}
OFF = {"ha": "pool.disable_ha", "auto_poweron": "pool.remove_from_other_config", "wlb": "pool.set_wlb_enabled"}
kinds = st.sets(st.sampled_from(aside.KINDS))


def pool(on: set[str]) -> Objects:
    """A pool of which nothing but its record was read."""
    objects = Objects(Session(Endpoint.parse("https://127.0.0.1")))
    config = {"auto_poweron": "true"} if "auto_poweron" in on else {}
    record = {
        "ha_enabled": "ha" in on, "ha_statefiles": [], "ha_host_failures_to_tolerate": 1, "ha_configuration": {},
        "other_config": config, "wlb_enabled": "wlb" in on,
    }  # fmt: skip
    objects._tables["pool"] = {"OpaqueRef:pool": record}
    return objects


@given(on=kinds, noted=kinds, wish=kinds)
def test_nothing_that_is_aside_is_forgotten_and_nothing_is_turned_off_that_is_not_noted(
    on: set[str], noted: set[str], wish: set[str]
) -> None:
    objects = pool(on)
    found = aside.wanted(objects, {kind: NOTED[kind] for kind in noted}, {kind: kind in wish for kind in aside.KINDS})
    assert set(found) == (on & wish) | (noted - on)
    assert all(found[kind] == NOTED[kind] for kind in noted - on)
    plan = Plan({}, {})
    aside.plan_off(plan, objects, found)
    assert {step.method for step in plan.operations} == {OFF[kind] for kind in on & wish}
