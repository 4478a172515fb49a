# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""High availability of a pool: on or off, its heartbeat SRs, how many hosts may fail. Rules: xen-api, ocaml/xapi/xapi_ha.ml."""

from __future__ import annotations

import typing as t

from ... import heartbeat
from ...errors import InvalidChange
from ...plan import Plan
from ...refs import Objects, Record

OPTIONS: dict[str, t.Any] = {
    "enabled": {"type": "bool"},
    "heartbeat_srs": {"type": "list", "elements": "str"},
    "host_failures_to_tolerate": {"type": "int"},
}
State = dict[str, t.Any]


def observed(objects: Objects, pool: Record) -> State:
    vdis = objects.all("VDI") if pool["ha_statefiles"] else {}
    srs = {vdis[ref]["SR"] for ref in pool["ha_statefiles"] if ref in vdis}
    return {
        "enabled": pool["ha_enabled"],
        "heartbeat_srs": sorted(objects.label("SR", sr) for sr in srs) if pool["ha_enabled"] else [],
        "host_failures_to_tolerate": int(pool["ha_host_failures_to_tolerate"]),
    }


def desired(objects: Objects, have: State, want: Record | None) -> State:
    """Heartbeat SRs count only while it is on. Raises InvalidChange."""
    given = {key: value for key, value in (want or {}).items() if value is not None}
    after = {**have, **given}
    if given.get("heartbeat_srs"):
        named = [objects.label("SR", objects.resolve("SR", text)) for text in given["heartbeat_srs"]]
        # xapi keeps one statefile, on the first SR it is given
        after["heartbeat_srs"] = have["heartbeat_srs"] if set(have["heartbeat_srs"]) & set(named) else named[:1]
    if not after["enabled"]:
        after["heartbeat_srs"] = []
    elif not after["heartbeat_srs"] and not have["enabled"]:
        raise InvalidChange("High availability cannot be turned on without heartbeat SRs.", hint="Name one or more in ha.heartbeat_srs.")
    if after["host_failures_to_tolerate"] < 0:
        raise InvalidChange(f"ha.host_failures_to_tolerate is {after['host_failures_to_tolerate']}; it cannot be negative.")
    return after


def goes_off(have: State, want: State) -> bool:
    """Whether it must be turned off first: for good, or to move to other heartbeat SRs."""
    return bool(have["enabled"]) and (not want["enabled"] or have["heartbeat_srs"] != want["heartbeat_srs"])


def plan_off(plan: Plan, have: State, want: State) -> None:
    if goes_off(have, want):
        plan.add("pool.disable_ha", what="turn high availability off", slow=True)


def plan_on(plan: Plan, objects: Objects, pool_ref: str, have: State, want: State) -> None:
    """Raises InvalidChange for SRs or hosts it could not work with. The plan must know who is in the pool by then."""
    if want["enabled"] and (not have["enabled"] or goes_off(have, want)):
        srs = [objects.resolve("SR", name) for name in want["heartbeat_srs"]]
        heartbeat.refuse(objects, srs)
        plan.add("pool.enable_ha", srs, {}, what="turn high availability on", slow=True)
    tolerated, size = want["host_failures_to_tolerate"], len(plan.after["members"]) + 1
    if have["host_failures_to_tolerate"] == tolerated:
        return
    if tolerated >= size:
        raise InvalidChange(f"A pool of {size} hosts cannot tolerate that {tolerated} of them fail.", hint=f"At most {size - 1}.")
    plan.add("pool.set_ha_host_failures_to_tolerate", pool_ref, tolerated, what=f"let high availability tolerate {tolerated} failed hosts")
