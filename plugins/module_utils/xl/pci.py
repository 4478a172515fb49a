# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PCI specifications: xl-pci-configuration(5) and tools/libs/util/libxlu_pci.c in Xen."""

from __future__ import annotations

import re
import typing as t

from ..errors import InvalidChange
from .spec import Device, Key, Spec

BDF = r"([0-9a-fA-F]{1,4}:)?[0-9a-fA-F]{1,2}:[0-9a-fA-F]{1,2}\.([0-7]|\*)"


class PciSpec(Spec):
    """Adds "bdf@vslot" without names."""

    def parts(self, text: str) -> list[str]:
        """Here xl takes no spaces."""
        return [part for part in text.split(",") if part]

    def pairs(self, text: str) -> Device:
        told: Device = {}
        for number, part in enumerate(self.parts(text)):
            if number or "=" in part:
                self.put(told, part, text)
                continue
            bdf, at, vslot = part.partition("@")
            told["bdf"] = bdf
            if at:
                told["vslot"] = vslot
        return told

    def checked(self, device: t.Mapping[str, t.Any]) -> Device:
        told = super().checked(device)
        if "bdf" in told:
            told["bdf"] = full(told["bdf"])
        if "vslot" in told:
            told["vslot"] = f"{int(told['vslot'], 16):02x}"
        return told

    def rules(self, device: Device, what: str) -> None:
        if ("bdf" in device) == ("name" in device):
            raise InvalidChange(f"{what}: either bdf or name must be given.")
        if "bdf" in device and int(re.split(r"[:.]", device["bdf"])[-2], 16) > 0x1F:
            raise InvalidChange(f"{what}: {device['bdf']} is no bdf: there are the devices 00 to 1f on a bus.")
        if "vslot" in device and int(device["vslot"], 16) > 0x1F:
            raise InvalidChange(f"{what}: vslot is {device['vslot']}; it is a hexadecimal number from 0 to 1f.")

    def filled(self, device: Device) -> Device:
        return {"permissive": False, "msitranslate": False, "seize": False, "power_mgmt": False, **device}


def full(bdf: str) -> str:
    """01:00.0 as 0000:01:00.0."""
    domain, bus, rest = ("0:" + bdf if bdf.count(":") == 1 else bdf).lower().split(":")
    slot, function = rest.split(".")
    return f"{domain:0>4}:{bus:0>2}:{slot:0>2}.{function}"


PCI = PciSpec(
    "pci",
    [
        Key("bdf", pattern=BDF, like="such as 0000:03:00.0, or 03:00.*"), Key("name"),
        Key("vslot", pattern=r"(0x)?[0-9a-fA-F]+", like="a hexadecimal number"), Key("permissive", "bool"),
        Key("msitranslate", "bool"), Key("seize", "bool"), Key("power_mgmt", "bool"), Key("rdm_policy", choices=("strict", "relaxed")),
    ],
)  # fmt: skip

parse, text, checked, same, filled = PCI.parse, PCI.text, PCI.checked, PCI.same, PCI.filled
