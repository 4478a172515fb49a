# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What crosses from a pool to another: networks, versions, what is there already (xen-api: ocaml/xapi/xapi_vm_migrate.ml)."""

from __future__ import annotations

import typing as t

from ... import capacity, hosts
from ...client import Session
from ...errors import Ambiguous, InvalidChange, NotFound
from ...reasons import Reason, Reasons, name
from ...refs import Objects, Record


def networks(ours: Objects, vm: Record, theirs: Objects, host: str, names: t.Mapping[str, str]) -> tuple[dict[str, str], list[Reason]]:
    """The other pool's network for each VIF: as the task says, else the one of the same name. Raises NotFound for a name it misspells."""
    known = {key for row in ours.all("network").values() for key in (row["uuid"], row["name_label"])}
    if unknown := sorted(set(names) - known):
        raise NotFound(f"networks names {', '.join(map(repr, unknown))}, which this pool does not have.")
    chosen: dict[str, str] = {}
    reasons: list[Reason] = []
    for vif in sorted(vm["VIFs"], key=lambda ref: (len(ours.get("VIF", ref)["device"]), ours.get("VIF", ref)["device"])):
        network = ours.get("network", ours.get("VIF", vif)["network"])
        given = next((names[key] for key in (network["uuid"], network["name_label"]) if key in names), None)
        try:
            chosen[vif] = theirs.resolve("network", given or network["name_label"])
        except (NotFound, Ambiguous) as e:
            if given:
                raise
            many = "none" if isinstance(e, NotFound) else "more than one"
            text = f"Nothing says which network of the other pool stands for {network['name_label']!r}, and {many} has its name."
            reasons.append(Reason("VIF_NOT_IN_MAP", text, "Set networks."))
    for target in dict.fromkeys(chosen.values()):
        reasons += _reached(theirs, host, target)
    return chosen, list(dict.fromkeys(reasons))


def _reached(theirs: Objects, host: str, network: str) -> Reasons:
    pifs, record = theirs.all("PIF"), theirs.get("network", network)
    if record["PIFs"] and not any(pifs[pif]["host"] == host for pif in record["PIFs"] if pif in pifs):
        text = f"Host {hosts.name_of(theirs, host)!r} is not connected to network {theirs.label('network', network)!r}."
        yield Reason("VM_REQUIRES_NETWORK", text, "Connect it (xen_network), or choose another network or host.")


def obstacles(ours: Objects, ref: str, theirs: Objects, host: str, *, copy: bool) -> list[Reason]:
    """What else speaks against moving or copying a VM into another pool."""
    vm = ours.get("VM", ref)
    return [*_older(ours, vm, theirs, host), *_there(vm, theirs, copy=copy), *_seed(vm, theirs, copy=copy), *_copied(vm, copy=copy)]


def _older(ours: Objects, vm: Record, theirs: Objects, host: str) -> Reasons:
    here = vm["resident_on"] if vm["resident_on"] in ours.all("host") else hosts.coordinator(ours)
    if capacity.is_older(theirs.get("host", host), ours.get("host", here)):
        yield Reason("VM_HOST_INCOMPATIBLE_VERSION_MIGRATE",
                     f"Host {hosts.name_of(theirs, host)!r} runs an older release than {hosts.name_of(ours, here)!r}.",
                     "VMs move to hosts of the same or a newer release; export the VM and import it there.")  # fmt: skip


def _there(vm: Record, theirs: Objects, *, copy: bool) -> Reasons:
    same = [other for other in theirs.all("VM").values() if other["uuid"] == vm["uuid"]]
    if same and not copy:
        text = f"The other pool has a VM of the same uuid already: {same[0]['name_label']!r}, {same[0]['power_state'].lower()}."
        yield Reason("DUPLICATE_VM", text, "It is the rest of a migration that broke off, or a copy: remove one of the two.")


def _seed(vm: Record, theirs: Objects, *, copy: bool) -> Reasons:
    """Its MAC addresses are made from a seed, which no two VMs of a pool may share (xen-api: ocaml/xapi/import.ml)."""
    seed = vm["other_config"].get("mac_seed")
    for other in theirs.all("VM").values():
        same = seed and other["other_config"].get("mac_seed") == seed and other["uuid"] != vm["uuid"]
        if same and not copy and not other["is_a_snapshot"]:
            yield Reason("DUPLICATE_MAC_SEED", f"VM {other['name_label']!r} of the other pool makes its MAC addresses from the same seed.",
                         "It is a copy of this one: remove one of the two, or change mac_seed in its other_config.")  # fmt: skip


def _copied(vm: Record, *, copy: bool) -> Reasons:
    if copy and vm["power_state"] != "Halted":
        yield Reason("VM_BAD_POWER_STATE", f"{name(vm)} is {vm['power_state'].lower()}; only a halted VM is copied.", "Shut it down first.")


def target_host(session: Session, theirs: Objects, text: str | None) -> str:
    """The host that is to take the VM: the one named, else the one the task logs in at, else the coordinator."""
    if text:
        return hosts.resolve(theirs, text)
    return hosts.one_at(theirs, session.endpoint.host) or hosts.coordinator(theirs)


def destination(session: Session, objects: Objects, host: str) -> dict[str, str]:
    """What host.migrate_receive would say, with the task's own session: so nothing is begun by asking."""
    address, leader = (objects.get("host", ref)["address"] for ref in (host, hosts.coordinator(objects)))
    handle = str(session.handle)
    return {
        "host": host,
        "SM": f"https://{address}/services/SM?session_id={handle}",
        "xenops": f"https://{address}/services/xenops?session_id={handle}",
        "session_id": handle,
        "master": f"https://{leader}/",
    }


def refuse_same_pool(ours: Objects, theirs: Objects) -> None:
    (_ref, mine), (_other, other) = hosts.pool_of(ours), hosts.pool_of(theirs)
    if mine["uuid"] == other["uuid"]:
        raise InvalidChange("to is the pool that the VM is in.", hint="Leave to out; host is enough inside a pool.")
