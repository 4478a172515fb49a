# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The disks of a VM."""

    DOCUMENTATION = r"""
options:
  disks:
    description:
      - Its disks. Those that are not in the list stay as they are, unless O(prune_disks=true).
      - An entry means the disk that its O(disks[].vdi) names, else the one of its O(disks[].name), else the one at its
        O(disks[].position). One with neither name nor position means the next disk in order; one with a new name is a new disk.
      - Of a VM that is being made, the entries without a known name are laid over the disks of its template, in order. What they don't say
        is as in the template.
      - Disks are added to a running VM, and taken from it, where its guest has drivers for that (guest tools). What needs it halted is
        told, and done with O(allow_disruption=true).
    type: list
    elements: dict
    suboptions:
      position:
        description: The place of the disk, from V(0) on. A disk known by its name or O(disks[].vdi) is put there.
        type: int
      vdi:
        description: An existing disk, by uuid or name. It is attached if the VM does not have it, and stays when the VM goes.
        type: str
      name:
        description: Its name. A new disk without one is called after the VM and the position.
        type: str
      description:
        description: Its description.
        type: str
      size:
        description: Its size in bytes, or with a unit such as V(20 GiB). Needed for a new disk. A disk grows, and never shrinks.
        type: str
      sr:
        description:
          - The SR it is in, by name or uuid. Of a new disk O(sr) if not set, or the pool's default SR.
          - A disk that is in another SR is moved, also while the VM runs.
        type: str
      image_format:
        description: How the SR's driver stores it. Fixed when it is made; the driver's usual one if not set.
        type: str
        choices: [vhd, raw, qcow2]
      mode:
        description: Whether the VM can write to it.
        type: str
        choices: [rw, ro]
      bootable:
        description: Whether a paravirtual VM starts from it. Of a new disk V(true) for the first position.
        type: bool
      qos:
        description: How the host favours it over other disks.
        type: dict
        suboptions:
          class:
            description: V(none) for no preference.
            type: str
            required: true
            choices: [real_time, best_effort, idle, none]
          priority:
            description: From V(0), the highest, to V(7); V(4) if not set. Not for V(idle) and V(none).
            type: int
            choices: [0, 1, 2, 3, 4, 5, 6, 7]
      keep:
        description: Whether it stays when the VM is removed. V(false) for a new disk.
        type: bool
      tags:
        description: Exactly these tags.
        type: list
        elements: str
      other_config:
        description: Keys to set; null removes a key. Keys not named here are left alone.
        type: dict
      cbt:
        description: Whether the host keeps account of changed blocks.
        type: bool
  prune_disks:
    description:
      - Whether disks that are not in O(disks) go. Those the VM owns are removed with their data, others are only detached.
      - A VM owns the disks that are made for it, unless O(disks[].keep=true).
    type: bool
    default: false
"""
