# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that leave the pool, and what is lost with them. Rules: xen-api, ocaml/xapi/xapi_pool.ml (eject)."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...errors import InvalidChange
from ...formats.sizes import readable_size
from ...plan import Plan
from ...refs import Objects, Record
from .join_rules import Reason


class Leaving:
    """The hosts of eject that are in the pool. coordinator: the one that is it by then; ha: whether it is on by then."""

    def __init__(self, objects: Objects, params: Record, *, coordinator: str, mentioned: set[str]):
        self.objects, self.params, self.coordinator = objects, params, coordinator
        found = [hosts.known(objects, text) for text in params.get("eject") or ()]
        self.refs = list(dict.fromkeys(ref for ref in found if ref))
        if both := [hosts.name_of(objects, ref) for ref in self.refs if ref in mentioned]:
            raise InvalidChange(f"Host {both[0]!r} stands in members and in eject.", hint="Leave it out of one of them.")

    @property
    def uuids(self) -> set[str]:
        return {self.objects.get("host", ref)["uuid"] for ref in self.refs}

    def plan(self, plan: Plan, *, ha: bool) -> None:
        """Raises InvalidChange for a host that cannot leave, or may not because its data would be lost."""
        if not self.refs:
            return
        losses = [hosts.lost_with(self.objects, ref) for ref in self.refs]
        plan.facts["eject"] = losses
        told = [f"Host {name!r} cannot leave the pool: {r.message}. {r.hint}" for name, r in self._obstacles(ha)]
        if told:
            raise InvalidChange(" ".join(told), code=self._obstacles(ha)[0][1].error_code, facts={"eject": losses})
        if not self.params.get("lose_local_data"):
            raise InvalidChange(
                " ".join(_sentence(loss) for loss in losses),
                hint="Move away what is still needed, then set lose_local_data: true.",
                facts={"eject": losses},
            )
        for ref, loss in zip(self.refs, losses, strict=True):
            plan.add("pool.eject", ref, what=f"eject host {loss['host']!r} from the pool", slow=True)
            plan.wait(f"host {loss['host']!r} to leave the pool", self._gone(ref), timeout=self.params["wait_timeout"])

    def _obstacles(self, ha: bool) -> list[tuple[str, Reason]]:
        out = []
        for ref in self.refs:
            name, guests = hosts.name_of(self.objects, ref), hosts.guests(self.objects, ref)
            if ref == self.coordinator:
                told = Reason("OPERATION_NOT_ALLOWED", "it is the coordinator", "Make another host the coordinator (coordinator: ...).")
                out.append((name, told))
            if ha:
                out.append((name, Reason("HA_IS_ENABLED", "high availability is on", "Turn it off (ha: {enabled: false}).")))
            if guests:
                told = Reason(
                    "OPERATION_NOT_ALLOWED", f"VMs run on it: {', '.join(guests)}", "Move or stop them (xen_host with evacuate: true)."
                )
                out.append((name, told))
            if not hosts.is_live(self.objects, ref):
                out.append(
                    (name, Reason("HOST_OFFLINE", "it does not answer", "Start it; a host that is gone for good cannot be ejected."))
                )
        return out

    def _gone(self, ref: str) -> t.Callable[[], object]:
        def ready() -> object:
            return ref not in Objects(self.objects.session).all("host") or "it is still in the pool"

        return ready


def _sentence(loss: Record) -> str:
    srs = [
        f"SR {sr['name']!r} ({sr['type']}, {readable_size(sr['size'])}) with "
        + (", ".join(f"disk {d['name']!r} ({readable_size(d['size'])})" for d in sr["vdis"]) or "no disks")
        for sr in loss["srs"]
    ]
    vms = f"; VMs with disks there: {', '.join(loss['vms'])}" if loss["vms"] else ""
    return f"With host {loss['host']!r} its local data would be lost: {'; '.join(srs) or 'no SR'}{vms}."
