# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks of a pool: internal, on a NIC, VLAN, bond, tunnel. What connects one to the hosts is in the files beside this one."""

from __future__ import annotations

import re
import typing as t

from ...client import Session
from ...errors import InvalidChange
from ...fields import Field, Table
from ...plan import Later, Plan
from ...refs import Record
from ...resource import Found, Resource
from ...wiring import SYSTEM_NETWORK, Wiring, quoted
from .bond import Bond
from .connect import Connections
from .part import Part
from .tunnel import Tunnel
from .vlan import Vlan

PARTS: tuple[type[Part], ...] = (Vlan, Bond, Tunnel)
PURPOSES = ("nbd", "insecure_nbd")
MTUS = range(68, 65536)
# Linux's limit, and the names xapi keeps for itself (xen-api: xapi_network.ml)
LONGEST_BRIDGE = 15
RESERVED_BRIDGES = ("xen", "xapi", "vif", "tap", "eth")
LOCKING = Field("default_locking_mode", "default_locking_mode", default="unlocked", choices=("unlocked", "disabled"), creatable=False)


class Network(Resource):
    plural = "networks"
    table = Table(
        "network",
        (
            Field("name_label", "name", required=True),
            Field("name_description", "description", default=""),
            Field("MTU", "mtu", "int", default=1500),
            Field("tags", "tags", "tags", default=[]),
            Field("other_config", "other_config", "dict", default={}),
            Field("bridge", "bridge", writable=False),
            Field("managed", "managed", "bool", default=True, writable=False),
            LOCKING,
        ),
    )
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "purpose": {"type": "list", "elements": "str", "choices": list(PURPOSES)},
        "automatic": {"type": "bool"},
        "nic": {"type": "str"},
        **{part.option: part.argument for part in PARTS},
        "allow_disruption": {"type": "bool", "default": False},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"mutually_exclusive": [["nic", *(part.option for part in PARTS)]]}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.wiring = Wiring(self.objects)
        self.connections = Connections(self.wiring, {part.option: part(self.wiring, self.label) for part in PARTS}, self.label)

    # finding --------------------------------------------------------------------
    def find(self) -> Found | None:
        """A NIC has one network, whatever its name; otherwise by uuid or name."""
        nic = self.params.get("nic")
        if not nic or self.params.get("uuid"):
            return super().find()
        ref = self.wiring.network_of_nic(nic)
        return Found(ref, self.objects.get("network", ref))

    def observe(self, found: Found) -> dict[str, t.Any]:
        """Beside the options "hosts": what connects the network to each host. For the diff only."""
        seen = {**super().observe(found), "bridge": self._own_bridge(found.record["bridge"])}
        seen["purpose"] = sorted(found.record["purpose"]) if "purpose" in found.record else None
        # a missing key means true (xenadmin: XenModel/XenAPI-Extensions/Network.cs)
        seen["automatic"] = found.record["other_config"].get("automatic") != "false"
        return {**seen, **self.connections.observe(found.ref)}

    def _own_bridge(self, bridge: str) -> str | None:
        """Nothing for a name xapi chose: it is counted up, and cannot be asked for."""
        chosen = bridge.startswith(RESERVED_BRIDGES) or re.fullmatch(r"br(eth)?\d+", bridge)
        return None if chosen and bridge != self.params.get("bridge") else bridge

    def facts(self, found: Found) -> dict[str, t.Any]:
        return {"bridge": found.record["bridge"], "hosts": self.connections.observe(found.ref).get("hosts", {})}

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        return {option: value for option, value in super().result(found, plan).items() if option != "hosts"}

    # what it is to be -------------------------------------------------------------
    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        self._refuse_words(before)
        after = super().desire(before)
        wanted = self.params.get("purpose")
        after["purpose"] = before.get("purpose", self._fresh_purpose()) if wanted is None else sorted(set(wanted))
        self._automatic(before, after)
        given = next(((name, self.params[name]) for name in self.connections.parts if self.params.get(name)), None)
        return {**after, **self.connections.desire(before, given)}

    def _fresh_purpose(self) -> list[str] | None:
        known = next(iter(self.candidates().values()), {"purpose": ()})
        return [] if "purpose" in known else None

    def _automatic(self, before: t.Mapping[str, t.Any], after: dict[str, t.Any]) -> None:
        """It is kept in other_config, and may be said there as well."""
        wanted = self.params.get("automatic")
        written = after["other_config"].get("automatic")
        if wanted is None or wanted == (written != "false"):
            after["automatic"] = written != "false"
            return
        if "automatic" in (self.params.get("other_config") or {}):
            raise InvalidChange(
                f"automatic: {str(wanted).lower()} contradicts other_config of network {self.label!r}.", hint="Leave the key automatic out."
            )
        after["automatic"] = wanted
        after["other_config"] = {**after["other_config"], "automatic": str(wanted).lower()}

    # refusals ---------------------------------------------------------------------
    def _refuse_words(self, before: t.Mapping[str, t.Any]) -> None:
        """What is wrong whatever the network's connections are."""
        mtu, nic = self.params.get("mtu"), self.params.get("nic")
        if mtu is not None and mtu not in MTUS:
            raise InvalidChange(f"mtu of network {self.label!r} is {mtu}.", hint=f"It lies between {MTUS.start} and {MTUS.stop - 1}.")
        if not before:
            self._refuse_bridge(self.params.get("bridge") or "")
        elif nic:
            self._refuse_other(before, nic)
        unmanaged = self.params.get("managed") is False or before.get("managed") is False
        for part in PARTS:
            if unmanaged and self.params.get(part.option):
                raise InvalidChange(f"Network {self.label!r} is not managed: XenAPI makes no {part.word} for it.")

    def _refuse_bridge(self, bridge: str) -> None:
        if len(bridge) > LONGEST_BRIDGE or bridge.startswith(RESERVED_BRIDGES):
            raise InvalidChange(
                f"A network cannot have the bridge {bridge!r}.",
                hint=f"At most {LONGEST_BRIDGE} characters, not starting with {', '.join(RESERVED_BRIDGES)}.",
            )
        for network in self.candidates().values() if bridge else ():
            if network["bridge"] == bridge:
                raise InvalidChange(f"The bridge {bridge!r} is already that of network {network['name_label']!r}.")

    def _refuse_other(self, before: t.Mapping[str, t.Any], nic: str) -> None:
        """Found by its NIC, it takes a name that must not be another's; found by uuid, it must be that NIC's."""
        if {"nic": nic} not in before.get("hosts", {}).values():
            raise InvalidChange(f"Network {before['name']!r} is not that of NIC {nic!r}.", hint="Leave uuid or nic out.")
        others = self.objects.named("network", self.params["name"], lambda r: r["name_label"] == self.params["name"])
        if before["name"] != self.params["name"] and others:
            raise InvalidChange(
                f"The network of NIC {nic!r}, now {before['name']!r}, cannot be named {self.params['name']!r}: "
                f"another network ({self.objects.get('network', others[0])['uuid']}) has that name.",
                hint="Rename or remove the other one first.",
            )

    # changing ---------------------------------------------------------------------
    def create(self, plan: Plan) -> Later:
        made = plan.add("network.create", self.table.record(plan.after, self.objects), what=f"create network {self.label!r}")
        Table("network", (LOCKING,)).changes(plan, made, self.objects, label=self.label)
        self._purpose(plan, made)
        self.connections.plan(plan, made)
        return made

    def update(self, plan: Plan, found: Found) -> None:
        if plan.before["default_locking_mode"] != plan.after["default_locking_mode"]:
            self._refuse_used(found, "default_locking_mode can only change while no VIF is attached")
        super().update(plan, found)
        self._purpose(plan, found.ref)
        self.connections.plan(plan, found.ref)

    def _refuse_used(self, found: Found, why: str) -> None:
        if guests := self.wiring.guests(found.ref, attached=True):
            raise InvalidChange(f"Network {self.label!r} is in use by {quoted(guests)}: {why}.", hint="Shut them down first.")

    def _purpose(self, plan: Plan, network: str | Later) -> None:
        have, want = set(plan.before.get("purpose") or ()), set(plan.after["purpose"] or ())
        if have == want:
            return
        if self._fresh_purpose() is None:
            raise InvalidChange(f"purpose of network {self.label!r} is not known to this host's release.", hint="Leave it out.")
        elsewhere = {p for ref, r in self.candidates().items() if ref != network for p in r.get("purpose", ())}
        for mine, other in (PURPOSES, PURPOSES[::-1]):
            if mine in want and other in want | elsewhere:
                raise InvalidChange(
                    f"Network {self.label!r} cannot serve {mine}: {other} is in use in this pool, and they exclude each other."
                )
        for message, names in (("remove_purpose", have - want), ("add_purpose", want - have)):
            for name in sorted(names):
                plan.add(f"network.{message}", network, name, what=f"{message.replace('_', ' ')} {name} of network {self.label!r}")

    def destroy(self, plan: Plan, found: Found) -> None:
        if found.record["other_config"].get(SYSTEM_NETWORK) == "true":
            raise InvalidChange(f"Network {self.label!r} is the pool's own, for the hosts and their guests to talk to each other.")
        if guests := self.wiring.guests(found.ref):
            raise InvalidChange(
                f"Network {self.label!r} still has VIFs, of {quoted(guests)}.", hint="Move or remove the network cards of those VMs first."
            )
        self.connections.remove(plan)
        plan.add("network.destroy", found.ref, what=f"destroy network {self.label!r}")
