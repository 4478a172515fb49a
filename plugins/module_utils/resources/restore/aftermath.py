# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restored database is not yet: members that are out of the pool, and VMs whose disks only those could reach."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...formats import db_dump
from ...formats.db_dump import Dump
from ...refs import Objects


def told(dump: Dump, here: t.AbstractSet[str] = frozenset()) -> dict[str, t.Any]:
    """here: uuids and addresses of hosts that are in the restored pool again.

    members: hosts to be joined again; unreachable: VMs with disks on SRs that the coordinator is not attached to; to_do in sentences.
    """
    members = [host for host in db_dump.hosts(dump) if not host["coordinator"] and not {host["uuid"], host["address"]} & here]
    lost = unreachable(dump)
    to_do = [
        f"Host {host['name']!r} ({host['address']}) is out of the pool: install it anew and join it (xen_pool with members)."
        for host in members
    ]
    to_do += [f"VM {vm['name']!r} has disks on {', '.join(vm['srs'])}, which no host of the pool can reach: restore it." for vm in lost]
    return {"members": members, "unreachable": lost, "to_do": to_do}


def unreachable(dump: Dump) -> list[dict[str, t.Any]]:
    """VMs and the SRs (by name) of those of their disks that have none but former members' PBDs."""
    near = {pbd["SR"] for pbd in dump.tables["PBD"].values() if pbd["host"] == dump.pool["master"]}
    far = {sr: row["name_label"] for sr, row in dump.tables["SR"].items() if sr not in near}
    found: dict[str, set[str]] = {}
    used = [(vbd["VM"], vbd["VDI"]) for vbd in dump.tables["VBD"].values() if vbd["type"].lower() == "disk"]
    used += [(ref, vm["suspend_VDI"]) for ref, vm in dump.tables["VM"].items()]
    for vm, vdi in used:
        if (sr := dump.tables["VDI"].get(vdi, {}).get("SR", "")) in far:
            found.setdefault(vm, set()).add(far[sr])
    rows = ((dump.tables["VM"][ref], srs) for ref, srs in found.items() if ref in dump.tables["VM"])
    lost = [{"name": vm["name_label"], "uuid": vm["uuid"], "srs": sorted(srs)} for vm, srs in rows if db_dump.is_vm(vm)]
    return sorted(lost, key=lambda row: (row["name"], row["uuid"]))


def unattached(objects: Objects) -> list[dict[str, str]]:
    """The SRs that the coordinator has not come to after its start."""
    coordinator = hosts.coordinator(objects)
    mine = [pbd for pbd in objects.all("PBD").values() if pbd["host"] == coordinator and not pbd["currently_attached"]]
    found = [objects.get("SR", pbd["SR"]) for pbd in mine]
    return sorted(({"name": sr["name_label"], "uuid": sr["uuid"]} for sr in found), key=lambda sr: (sr["name"], sr["uuid"]))


def losses(objects: Objects) -> str:
    """What ends with the restore in the pool as it is now, as the end of a sentence."""
    coordinator = hosts.coordinator(objects)
    running = [vm for vm in objects.all("VM").values() if vm["power_state"] == "Running" and not vm["is_control_domain"]]
    here = sorted(vm["name_label"] for vm in running if vm["resident_on"] == coordinator)
    members = [hosts.name_of(objects, ref) for ref in hosts.all_but_one(objects, coordinator)]
    parts = [f", on which {', '.join(here)} run" if here else "", f", and put {', '.join(members)} out of the pool" if members else ""]
    return "".join(parts)
