# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a machine can be a Dom0: everything it lacks, at once."""

from __future__ import annotations

import typing as t

from ...formats.sizes import readable_size
from .machine import Machine

TESTED = {"debian": ("12", "13")}
OF_XEN = 64 << 20  # what the hypervisor keeps for itself, at least
ON_BOOT = 16 << 20  # the hypervisor's files
HVM_FLAGS = frozenset({"vmx", "svm"})


class Need(t.NamedTuple):
    """What is asked of it. dom0_memory, guest_memory, disk: bytes; packages: to be installed; hvm: PVH and HVM guests are to run."""

    dom0_memory: int | None = None
    guest_memory: int = 0
    disk: int = 0
    packages: tuple[str, ...] = ()
    hvm: bool = False
    untested: bool = False


class Judged(t.NamedTuple):
    """problems: why it cannot be one, each with what to do; warnings: what will not work on it; lacking: packages."""

    problems: list[str]
    warnings: list[str]
    lacking: list[str]


def judge(machine: Machine, need: Need, total: int | None = None, hvm: bool | None = None) -> Judged:
    """total, hvm: bytes of the whole machine, and whether its processors can, as a Xen that runs says; Dom0 itself does not see them."""
    lacking = [name for name in need.packages if name.partition("=")[0].partition(":")[0] not in machine.packages]
    problems, warnings = _system(machine, need), list[str]()
    capable = bool(machine.flags & HVM_FLAGS) if hvm is None else hvm
    if not capable:
        told = (
            "The processor does not offer virtualisation (no vmx or svm): PVH and HVM guests cannot run, only PV. "
            "Turn on VT-x or AMD-V in the firmware's setup."
        )
        (problems if need.hvm else warnings).append(told)
    problems += _boots(machine)
    problems += _memory(total or machine.memory, need)
    problems += _disk(machine, need) if lacking else []
    if machine.hypervisor and machine.hypervisor != "Xen":
        warnings.append(f"The machine is itself a guest (of {machine.hypervisor}): Xen runs nested, which is for trying things out.")
    return Judged(problems, warnings, lacking)


def _system(machine: Machine, need: Need) -> list[str]:
    told = []
    if machine.architecture != "x86_64":
        told.append(f"The architecture {machine.architecture or 'of the machine'} is not x86_64: this cannot install Xen on it.")
    if machine.version not in TESTED.get(machine.distribution, ()) and not need.untested:
        told.append(f"{machine.name} was not tested, Debian 12 and 13 were: use one of them, or allow_untested.")
    if machine.container:
        told.append("This is a container, which has no kernel of its own: run it on the machine.")
    if not machine.systemd:
        told.append("The machine does not run systemd: boot it with systemd.")
    if "lm" not in machine.flags and machine.flags:
        told.append("The processor does not run 64 bits (no lm): Xen needs that.")
    if machine.hypervisor == "Xen":
        told.append("The machine is itself a guest of Xen and cannot be its Dom0: use the host.")
    if machine.kvm:
        told.append("Virtual machines of KVM run here, and would not any more: move them away, and unload the module kvm.")
    return told


def _boots(machine: Machine) -> list[str]:
    told = []
    if machine.secure_boot:
        told.append("Secure Boot is on, and Debian's Xen is not signed: turn it off in the firmware's setup (mokutil --sb-state tells it).")
    if not machine.grub:
        package = "grub-efi-amd64" if machine.efi else "grub-pc"
        told.append(f"The machine does not boot by GRUB (no update-grub, no /boot/grub/grub.cfg): install {package}.")
    if not machine.dom0_kernels:
        told.append("No kernel in /boot can be Dom0 (CONFIG_XEN_DOM0=y): install linux-image-amd64.")
    return told


def _memory(total: int, need: Need) -> list[str]:
    wanted = (need.dom0_memory or 0) + need.guest_memory + OF_XEN
    if total >= wanted:
        return []
    dom0 = f"{readable_size(need.dom0_memory)} for Dom0, " if need.dom0_memory else ""
    asked = f"{dom0}{readable_size(need.guest_memory)} for guests and {readable_size(OF_XEN)} for Xen are {readable_size(wanted)}"
    return [f"The machine has {readable_size(total)} of memory, and {asked}: give Dom0 or the guests less, or the machine more."]


def _disk(machine: Machine, need: Need) -> list[str]:
    told = []
    for folder, wanted in (("/usr", need.disk), ("/var", need.disk), ("/boot", ON_BOOT)):
        free = machine.free.get(folder, 0)
        if free < wanted:
            told.append(
                f"{folder} has {readable_size(free)} free, and the packages need {readable_size(wanted)}: make room, or a larger disk."
            )
    return told
