# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a template recommends for the VMs made from it: the restrictions in VM.recommendations, which its VMs have copies of.

xapi does not enforce them; XenCenter and others offer no more than they say (xenadmin: XenModel/XenAPI-Extensions/VM.cs).
"""

from __future__ import annotations

import functools
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

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


def read(text: str) -> dict[str, t.Any]:
    """The limits in VM.recommendations; empty for none and for what cannot be read."""
    return dict(_parsed(text))


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[tuple[str, t.Any], ...]:
    """Thousands of VMs have the words of a few templates."""
    try:
        root = ET.fromstring(text) if text.strip() else ET.Element("restrictions")
    except ET.ParseError:
        return ()
    found = ((option, limit, _element(root, limit)) for option, limit in LIMITS.items())
    values = [(option, limit.read(element.get(limit.holds, ""))) for option, limit, element in found if element is not None]
    return tuple((option, value) for option, value in values if value is not None)


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
