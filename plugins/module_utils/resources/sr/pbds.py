# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attachments of an SR: one PBD for each host (xen-api: ocaml/xapi/xapi_pbd.ml)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ... import hosts
from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import Objects, Record
from .target import Target
from .types import Config, SrType, Wish, differs, is_secret, merged

Pbds = dict[str, tuple[str, Record]]  # host -> PBD


def hosts_in_order(objects: Objects) -> list[str]:
    """References of all hosts, the coordinator first: xapi scans an SR when the coordinator attaches it."""
    first = hosts.coordinator(objects)
    return sorted(objects.all("host"), key=lambda ref: (ref != first, objects.all("host")[ref]["name_label"], ref))


def pbds_of(objects: Objects, sr: str) -> Pbds:
    found = {pbd["host"]: (ref, pbd) for ref, pbd in objects.all("PBD").items() if pbd["SR"] == sr}
    return {host: found[host] for host in hosts_in_order(objects) if host in found}


def config_of(pbds: Pbds) -> Config:
    """The device_config that stands for the SR: the coordinator's, else that of the first host."""
    return next((dict(pbd["device_config"]) for _ref, pbd in pbds.values()), {})


def users(objects: Objects, sr: str, on: t.Iterable[str] | None = None) -> list[str]:
    """Disks of the SR that are in use, each with its VM; on these hosts only, if any are given."""
    found = []
    for vbd in objects.all("VBD").values():
        vdi = objects.all("VDI").get(vbd["VDI"])
        if not vbd["currently_attached"] or not vdi or vdi["SR"] != sr:
            continue
        vm = objects.get("VM", vbd["VM"])
        if on is None or vm["resident_on"] in on:
            found.append(f"{vdi['name_label'] or vdi['uuid']!r} of VM {vm['name_label']!r}")
    return sorted(found)


def refuse_use(objects: Objects, sr: str, what: str, on: t.Iterable[str] | None = None) -> None:
    """Raises InvalidChange that names the disks and VMs."""
    if found := users(objects, sr, on):
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise InvalidChange(
            f"{what}, but running VMs use it: {shown}.", hint="Shut them down or move their disks first.", code="VDI_IN_USE"
        )


def detach(plan: Plan, objects: Objects, sr: str, label: str) -> None:
    """Unplug it on every host, the coordinator last. Raises InvalidChange when a VM runs from it."""
    attached = [(host, ref) for host, (ref, pbd) in pbds_of(objects, sr).items() if pbd["currently_attached"]]
    if attached:
        refuse_use(objects, sr, f"SR {label!r} would be detached")
    for host, ref in reversed(attached):
        plan.add("PBD.unplug", ref, what=f"detach SR {label!r} from host {objects.label('host', host)!r}", slow=True)


@dataclass
class Attachment:
    """What is to be attached where.

    sr: its reference, or the operation that makes it; config: the device_config that the SR has (secrets as references);
    want: what the task says of it; hosts: where it belongs, in order; effort: the option attach.
    """

    objects: Objects
    row: SrType
    label: str
    sr: str | Later
    pbds: Pbds
    config: Config
    want: Wish
    hosts: list[str]
    effort: str
    target: Target
    changed: dict[str, list[str]] = field(default_factory=dict)  # host -> options by which its PBD differs

    def __post_init__(self) -> None:
        differing = {host: differs(self.row, pbd["device_config"], self.want) for host, (_ref, pbd) in self.pbds.items()}
        self.changed = {host: options for host, options in differing.items() if options}

    def plan(self, plan: Plan) -> tuple[list[str], list[str], Config]:
        """Adds the operations. Hosts that have a PBD after them, those that have the SR attached, and its device_config."""
        self._refuse_change()
        attached = [host for host, (_ref, pbd) in self.pbds.items() if pbd["currently_attached"]]
        there = [h for h in self.hosts if h in self.pbds] if self.effort == "as_is" else self.hosts
        due = [h for h in there if h in self.changed or h not in attached]
        if self.effort == "as_is":
            due = [h for h in due if h in attached]
        missing = unattachable(plan, self.objects, self.target, self.label, due, merged(self.config, self.want), self.effort)
        for host in there:
            self._attach(plan, host, plug=host in due and host not in missing)
        after = [h for h in there if (h in attached or h in due) and h not in missing]
        first = next(iter(there), "")
        kept = not there or (first in self.pbds and first not in self.changed)
        return there, after, self.config if kept else merged(self.config, self.want)

    def _attach(self, plan: Plan, host: str, *, plug: bool) -> None:
        name = self.objects.label("host", host)
        ref: str | Later = self.pbds[host][0] if host in self.pbds else ""
        if host in self.changed:
            self._remove(plan, host, name)
            ref = ""
        if not ref:
            record = {"host": host, "SR": self.sr, "device_config": self._config(host), "other_config": {}}
            ref = plan.add("PBD.create", record, what=f"make SR {self.label!r} known to host {name!r}")
        if plug:
            plan.add("PBD.plug", ref, what=f"attach SR {self.label!r} to host {name!r}", slow=True)

    def _remove(self, plan: Plan, host: str, name: str) -> None:
        ref, pbd = self.pbds[host]
        options = ", ".join(self.changed[host])
        if pbd["currently_attached"]:
            disruptive = f"detach SR {self.label!r} from host {name!r} to change {options}"
            plan.add("PBD.unplug", ref, what=f"detach SR {self.label!r} from host {name!r}", slow=True, disruptive=disruptive)
        plan.add("PBD.destroy", ref, what=f"replace the attachment of SR {self.label!r} to host {name!r}")

    def _config(self, host: str) -> Config:
        """For a host's PBD. xapi copies a Secret that is named, and makes one of a secret in plain text (xapi_secret.ml)."""
        want = self.want
        if host not in self.changed and self.pbds:
            # the Secret of another host's PBD is a better source than the task, which may not know the password
            want = {k: v for k, v in want.items() if f"{k}_secret" not in self.config}
        renewed = {f"{k}_secret": None for k in want if is_secret(k)}
        return merged(self.config, {**renewed, **want})

    def _refuse_change(self) -> None:
        """A PBD that differs is replaced: everything it needs has to be in the task, or an interruption would lose it."""
        if not self.changed:
            return
        if isinstance(self.sr, str):
            in_use = [host for host in self.changed if self.pbds[host][1]["currently_attached"]]
            refuse_use(self.objects, self.sr, f"SR {self.label!r} would be detached to change its configuration", in_use)
        needed = {k.api: k.option for k in self.row.required}
        needed |= {k.api: k.option for k in self.row.keys if k.secret and f"{k.api}_secret" in self.config}
        missing = [option for api, option in needed.items() if not self.want.get(api)]
        if missing:
            options = ", ".join(sorted({option for found in self.changed.values() for option in found}))
            raise InvalidChange(
                f"To change {options} of SR {self.label!r} its attachments are replaced.", hint=f"Give {', '.join(missing)} too."
            )


def unattachable(plan: Plan, objects: Objects, target: Target, label: str, where: list[str], config: Config, effort: str) -> list[str]:
    """Hosts that can not attach it now. Those that are down do so when they start, so they are a warning only.

    Raises InvalidChange that names every other one, with why; with effort best_effort that is a warning too.
    """
    down = [host for host in where if not hosts.is_live(objects, host)]
    reasons = {host: why for host in where if host not in down and (why := target.unreachable(host, config))}
    told = [f"host {objects.label('host', host)!r}: {why}" for host, why in reasons.items()]
    if told and effort == "all":
        raise InvalidChange(
            f"SR {label!r} cannot be attached to {'; '.join(told)}.",
            hint="Give the host an address that reaches the storage (xen_pif), or set attach: best_effort.",
        )
    plan.warnings += [f"SR {label!r} is not attached to {text}." for text in told]
    plan.warnings += [
        f"SR {label!r} is not attached to host {objects.label('host', host)!r}, which is down; it will be when it starts." for host in down
    ]
    return [*down, *reasons]
