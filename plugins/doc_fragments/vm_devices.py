# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Hardware of a host that a VM is given, and groups of VMs."""

    DOCUMENTATION = r"""
options:
  pci:
    description:
      - The PCI devices it is given, by their addresses, such as C(0000:04:00.0); taken whole. An empty list takes all away.
      - It changes while the VM is halted. The VM then starts on the host that has the device, and cannot move.
    type: list
    elements: str
  vgpus:
    description: Its virtual GPUs, taken whole. They change while it is halted.
    type: list
    elements: dict
    suboptions:
      group:
        description: The GPU group, by name or uuid.
        type: str
        required: true
      type:
        description: The type by its model name, or V(passthrough) for a whole GPU.
        type: str
        default: passthrough
  usb:
    description:
      - The USB devices it is given, each by the name or uuid of its USB group, or by its own uuid; taken whole. They change while the VM
        is halted. Passing it through is allowed where it is not.
    type: list
    elements: str
  groups:
    description: The VM groups it is in, by name or uuid; taken whole. Those of one group are kept on different hosts where that can be.
    type: list
    elements: str
"""
