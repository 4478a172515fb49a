# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a VM boots: HVM or PV, firmware, boot order, kernel and bootloader, platform flags, virtual TPM.

Rules: xen-api ocaml/xapi/xapi_vm.ml (set_domain_type, NVRAM), xapi_vtpm.ml; the keys of HVM_boot_params and platform are those of
xenops (ocaml/xapi/xapi_xenops.ml) and of the stock templates.
"""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Plan
from ...vms import domain_type
from .part import Part, Subject

POLICY = "BIOS order"  # any text makes an old release boot HVM
# option -> the key of HVM_boot_params
BOOT = {"boot_order": "order", "firmware": "firmware"}
# options that are fields of the record; they count from the next start on
TEXTS = {
    "pv_bootloader": "PV_bootloader",
    "pv_bootloader_args": "PV_bootloader_args",
    "pv_kernel": "PV_kernel",
    "pv_ramdisk": "PV_ramdisk",
    "pv_args": "PV_args",
    "pv_legacy_args": "PV_legacy_args",
}
SECURE = "secureboot"  # platform: true, false or auto
REPOSITORY = "install-repository"  # other_config: where the installer of a PV template comes from
CLAIMED = ("cores-per-socket", SECURE)  # keys of platform that are options of their own
# what xapi writes there itself when the VM starts or its guest sets the clock (xen-api: xapi_xenops.ml)
CHOSEN = {"device-model": ("qemu-upstream-compat", "qemu-upstream-uefi")}
CLOCK = "timeoffset"
# what the guest only sees after a restart but may be set at any time, and what must not change under it
NEXT_START = ("boot_order", "platform", "install_repository", *TEXTS)
HALTED = ("domain_type", "firmware", "secure_boot", "vtpm", "has_vendor_device")


class Boot(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "domain_type": {"type": "str", "choices": ["hvm", "pv", "pv_in_pvh", "pvh"]},
        "firmware": {"type": "str", "choices": ["bios", "uefi"]},
        "boot_order": {"type": "str"},
        "secure_boot": {"type": "str", "choices": ["true", "false", "auto"]},
        "vtpm": {"type": "bool"},
        **{option: {"type": "str"} for option in TEXTS},
        "install_repository": {"type": "str"},
        "platform": {"type": "dict"},
        "has_vendor_device": {"type": "bool"},
    }

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        record = subject.record
        platform, boot = record["platform"], record["HVM_boot_params"]
        return {
            "domain_type": domain_type(record),
            "firmware": boot.get("firmware", "bios"),
            "boot_order": boot.get("order", ""),
            "secure_boot": platform.get(SECURE, "false"),
            "vtpm": bool(record["VTPMs"]) if "VTPMs" in record else None,
            **{option: record[field] for option, field in TEXTS.items()},
            "install_repository": record["other_config"].get(REPOSITORY, ""),
            "platform": _flags(platform),
            "has_vendor_device": record.get("has_vendor_device"),
        }

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given = {option: self.params[option] for option in self.options if self.params.get(option) is not None}
        merged = {**have["platform"], **text_map(given.get("platform", {}))}
        want = {**have, **given, "platform": _flags({key: value for key, value in merged.items() if value is not None})}
        self._refuse(have, want, given)
        return want

    def _refuse(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> None:
        label = self.label
        if unknown := [option for option in ("vtpm", "has_vendor_device") if option in given and have[option] is None]:
            raise InvalidChange(f"{unknown[0]} of VM {label!r} is not known to this host's release.", hint="Leave it out.")
        if wrong := set(given.get("boot_order", "")) - set("acdn"):
            raise InvalidChange(
                f"boot_order of VM {label!r} cannot hold {wrong.pop()!r}.", hint="c is the disk, d the CD, n the network, a the floppy."
            )
        if taken := [key for key in CLAIMED if text_map(given.get("platform", {})).get(key)]:
            raise InvalidChange(f"platform of VM {label!r} cannot hold {taken[0]!r}.", hint="It is an option of its own.")
        if want["firmware"] == "bios" and want["vtpm"] and (given.get("vtpm") or given.get("firmware")):
            raise InvalidChange(f"VM {label!r} cannot have a vTPM with BIOS firmware.", hint="Set firmware: uefi, or vtpm: false.")
        secure = [(options["firmware"], options["secure_boot"]) for options in (have, want)]
        if secure[1] == ("bios", "true") and secure[0] != secure[1]:  # stock templates of PV guests have it
            raise InvalidChange(f"VM {label!r} cannot boot securely with BIOS firmware.", hint="Set firmware: uefi.")
        if want["domain_type"] == "hvm" and have["domain_type"] != "hvm" and not want["boot_order"]:
            raise InvalidChange(f"VM {label!r} is to become HVM without a boot_order.", hint="Give boot_order, such as cd.")
        if want["domain_type"] == "pv" and have["domain_type"] == "hvm" and not (want["pv_bootloader"] or want["pv_kernel"]):
            raise InvalidChange(
                f"VM {label!r} is to become PV, and nothing says where its kernel comes from.",
                hint="Give pv_bootloader: pygrub, or pv_kernel.",
            )

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        later = NEXT_START if self.params.get("allow_disruption") else ()
        return [f"change {option}" for option in (*HALTED, *later) if have[option] != want[option]]

    # the calls ----------------------------------------------------------------------
    def change(self, plan: Plan, subject: Subject) -> None:
        have, want, label = plan.before, plan.after, self.label
        differing = [option for option in self.options if have[option] != want[option]]
        self._type(plan, subject)
        if any(option in differing for option in BOOT):
            params = {**subject.record["HVM_boot_params"], **{key: want[option] for option, key in BOOT.items() if option in differing}}
            plan.add("VM.set_HVM_boot_params", subject.ref, params, what=f"set how VM {label!r} boots")
        for option, field in TEXTS.items():
            if option in differing:
                plan.add(f"VM.set_{field}", subject.ref, want[option], what=f"set {option} of VM {label!r}")
        self._maps(plan, subject)
        if "has_vendor_device" in differing:
            plan.add("VM.set_has_vendor_device", subject.ref, want["has_vendor_device"], what=f"set has_vendor_device of VM {label!r}")
        self._vtpm(plan, subject)
        later = [option for option in differing if option in NEXT_START]
        if later and subject.at != "Halted":
            plan.warnings.append(f"VM {label!r} takes {', '.join(later)} into account when it starts the next time.")

    def _type(self, plan: Plan, subject: Subject) -> None:
        wanted = plan.after["domain_type"]
        if plan.before["domain_type"] == wanted:
            return
        what = f"make VM {self.label!r} {wanted}"
        if "domain_type" in subject.record:
            plan.add("VM.set_domain_type", subject.ref, wanted, what=what)
        elif wanted in ("hvm", "pv"):
            plan.add("VM.set_HVM_boot_policy", subject.ref, POLICY if wanted == "hvm" else "", what=what)
        else:
            raise InvalidChange(f"VM {self.label!r} cannot be {wanted}: this host's release does not know it.", hint="Use hvm or pv.")

    def _maps(self, plan: Plan, subject: Subject) -> None:
        record = subject.record
        have, want = ({**options["platform"], SECURE: options["secure_boot"]} for options in (plan.before, plan.after))
        for key in sorted({*have, *want}):
            if have.get(key) != want.get(key):
                self.vm.set_key(plan, subject, "platform", key, want.get(key), there=key in record["platform"])
        if plan.before["install_repository"] != plan.after["install_repository"]:
            value = plan.after["install_repository"] or None
            self.vm.set_key(plan, subject, "other_config", REPOSITORY, value, there=REPOSITORY in record["other_config"])

    def _vtpm(self, plan: Plan, subject: Subject) -> None:
        have, want = bool(plan.before["vtpm"]), bool(plan.after["vtpm"])
        if want and not have:
            plan.add("VTPM.create", subject.ref, False, what=f"give VM {self.label!r} a vTPM")
        for ref in subject.record["VTPMs"] if have and not want else ():
            handle = plan.find("VTPM", VM=subject.ref) if subject.new else ref
            plan.add("VTPM.destroy", handle, what=f"take the vTPM of VM {self.label!r} away")


def _flags(platform: t.Mapping[str, str]) -> dict[str, str]:
    """Those that nobody else looks after."""
    return {k: v for k, v in platform.items() if k not in (*CLAIMED, CLOCK) and v not in CHOSEN.get(k, ())}
