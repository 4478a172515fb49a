# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would act on its own while hosts come and go is set aside, and given back as it was: high availability, workload balancing and
the start of VMs with their host. Rules: xen-api, ocaml/xapi/xapi_ha.ml, xapi_pool.ml, xapi_host_helpers.ml.
"""

from __future__ import annotations

import typing as t

from .. import capacity, heartbeat, hosts
from ..errors import InvalidChange, NotFound
from ..plan import Plan
from ..refs import Objects, Record

AUTO = "auto_poweron"  # key of pool.other_config
ROLLING = "rolling_upgrade_in_progress"  # likewise: the coordinator notes that versions differ (xen-api: db_gc.ml)
ONE_VERSION = 900.0  # seconds the coordinator may take to see that they do not differ any more
KINDS = ("ha", AUTO, "wlb")
SHOWN = {"ha": "ha_enabled", AUTO: "auto_poweron", "wlb": "wlb_enabled"}
Aside = dict[str, t.Any]


def is_auto(pool: Record) -> bool:
    """Whether VMs that are to start with their host do so."""
    return bool(pool["other_config"].get(AUTO) == "true")


def observed(pool: Record) -> dict[str, bool]:
    """What could be set aside, as it is now."""
    return {"ha_enabled": bool(pool["ha_enabled"]), "auto_poweron": is_auto(pool), "wlb_enabled": bool(pool.get("wlb_enabled"))}


def switched(aside: t.Iterable[str], *, on: bool) -> dict[str, bool]:
    """As observed will tell it of these kinds."""
    return {SHOWN[kind]: on for kind in aside}


def wanted(objects: Objects, noted: Aside, wish: t.Mapping[str, bool]) -> Aside:
    """What will be aside: what is on now and is to be off, and what was set aside before. wish: which kinds."""
    pool = hosts.pool_of(objects)[1]
    on = {"ha": pool["ha_enabled"], AUTO: is_auto(pool), "wlb": pool.get("wlb_enabled")}
    now: Aside = {"ha": _ha(objects, pool), AUTO: "true", "wlb": True}
    found = {kind: now[kind] if on[kind] else noted.get(kind) for kind in KINDS if wish[kind] or not on[kind]}
    return {kind: value for kind, value in found.items() if value is not None}


def _ha(objects: Objects, pool: Record) -> Aside:
    """As it is to be turned on again: uuids of its SRs, how many hosts may fail, its configuration."""
    vdis = objects.all("VDI") if pool["ha_statefiles"] else {}
    srs = {vdis[ref]["SR"] for ref in pool["ha_statefiles"] if ref in vdis}
    return {
        "srs": sorted(objects.get("SR", sr)["uuid"] for sr in srs),
        "ntol": int(pool["ha_host_failures_to_tolerate"]),
        "config": dict(pool["ha_configuration"]),
    }


# planning --------------------------------------------------------------------------
def plan_off(plan: Plan, objects: Objects, aside: Aside) -> None:
    """What the journal says is aside, and is on, goes off."""
    ref, pool = hosts.pool_of(objects)
    if "ha" in aside and pool["ha_enabled"]:
        plan.add("pool.disable_ha", what="turn high availability off", slow=True)
    if AUTO in aside and is_auto(pool):
        plan.add("pool.remove_from_other_config", ref, AUTO, what="keep VMs from starting with their hosts")
    if "wlb" in aside and pool.get("wlb_enabled"):
        plan.add("pool.set_wlb_enabled", ref, False, what="turn workload balancing off")


def plan_on(plan: Plan, objects: Objects, aside: Aside, disabled: t.Collection[str]) -> str:
    """Everything as it was; why high availability stays off, or "". disabled: names of hosts that keep it off."""
    ref, pool = hosts.pool_of(objects)
    if AUTO in aside and pool["other_config"].get(AUTO) != aside[AUTO]:
        if AUTO in pool["other_config"]:
            plan.add("pool.remove_from_other_config", ref, AUTO, what="let VMs start with their hosts again")
        plan.add("pool.add_to_other_config", ref, AUTO, str(aside[AUTO]), what="let VMs start with their hosts again")
    if "wlb" in aside and not pool.get("wlb_enabled"):
        plan.add("pool.set_wlb_enabled", ref, True, what="turn workload balancing on again")
    return _plan_ha(plan, objects, aside["ha"], disabled) if "ha" in aside else ""


def _plan_ha(plan: Plan, objects: Objects, noted: Aside, disabled: t.Collection[str]) -> str:
    ref, pool = hosts.pool_of(objects)
    on = bool(pool["ha_enabled"])
    if not on:
        try:
            srs = _srs(objects, noted["srs"], disabled)
        except InvalidChange as e:
            return f"High availability stays off: {e}"
        if ROLLING in pool["other_config"]:
            plan.wait("the pool to see that its hosts are of one version", lambda: _one_version(objects), timeout=ONE_VERSION)
        plan.add("pool.enable_ha", srs, dict(noted["config"]), what="turn high availability on again", slow=True)
    if not on or int(pool["ha_host_failures_to_tolerate"]) != int(noted["ntol"]):
        tolerated = int(noted["ntol"])
        plan.add("pool.set_ha_host_failures_to_tolerate", ref, tolerated, what=f"let high availability tolerate {tolerated} failed hosts")
    return ""


def _srs(objects: Objects, uuids: t.Sequence[str], disabled: t.Collection[str]) -> list[str]:
    """References of its SRs. Raises InvalidChange when it cannot be turned on."""
    found = []
    for uuid in uuids:
        try:
            found.append(objects.resolve("SR", uuid))
        except NotFound:
            hint = "Turn it on with other SRs (xen_pool with ha), then end the upgrade again."
            raise InvalidChange(f"The SR {uuid} that carried its heartbeat is not there any more.", hint=hint) from None
    heartbeat.refuse(objects, found)
    if disabled:
        raise InvalidChange(f"Hosts are disabled: {', '.join(disabled)}.", hint="Enable them (xen_host), then end the upgrade again.")
    if older := of_older_release(objects):
        raise InvalidChange(f"Hosts are of an older release than others: {', '.join(older)}.", hint="Upgrade them, too.")
    return found


def of_older_release(objects: Objects) -> list[str]:
    """Names of the hosts that make xapi take the pool for half upgraded (xen-api: helpers.ml): updates of a release do not."""
    releases = {ref: capacity.versions(host)[0] for ref, host in objects.all("host").items()}
    return sorted(hosts.name_of(objects, ref) for ref, release in releases.items() if release < max(releases.values()))


def mixed(objects: Objects) -> list[str]:
    """Names of the hosts whose version is older than that of another."""
    rows = objects.all("host")
    older = [ref for ref, host in rows.items() if any(capacity.is_older(host, other) for other in rows.values())]
    return sorted(hosts.name_of(objects, ref) for ref in older)


def _one_version(objects: Objects) -> object:
    pool = hosts.pool_of(Objects(objects.session))[1]
    return True if ROLLING not in pool["other_config"] else "the coordinator takes them for different"
