# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VLANs (xen-api: ocaml/xapi/xapi_vlan.ml). One object per host, all with the same tag on the same network."""

from __future__ import annotations

from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import NULL, Record
from .part import BASE_OPTIONS, BASE_RULES, Part, Spec

TAGS = range(1, 4095)  # xapi takes 0 as well, which is the untagged network


class Vlan(Part):
    option = "vlan"
    word = "VLAN"
    argument = {"type": "dict", "options": {"tag": {"type": "int", "required": True}, **BASE_OPTIONS}, **BASE_RULES}

    def owns(self, pif: Record) -> bool:
        return bool(pif["VLAN_master_of"] != NULL and pif["VLAN_master_of"] in self.objects.all("VLAN"))

    def observe(self, pif: Record) -> Spec:
        vlan = self.objects.get("VLAN", pif["VLAN_master_of"])
        return {"tag": vlan["tag"], "network": self.wiring.network(self.wiring.pif(vlan["tagged_PIF"])["network"])}

    def desire(self, given: Record, have: Spec | None) -> Spec:
        if given["tag"] not in TAGS:
            raise InvalidChange(f"The VLAN of network {self.label!r} has the tag {given['tag']}.", hint="A tag lies between 1 and 4094.")
        return {"tag": given["tag"], "network": self.base(given)}

    def ground(self, host: str, want: Spec) -> list[str]:
        return [self.footing(host, want)]

    def check(self, ground: list[str], want: Spec, current: str) -> None:
        (base,) = ground
        self.refuse_footing(base)
        if self.wiring.pif(base)["VLAN"] >= 0:
            raise InvalidChange(f"Network {want['network']!r} is a VLAN itself: network {self.label!r} cannot stand on it.")
        for vlan in self.objects.all("VLAN").values():
            if vlan["tagged_PIF"] == base and vlan["tag"] == want["tag"] and vlan["untagged_PIF"] != current:
                other = self.wiring.network(self.wiring.pif(vlan["untagged_PIF"])["network"])
                raise InvalidChange(
                    f"VLAN {want['tag']} on {self.wiring.place(base)} is already that of network {other!r}.",
                    hint=f"Manage that one, with its uuid if it is to be named {self.label!r}, or remove it.",
                )

    def add(self, plan: Plan, network: str | Later, host: str, want: Spec) -> None:
        what = f"create {self.summary(want)} of host {self.wiring.host(host)!r} for network {self.label!r}"
        plan.add("VLAN.create", self.footing(host, want), want["tag"], network, what=what)

    def adapts(self, have: Spec, want: Spec) -> bool:
        return have == want

    def adapt(self, plan: Plan, pif: str, have: Spec, want: Spec) -> None:
        """There is nothing that could be changed in place."""

    def remove(self, plan: Plan, pif: str, disruptive: str = "") -> None:
        what = f"remove the VLAN of network {self.label!r} from {self.wiring.place(pif)}"
        plan.add("VLAN.destroy", self.wiring.pif(pif)["VLAN_master_of"], what=what, disruptive=disruptive)

    def summary(self, spec: Spec) -> str:
        return f"VLAN {spec['tag']} on network {spec['network']!r}"
