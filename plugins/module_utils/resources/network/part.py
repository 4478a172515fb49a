# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What VLANs, bonds and tunnels have in common: each connects a network to one host at a time."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import Record
from ...wiring import Wiring

Spec = dict[str, t.Any]
# where a VLAN or a tunnel stands: on a network of the pool, or on that of a NIC
BASE_OPTIONS: dict[str, dict[str, t.Any]] = {"network": {"type": "str"}, "nic": {"type": "str"}}
BASE_RULES = {"mutually_exclusive": [["network", "nic"]], "required_one_of": [["network", "nic"]]}


class Part:
    """One way to connect a network, on one host at a time.

    A spec is what the option holds: the same on all hosts, names instead of references.
    """

    option: t.ClassVar[str]
    word: t.ClassVar[str]
    argument: t.ClassVar[dict[str, t.Any]]

    def __init__(self, wiring: Wiring, label: str):
        self.wiring, self.objects, self.label = wiring, wiring.objects, label

    def owns(self, pif: Record) -> bool:
        """Whether an interface is of this kind."""
        raise NotImplementedError

    def observe(self, pif: Record) -> Spec:
        raise NotImplementedError

    def desire(self, given: Record, have: Spec | None) -> Spec:
        """The wanted spec; have is what there is now. Raises InvalidChange for what cannot be on any host."""
        raise NotImplementedError

    def ground(self, host: str, want: Spec) -> list[str]:
        """The interfaces it stands on. Raises Lacking when the host has not got them."""
        raise NotImplementedError

    def check(self, ground: list[str], want: Spec, current: str) -> None:
        """Raises InvalidChange when it cannot stand there. current: the network's present interface, which goes before ("" for none)."""
        raise NotImplementedError

    def add(self, plan: Plan, network: str | Later, host: str, want: Spec) -> None:
        raise NotImplementedError

    def adapts(self, have: Spec, want: Spec) -> bool:
        """Whether the one becomes the other without being taken apart."""
        raise NotImplementedError

    def adapt(self, plan: Plan, pif: str, have: Spec, want: Spec) -> None:
        raise NotImplementedError

    def remove(self, plan: Plan, pif: str, disruptive: str = "") -> None:
        raise NotImplementedError

    def summary(self, spec: Spec) -> str:
        """In words: "VLAN 100 on network 'VM traffic'"."""
        raise NotImplementedError

    # for those that stand on a network ------------------------------------------
    def base(self, given: Record) -> str:
        """The name of the network that network or nic means."""
        if given.get("nic"):
            return self.wiring.network(self.wiring.network_of_nic(given["nic"]))
        base = self.wiring.network(self.objects.resolve("network", given["network"]))
        if base == self.label:
            raise InvalidChange(f"The {self.word} of network {self.label!r} cannot stand on itself.")
        return base

    def footing(self, host: str, want: Spec) -> str:
        """The host's interface to the network to stand on. Raises Lacking."""
        pif = self.wiring.on(self.objects.resolve("network", want["network"])).get(host)
        if not pif:
            raise Lacking(f"interface to network {want['network']!r}")
        return pif

    def refuse_footing(self, pif: str) -> None:
        """Raises InvalidChange for an interface nothing can stand on (xen-api: xapi_vlan.ml, xapi_tunnel.ml)."""
        where, bond = self.wiring.place(pif), self.wiring.bond_over(pif)
        if bond:
            raise InvalidChange(
                f"{where} is a member of the bond of network {self.wiring.network(bond)!r}.",
                hint=f"Put the {self.word} of network {self.label!r} on that network.",
            )
        record = self.wiring.pif(pif)
        if record.get("tunnel_access_PIF_of"):
            raise InvalidChange(f"{where} is a tunnel: the {self.word} of network {self.label!r} cannot stand on it.")
        self.wiring.refuse_unmanaged(pif)


class Lacking(Exception):
    """A host has not got what it takes; the text names it."""
