# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a template recommends for the VMs made from it: the restrictions in VM.recommendations.

xapi does not enforce them; XenCenter and others offer no more than they say (xenadmin: XenModel/XenAPI-Extensions/VM.cs).
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ...errors import InvalidChange
from ...fields import size
from ...plan import Plan
from ..vm.part import Part, Subject

# how the files of the stock templates write yes and no
NUMBER, YES, TRUE = ("1", "0"), ("yes", "no"), ("true", "false")


@dataclass(frozen=True)
class Limit:
    """One restriction. at: the attribute that names it; holds: the attribute with the value; words: of a switch, true and false."""

    name: str
    at: str = "field"
    holds: str = "max"
    type: str = "int"
    words: tuple[str, str] = NUMBER

    def read(self, text: str) -> int | bool | None:
        """None for what is no value."""
        if self.type == "bool":
            return {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}.get(text.strip().lower())
        return int(text) if text.strip().isdecimal() else None

    def write(self, value: t.Any) -> str:
        return self.words[not value] if self.type == "bool" else str(value)


LIMITS = {
    "memory_min": Limit("memory-static-min", holds="min", type="size"),
    "memory_max": Limit("memory-static-max", type="size"),
    "vcpus_min": Limit("vcpus-min", holds="min"),
    "vcpus_max": Limit("vcpus-max"),
    "disks_max": Limit("number-of-vbds", at="property"),
    "nics_max": Limit("number-of-vifs", at="property"),
    "bios": Limit("supports-bios", holds="value", type="bool", words=YES),
    "uefi": Limit("supports-uefi", holds="value", type="bool", words=YES),
    "secure_boot": Limit("supports-secure-boot", holds="value", type="bool", words=YES),
    "vendor_device": Limit("has-vendor-device", holds="value", type="bool", words=TRUE),
    "gpu_passthrough": Limit("allow-gpu-passthrough", holds="value", type="bool"),
    "vgpu": Limit("allow-vgpu", holds="value", type="bool"),
    "network_sriov": Limit("allow-network-sriov", holds="value", type="bool"),
}
PAIRS = (("memory_min", "memory_max"), ("vcpus_min", "vcpus_max"))
ANSIBLE = {"size": "str", "int": "int", "bool": "bool"}


def read(text: str) -> dict[str, t.Any]:
    """The limits in VM.recommendations; empty for none and for what cannot be read."""
    try:
        root = ET.fromstring(text) if text.strip() else None
    except ET.ParseError:
        return {}
    out: dict[str, t.Any] = {}
    for option, limit in LIMITS.items() if root is not None else ():
        element = _element(t.cast("ET.Element", root), limit)
        value = limit.read(element.get(limit.holds, "")) if element is not None else None
        if value is not None:
            out[option] = value
    return out


def write(text: str, wanted: t.Mapping[str, t.Any]) -> str:
    """VM.recommendations with these limits and no other ones of LIMITS; what else is in there stays. Raises ET.ParseError."""
    root = ET.fromstring(text) if text.strip() else ET.Element("restrictions")
    for option, limit in LIMITS.items():
        element, value = _element(root, limit), wanted.get(option)
        if value is None:
            if element is not None:
                root.remove(element)
            continue
        if element is None:
            element = ET.SubElement(root, "restriction", {limit.at: limit.name})
        if limit.read(element.get(limit.holds, "")) != value:
            element.set(limit.holds, limit.write(value))
    return ET.tostring(root, encoding="unicode")


def _element(root: ET.Element, limit: Limit) -> ET.Element | None:
    return next((e for e in root if e.get(limit.at) == limit.name), None)


class Limits(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "limits": {"type": "dict", "options": {option: {"type": ANSIBLE[limit.type]} for option, limit in LIMITS.items()}},
    }

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {"limits": read(subject.record["recommendations"])}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        out = dict(have["limits"])
        for option, value in (self.params.get("limits") or {}).items():
            if value is not None:
                out[option] = size(value) if LIMITS[option].type == "size" else value
        for low, high in PAIRS:
            if out != have["limits"] and low in out and high in out and out[low] > out[high]:
                raise InvalidChange(
                    f"Template {self.label!r} cannot have limits where {low} ({out[low]}) is more than {high} ({out[high]}).",
                )
        negative = [option for option, value in out.items() if LIMITS[option].type == "int" and value < 0]
        if negative:
            raise InvalidChange(f"limits.{negative[0]} of template {self.label!r} is {out[negative[0]]}.", hint="It is not less than 0.")
        self._refuse_firmware(out)
        return {"limits": out}

    def _refuse_firmware(self, limits: t.Mapping[str, t.Any]) -> None:
        """This much of it is more than advice: such a guest does not start."""
        wanted = self.params.get("firmware")
        if wanted and limits.get(wanted) is False:
            raise InvalidChange(
                f"VMs of template {self.label!r} do not start with {wanted.upper()}: its limits say so.",
                hint=f"Take another template, or say that it can (limits: {{{wanted}: true}}).",
            )

    def change(self, plan: Plan, subject: Subject) -> None:
        have, want = plan.before["limits"], plan.after["limits"]
        if have == want:
            return
        try:
            text = write(subject.record["recommendations"], want)
        except ET.ParseError as e:
            raise InvalidChange(
                f"The recommendations of template {self.label!r} are not XML ({e}), so its limits cannot be changed.",
                hint="Repair the field first: xe template-param-set recommendations=.",
            ) from e
        plan.add("VM.set_recommendations", subject.ref, text, what=f"set the limits of template {self.label!r}")
