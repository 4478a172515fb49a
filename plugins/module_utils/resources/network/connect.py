# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What connects a network to all hosts of the pool, and how a partial or different connection becomes the wanted one.

A connection is {option: spec}: {"vlan": {...}}, {"nic": "eth1"}, or {} on a host without one.
"""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...plan import Later, Plan
from ...wiring import Wiring, quoted
from .part import Lacking, Part

Connection = dict[str, t.Any]


def stands(names: t.Sized) -> str:
    return "stands" if len(names) == 1 else "stand"


class Connections:
    def __init__(self, wiring: Wiring, parts: dict[str, Part], label: str):
        self.wiring, self.parts, self.label = wiring, parts, label
        self._pifs: dict[str, str] = {}  # of the hosts that are connected; set by observe

    # what is and what is to be ------------------------------------------------------
    def observe(self, network: str) -> dict[str, t.Any]:
        """The option that tells how the network is connected (that of the coordinator, if it is), and "hosts"."""
        self._pifs = self.wiring.on(network)
        if not self._pifs:
            return {}
        hosts = {self.wiring.host(host): self._connection(self._pifs.get(host)) for host in self.wiring.hosts()}
        first = next(connection for connection in hosts.values() if connection)
        return {"hosts": hosts, **{option: spec for option, spec in first.items() if option in (*self.parts, "nic")}}

    def _connection(self, pif: str | None) -> Connection:
        if pif is None:
            return {}
        record = self.wiring.pif(pif)
        if record["physical"]:
            return {"nic": record["device"]}
        return next(({part.option: part.observe(record)} for part in self.parts.values() if part.owns(record)), {"other": record["device"]})

    def desire(self, before: t.Mapping[str, t.Any], given: tuple[str, t.Mapping[str, t.Any]] | None) -> dict[str, t.Any]:
        """The same keys after the change. A host that is down stays as it is; it is completed by a later run, or when it starts."""
        if given is None:
            return {key: before[key] for key in (*self.parts, "nic", "hosts") if key in before}
        option, words = given
        now = {option: self.parts[option].desire(words, before.get(option))}
        was = before.get("hosts") or {}
        hosts = {}
        for host in self.wiring.hosts():
            name = self.wiring.host(host)
            have = was.get(name, {})
            hosts[name] = have if have == now or self.wiring.down(host) else now
        return {**now, "hosts": hosts}

    # getting there ------------------------------------------------------------------
    def plan(self, plan: Plan, network: str | Later) -> None:
        was, now = plan.before.get("hosts") or {}, plan.after.get("hosts") or {}
        refs = {self.wiring.host(host): host for host in self.wiring.hosts()} if now else {}
        option = next((option for option in self.parts if option in plan.after), "")
        self._warn(plan, option, {name: refs[name] for name in now})
        changing = {refs[name]: was.get(name, {}) for name in now if was.get(name, {}) != now[name]}
        if not changing:
            return
        part, want = self.parts[option], plan.after[option]
        anew = {host: have for host, have in changing.items() if not (option in have and part.adapts(have[option], want))}
        self._check(part, want, anew)
        disruptive = self._disruption(part, want, {host: have for host, have in anew.items() if have})
        for host, have in changing.items():
            if host not in anew:
                part.adapt(plan, self._pifs[host], have[option], want)
                continue
            if have:
                self.parts[next(iter(have))].remove(plan, self._pifs[host], disruptive)
                disruptive = ""  # said once, not for every host
            part.add(plan, network, host, want)

    def _warn(self, plan: Plan, option: str, hosts: dict[str, str]) -> None:
        """Hosts that are left as they are."""
        now = plan.after.get("hosts") or {}
        if option:
            away = [name for name in hosts if now[name] != {option: plan.after[option]}]
            if away:
                plan.warnings.append(
                    f"Network {self.label!r} is not completed on {quoted(away)}, which {'is' if len(away) == 1 else 'are'} down: "
                    f"it lacks its {self.parts[option].word} there. Run the task again when all hosts are up."
                )
        elif "nic" in plan.after:
            without = [name for name, connection in now.items() if not connection]
            if without:
                plan.warnings.append(f"Network {self.label!r} has no NIC {plan.after['nic']} on {quoted(without)}.")

    def _check(self, part: Part, want: dict[str, t.Any], hosts: dict[str, Connection]) -> None:
        """All hosts that lack something are named at once; then what stands in the way on any of them."""
        lacking: dict[str, list[str]] = {}
        grounds: dict[str, list[str]] = {}
        for host in hosts:
            try:
                grounds[host] = part.ground(host, want)
            except Lacking as e:
                lacking.setdefault(str(e), []).append(self.wiring.host(host))
        if lacking:
            told = "; ".join(f"{quoted(names)} {'has' if len(names) == 1 else 'have'} no {what}" for what, names in lacking.items())
            raise InvalidChange(f"The {part.word} of network {self.label!r} cannot be made on every host: {told}.")
        for host, ground in grounds.items():
            part.check(ground, want, self._pifs.get(host, ""))

    def _disruption(self, part: Part, want: dict[str, t.Any], hosts: dict[str, Connection]) -> str:
        """Why taking apart interrupts somebody. Raises InvalidChange where it must not be, allowed or not."""
        for host, have in hosts.items():
            option, pif = next(iter(have)), self._pifs[host]
            if option not in self.parts:
                raise InvalidChange(f"Network {self.label!r} is that of {self.wiring.place(pif)}: it cannot become a {part.word}.")
            self.refuse_vital(pif, option, f"{have[option]} cannot become {want}")
            self._refuse_loose_ends(host, pif, option, want)
        if not hosts:
            return ""
        have = next(iter(hosts.values()))
        option = next(iter(have))
        summaries = self.parts[option].summary(have[option]), part.summary(want)
        return f"interrupt network {self.label!r} to turn it from {summaries[0]} to {summaries[1]}"

    def refuse_vital(self, pif: str, option: str, why: str) -> None:
        if self.wiring.pif(pif)["management"]:
            raise InvalidChange(
                f"{self.wiring.place(pif)} is the management interface on the {self.parts[option].word} of network {self.label!r}: {why}.",
                hint="Move the management to another interface first (xen_pif with management: true).",
            )

    def _refuse_loose_ends(self, host: str, pif: str, option: str, want: dict[str, t.Any]) -> None:
        """What would be lost on the way from one connection to another."""
        network = self.wiring.pif(pif)["network"]
        if option == "bond":
            first = self._carrier(pif)
            burdened = self.wiring.upon(pif) or self.wiring.pif(pif)["ip_configuration_mode"] != "None" or self.wiring.guests(network)
            if burdened and first not in want.get("nics", ()):
                raise InvalidChange(
                    f"{first} of host {self.wiring.host(host)!r} carries addresses, VLANs and VMs of the bond of network {self.label!r}.",
                    hint=f"Keep {first} among the NICs.",
                )
            return
        if upon := self.wiring.upon(pif):
            raise InvalidChange(f"Network {self.label!r} cannot be taken apart: {quoted(upon)} {stands(upon)} on it.")
        if self.wiring.pif(pif)["ip_configuration_mode"] != "None":
            raise InvalidChange(
                f"{self.wiring.place(pif)} would lose its address, as network {self.label!r} is taken apart.",
                hint="Take it away yourself first (xen_pif with mode: none).",
            )
        if guests := self.wiring.guests(network, host=host, attached=True):
            raise InvalidChange(
                f"Network {self.label!r} is in use by {quoted(guests)} on host {self.wiring.host(host)!r}.", hint="Shut them down first."
            )

    def _carrier(self, pif: str) -> str:
        bond = self.wiring.objects.get("Bond", self.wiring.pif(pif)["bond_master_of"][0])
        return str(self.wiring.pif(bond.get("primary_slave") or bond["slaves"][0])["device"])

    # away -----------------------------------------------------------------------------
    def remove(self, plan: Plan) -> None:
        """VLANs, bonds and tunnels go from all hosts; NICs stay, and so does the network then."""
        connections = {host: self._connection(pif) for host, pif in self._pifs.items()}
        for host, connection in connections.items():
            option, pif = next(iter(connection)), self._pifs[host]
            if option not in self.parts:
                raise InvalidChange(f"Network {self.label!r} is that of {self.wiring.place(pif)}: it is there as long as the NIC is.")
            self.refuse_vital(pif, option, "it cannot be removed")
            if upon := self.wiring.upon(pif):
                raise InvalidChange(
                    f"Network {self.label!r} cannot be removed: {quoted(upon)} {stands(upon)} on it.", hint="Remove that first."
                )
        down = [self.wiring.host(host) for host in connections if self.wiring.down(host)]
        if down:
            raise InvalidChange(
                f"{quoted(down)} {'is' if len(down) == 1 else 'are'} down: network {self.label!r} cannot be removed there.",
                hint="Start the host, or remove it from the pool (xen_pool).",
            )
        for host in self.wiring.hosts():
            if host in connections:
                self.parts[next(iter(connections[host]))].remove(plan, self._pifs[host])
