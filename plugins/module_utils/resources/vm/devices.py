# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hardware of a host that a VM is given, and the VM groups it is in.

Rules: xen-api ocaml/xapi/xapi_vgpu.ml, xapi_vusb.ml, pciops.ml (the form of other_config:pci), xapi_vm_group.ml. All of it is given to
a halted VM. The classes are only read where a VM has such a device or the task names one.
"""

from __future__ import annotations

import re
import typing as t

from ...errors import InvalidChange, NotFound
from ...plan import Plan
from ...refs import Record
from .part import Part, Subject

PCI = "pci"  # other_config: "0/0000:04:00.0,0/0000:05:00.0"
ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
PASSTHROUGH = "passthrough"
VGPU: dict[str, dict[str, t.Any]] = {"group": {"type": "str", "required": True}, "type": {"type": "str", "default": PASSTHROUGH}}


class Devices(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "pci": {"type": "list", "elements": "str"},
        "vgpus": {"type": "list", "elements": "dict", "options": VGPU},
        "usb": {"type": "list", "elements": "str"},
        "groups": {"type": "list", "elements": "str"},
    }

    # observing ----------------------------------------------------------------------
    def observe(self, subject: Subject) -> dict[str, t.Any]:
        record = subject.record
        return {
            "pci": [entry.partition("/")[2] for entry in record["other_config"].get(PCI, "").split(",") if "/" in entry],
            "vgpus": [self._vgpu(ref) for ref in self._in_order("VGPU", record.get("VGPUs", ()))],
            "usb": sorted(self.objects.label("USB_group", self.objects.get("VUSB", ref)["USB_group"]) for ref in record.get("VUSBs", ())),
            "groups": sorted(self.objects.label("VM_group", ref) for ref in record["groups"]) if "groups" in record else None,
        }

    def _in_order(self, cls: str, refs: t.Iterable[str]) -> list[str]:
        return sorted(refs, key=lambda ref: int(self.objects.get(cls, ref)["device"] or 0))

    def _vgpu(self, ref: str) -> dict[str, str]:
        vgpu = self.objects.get("VGPU", ref)
        kind = self.objects.get("VGPU_type", vgpu["type"])
        return {"group": self.objects.label("GPU_group", vgpu["GPU_group"]), "type": kind["model_name"]}

    # wanting ------------------------------------------------------------------------
    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given = {option: self.params[option] for option in self.options if self.params.get(option) is not None}
        want = dict(have)
        if "pci" in given:
            want["pci"] = [self._address(text) for text in given["pci"]]
        if "vgpus" in given:
            want["vgpus"] = [self._named_vgpu(spec) for spec in given["vgpus"]]
        if "usb" in given:
            want["usb"] = sorted({self.objects.label("USB_group", self._usb_group(text)) for text in given["usb"]})
        if "groups" in given:
            if have["groups"] is None:
                raise InvalidChange(f"groups of VM {self.label!r} are not known to this host's release.", hint="Leave groups out.")
            want["groups"] = sorted({self.objects.label("VM_group", self.objects.resolve("VM_group", text)) for text in given["groups"]})
        return want

    def _address(self, text: str) -> str:
        address = text.lower()
        if not ADDRESS.fullmatch(address):
            raise InvalidChange(f"{text!r} is no PCI address (VM {self.label!r}).", hint="Write it as 0000:04:00.0.")
        known = sorted({pci["pci_id"] for pci in self.objects.all("PCI").values()})
        if address not in known:
            raise NotFound(f"No host has the PCI device {address} (VM {self.label!r}).", hint=f"There are: {', '.join(known) or 'none'}.")
        return address

    def _named_vgpu(self, spec: Record) -> dict[str, str]:
        group = self.objects.resolve("GPU_group", spec["group"])
        label = self.objects.label("GPU_group", group)
        self._type(group, spec["type"])
        return {"group": label, "type": spec["type"]}

    def _type(self, group: str, model: str) -> str:
        """The type of that name that a group has. Raises NotFound."""
        types = {ref: self.objects.get("VGPU_type", ref) for ref in self.objects.get("GPU_group", group)["supported_VGPU_types"]}
        found = [ref for ref, kind in types.items() if kind["model_name"] == model]
        if not found:
            names = ", ".join(sorted(kind["model_name"] for kind in types.values()))
            label = self.objects.label("GPU_group", group)
            raise NotFound(f"GPU group {label!r} has no vGPU type {model!r} (VM {self.label!r}).", hint=f"It has: {names or 'none'}.")
        return str(found[0])

    def _usb_group(self, text: str) -> str:
        """By its name or uuid, or by the uuid of the USB device in it. Raises NotFound, Ambiguous."""
        for pusb in self.objects.all("PUSB").values():
            if pusb["uuid"] == text:
                return t.cast(str, pusb["USB_group"])
        return self.objects.resolve("USB_group", text)

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        return [f"change {option}" for option in ("pci", "vgpus", "usb") if have[option] != want[option]]

    # the calls ----------------------------------------------------------------------
    def change(self, plan: Plan, subject: Subject) -> None:
        have, want, label = plan.before, plan.after, self.label
        if have["pci"] != want["pci"]:
            value = ",".join(f"0/{address}" for address in want["pci"]) or None
            self.vm.set_key(plan, subject, "other_config", PCI, value, there=PCI in subject.record["other_config"])
        if have["vgpus"] != want["vgpus"]:
            self._change_vgpus(plan, subject)
        self._change_usb(plan, subject)
        if have["groups"] != want["groups"]:
            groups = [self.objects.resolve("VM_group", name) for name in want["groups"]]
            plan.add("VM.set_groups", subject.ref, groups, what=f"put VM {label!r} into its groups")

    def _change_vgpus(self, plan: Plan, subject: Subject) -> None:
        for ref in subject.record["VGPUs"]:
            there = plan.find("VGPU", VM=subject.ref, device=self.objects.get("VGPU", ref)["device"]) if subject.new else ref
            plan.add("VGPU.destroy", there, what=f"take a vGPU from VM {self.label!r}")
        for place, spec in enumerate(plan.after["vgpus"]):
            group = self.objects.resolve("GPU_group", spec["group"])
            kind = self._type(group, spec["type"])
            plan.add("VGPU.create", subject.ref, group, str(place), {}, kind, what=f"give VM {self.label!r} a vGPU")

    def _change_usb(self, plan: Plan, subject: Subject) -> None:
        have, want = set(plan.before["usb"]), set(plan.after["usb"])
        for ref in subject.record.get("VUSBs", ()):
            group = self.objects.label("USB_group", self.objects.get("VUSB", ref)["USB_group"])
            if group not in want:
                plan.add("VUSB.destroy", ref, what=f"take USB device {group!r} from VM {self.label!r}")
        for name in sorted(want - have):
            group = self.objects.resolve("USB_group", name)
            what = f"give VM {self.label!r} the USB device {name!r}"
            for pusb, record in self.objects.all("PUSB").items():
                if record["USB_group"] == group and not record["passthrough_enabled"]:
                    plan.add("PUSB.set_passthrough_enabled", pusb, True, what=what)
            plan.add("VUSB.create", subject.ref, group, {}, what=what)
