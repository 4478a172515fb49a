# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network interfaces (VIFs) of a VM, told apart by their device. Rules: xen-api ocaml/xapi/xapi_vif.ml, xapi_vif_helpers.ml."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ...disks import hotplug_refusal
from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Later, Plan
from ...refs import Record
from .part import Part, Subject

Nic = dict[str, t.Any]  # an entry of the option
SPEC: dict[str, dict[str, t.Any]] = {
    "device": {"type": "int"},
    "network": {"type": "str"},
    "mac": {"type": "str"},
    "mtu": {"type": "int"},
    "rate_limit": {"type": "int"},
    "locking_mode": {"type": "str", "choices": ["network_default", "unlocked", "locked", "disabled"]},
    "ipv4_allowed": {"type": "list", "elements": "str"},
    "ipv6_allowed": {"type": "list", "elements": "str"},
    "other_config": {"type": "dict"},
}
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
MTUS = range(68, 65536)
DEVICES = range(16)  # xen-api: xapi_vif_helpers.ml
RATE = ("ratelimit", "kbps")  # qos_algorithm_type, and the key of its parameter: KiB/s
FIXED = ("mac", "mtu")  # a VIF that is to differ in them is replaced


class Nics(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "nics": {"type": "list", "elements": "dict", "options": SPEC},
        "prune_nics": {"type": "bool", "default": False},
    }

    # observing ----------------------------------------------------------------------
    def observe(self, subject: Subject) -> dict[str, t.Any]:
        rows = sorted((self._entry(vif, new=subject.new) for vif in subject.vifs.values()), key=lambda nic: nic["device"])
        return {"nics": rows}

    def _entry(self, vif: Record, *, new: bool) -> Nic:
        entry = {
            "device": int(vif["device"]),
            "network": self.objects.label("network", vif["network"]),
            "mac": vif["MAC"],
            "mtu": int(vif["MTU"]),
            "rate_limit": _rate(vif),
            "locking_mode": vif["locking_mode"],
            "ipv4_allowed": sorted(vif["ipv4_allowed"]),
            "ipv6_allowed": sorted(vif["ipv6_allowed"]),
            "other_config": dict(vif["other_config"]),
        }
        if new:
            del entry["mac"]  # a clone's follows from its own seed
        return entry

    # wanting ------------------------------------------------------------------------
    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given = self.params.get("nics")
        if given is None:
            return {"nics": have["nics"]}
        there = {nic["device"]: nic for nic in have["nics"]}
        wanted = [self._wanted(place, nic, there) for place, nic in enumerate(given)]
        devices = [nic["device"] for nic in wanted]
        for device in devices:
            if devices.count(device) > 1:
                raise InvalidChange(f"nics of VM {self.label!r} name device {device} twice.", hint="Give each its own device.")
        kept = [] if self.params.get("prune_nics") else [nic for nic in have["nics"] if nic["device"] not in devices]
        self._refuse_clashes(wanted, subject)
        return {"nics": sorted([*wanted, *kept], key=lambda nic: t.cast(int, nic["device"]))}

    def _wanted(self, place: int, given: Record, there: t.Mapping[int, Nic]) -> Nic:
        device = place if given.get("device") is None else given["device"]
        if device not in DEVICES:
            raise InvalidChange(f"A NIC of VM {self.label!r} cannot be device {device}.", hint="Devices are numbered from 0 to 15.")
        have = there.get(device)
        if not have and not given.get("network"):
            raise InvalidChange(
                f"NIC {device} of VM {self.label!r} is not there, and the task names no network for it.", hint="Give network."
            )
        base = have or {"rate_limit": 0, "locking_mode": "network_default", "ipv4_allowed": [], "ipv6_allowed": [], "other_config": {}}
        said = {key: value for key, value in given.items() if value is not None and (key, value) != ("mac", "")}
        out = {**base, **said, "device": device}
        if given.get("network"):
            network = self.objects.resolve("network", given["network"])
            out["network"] = self.objects.label("network", network)
            out.setdefault("mtu", int(self.objects.get("network", network)["MTU"]))
        if given.get("mac"):
            out["mac"] = given["mac"] if given["mac"] == base.get("mac") else self._mac(device, given["mac"])
        for option in ("ipv4_allowed", "ipv6_allowed"):
            out[option] = sorted(out[option])
        self._refuse_numbers(device, {key: value for key, value in given.items() if value != base.get(key)})
        merged = {**base["other_config"], **text_map(given.get("other_config") or {})}
        out["other_config"] = {key: value for key, value in merged.items() if value is not None}
        return out

    def _refuse_numbers(self, device: int, given: Record) -> None:
        where = f"of NIC {device} of VM {self.label!r}"
        if (given.get("rate_limit") or 0) < 0:
            raise InvalidChange(f"rate_limit {where} cannot be {given['rate_limit']}.", hint="Give KiB/s, or 0 for no limit.")
        if given.get("mtu") is not None and given["mtu"] not in MTUS:
            raise InvalidChange(f"mtu {where} cannot be {given['mtu']}.", hint=f"Give a number from {MTUS[0]} to {MTUS[-1]}.")
        for option, kind in (("ipv4_allowed", ipaddress.IPv4Address), ("ipv6_allowed", ipaddress.IPv6Address)):
            for text in given.get(option) or ():
                try:
                    kind(text)
                except ValueError:
                    raise InvalidChange(
                        f"{text!r} in {option} {where} is no {option[:2].upper()}{option[2:4]} address.",
                        hint="Give addresses, not networks.",
                    ) from None

    def _mac(self, device: int, text: str) -> str:
        mac = text.lower().replace("-", ":")
        if not MAC.fullmatch(mac):
            raise InvalidChange(f"{text!r} is no MAC address (NIC {device} of VM {self.label!r}).", hint="Write it as 02:16:3e:00:00:01.")
        if mac == "00:00:00:00:00:00":
            raise InvalidChange(
                f"{text!r} is nobody's address (NIC {device} of VM {self.label!r}).", hint="Choose another, or leave it out."
            )
        if int(mac[:2], 16) & 1:
            raise InvalidChange(
                f"{text!r} is a group address and no NIC's (NIC {device} of VM {self.label!r}).", hint="Its first byte has to be even."
            )
        return mac

    def _refuse_clashes(self, wanted: t.Sequence[Nic], subject: Subject) -> None:
        """Two guests of one MAC address do not hear each other. Snapshots and templates may have it."""
        vms = self.objects.all("VM")
        taken = {
            vif["MAC"]: vms[vif["VM"]]["name_label"]
            for ref, vif in self.objects.all("VIF").items()
            if vif["VM"] in vms and not vms[vif["VM"]]["is_a_template"] and (subject.new or ref not in subject.vifs)
        }
        macs = [nic["mac"] for nic in wanted if nic.get("mac")]
        for mac in macs:
            if mac in taken:
                raise InvalidChange(f"MAC address {mac} is VM {taken[mac]!r}'s: VM {self.label!r} cannot have it.", hint="Choose another.")
            if macs.count(mac) > 1:
                raise InvalidChange(f"nics of VM {self.label!r} name MAC address {mac} twice.", hint="Choose another, or leave it out.")

    # what has to be done ----------------------------------------------------------------
    def _differing(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any]) -> tuple[list[Nic], list[Nic], list[tuple[Nic, Nic]]]:
        """Those to remove, those to add, and those to change with what they are."""
        before, after = ({nic["device"]: nic for nic in options["nics"]} for options in (have, want))
        replaced = {d for d in before if d in after and any(before[d].get(key) != after[d].get(key) for key in FIXED if key in after[d])}
        gone = [nic for device, nic in before.items() if device not in after or device in replaced]
        added = [nic for device, nic in after.items() if device not in before or device in replaced]
        return gone, added, [(before[d], nic) for d, nic in after.items() if d in before and d not in replaced and before[d] != nic]

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        gone, added, _changed = self._differing(have, want)
        if subject.at != "Running" or not (gone or added):
            return []
        verb = "add" if added else "remove"
        return (
            [f"{verb} network interfaces, which its guest does not take while it runs,"]
            if hotplug_refusal(self.objects, subject.record)
            else []
        )

    def change(self, plan: Plan, subject: Subject) -> None:
        gone, added, changed = self._differing(plan.before, plan.after)
        places = {int(vif["device"]): ref for ref, vif in subject.vifs.items()}
        for nic in gone:
            self._remove(plan, subject, places[nic["device"]], replaced=any(new["device"] == nic["device"] for new in added))
        for have, want in changed:
            self._adapt(plan, subject.device(plan, "VIF", places[have["device"]]), have, want)
        for nic in added:
            self._add(plan, subject, nic)

    def _remove(self, plan: Plan, subject: Subject, ref: str, *, replaced: bool) -> None:
        record = subject.vifs[ref]
        what = f"{'replace' if replaced else 'remove'} NIC {record['device']} of VM {self.label!r}"
        handle = subject.device(plan, "VIF", ref)
        if subject.at == "Running" and record["currently_attached"]:
            plan.add(
                "VIF.unplug", handle, what=what, slow=True, disruptive=f"take NIC {record['device']} from VM {self.label!r}, which runs"
            )
        plan.add("VIF.destroy", handle, what=what)

    def _add(self, plan: Plan, subject: Subject, nic: Nic) -> None:
        what = f"add NIC {nic['device']} to VM {self.label!r}"
        rate = {RATE[1]: str(nic["rate_limit"])} if nic["rate_limit"] else {}
        made = plan.add("VIF.create", {
            "device": str(nic["device"]), "network": self.objects.resolve("network", nic["network"]), "VM": subject.ref,
            "MAC": nic.get("mac", ""), "MTU": nic["mtu"], "other_config": nic["other_config"], "currently_attached": False,
            "qos_algorithm_type": RATE[0] if rate else "", "qos_algorithm_params": rate, "locking_mode": nic["locking_mode"],
            "ipv4_allowed": nic["ipv4_allowed"], "ipv6_allowed": nic["ipv6_allowed"],
        }, what=what)  # fmt: skip
        if subject.at == "Running":
            plan.add("VIF.plug", made, what=what, slow=True)

    def _adapt(self, plan: Plan, vif: str | Later, have: Nic, want: Nic) -> None:
        what = f"change NIC {want['device']} of VM {self.label!r}"
        if have["network"] != want["network"]:
            plan.add("VIF.move", vif, self.objects.resolve("network", want["network"]), what=what, slow=True)
        if have["rate_limit"] != want["rate_limit"]:
            rate = {RATE[1]: str(want["rate_limit"])} if want["rate_limit"] else {}
            plan.add("VIF.set_qos_algorithm_type", vif, RATE[0] if rate else "", what=what)
            plan.add("VIF.set_qos_algorithm_params", vif, rate, what=what)
        for option in ("ipv4_allowed", "ipv6_allowed", "locking_mode", "other_config"):
            if have[option] != want[option]:
                plan.add(f"VIF.set_{option}", vif, want[option], what=what)


def _rate(vif: Record) -> int:
    text = vif["qos_algorithm_params"].get(RATE[1], "") if vif["qos_algorithm_type"] == RATE[0] else ""
    return int(text) if text.isdigit() else 0
