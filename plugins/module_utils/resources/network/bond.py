# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bonds (xen-api: ocaml/xapi/xapi_bond.ml). One object per host, of the NICs with the same device names."""

from __future__ import annotations

import re

from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Later, Plan
from ...refs import Record
from ...wiring import quoted
from .part import Lacking, Part, Spec

MODES = ("balance-slb", "active-backup", "lacp")
# only lacp has any: what xapi fills in, and what it takes
DEFAULTS = {"hashing_algorithm": "tcpudp_ports", "lacp-time": "slow", "lacp-fallback-ab": "true"}
PROPERTIES = {
    "hashing_algorithm": re.compile("src_mac|tcpudp_ports"),
    "lacp-time": re.compile("slow|fast"),
    "lacp-fallback-ab": re.compile("true|false"),
    "lacp-aggregation-key": re.compile(r"\d+"),
}
MAC = re.compile("([0-9a-f]{2}:){5}[0-9a-f]{2}")


def known(properties: Record) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name in PROPERTIES}


def after_switch(mode: str, spec: Spec) -> dict[str, str]:
    """The properties Bond.set_mode leaves: those of the mode, with its defaults."""
    return {**DEFAULTS, **known(spec.get("properties", {}))} if mode == "lacp" else {}


class Bond(Part):
    option = "bond"
    word = "bond"
    argument = {
        "type": "dict",
        "options": {
            "nics": {"type": "list", "elements": "str", "required": True},
            "mode": {"type": "str", "choices": list(MODES)},
            "properties": {"type": "dict"},
            "mac": {"type": "str"},
        },
    }

    def owns(self, pif: Record) -> bool:
        return any(bond in self.objects.all("Bond") for bond in pif["bond_master_of"])

    def bond(self, pif: Record) -> tuple[str, Record]:
        ref = next(bond for bond in pif["bond_master_of"] if bond in self.objects.all("Bond"))
        return ref, self.objects.get("Bond", ref)

    def observe(self, pif: Record) -> Spec:
        _ref, bond = self.bond(pif)
        spec: Spec = {"nics": sorted(self.wiring.pif(member)["device"] for member in bond["slaves"])}
        if "mode" in bond:
            spec["mode"] = bond["mode"]
        if "properties" in bond:
            spec["properties"] = known(bond["properties"]) if bond["mode"] == "lacp" else {}
        # an address of one's own is for one host only
        if bond.get("auto_update_mac") is False and len(self.objects.all("host")) == 1:
            spec["mac"] = pif["MAC"].lower()
        return spec

    # what it is to be -----------------------------------------------------------
    def desire(self, given: Record, have: Spec | None) -> Spec:
        nics = given["nics"]
        twice = sorted({nic for nic in nics if nics.count(nic) > 1})
        if twice:
            raise InvalidChange(f"The bond of network {self.label!r} names {quoted(twice)} twice.")
        if len(nics) < 2:
            raise InvalidChange(f"The bond of network {self.label!r} needs at least two NICs.", hint=f"It names {quoted(nics) or 'none'}.")
        have = have or {"mode": MODES[0], "properties": {}}
        want: Spec = {"nics": sorted(nics)}
        if given.get("mode") or "mode" in have:
            want["mode"] = given.get("mode") or have["mode"]
        if given.get("properties") or "properties" in have:
            start = have.get("properties", {}) if have.get("mode") == want.get("mode") else after_switch(want["mode"], have)
            want["properties"] = {**start, **self._properties(given.get("properties") or {}, want.get("mode", ""))}
        mac = self._mac(given["mac"]) if given.get("mac") else have.get("mac")
        return {**want, **({"mac": mac} if mac else {})}

    def _properties(self, given: Record, mode: str) -> dict[str, str]:
        """Raises InvalidChange for what xapi would not take."""
        if given and mode != "lacp":
            raise InvalidChange(f"The bond of network {self.label!r} has mode {mode}, and only lacp has properties.")
        for name, value in text_map(given).items():
            if name not in PROPERTIES:
                raise InvalidChange(f"{name!r} is no property of a bond.", hint=f"There are: {', '.join(PROPERTIES)}.")
            if value is None or not PROPERTIES[name].fullmatch(value):
                raise InvalidChange(
                    f"{name} of the bond of network {self.label!r} cannot be {value!r}.", hint=f"It matches {PROPERTIES[name].pattern}."
                )
        return {name: str(value) for name, value in text_map(given).items()}

    def _mac(self, text: str) -> str:
        mac = text.lower()
        if not MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or not int(mac.replace(":", ""), 16):
            raise InvalidChange(f"{text!r} is not the MAC address of one interface.", hint="Six pairs of hex digits, the first pair even.")
        if len(self.objects.all("host")) > 1:
            raise InvalidChange(
                f"The bonds of {len(self.objects.all('host'))} hosts cannot share the MAC address {mac}.",
                hint="Leave mac out: each takes that of a NIC.",
            )
        return mac

    # on a host ------------------------------------------------------------------
    def ground(self, host: str, want: Spec) -> list[str]:
        nics = self.wiring.nics(host)
        missing = [nic for nic in want["nics"] if nic not in nics]
        if missing:
            raise Lacking(f"NIC {' and '.join(missing)}")
        return [nics[nic] for nic in want["nics"]]

    def check(self, ground: list[str], want: Spec, current: str) -> None:
        own = self.bond(self.wiring.pif(current))[0] if current and self.owns(self.wiring.pif(current)) else ""
        for pif in ground:
            self.wiring.refuse_unmanaged(pif)
            bond = self.wiring.bond_over(pif)
            if bond and self.wiring.pif(pif)["bond_slave_of"] != own:
                raise InvalidChange(
                    f"{self.wiring.place(pif)} is already a member of the bond of network {self.wiring.network(bond)!r}.",
                    hint=f"A NIC is in one bond only; manage that one, with its uuid if it is to be named {self.label!r}, or remove it.",
                )
        self._check_together([self.wiring.pif(pif) for pif in ground], self.wiring.host(self.wiring.pif(ground[0])["host"]))

    def _check_together(self, members: list[Record], host: str) -> None:
        addressed = [m["device"] for m in members if m["ip_configuration_mode"] != "None"]
        if len(addressed) > 1:
            raise InvalidChange(
                f"{quoted(addressed)} of host {host!r} have an address each, and a bond has one.",
                hint="Take one away first (xen_pif with mode: none).",
            )
        if len({tuple(sorted(m.get("properties", {}).items())) for m in members}) > 1:
            raise InvalidChange(
                f"The NICs of the bond of network {self.label!r} differ in their properties on host {host!r}.",
                hint="Make them equal first (xen_pif with properties).",
            )
        pool = next(iter(self.objects.all("pool").values()))
        if pool["ha_enabled"] and any(m["management"] for m in members):
            raise InvalidChange(f"The management interface of host {host!r} cannot be bonded while high availability is on.")

    def add(self, plan: Plan, network: str | Later, host: str, want: Spec) -> None:
        what = f"create the {self.summary(want)} of host {self.wiring.host(host)!r} for network {self.label!r}"
        members = self.ground(host, want)
        mode, properties = want.get("mode", MODES[0]), want.get("properties", {})
        plan.add("Bond.create", network, members, want.get("mac", ""), mode, properties, what=what, slow=True)

    # changing -------------------------------------------------------------------
    def adapts(self, have: Spec, want: Spec) -> bool:
        return all(have.get(key) == want.get(key) for key in ("nics", "mac"))

    def adapt(self, plan: Plan, pif: str, have: Spec, want: Spec) -> None:
        ref, _bond = self.bond(self.wiring.pif(pif))
        of = f"of the bond of network {self.label!r} on {self.wiring.place(pif)}"
        properties = have.get("properties", {})
        if have.get("mode") != want.get("mode"):
            plan.add("Bond.set_mode", ref, want["mode"], what=f"set mode {of}", slow=True)
            properties = after_switch(want["mode"], have)
        for name, value in want.get("properties", {}).items():
            if properties.get(name) != value:
                plan.add("Bond.set_property", ref, name, value, what=f"set {name} {of}")

    def remove(self, plan: Plan, pif: str, disruptive: str = "") -> None:
        what = f"take apart the bond of network {self.label!r} on {self.wiring.place(pif)}"
        plan.add("Bond.destroy", self.bond(self.wiring.pif(pif))[0], what=what, slow=True, disruptive=disruptive)

    def summary(self, spec: Spec) -> str:
        return f"bond of {', '.join(spec['nics'])}"
