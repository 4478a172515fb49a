# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How a VM boots."""

    DOCUMENTATION = r"""
options:
  domain_type:
    description: How it is virtualised. Changes while it is halted; V(pv) needs O(pv_bootloader) or O(pv_kernel), V(hvm) a O(boot_order).
    type: str
    choices: [hvm, pv, pv_in_pvh, pvh]
  firmware:
    description: What an HVM guest boots with. Changes while it is halted; a guest that was installed with one rarely boots with the other.
    type: str
    choices: [bios, uefi]
  boot_order:
    description: What an HVM guest is booted from, in order, C(c) for the disk, C(d) for the CD, C(n) for the network (PXE).
    type: str
  secure_boot:
    description: Whether UEFI starts signed systems only; V(auto) when the pool has certificates for it.
    type: str
    choices: ['true', 'false', auto]
  vtpm:
    description: Whether it has a virtual TPM. It needs UEFI. B(Without it what was sealed by it is lost.)
    type: bool
  pv_bootloader:
    description: What loads the kernel of a PV guest, such as V(pygrub) or V(eliloader).
    type: str
  pv_bootloader_args:
    description: Arguments of the bootloader.
    type: str
  pv_kernel:
    description: The path of a PV guest's kernel in the host's control domain.
    type: str
  pv_ramdisk:
    description: The path of a PV guest's initial RAM disk in the host's control domain.
    type: str
  pv_args:
    description: Arguments of a PV guest's kernel.
    type: str
  pv_legacy_args:
    description: Further arguments of the kernel, as old guests have them.
    type: str
  install_repository:
    description: Where an installer comes from, an address, or V(cdrom). For templates that install a PV guest.
    type: str
  platform:
    description:
      - Flags of the virtual hardware, such as C(viridian), C(nx) or C(vga). Merged; V(null) removes one. They count from the next start on.
    type: dict
  has_vendor_device:
    description: Whether Windows finds the device that makes it fetch its drivers from Windows Update.
    type: bool
"""
