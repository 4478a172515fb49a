# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which host is connected to which network, by which interface, and what stands on that."""

from __future__ import annotations

import typing as t

from . import hosts
from .errors import Ambiguous, InvalidChange, NotFound
from .refs import NULL, Objects, Record

SYSTEM_NETWORK = "is_host_internal_management_network"


def quoted(names: t.Iterable[str]) -> str:
    """'a', 'b' and 'c', sorted."""
    shown = [repr(name) for name in sorted(names)]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


class Wiring:
    """Questions about hosts, PIFs and networks, answered from the bulk reads of Objects. Keeps nothing itself."""

    def __init__(self, objects: Objects):
        self.objects = objects

    # hosts --------------------------------------------------------------------
    def coordinator(self) -> str:
        return hosts.coordinator(self.objects)

    def hosts(self) -> list[str]:
        """The coordinator first, then by name."""
        first = self.coordinator()
        return sorted(self.objects.all("host"), key=lambda ref: (ref != first, self.host(ref)))

    def host(self, ref: str) -> str:
        return hosts.name_of(self.objects, ref)

    def down(self, ref: str) -> bool:
        """Whether the coordinator takes the host for dead: what changes its interfaces cannot be done then."""
        return not hosts.is_live(self.objects, ref)

    # interfaces ---------------------------------------------------------------
    def pif(self, ref: str) -> Record:
        return self.objects.get("PIF", ref)

    def on(self, network: str) -> dict[str, str]:
        """The interface of each host that is connected to a network, by host."""
        pifs = self.objects.all("PIF")
        return {pifs[ref]["host"]: ref for ref in self.objects.get("network", network)["PIFs"] if ref in pifs}

    def nics(self, host: str) -> dict[str, str]:
        """A host's physical interfaces by device name."""
        return {pif["device"]: ref for ref, pif in self.objects.all("PIF").items() if pif["host"] == host and pif["physical"]}

    def network_of_nic(self, device: str) -> str:
        """The pool-wide network of a NIC: the coordinator's, or that of the members where the coordinator has no such NIC.

        Raises NotFound, Ambiguous.
        """
        mine = self.nics(self.coordinator())
        if device in mine:
            return t.cast(str, self.pif(mine[device])["network"])
        others = {pif["network"] for pif in self.objects.all("PIF").values() if pif["physical"] and pif["device"] == device}
        if not others:
            raise NotFound(f"No host has a NIC {device!r}.", hint=f"The coordinator has: {', '.join(sorted(mine))}.")
        if len(others) > 1:
            raise Ambiguous(f"The NICs {device!r} of the members are on different networks: {quoted(map(self.network, others))}.")
        return t.cast(str, others.pop())

    def place(self, ref: str) -> str:
        pif = self.pif(ref)
        vlan = f" VLAN {pif['VLAN']}" if pif["VLAN"] >= 0 else ""
        return f"{pif['device']}{vlan} of host {self.host(pif['host'])!r}"

    def bond_over(self, ref: str) -> str:
        """The network of the bond an interface is a member of; "" if it is none."""
        bond = self.pif(ref)["bond_slave_of"]
        if bond == NULL or bond not in self.objects.all("Bond"):
            return ""
        return t.cast(str, self.pif(self.objects.get("Bond", bond)["master"])["network"])

    def refuse_unmanaged(self, ref: str) -> None:
        """Raises InvalidChange for an interface that XenAPI leaves to others."""
        if not self.pif(ref).get("managed", True):
            raise InvalidChange(f"{self.place(ref)} is not managed by XenAPI.", hint="Introduce it as a managed one (PIF.introduce) first.")

    def upon(self, ref: str) -> list[str]:
        """The names of the networks whose VLANs and tunnels stand on an interface."""
        pif = self.pif(ref)
        above = [self.objects.get("VLAN", vlan)["untagged_PIF"] for vlan in pif["VLAN_slave_of"]]
        above += [self.objects.get("tunnel", tunnel)["access_PIF"] for tunnel in pif.get("tunnel_transport_PIF_of", ())]
        return sorted({self.network(self.pif(top)["network"]) for top in above})

    # networks -----------------------------------------------------------------
    def network(self, ref: str) -> str:
        return self.objects.label("network", ref)

    def guests(self, network: str, *, host: str = "", attached: bool = False) -> list[str]:
        """The names of VMs with a VIF on a network; only those that run on host, only those whose VIF is in use."""
        names = set()
        for ref in self.objects.get("network", network)["VIFs"]:
            vif = self.objects.get("VIF", ref)
            vm = self.objects.all("VM").get(vif["VM"])
            if vm and (not host or vm["resident_on"] == host) and (not attached or vif["currently_attached"]):
                names.add(str(vm["name_label"] or vm["uuid"]))
        return sorted(names)
