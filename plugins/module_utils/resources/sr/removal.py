# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking an SR away: forgotten keeps its data, absent destroys it (xen-api: ocaml/xapi/xapi_sr.ml)."""

from __future__ import annotations

from ...errors import InvalidChange
from ...formats.sizes import readable_size
from ...hosts import pool_of
from ...plan import Plan
from ...refs import NULL, Objects, Record
from ...resource import Found
from .pbds import detach, pbds_of

# fields of the pool that point to an SR
POINTERS = ("default_SR", "suspend_image_SR", "crash_dump_SR")


def plan_removal(plan: Plan, objects: Objects, found: Found, label: str, params: Record) -> None:
    """Raises InvalidChange where somebody uses the SR or data would be lost without a word of the task."""
    # releases before is_tools_sr tell it in other_config
    if found.record.get("is_tools_sr") or found.record["other_config"].get("xenserver_tools_sr") == "true":
        raise InvalidChange(f"SR {label!r} holds the tools of the guests and belongs to the pool.", hint="It can not be removed.")
    if params["state"] == "absent":
        _refuse_destruction(objects, found, label)
        _plan_disks(plan, objects, found, label, allowed=params["destroy_data"])
    detach(plan, objects, found.ref, label)
    ref, record = pool_of(objects)
    for pointer in (p for p in POINTERS if record[p] == found.ref):
        plan.add(f"pool.set_{pointer}", ref, NULL, what=f"take SR {label!r} out of the pool's {pointer}")
    if params["state"] == "absent":
        plan.add("SR.destroy", found.ref, what=f"destroy SR {label!r}", slow=True)
    else:
        plan.add("SR.forget", found.ref, what=f"forget SR {label!r}", slow=True)


def _refuse_destruction(objects: Objects, found: Found, label: str) -> None:
    record = found.record
    if record["type"] == "iso" or record["content_type"] == "iso":
        raise InvalidChange(f"SR {label!r} is a library of files that XenAPI does not destroy.", hint="Use state: forgotten.")
    if record["other_config"].get("indestructible") == "true":
        raise InvalidChange(
            f"SR {label!r} is marked as indestructible.",
            hint="Take the key indestructible out of its other_config, or use state: forgotten.",
        )
    caching = [h["name_label"] for h in objects.all("host").values() if h.get("local_cache_sr") == found.ref]
    if caching:
        raise InvalidChange(
            f"SR {label!r} is the cache of host {caching[0]!r}.", hint="Turn caching off on that host first.", code="SR_IS_CACHE_SR"
        )
    if not pbds_of(objects, found.ref):
        raise InvalidChange(
            f"SR {label!r} is attached to no host, so it cannot be destroyed.",
            hint="Attach it first (state: present), or use state: forgotten.",
            code="SR_HAS_NO_PBDS",
        )


def _plan_disks(plan: Plan, objects: Objects, found: Found, label: str, *, allowed: bool) -> None:
    disks = {
        ref: vdi
        for ref, vdi in sorted(objects.all("VDI").items(), key=lambda item: item[1]["uuid"])
        if vdi["SR"] == found.ref and vdi["managed"] and vdi["type"] != "rrd"
    }
    if not disks:
        return
    told = sorted(f"{vdi['name_label'] or vdi['uuid']} ({readable_size(int(vdi['virtual_size']))})" for vdi in disks.values())
    shown = ", ".join(told[:10]) + (f" and {len(told) - 10} more" if len(told) > 10 else "")
    if not allowed:
        raise InvalidChange(
            f"SR {label!r} holds {len(disks)} disks: {shown}.",
            hint="state: forgotten keeps them on the storage; destroy_data: true destroys them.",
            code="SR_NOT_EMPTY",
        )
    if not any(pbd["currently_attached"] for _ref, pbd in pbds_of(objects, found.ref).values()):
        raise InvalidChange(
            f"The disks of SR {label!r} cannot be destroyed while it is detached: {shown}.", hint="Attach it first (state: present)."
        )
    plan.facts["destroyed_disks"] = told
    for ref, vdi in disks.items():
        plan.add("VDI.destroy", ref, what=f"destroy disk {vdi['name_label'] or vdi['uuid']!r} of SR {label!r}", slow=True)
