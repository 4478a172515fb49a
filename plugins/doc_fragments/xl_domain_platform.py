# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # what is emulated; the same as PLATFORM in module_utils/xl/domain/table.py
    DOCUMENTATION = r"""
options:
  hdtype:
    description: HVM. Controller of the emulated disks.
    type: str
    choices: [ide, ahci]
  acpi:
    description: ACPI tables.
    type: bool
  acpi_s3:
    description: HVM. Suspend to RAM.
    type: bool
  acpi_s4:
    description: HVM. Suspend to disk.
    type: bool
  acpi_laptop_slate:
    description: HVM. The switch of Windows between laptop and slate.
    type: bool
  apic:
    description: HVM. Tables of the interrupt controllers.
    type: bool
  mmio_hole:
    description: HVM. Size of the hole below 4 GiB, 256 to 3840 MiB.
    type: str
  xen_platform_pci:
    description: HVM. The PCI device by which guests find PV drivers.
    type: bool
  viridian:
    description:
      - >-
        HVM. What of Hyper-V is offered to Windows: V(1), V(0), or a list such as V([defaults, '!freq']).
    type: raw
  hvm_pirq:
    description: HVM. Interrupts of devices over event channels. Xen 4.18.
    type: bool
  ms_vm_genid:
    description: HVM. Generation ID for Windows.
    type: str
    choices: [generate, "none"]
  vendor_device:
    description: HVM. Variant of the PV device.
    type: str
    choices: ["none", xenserver]
  device_model_version:
    description: Which QEMU.
    type: str
    choices: [qemu-xen, qemu-xen-traditional]
  device_model_override:
    description: Path of the QEMU to use.
    type: str
  device_model_stubdomain_override:
    description: Run QEMU in a domain of its own.
    type: bool
  device_model_stubdomain_seclabel:
    description: XSM security label of that domain.
    type: str
  stubdomain_kernel:
    description: Kernel of that domain.
    type: str
  stubdomain_cmdline:
    description: Its command line.
    type: str
  stubdomain_ramdisk:
    description: Its initial RAM disk.
    type: str
  stubdomain_memory:
    description: Its memory.
    type: str
  device_model_args:
    description: More arguments for QEMU.
    type: list
    elements: str
  device_model_args_pv:
    description: The same, of PV domains only.
    type: list
    elements: str
  device_model_args_hvm:
    description: The same, of HVM domains only.
    type: list
    elements: str
  device_model_user:
    description: The user QEMU is run as with O(dm_restrict).
    type: str
  dm_restrict:
    description: Run QEMU with fewer rights.
    type: bool
"""
