# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of a pool: which of them a task means, what state they are in, what is theirs alone."""

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t

from .errors import Ambiguous, NotFound
from .refs import Objects, Record
from .transport import Endpoint

NEVER = "1970"  # XenAPI's word for a date that has not come yet


def pool_of(objects: Objects) -> tuple[str, Record]:
    """The one pool object."""
    return next(iter(objects.all("pool").items()))


def coordinator(objects: Objects) -> str:
    return t.cast(str, pool_of(objects)[1]["master"])


def name_of(objects: Objects, ref: str) -> str:
    return objects.label("host", ref)


# finding ----------------------------------------------------------------------
def addresses_of(name: str) -> set[str]:
    """What a name or address stands for; nothing for a name nobody knows."""
    try:
        return {str(ipaddress.ip_address(name))}
    except ValueError:
        pass
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def at(objects: Objects, address: str) -> list[str]:
    """The hosts whose address (of the management interface) this is; with or without a port. Raises InvalidChange."""
    wanted = Endpoint.parse(address).host
    known = addresses_of(wanted) | {wanted}
    return [ref for ref, record in objects.all("host").items() if record["address"] in known]


def resolve(objects: Objects, text: str) -> str:
    """The host of that uuid, name or address (one with a dot or colon, so that no short name is looked up). Raises NotFound, Ambiguous."""
    if not objects.named("host", text) and re.fullmatch(r"[^\s/]+[.:][^\s/]*|https?://\S+", text) and (found := one_at(objects, text)):
        return found
    return objects.resolve("host", text)


def one_at(objects: Objects, address: str) -> str | None:
    """The host at an address. Raises Ambiguous."""
    found = at(objects, address)
    if len(found) > 1:
        uuids = ", ".join(objects.get("host", ref)["uuid"] for ref in found)
        raise Ambiguous(f"{len(found)} hosts have the address {address}: {uuids}.", hint="Tell them apart with the uuid.")
    return found[0] if found else None


def all_but_one(objects: Objects, ref: str) -> list[str]:
    """The other hosts, by name."""
    return sorted((other for other in objects.all("host") if other != ref), key=lambda other: name_of(objects, other))


# state ------------------------------------------------------------------------
def metrics(objects: Objects, ref: str) -> Record:
    return objects.all("host_metrics").get(objects.get("host", ref)["metrics"], {})


def is_live(objects: Objects, ref: str) -> bool:
    """Whether the coordinator hears of it."""
    return bool(metrics(objects, ref).get("live"))


def down(objects: Objects) -> list[str]:
    """Names of the hosts that are not live."""
    return sorted(name_of(objects, ref) for ref in objects.all("host") if not is_live(objects, ref))


def never_seen(objects: Objects, ref: str) -> bool:
    """Whether a host was entered in the pool and has not reported since: its join is under way, or broke off."""
    return not is_live(objects, ref) and str(metrics(objects, ref).get("last_updated", NEVER)).startswith(NEVER)


def is_starting(objects: Objects, ref: str) -> bool:
    """Whether a host is on its way into the pool. One in maintenance is disabled too, but keeps its storage attached."""
    if objects.get("host", ref)["enabled"]:
        return False
    mine = [pbd for pbd in objects.all("PBD").values() if pbd["host"] == ref]
    return never_seen(objects, ref) or (is_live(objects, ref) and bool(mine) and not any(pbd["currently_attached"] for pbd in mine))


def not_yet_up(objects: Objects, ref: str) -> str:
    """What is missing until a host takes guests; "" when it does."""
    if not is_live(objects, ref):
        return "it is not live yet"
    return "" if objects.get("host", ref)["enabled"] else "it is live and not enabled yet"


def guests(objects: Objects, ref: str) -> list[str]:
    """Names of the VMs that are on a host, control domains left out."""
    vms = objects.all("VM").values()
    return sorted(vm["name_label"] for vm in vms if vm["resident_on"] == ref and not vm["is_control_domain"])


# storage ----------------------------------------------------------------------
def attached(objects: Objects, ref: str) -> list[str]:
    """uuids of a host's attached PBDs."""
    return sorted(pbd["uuid"] for pbd in objects.all("PBD").values() if pbd["host"] == ref and pbd["currently_attached"])


def only_there(objects: Objects, ref: str) -> list[str]:
    """SRs that no other host has."""
    where: dict[str, set[str]] = {}
    for pbd in objects.all("PBD").values():
        where.setdefault(pbd["SR"], set()).add(pbd["host"])
    return [sr for sr, hosts in where.items() if hosts == {ref} and sr in objects.all("SR")]


def local_srs(objects: Objects, ref: str) -> list[str]:
    """SRs that only this host has, without drives and the tools; by name."""
    rows = {sr: objects.get("SR", sr) for sr in only_there(objects, ref)}
    kept = [sr for sr, row in rows.items() if row["type"] != "udev" and not row.get("is_tools_sr")]
    return sorted(kept, key=lambda sr: t.cast(str, rows[sr]["name_label"]))


def lost_with(objects: Objects, ref: str) -> dict[str, t.Any]:
    """What goes when a host leaves the pool: its local SRs with their disks, and the VMs that have disks there. Sizes in bytes."""
    vdis, srs = objects.all("VDI"), local_srs(objects, ref)
    disks = {vdi: record for vdi, record in vdis.items() if record["SR"] in srs and record.get("managed", True)}
    users = {vbd["VM"] for vbd in objects.all("VBD").values() if vbd["VDI"] in disks}
    vms = [vm for vm_ref, vm in objects.all("VM").items() if vm_ref in users and not vm["is_a_snapshot"]]
    return {
        "host": name_of(objects, ref),
        "srs": [_sr(objects, sr, [d for d in disks.values() if d["SR"] == sr]) for sr in srs],
        "vms": sorted(vm["name_label"] for vm in vms),
    }


def _sr(objects: Objects, ref: str, disks: t.Sequence[Record]) -> dict[str, t.Any]:
    sr = objects.get("SR", ref)
    rows = sorted(({"name": d["name_label"], "size": int(d["virtual_size"])} for d in disks), key=lambda d: (d["name"], d["size"]))
    return {"name": sr["name_label"], "type": sr["type"], "size": int(sr["physical_size"]), "vdis": rows}


def known(objects: Objects, text: str) -> str | None:
    """As resolve, None for a host that is not in the pool. Raises Ambiguous."""
    try:
        return resolve(objects, text)
    except NotFound:
        return None
