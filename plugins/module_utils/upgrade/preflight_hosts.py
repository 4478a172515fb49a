# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before an upgrade: hosts, their storage and versions, what is left of earlier updates."""

from __future__ import annotations

from .. import capacity, host_return, hosts
from ..errors import ApiError
from ..formats.sizes import readable_size
from ..refs import Record
from ..vms import guests
from . import aside
from .preflight_look import Finding, Findings, Look, listed

NEARLY_FULL = 0.01  # of an SR
UPLOADS = 1 << 30  # bytes an update file may have that the pool has not heard of


def state(look: Look) -> Findings:
    """Every host is up and takes guests. What an upgrade that goes on has left down or disabled is waited for."""
    for ref in look.by_name():
        record, wanted = look.objects.get("host", ref), ref in look.only
        if not hosts.is_live(look.objects, ref):
            yield Finding(wanted and not look.resumes, f"Host {look.host(ref)} is down.", "Start it, or leave it out with hosts.")
        elif not record["enabled"] and look.note and record["uuid"] not in look.note.disabled:
            yield Finding(False, f"Host {look.host(ref)} is disabled.", "The upgrade goes on with it.")
        elif not record["enabled"]:
            yield Finding(
                wanted, f"Host {look.host(ref)} is disabled.", "Enable it (xen_host with enabled: true), or leave it out with hosts."
            )
    if busy := sorted(set(look.pool["current_operations"].values())):
        yield Finding(not look.resumes, f"The pool is busy with {', '.join(busy)}.", "Wait until that has ended.")


def storage(look: Look) -> Findings:
    """Every host that is up has every shared SR."""
    attached: dict[str, set[str]] = {}
    for pbd in look.objects.all("PBD").values():
        if pbd["currently_attached"]:
            attached.setdefault(pbd["SR"], set()).add(pbd["host"])
    live = [ref for ref in look.by_name() if hosts.is_live(look.objects, ref)]
    for ref, sr in look.objects.all("SR").items():
        missing = [look.host(host) for host in live if host not in attached.get(ref, ())]
        if not sr["shared"] or sr.get("is_tools_sr") or not missing:
            continue
        library = sr["content_type"] == "iso"
        on = "any host" if len(missing) == len(live) else f"host {', '.join(missing)}"
        remedy = "Its discs tie VMs to the others." if library else "Attach it (xen_sr does), or the VMs that use it could not go there."
        yield Finding(
            not library and len(missing) < len(live) and not look.resumes, f"SR {sr['name_label']!r} is not attached on {on}.", remedy
        )


def space(look: Look) -> Findings:
    """Room for update files, and for what guests write meanwhile."""
    if look.options.get("method") == "pool_update":
        yield from _update_files(look)
    rows, used = look.objects.all("SR"), {vdi["SR"] for vdi in look.objects.all("VDI").values()}
    full = [row for ref, row in rows.items() if ref in used and row["content_type"] != "iso" and _is_full(row)]
    if full:
        named = listed(row["name_label"] for row in full)
        yield Finding(False, f"SR {named} is nearly full.", "Make room: guests that write meanwhile would be paused or fail.")


def _update_files(look: Look) -> Findings:
    rows, sr = look.objects.all("SR"), look.pool["default_SR"]
    try:
        need = UPLOADS + sum(int(update["installation_size"]) for update in look.objects.all("pool_update").values())
    except ApiError as e:
        if e.code != "MESSAGE_METHOD_UNKNOWN":
            raise
        yield Finding(True, "This release does not know update files of the kind pool_update.", "Choose another method.")
        return
    if sr not in rows:
        yield Finding(True, "The pool has no default SR, where update files go.", "Set one (xen_pool with default_sr).")
    elif _free(rows[sr]) < need:
        has = f"has {readable_size(_free(rows[sr]))} free of the {readable_size(need)} they may need."
        remedy = "Make room there, or set another default_sr (xen_pool)."
        yield Finding(True, f"SR {rows[sr]['name_label']!r}, where update files go, {has}", remedy)


def _free(sr: Record) -> int:
    return int(sr["physical_size"]) - int(sr["physical_utilisation"])


def _is_full(sr: Record) -> bool:
    return int(sr["physical_size"]) > 0 and _free(sr) < NEARLY_FULL * int(sr["physical_size"])


def versions(look: Look) -> Findings:
    """VMs only go to hosts that are not older, and members do not come back to an older coordinator."""
    first = hosts.coordinator(look.objects)
    record = look.objects.get("host", first)
    newer = [ref for ref in look.by_name() if capacity.is_older(record, look.objects.get("host", ref))]
    if newer:
        names = ", ".join(map(look.host, newer))
        yield Finding(
            first not in look.only,
            f"The coordinator {look.host(first)} is older than {names}.",
            "It is to be upgraded first: name it in hosts.",
        )
    elif older := aside.mixed(look.objects):
        yield Finding(False, f"Host {listed(older)} is older than others: an upgrade has not ended.", "VMs cannot go to older hosts.")
    if first not in look.only:
        yield Finding(
            False, f"The coordinator {look.host(first)} is not to be upgraded.", "A member newer than its coordinator cannot come back."
        )
    if aside.ROLLING in look.pool["other_config"]:
        yield Finding(False, "The pool takes itself for half upgraded.", "Some operations are refused until all hosts are of one version.")


def guidances(look: Look) -> Findings:
    """What updates that were installed before still ask for."""
    for ref in look.by_name():
        if why := host_return.wants_reboot(look.objects.get("host", ref)):
            yield Finding(
                False, f"Host {look.host(ref)} is to be rebooted for earlier updates ({', '.join(why)}).", "The upgrade does that."
            )
    for word, told in (("restart_vm", "restarted"), ("restart_device_model", "moved or restarted")):
        waiting = [vm["name_label"] for vm in guests(look.objects).values() if word in vm.get("pending_guidances", ())]
        if waiting:
            yield Finding(False, f"Earlier updates ask that VM {listed(waiting)} be {told}.", "Do that when it suits.")


def control_domains(look: Look) -> Findings:
    """A host with a disk in its control domain refuses to reboot (xen-api: xapi_host.ml)."""
    vms = look.objects.all("VM")
    for ref in look.by_name():
        domains = {vm for vm, row in vms.items() if row["is_control_domain"] and row["resident_on"] == ref}
        disks = [vbd for vbd in look.objects.all("VBD").values() if vbd["VM"] in domains and vbd["currently_attached"]]
        if disks and ref in look.only:
            named = listed(look.objects.label("VDI", vbd["VDI"]) for vbd in disks)
            yield Finding(
                not look.resumes,
                f"Host {look.host(ref)} has a disk attached to its control domain ({named}).",
                "A backup or an import does that: wait until it has ended, or detach the disk. The host cannot reboot before.",
            )
