# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk specifications: xl-disk-configuration(5), and the lexer behind it, tools/libs/util/libxlu_disk_l.l in Xen."""

from __future__ import annotations

import re
import typing as t

from ..errors import InvalidChange
from .spec import Device, Key, Spec

ACCESS = {"r": "ro", "ro": "ro", "w": "rw", "rw": "rw"}
FORMATS = ("raw", "qcow", "qcow2", "vhd", "qed", "empty")
# xen-vbd-interface(7); a number is that of the device itself.
VDEV = r"(xvd|hd|sd)[a-z]+[0-9]*|d[0-9]+(p[0-9]+)?|[0-9]+|0x[0-9a-fA-F]+"
# Deprecated prefixes: of formats, of block scripts, and those without a meaning.
PREFIX = re.compile(r"(raw|qcow2?|vhd):|(iscsi|e?nbd|drbd):|(?:tapdisk|tap2?|aio|ioemu|file|phy):")
STRANGE_PREFIX = re.compile(r"[a-z][a-z0-9]*:(?![a-z0-9])")
COLO = ("colo_host", "colo_port", "colo_export", "active_disk", "hidden_disk")


class DiskSpec(Spec):
    """Adds positions without names, target=, which takes the rest of the text, and the syntax of xend."""

    def pairs(self, text: str) -> Device:
        told: Device = {}
        rest, old = text, False
        while rest.strip():
            rest = rest.lstrip(" \t")
            prefix = PREFIX.match(rest)
            if rest.startswith("target="):
                self.put(told, rest[:-1] if rest.endswith(",") else rest, text)
                break
            if prefix:
                rest, old = rest[prefix.end() :], True
                if prefix[1] or prefix[2]:
                    self.put(told, f"format={prefix[1]}" if prefix[1] else f"script=block-{prefix[2]}", text)
                continue
            if STRANGE_PREFIX.match(rest):
                raise InvalidChange(f"disk {text!r}: the prefix {rest.split(':')[0]!r}: is not one that xl knows.")
            part, comma, rest = rest.partition(",")
            if "=" in part or part in self._flags or part == "cdrom":
                self.put(told, "devtype=cdrom" if part == "cdrom" else part, text)
            elif part or comma:
                self._position(told, part, old, text)
        return told

    def _position(self, told: Device, part: str, old: bool, text: str) -> None:
        """Takes in what has no name: the first of target, format, vdev and access that is not there yet."""
        if "target" not in told:
            told["target"] = part
        elif not old and "format" not in told:
            if told["target"] == "" and ":" in part:
                told["format"] = "empty"
                self._vdev_of_xend(told, part, text)
            else:
                told["format"] = part or "raw"
        elif "vdev" not in told:
            self._vdev_of_xend(told, part, text)
        elif told.get("access", "") in ("", part):
            told["access"] = part
        else:
            hint = "Without names there are target, format, vdev and access."
            raise InvalidChange(f"disk {text!r}: {part!r} is one too many.", hint=hint)

    def _vdev_of_xend(self, told: Device, part: str, text: str) -> None:
        """hda, or hdc:cdrom."""
        vdev, colon, devtype = part.partition(":")
        if colon:
            self.put(told, f"devtype={devtype}", text)
        told["vdev"] = vdev

    def put(self, told: Device, part: str, text: str) -> None:
        key, _mark, value = part.partition("=")
        if key in ("vdev", "script", "backend", "target") and told.get(key):
            raise InvalidChange(f"disk {text!r}: {key} is given twice.")
        if key in told and told[key] == "":
            del told[key]
        super().put(told, f"access={ACCESS.get(value, value)}" if key == "access" else part, text)

    def checked(self, device: t.Mapping[str, t.Any]) -> Device:
        if isinstance(device, t.Mapping):
            device = dict(device)
            if device.pop("cdrom", False):
                device["devtype"] = "cdrom"
            if "access" in device:
                device["access"] = ACCESS.get(str(device["access"]), device["access"])
        return super().checked(device)

    def rules(self, device: Device, what: str) -> None:
        cdrom = device.get("devtype") == "cdrom"
        if "target" not in device and not cdrom:
            raise InvalidChange(f"{what}: target must be given.", hint="Only a CD drive (devtype: cdrom) can be empty.")
        if device.get("backendtype") in ("phy", "standalone") and device.get("format", "raw") not in ("raw", "empty"):
            raise InvalidChange(f"{what}: the backendtype {device['backendtype']} reads raw images only, and not {device['format']}.")
        missing = [name for name in COLO if name not in device]
        if device.get("colo") and missing:
            raise InvalidChange(f"{what}: with colo, {' and '.join(missing)} must be given.")

    def text(self, device: t.Mapping[str, t.Any]) -> str:
        told = self.checked(device)
        target = told.pop("target", None)
        parts = [self.keys[name].written(value) for name, value in told.items()]
        if target is not None:  # xl takes one comma off its end
            parts.append(f"target={target}{',' if target.endswith(',') else ''}")
        return ",".join(parts)

    def filled(self, device: Device) -> Device:
        cdrom = device.get("devtype") == "cdrom"
        told: Device = {"format": "raw", "access": "rw", "discard": True, "trusted": True, "specification": "xen", **device}
        if told.get("devtype") == "disk":
            del told["devtype"]
        if cdrom:
            told["access"] = "ro"
            if "target" not in told:
                told["format"] = "empty"
        return told


DISK = DiskSpec(
    "disk",
    [
        Key("vdev", pattern=VDEV, like="such as xvda, hdc or sda1"), Key("format", choices=FORMATS), Key("access", choices=("ro", "rw")),
        Key("devtype", choices=("cdrom", "disk")), Key("backend"), Key("backendtype", choices=("phy", "qdisk", "standalone", "tap")),
        Key("script"), Key("direct-io-safe", "flag"), Key("discard", "flag", off="no-discard"),
        Key("trusted", "flag", off="untrusted"), Key("specification", choices=("xen", "virtio")),
        Key("colo", "flag", off="no-colo"), Key("colo-host"), Key("colo-port", "int", least=1, most=65535), Key("colo-export"),
        Key("active-disk"), Key("hidden-disk"), Key("target", free=True),
    ],
    required=("vdev",),
)  # fmt: skip

parse, text, checked, same, filled = DISK.parse, DISK.text, DISK.checked, DISK.same, DISK.filled
