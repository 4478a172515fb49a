# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many hosts may fail before protected VMs can't be restarted. Rules: xen-api ocaml/xapi/xapi_ha_vm_failover.ml, agility.ml."""

from __future__ import annotations

import itertools
import typing as t

from . import memory
from .hosts import is_live
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database


def protected(db: Database) -> list[str]:
    """VMs that HA restarts."""
    return [ref for ref, vm in db.all("VM").items() if vm["ha_restart_priority"] == "restart" and not vm["is_a_template"]]


def is_agile(db: Database, vm: str) -> bool:
    """Whether the VM could run on any host: all its disks on shared storage, all its networks on every host."""
    record = db.get("VM", vm)
    hosts = set(db.all("host"))
    for vbd in record["VBDs"]:
        vdi = db.get("VBD", vbd)["VDI"]
        if vdi != NULL and db.exists("VDI", vdi):
            sr = db.get("SR", db.get("VDI", vdi)["SR"])
            plugged = {db.get("PBD", p)["host"] for p in sr["PBDs"] if db.get("PBD", p)["currently_attached"]}
            if not sr["shared"] or plugged != hosts:
                return False
    for vif in record["VIFs"]:
        network = db.get("network", db.get("VIF", vif)["network"])
        if {db.get("PIF", pif)["host"] for pif in network["PIFs"]} != hosts:
            return False
    return True


def place(db: Database, vms: t.Iterable[str], hosts: t.Collection[str]) -> dict[str, str]:
    """A host for each VM, biggest first; what does not fit is left out."""
    free = {host: memory.free(db, host) for host in hosts}
    found: dict[str, str] = {}
    for vm in sorted(vms, key=lambda vm: -memory.need(db, vm)):
        best = max(free, key=lambda host: free[host], default=None)
        if best is not None and memory.need(db, vm) <= free[best]:
            free[best] -= memory.need(db, vm)
            found[vm] = best
    return found


def plan_exists(db: Database, failures: int, vms: list[str], *, without: str = NULL) -> bool:
    """Whether all these VMs run again whichever so many live hosts fail; one host may be left out of account."""
    live = [host for host in db.all("host") if is_live(db, host) and host != without]
    if failures >= len(live):
        return False
    for failed in itertools.combinations(live, max(failures, 0)):
        rest = [host for host in live if host not in failed]
        waiting = [vm for vm in vms if db.get("VM", vm)["resident_on"] not in rest]
        if len(place(db, waiting, rest)) < len(waiting):
            return False
    return True


def most_failures(db: Database, vms: list[str] | None = None) -> int:
    """The largest number of hosts that may fail; 0 with a protected VM that is not agile."""
    chosen = protected(db) if vms is None else vms
    live = sum(is_live(db, host) for host in db.all("host"))
    if any(not is_agile(db, vm) for vm in chosen):
        return 0
    return max((n for n in range(live) if plan_exists(db, n, chosen)), default=0)


def update_pool(db: Database) -> None:
    """ha_plan_exists_for and ha_overcommitted anew."""
    ref, pool = next(iter(db.all("pool").items()))
    possible, wanted = most_failures(db), pool["ha_host_failures_to_tolerate"]
    db.set("pool", ref, ha_plan_exists_for=min(possible, wanted), ha_overcommitted=wanted > possible)
