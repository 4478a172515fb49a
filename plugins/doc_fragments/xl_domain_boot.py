# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # how a domain boots, and what becomes of it; the same as BOOT in module_utils/xl/domain/table.py
    DOCUMENTATION = r"""
options:
  type:
    description:
      - Paravirtualised, paravirtualised in a hardware container, or fully virtualised. xl takes V(pv) where the file does
        not say.
    type: str
    choices: [pv, pvh, hvm]
  uuid:
    description:
      - UUID of the domain. Without one every start has another. With one, a domain or a file of that UUID that has another
        name is renamed.
    type: str
  kernel:
    description: Path on Dom0 of the kernel to boot.
    type: str
  ramdisk:
    description: Path on Dom0 of the initial RAM disk.
    type: str
  cmdline:
    description: Command line of the kernel. With it O(root) and O(extra) are of no effect.
    type: str
  root:
    description: The root device on the command line of the kernel, such as V(/dev/xvda1 ro).
    type: str
  extra:
    description: More for the command line of the kernel.
    type: str
  firmware:
    description: PV. V(pvgrub32), V(pvgrub64). HVM. V(bios), V(uefi), V(seabios), V(rombios), V(ovmf), or the path of a file.
    type: str
  bootloader:
    description: Program on Dom0 that takes the kernel from the domain's disk, such as V(pygrub).
    type: str
  bootloader_args:
    description: Its arguments, as a list (or a string of words, which xl calls deprecated).
    type: raw
  bootloader_restrict:
    description: Run the boot loader with fewer rights. Xen 4.20.
    type: bool
  bootloader_user:
    description: The user it is run as then.
    type: str
  pvshim:
    description: PVH. Boot a PV guest in a PVH container.
    type: bool
  pvshim_path:
    description: PVH. The shim to use, where it is not Xen's own.
    type: str
  pvshim_cmdline:
    description: PVH. Command line of the shim.
    type: str
  pvshim_extra:
    description: PVH. More for the command line of the shim.
    type: str
  device_tree:
    description: Arm. Path of a partial device tree.
    type: str
  boot:
    description:
      - >-
        HVM. From what to boot, in order: V(c) disk, V(d) CD, V(n) network.
    type: str
  bios:
    description: HVM. The virtual firmware.
    type: str
    choices: [rombios, seabios, ovmf]
  bios_path_override:
    description: HVM. Path of the firmware to use for O(bios).
    type: str
  acpi_firmware:
    description: HVM. Path of a file with more ACPI tables.
    type: str
  smbios_firmware:
    description: HVM. Path of a file with more SMBIOS structures.
    type: str
  smbios:
    description: HVM. Values of SMBIOS, such as V(system_manufacturer=Example). Xen 4.18.
    type: list
    elements: str
  on_poweroff:
    description: What is done with a domain that shuts itself down. xl takes V(destroy).
    type: str
    choices: [destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset]
  on_reboot:
    description: The same when it reboots. xl takes V(restart).
    type: str
    choices: [destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset]
  on_watchdog:
    description: The same when Xen's watchdog has run out. xl takes V(destroy).
    type: str
    choices: [destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset]
  on_crash:
    description: The same when it crashes. xl takes V(destroy).
    type: str
    choices: [destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset]
  on_soft_reset:
    description: The same on a soft reset (kexec). xl takes V(soft-reset).
    type: str
    choices: [destroy, restart, rename-restart, preserve, coredump-destroy, coredump-restart, soft-reset]
"""
