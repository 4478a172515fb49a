# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for a guest that was started: for its tools, or for an address in a network."""

from __future__ import annotations

import typing as t

from ... import guest
from ...errors import InvalidChange
from ...plan import Plan
from ...refs import Objects
from .part import Part, Subject


class Waiting(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "wait_for": {"type": "str", "choices": ["tools", "address"]},
        "wait_network": {"type": "str"},
    }

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        self._network()
        return {}

    def _network(self) -> str:
        """Its name. Raises NotFound, Ambiguous."""
        wanted = self.params.get("wait_network")
        return self.objects.label("network", self.objects.resolve("network", wanted)) if wanted else ""

    def ready(self, plan: Plan, subject: Subject) -> None:
        awaited = self.params.get("wait_for")
        if not awaited:
            return
        if plan.after["power_state"] != "running":
            raise InvalidChange(
                f"VM {self.label!r} is not to run, so its {awaited} cannot be waited for.", hint="Set power_state: running."
            )
        network = self._network()
        if awaited == "address" and network and network not in [nic["network"] for nic in plan.after["nics"]]:
            raise InvalidChange(f"VM {self.label!r} has no NIC in network {network!r}: no address will come.", hint="Add it to nics.")
        if plan.steps or self._seen(self.objects, t.cast(str, subject.ref)) is not True:
            what = f"VM {self.label!r} to tell {'of its tools' if awaited == 'tools' else 'an address'}"
            plan.wait(what, self._asked, subject.ref, timeout=float(self.params["wait_timeout"]))

    def _asked(self, ref: str) -> object:
        return self._seen(Objects(self.vm.session), ref)

    def _seen(self, objects: Objects, ref: str) -> object:
        """True, or what there is instead."""
        vm = objects.all("VM").get(ref)
        if not vm or vm["power_state"] != "Running":
            return f"it is {vm['power_state'].lower() if vm else 'gone'}"
        metrics = guest.report(objects, vm)
        if self.params["wait_for"] == "tools":
            return bool(guest.tools(metrics)["detected"]) or "it runs, and its tools have not been heard of"
        told = guest.addresses(metrics)
        network = self.params.get("wait_network")
        good = guest.in_network(objects, vm, objects.resolve("network", network)) if network else _global(told)
        if good:
            return True
        others = ", ".join(f"NIC {device}: {' '.join(found)}" for device, found in told.items())
        heard = "its tools run" if guest.tools(metrics)["detected"] else "its tools have not been heard of"
        return f"{heard}, {f'there are only {others}' if others else 'there is no address'}"

    def facts(self, subject: Subject) -> dict[str, t.Any]:
        metrics = guest.report(self.objects, subject.record)
        return {"addresses": guest.addresses(metrics), "guest_os": guest.os(metrics), "tools": guest.tools(metrics)}


def _global(told: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    return [address for found in told.values() for address in found if not address.startswith(guest.LINK_LOCAL)]
