# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnels (xen-api: ocaml/xapi/xapi_tunnel.ml). One object per host; they need Open vSwitch and an address on what they stand on."""

from __future__ import annotations

from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import Record
from ...wiring import quoted
from .part import BASE_OPTIONS, BASE_RULES, Part, Spec

PROTOCOLS = ("gre", "vxlan")


class Tunnel(Part):
    option = "tunnel"
    word = "tunnel"
    argument = {"type": "dict", "options": {**BASE_OPTIONS, "protocol": {"type": "str", "choices": list(PROTOCOLS)}}, **BASE_RULES}

    def owns(self, pif: Record) -> bool:
        return bool(pif.get("tunnel_access_PIF_of"))

    def observe(self, pif: Record) -> Spec:
        tunnel = self.objects.get("tunnel", pif["tunnel_access_PIF_of"][0])
        protocol = {"protocol": tunnel["protocol"]} if "protocol" in tunnel else {}
        return {"network": self.wiring.network(self.wiring.pif(tunnel["transport_PIF"])["network"]), **protocol}

    def desire(self, given: Record, have: Spec | None) -> Spec:
        base, protocol = self.base(given), given.get("protocol")
        if have is None and not protocol and self._knows_protocols():
            protocol = PROTOCOLS[0]
        if protocol and not self._knows_protocols():
            raise InvalidChange(f"This host's release does not know the tunnel protocol {protocol!r}.", hint="Leave protocol out.")
        return {**(have or {}), "network": base, **({"protocol": protocol} if protocol else {})}

    def _knows_protocols(self) -> bool:
        for tunnel in self.objects.all("tunnel").values():
            return "protocol" in tunnel
        return "tunnel.set_protocol" in self.objects.session.methods()

    def ground(self, host: str, want: Spec) -> list[str]:
        return [self.footing(host, want)]

    def check(self, ground: list[str], want: Spec, current: str) -> None:
        """An address is needed before: xapi makes the tunnel, fails to plug it, and leaves it there."""
        (transport,) = ground
        self.refuse_footing(transport)
        without = [
            h["name_label"] for h in self.objects.all("host").values() if h["software_version"].get("network_backend") != "openvswitch"
        ]
        if without:
            raise InvalidChange(f"Tunnels need Open vSwitch on all hosts; {quoted(without)} use the Linux bridge.")
        if self.wiring.pif(transport)["ip_configuration_mode"] == "None":
            raise InvalidChange(
                f"{self.wiring.place(transport)} has no address, which the tunnel of network {self.label!r} needs.",
                hint="Give it one first (xen_pif).",
            )

    def add(self, plan: Plan, network: str | Later, host: str, want: Spec) -> None:
        what = f"create a {self.summary(want)} of host {self.wiring.host(host)!r} for network {self.label!r}"
        protocol = [want["protocol"]] if "protocol" in want else []
        plan.add("tunnel.create", self.footing(host, want), network, *protocol, what=what)

    def adapts(self, have: Spec, want: Spec) -> bool:
        return bool(have["network"] == want["network"])

    def adapt(self, plan: Plan, pif: str, have: Spec, want: Spec) -> None:
        what = f"set protocol of the tunnel of network {self.label!r} on {self.wiring.place(pif)}"
        plan.add("tunnel.set_protocol", self.wiring.pif(pif)["tunnel_access_PIF_of"][0], want["protocol"], what=what)

    def remove(self, plan: Plan, pif: str, disruptive: str = "") -> None:
        what = f"remove the tunnel of network {self.label!r} from {self.wiring.place(pif)}"
        plan.add("tunnel.destroy", self.wiring.pif(pif)["tunnel_access_PIF_of"][0], what=what, disruptive=disruptive)

    def summary(self, spec: Spec) -> str:
        return f"tunnel over network {spec['network']!r}"
