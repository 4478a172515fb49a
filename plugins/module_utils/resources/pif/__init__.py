# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interfaces of hosts: addresses, plugged or not, management. They come and go with NICs and networks, not with this."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...client import Session
from ...errors import InvalidChange, NotFound, OutcomeUnknown
from ...fields import Field, Table, text_map
from ...plan import Operation, Plan
from ...refs import Record
from ...resource import Found, Resource
from ...wiring import Wiring, quoted
from . import addresses, management, refusals

FIELDS = (
    Field("disallow_unplug", "disallow_unplug", "bool"),
    Field("primary_address_type", "primary_address_type", choices=("IPv4", "IPv6")),
    Field("other_config", "other_config", "dict"),
)
GRO = ("on", "off")


class Pif(Resource):
    plural = "pifs"
    states = ("present",)
    table = Table("PIF", FIELDS)
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "host": {"type": "str"},
        "network": {"type": "str"},
        "device": {"type": "str"},
        "vlan": {"type": "int"},
        "mode": {"type": "str", "choices": list(addresses.MODES)},
        "ip": {"type": "str"},
        "netmask": {"type": "str"},
        "gateway": {"type": "str"},
        "dns": {"type": "list", "elements": "str"},
        "ipv6_mode": {"type": "str", "choices": list(addresses.IPV6_MODES)},
        "ipv6": {"type": "list", "elements": "str"},
        "ipv6_gateway": {"type": "str"},
        "management": {"type": "bool"},
        "plugged": {"type": "bool"},
        "properties": {"type": "dict"},
        "allow_disruption": {"type": "bool", "default": False},
    }
    filters: t.ClassVar[dict[str, dict[str, t.Any]]] = {option: {"type": "str"} for option in ("host", "network", "device", "uuid")}
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["uuid", "network", "device"]]}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.wiring = Wiring(self.objects)
        self._found = ""
        self._moving: tuple[str, ...] = ()  # the calls of the plan after which the pool answers elsewhere

    # finding --------------------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        """Those the host, network, device and VLAN of the task leave."""
        wanted: dict[str, t.Any] = {}
        if self.params.get("host"):
            wanted["host"] = hosts.resolve(self.objects, self.params["host"])
        if self.params.get("network"):
            wanted["network"] = self.objects.resolve("network", self.params["network"])
        wanted.update(
            {key: self.params[option] for option, key in (("device", "device"), ("vlan", "VLAN")) if self.params.get(option) is not None}
        )
        rows = self.objects.all("PIF")
        return {ref: pif for ref, pif in rows.items() if all(pif[key] == value for key, value in wanted.items())}

    def find(self) -> Found:
        """The one interface the task means. Raises NotFound, and InvalidChange when it may be one of several or contradicts itself."""
        rows = self.candidates()
        if self.params.get("uuid"):
            return self._by_uuid(rows)
        if not self.params.get("host") and len(self.objects.all("host")) > 1:
            names = quoted(map(self.wiring.host, self.objects.all("host")))
            raise InvalidChange("The task does not say which host's interface it means.", hint=f"Give host; there are {names}.")
        if not self.params.get("network") and self.params.get("vlan") is None:
            rows = {ref: pif for ref, pif in rows.items() if pif["VLAN"] < 0}
        if not rows:
            raise self._not_found()
        ((ref, record),) = rows.items()
        return Found(ref, record)

    def _by_uuid(self, rows: dict[str, Record]) -> Found:
        for ref, pif in self.objects.all("PIF").items():
            if pif["uuid"] == self.params["uuid"]:
                if ref not in rows:
                    raise InvalidChange(
                        f"The PIF {pif['uuid']} is {self.wiring.place(ref)} on network {self.wiring.network(pif['network'])!r}, "
                        f"which is not what the task says beside the uuid."
                    )
                return Found(ref, pif)
        raise NotFound(f"No PIF has the uuid {self.params['uuid']}.")

    def _not_found(self) -> NotFound:
        host = hosts.resolve(self.objects, self.params["host"]) if self.params.get("host") else self.wiring.coordinator()
        mine = [ref for ref, pif in self.objects.all("PIF").items() if pif["host"] == host]
        device, vlan, network = (self.params.get(option) for option in ("device", "vlan", "network"))
        asked = " ".join([*([device] if device else []), *([f"VLAN {vlan}"] if vlan is not None else [])])
        wanted = f"interface {asked}" if asked else "interface"
        there = f" to network {network!r}" if network else ""
        have = sorted(
            f"{self.wiring.place(ref).partition(' of ')[0]} ({self.wiring.network(self.wiring.pif(ref)['network'])})" for ref in mine
        )
        return NotFound(f"Host {self.wiring.host(host)!r} has no {wanted}{there}.", hint=f"It has: {', '.join(have)}.")

    # what is and what is to be -----------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        pif = found.record
        self._found = found.ref
        return {
            "host": self.wiring.host(pif["host"]),
            "network": self.wiring.network(pif["network"]),
            "device": pif["device"],
            "vlan": pif["VLAN"] if pif["VLAN"] >= 0 else None,
            **addresses.observe(pif),
            "management": pif["management"],
            "plugged": pif["currently_attached"],
            "properties": dict(pif["properties"]) if "properties" in pif else None,
            **super().observe(found),
        }

    def order(self, found: Found) -> tuple[t.Any, ...]:
        """The coordinator's first, then by host and device."""
        hosts_ = self.wiring.hosts()
        return (hosts_.index(found.record["host"]), found.record["device"], found.record["VLAN"])

    def facts(self, found: Found) -> dict[str, t.Any]:
        """What nobody sets: the addresses as they are, leases included, and the NIC."""
        pif = found.record
        metrics = self.objects.all("PIF_metrics").get(pif["metrics"], {})
        facts = {"ip": pif["IP"], "netmask": pif["netmask"], "gateway": pif["gateway"], "dns": [s for s in pif["DNS"].split(",") if s]}
        facts.update(ipv6=[cidr for cidr in pif.get("IPv6", ()) if cidr], mac=pif["MAC"], mtu=pif["MTU"], physical=pif["physical"])
        return {**facts, **{key: metrics[key] for key in ("carrier", "speed") if key in metrics}}

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        where = self.wiring.place(self._found)
        after = {key: before[key] for key in ("host", "network", "device", "vlan")}
        after.update(addresses.desire(before, self.params, where))
        after["management"] = before["management"] if self.params.get("management") is None else self.params["management"]
        after["plugged"] = self._plugged(before, after)
        after["properties"] = self._properties(before, where)
        return {**after, **super().desire(before)}

    def _plugged(self, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> bool:
        """An address is of no use on an interface that is not plugged."""
        if self.params.get("plugged") is not None:
            return bool(self.params["plugged"])
        given = any(self.params.get(option) is not None for option in (*addresses.IPV4_OPTIONS, *addresses.IPV6_OPTIONS))
        return bool(before["plugged"] or after["management"] or (given and addresses.has_address(after)))

    def _properties(self, before: t.Mapping[str, t.Any], where: str) -> dict[str, str] | None:
        given = self.params.get("properties")
        if not given:
            return t.cast("dict[str, str] | None", before["properties"])
        # YAML reads on and off as true and false
        words = {True: GRO[0], False: GRO[1]}
        wanted = text_map({name: words.get(value, value) if isinstance(value, bool) else value for name, value in given.items()})
        for name, value in wanted.items():
            if name != "gro" or value not in GRO:
                raise InvalidChange(f"{where} cannot have the property {name} = {value}.", hint="There is only gro, on or off.")
        return {**(before["properties"] or {}), **{name: str(value) for name, value in wanted.items()}}

    # changing ---------------------------------------------------------------------
    def update(self, plan: Plan, found: Found) -> None:
        where, before, after = self.wiring.place(found.ref), plan.before, plan.after
        refusals.check(self.wiring, found.ref, before, after)
        self._moving = self._moves_the_pool(found, before, after)
        if before["disallow_unplug"] and not after["disallow_unplug"]:
            self._fields(plan, found, where, "disallow_unplug")
        self._addresses(plan, found, where)
        self._fields(plan, found, where, "primary_address_type")
        for name, value in (after["properties"] or {}).items():
            if (before["properties"] or {}).get(name) != value:
                plan.add("PIF.set_property", found.ref, name, value, what=f"set {name} of {where}")
        if before["plugged"] != after["plugged"] and not (after["management"] and not before["management"]):
            plan.add(
                "PIF.plug" if after["plugged"] else "PIF.unplug", found.ref, what=f"{'plug' if after['plugged'] else 'unplug'} {where}"
            )
        if after["disallow_unplug"] and not before["disallow_unplug"]:
            self._fields(plan, found, where, "disallow_unplug")
        if after["management"] and not before["management"]:
            management.plan(self.wiring, plan, found.ref)
        if plan.steps and self.wiring.down(found.record["host"]):
            raise InvalidChange(f"Host {self.wiring.host(found.record['host'])!r} is down: its interfaces cannot be changed.")
        self._fields(plan, found, where, "other_config")
        if self._moving and after.get("ip"):
            plan.facts["hostname"] = after["ip"]

    def _fields(self, plan: Plan, found: Found, where: str, option: str) -> None:
        Table("PIF", tuple(f for f in FIELDS if f.option == option)).changes(plan, found.ref, self.objects, found.record, where)

    def _addresses(self, plan: Plan, found: Found, where: str) -> None:
        before, after = plan.before, plan.after
        coordinator = found.record["host"] == self.wiring.coordinator()
        members = len(self.objects.all("host")) > 1
        lost = before["management"] and coordinator and members and bool(self._moving)
        disruptive = "let the members lose their coordinator until they are told its new address" if lost else ""
        if addresses.ipv4_call(before) != addresses.ipv4_call(after):
            what = f"set the address of {where}"
            plan.add("PIF.reconfigure_ip", found.ref, *addresses.ipv4_call(after), what=what, disruptive=disruptive)
        if "ipv6_mode" in after and addresses.ipv6_call(before) != addresses.ipv6_call(after):
            plan.add("PIF.reconfigure_ipv6", found.ref, *addresses.ipv6_call(after), what=f"set the IPv6 address of {where}")
        if lost:
            plan.add("pool.recover_slaves", what="tell the members where the coordinator is")

    def _moves_the_pool(self, found: Found, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> tuple[str, ...]:
        """The calls after which the coordinator answers at another address, if this is its interface."""
        if found.record["host"] != self.wiring.coordinator() or not after["management"]:
            return ()
        if not before["management"]:
            return management.MOVING
        return management.READDRESSING if any(before.get(key) != after.get(key) for key in ("mode", "ip")) else ()

    # carrying out -------------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        """As ever, but goes on at the new address when the coordinator moves."""
        if operation.method not in self._moving:
            return super().call(operation, params)
        address = self._address_to_be(operation, params)
        try:
            result = super().call(operation, params)
        except OutcomeUnknown:
            management.follow(self.session, address)
            raise
        management.follow(self.session, address)
        return result

    def _address_to_be(self, operation: Operation, params: t.Sequence[t.Any]) -> str:
        """Of an interface that has its address already, or as given; what DHCP will say nobody knows before."""
        if operation.method in management.MOVING:
            return management.address_of(self.session, self._found)
        return str(params[2]) if operation.method == "PIF.reconfigure_ip" else ""
