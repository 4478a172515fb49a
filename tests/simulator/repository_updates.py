# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of XenServer 8's repositories on hosts: what is missing, what applying it asks for.

Rules: xen-api ocaml/xapi/repository.ml, repository_helpers.ml, updateinfo.ml.
"""

from __future__ import annotations

import typing as t

from . import evacuation, software, updates
from .updates import Channel, Update

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, Pool

# words of updateinfo, and the pending guidance of hosts or VMs they become
ON_HOST = {
    "RebootHost": "reboot_host", "RestartToolstack": "restart_toolstack",
    "RebootHostOnLivePatchFailure": "reboot_host_on_livepatch_failure",
    "RebootHostOnKernelLivePatchFailure": "reboot_host_on_kernel_livepatch_failure",
    "RebootHostOnXenLivePatchFailure": "reboot_host_on_xen_livepatch_failure",
}  # fmt: skip
ON_VM = {"RestartDeviceModel": "restart_device_model", "RestartVM": "restart_vm"}
COVERED = {"RebootHost": {"RestartToolstack", "EvacuateHost", "RestartDeviceModel"}}  # a boot does these as well
FIELDS = {"mandatory": "pending_guidances", "recommended": "pending_guidances_recommended", "full": "pending_guidances_full"}
NEEDS_EMPTY_HOST = {"RebootHost", "EvacuateHost"}
Guidance = dict[str, list[str]]


def channels(pool: Pool) -> list[Channel]:
    """What is behind the repositories the pool has enabled."""
    urls = (pool.db.get("Repository", ref)["binary_url"] for ref in pool.pool["repositories"])
    return [found for url in urls if (found := pool.world.updates.channel(url))]


def synced_hash(pool: Pool) -> str:
    """Of the enabled repositories for updates; "" before they were synchronised."""
    records = [pool.db.get("Repository", ref) for ref in pool.pool["repositories"]]
    wanted = [record["hash"] for record in records if record["update"]] or [record["hash"] for record in records]
    return "-".join(wanted) if all(wanted) else ""


def missing(machine: Machine) -> list[Update]:
    """What the host lacks."""
    return updates.missing_updates(machine, channels(machine.pool))


def guidance(found: t.Iterable[Update]) -> Guidance:
    """All that these updates ask for, by urgency; what a more urgent or stronger word covers is left out."""
    every = list(found)
    out: Guidance = {}
    done: set[str] = set()
    for urgency in updates.GUIDANCES:
        words = list(dict.fromkeys(word for one in every for word in one.guidance.get(urgency, [])))
        covered = {weaker for word in words for weaker in COVERED.get(word, ())} | done
        out[urgency] = [word for word in words if word not in covered]
        if urgency != "livepatch":
            done |= {*out[urgency], *(weaker for word in out[urgency] for weaker in COVERED.get(word, ()))}
    return out


def needs_empty_host(found: t.Iterable[Update]) -> bool:
    """Whether guests have to leave before these are applied."""
    return bool(NEEDS_EMPTY_HOST & set(guidance(found)["mandatory"]))


def apply(machine: Machine, found: list[Update]) -> list[list[str]]:
    """They are on the host now; what is to be done about it is noted. Returns warnings about live patches."""
    machine.state[updates.APPLIED] = [*machine.state.get(updates.APPLIED, []), *(one.id for one in found)]
    for one in found:
        software.put_on_disk(machine, one.software)
    asked = guidance(found)
    failed = [patch for one in found for patch in one.livepatches if patch.get("fails")]
    _note_livepatches(machine, asked, failed)
    _note(machine, asked)
    return [["APPLY_LIVEPATCH_FAILED", f"{patch['component']}-{patch['base']}-{patch['to']}"] for patch in failed]


def _note_livepatches(machine: Machine, asked: Guidance, failed: list[dict[str, t.Any]]) -> None:
    """A host whose live patch failed is to be rebooted; where all went well it need not be."""
    words = {f"RebootHostOn{'Xen' if patch['component'] == 'xen' else 'Kernel'}LivePatchFailure" for patch in failed}
    for urgency in FIELDS:
        plain = [word for word in asked[urgency] if not word.endswith("LivePatchFailure")]
        conditional = [word for word in asked[urgency] if word in words or (failed and word == "RebootHostOnLivePatchFailure")]
        asked[urgency] = plain + conditional


def _note(machine: Machine, asked: Guidance) -> None:
    db = machine.pool.db
    for urgency, field in FIELDS.items():
        _add(db, "host", machine.host_ref, field, [ON_HOST[word] for word in asked[urgency] if word in ON_HOST])
        on_vm = [ON_VM[word] for word in asked[urgency] if word in ON_VM]
        for vm in _guests(machine, everywhere="restart_vm" in on_vm):
            _add(db, "VM", vm, field, on_vm)


def _guests(machine: Machine, *, everywhere: bool) -> list[str]:
    """Those of the host; what the coordinator's updates ask of VMs they ask of the whole pool's."""
    db = machine.pool.db
    hosts = db.all("host") if everywhere and machine.is_coordinator else [machine.host_ref]
    return [vm for host in hosts for vm in evacuation.guests(db, host)]


def _add(db: Database, cls: str, ref: str, field: str, words: list[str]) -> None:
    held = db.get(cls, ref)[field]
    if more := [word for word in words if word not in held]:
        db.set(cls, ref, **{field: [*held, *more]})


# what clients are told -----------------------------------------------------------------------------------------------
def described(pool: Pool, hosts: list[str]) -> dict[str, t.Any]:
    """What GET /updates answers."""
    machines = [pool.world.machine_of(pool, host) for host in hosts]
    lacking = {machine.host_ref: missing(machine) for machine in machines}
    every = {one.id: one for found in lacking.values() for one in found}
    return {
        "hosts": [_host(ref, found) for ref, found in lacking.items()],
        "updates": [_update(one) for one in every.values()],
        "hash": synced_hash(pool),
    }


def _host(ref: str, found: list[Update]) -> dict[str, t.Any]:
    patches = [{k: v for k, v in patch.items() if k != "fails"} for one in found for patch in one.livepatches]
    return {
        "ref": ref, "guidance": guidance(found), "RPMS": [rpm for one in found for rpm in one.packages],
        "updates": [one.id for one in found], "livepatches": patches,
    }  # fmt: skip


def _update(one: Update) -> dict[str, t.Any]:
    patches = [{k: v for k, v in patch.items() if k != "fails"} for patch in one.livepatches]
    return {
        "id": one.id, "summary": one.summary, "description": one.description, "special-info": one.special_info, "URL": one.url,
        "type": one.type, "issued": one.issued, "severity": one.severity, "livepatches": patches,
        "guidance": {urgency: one.guidance.get(urgency, []) for urgency in updates.GUIDANCES}, "title": one.title,
    }  # fmt: skip
