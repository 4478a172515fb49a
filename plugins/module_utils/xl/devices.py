# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other devices of xl.cfg(5), whose specifications have no surprises (almost)."""

from __future__ import annotations

import re

from ..errors import InvalidChange
from .spec import Device, Key, Spec

BACKEND = Key("backend")
UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
CONNECTORS = r"[^\s,:;]+:[0-9]+x[0-9]+(;[^\s,:;]+:[0-9]+x[0-9]+)*"


class UsbctrlSpec(Spec):
    def rules(self, device: Device, what: str) -> None:
        if device.get("version") == 3 and device.get("type", "devicemodel") != "devicemodel":
            raise InvalidChange(f"{what}: USB 3.0 has type devicemodel only, and not {device['type']}.")


class UsbdevSpec(Spec):
    def rules(self, device: Device, what: str) -> None:
        if "port" in device and "controller" not in device:
            raise InvalidChange(f"{what}: port needs controller.")


class VfbSpec(Spec):
    def rules(self, device: Device, what: str) -> None:
        if "vncdisplay" in device and re.search(r":[0-9]+$", device.get("vnclisten", "")):
            raise InvalidChange(f"{what}: the display number is given twice, in vnclisten and vncdisplay.")


class VkbSpec(Spec):
    def rules(self, device: Device, what: str) -> None:
        if device.get("feature_multi_touch") and not any(name.startswith("multi_touch") for name in device):
            raise InvalidChange(f"{what}: feature_multi_touch needs multi_touch_width, multi_touch_height and multi_touch_num_contacts.")


class ChannelSpec(Spec):
    def parts(self, text: str) -> list[str]:
        """Spaces around keys and values mean nothing here."""
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return ["=".join(side.strip() for side in sides) for sides in pairs]

    def rules(self, device: Device, what: str) -> None:
        if (device["connection"] == "socket") != ("path" in device):
            raise InvalidChange(f"{what}: a socket needs a path, and a pty has none.")
        for name, value in device.items():
            if re.search('[="]', value):
                raise InvalidChange(f"{what}: {name} cannot have = or quotes in it.")


class P9Spec(Spec):
    def rules(self, device: Device, what: str) -> None:
        if "security_model" not in device and device.get("type") != "xen_9pfsd":
            raise InvalidChange(f"{what}: security_model must be given; only none is supported.")


class VirtioSpec(Spec):
    def parts(self, text: str) -> list[str]:
        """The comma of "virtio,device22" is part of the type."""
        return [part.replace("\0", ",") for part in super().parts(text.replace("virtio,device", "virtio\0device"))]


USBCTRL = UsbctrlSpec(
    "usbctrl",
    [
        Key("type", choices=("auto", "pv", "devicemodel", "qusb")),
        Key("version", "int", least=1, most=3),
        Key("ports", "int", least=1, most=31),
    ],
)
USBDEV = UsbdevSpec(
    "usbdev",
    [
        Key("type", choices=("hostdev",)), Key("hostbus", "int", least=1, most=255, octal=True),
        Key("hostaddr", "int", least=1, most=255, octal=True), Key("controller", "int", most=255), Key("port", "int", least=1, most=31),
    ],
    required=("hostbus", "hostaddr"),
)  # fmt: skip
VFB = VfbSpec(
    "vfb",
    [
        Key("vnc", "bool"), Key("vnclisten"), Key("vncdisplay", "int", most=59635), Key("vncunused", "bool"), Key("vncpasswd"),
        Key("sdl", "bool"), Key("display"), Key("xauthority"), Key("opengl", "bool"), Key("keymap"),
    ],
)  # fmt: skip
VKB = VkbSpec(
    "vkb",
    [
        Key("unique-id"), BACKEND, Key("backend-type", choices=("qemu", "linux")),
        *(Key(f"feature-{what}", "bool") for what in ("disable-keyboard", "disable-pointer", "abs-pointer", "raw-pointer", "multi-touch")),
        *(Key(f"multi-touch-{what}", "int", octal=True) for what in ("width", "height", "num-contacts")),
        Key("width", "int", octal=True), Key("height", "int", octal=True),
    ],
    required=("backend_type",),
)  # fmt: skip
CHANNEL = ChannelSpec(
    "channel", [BACKEND, Key("name"), Key("connection", choices=("socket", "pty")), Key("path")], required=("name", "connection")
)
P9 = P9Spec(
    "p9",
    [
        Key("tag"), Key("path"), Key("security_model"), BACKEND, Key("type", choices=("qemu", "xen_9pfsd")), Key("max-space", "int"),
        Key("max-files", "int"), Key("max-open-files", "int"), Key("auto-delete", "bool"),
    ],
    required=("tag", "path"),
)  # fmt: skip
VTPM = Spec("vtpm", [BACKEND, Key("uuid", pattern=UUID, like="a UUID")], required=("backend",))
PVCALLS = Spec("pvcalls", [BACKEND])
VDISPL = Spec("vdispl", [BACKEND, Key("be-alloc", "bool"), Key("connectors", pattern=CONNECTORS, like="such as id0:1920x1080;id1:800x600")])
RDM = Spec("rdm", [Key("strategy", choices=("host",)), Key("policy", choices=("strict", "relaxed"))])
VIRTIO = VirtioSpec(
    "virtio", [BACKEND, Key("type", free=True), Key("transport", choices=("mmio", "pci")), Key("grant_usage", "bool")], required=("type",)
)
