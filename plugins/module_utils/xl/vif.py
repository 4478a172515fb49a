# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network specifications: xl-network-configuration(5), parse_nic_config() of tools/xl/xl_parse.c and libxlu_vif.c in Xen."""

from __future__ import annotations

import re
import typing as t

from ..errors import InvalidChange
from .spec import Device, Key, Spec

MAC = r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}"
RATE = r"[0-9]+[GMK]?[Bb]/s(@[0-9]+[mu]?s?)?"
# Of xl-network-configuration(5) since Xen 4.19: 10, 10-19, 10p for the one without a tag, several with /.
VLAN = r"[0-9]+(-[0-9]+)?[pu]*(/[0-9]+(-[0-9]+)?[pu]*)*"
# A number alone is seconds to xl.
MICROSECONDS = {"u": 1, "m": 1000, "": 10**6}
UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3}
ENDS = ("id", "ip", "port")
FILTER = ("queue", "indev", "outdev")
# What COLO's network proxy is told of. They are experimental.
COLO = [
    "forwarddev",
    *(f"colo_sock_{of}_{end}" for of in ("mirror", "compare_sec_in", "redirector0", "redirector1", "redirector2") for end in ENDS),
    *(f"colo_sock_{of}_{end}" for of in ("compare_pri_in", "compare_notify", "sec_redirector0", "sec_redirector1") for end in ENDS),
    *(f"colo_filter_{of}_{end}" for of in ("redirector0", "redirector1", "sec_redirector0", "sec_redirector1") for end in FILTER),
    "colo_filter_mirror_queue", "colo_filter_mirror_outdev", "colo_filter_sec_rewriter0_queue",
    "colo_compare_pri_in", "colo_compare_sec_in", "colo_compare_out", "colo_compare_notify_dev",
    "colo_checkpoint_host", "colo_checkpoint_port",
]  # fmt: skip


class VifSpec(Spec):
    def checked(self, device: t.Mapping[str, t.Any]) -> Device:
        told = super().checked(device)
        if "mac" in told:
            told["mac"] = ":".join(part.zfill(2) for part in told["mac"].lower().split(":"))
        return told

    def rules(self, device: Device, what: str) -> None:
        """Of a rate and its interval (in microseconds), neither is to be 0 nor more than 32 bits."""
        rate = re.fullmatch(r"([0-9]+)[^@]*(?:@([0-9]+)([mu]?).*)?", device.get("rate", ""))
        if rate and not (0 < int(rate[1]) < 2**32 and (rate[2] is None or 0 < int(rate[2]) * MICROSECONDS[rate[3]] < 2**32)):
            raise InvalidChange(f"{what}: the rate {device['rate']} is out of bounds.")
        if device.get("type") == "vif" and "model" in device:
            raise InvalidChange(f"{what}: a model is emulated, and type vif is not.", hint="Leave one of them out, or choose type ioemu.")

    def filled(self, device: Device) -> Device:
        return {"trusted": True, **device}


VIF = VifSpec(
    "vif",
    [
        Key("mac", pattern=MAC, like="six groups of two hexadecimal digits such as 00:16:3e:01:02:03"), Key("bridge"), Key("gatewaydev"),
        Key("type", choices=("ioemu", "vif")), Key("model"), Key("vifname", pattern=r"[^\s/]{1,15}", like="at most 15 characters"),
        Key("script"), Key("ip"), Key("backend"), Key("rate", pattern=RATE, like="such as 10Mb/s, 250KB/s or 1MB/s@20ms"),
        Key("devid", "int", most=65535), Key("mtu", "int", least=68, most=65535), Key("vlan", pattern=VLAN, like="such as 10 or 10p/20-29"),
        Key("trusted", "flag", off="untrusted"), *(Key(name) for name in COLO),
    ],
    aliases={"netdev": "gatewaydev"},
)  # fmt: skip


def bytes_per_second(rate: str) -> int:
    """Of "10Mb/s@20ms". Raises InvalidChange."""
    match = re.match(r"([0-9]+)([GMK]?)([Bb])/s", VIF.checked({"rate": rate})["rate"])
    return int(match[1]) * UNITS[match[2]] // (8 if match[3] == "b" else 1) if match else 0


parse, text, checked, same, filled = VIF.parse, VIF.text, VIF.checked, VIF.same, VIF.filled
