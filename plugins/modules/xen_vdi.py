#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vdi
short_description: Manage virtual disks
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes, grows, copies, moves, attaches, detaches and removes virtual disks (VDIs) on their own. The disks of one VM are better
    described with it, see M(domzero.xen.xen_vm).
  - A disk is found by O(uuid), or by O(name) among the disks of O(sr). Several disks of one name are told apart by their SR; if that does
    not do, the task fails and lists them.
  - An option left out is not managed.
  - An interrupted copy, move or snapshot is known by the next run and finished. For that the disk bears a mark in C(other_config) whose
    name begins with C(domzero.xen/); the module does not show these.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description:
      - V(absent) removes the disk with its data.
      - A disk that a running VM has is not removed; one that a halted VM has only with O(allow_disruption=true).
    type: str
    choices: [present, absent]
    default: present
  uuid:
    description: The disk by its uuid. A disk that was moved is also found by the uuid it had before.
    type: str
  name:
    description: Name of the disk. With O(uuid) its new name.
    type: str
  description:
    description: Description of the disk.
    type: str
  sr:
    description:
      - The SR, by name or uuid. A new disk is made there; without it in the pool's default SR.
      - With O(name), the disk of that name in this SR is meant. With O(uuid), or O(move=true), the disk is moved there.
      - A disk that a VM has is moved while it is used (C(VDI.pool_migrate)), any other is copied and then removed. Either way it gets a
        new uuid.
    type: str
  move:
    description: Whether the disk called O(name) that is in another SR is moved to O(sr).
    type: bool
    default: false
  size:
    description:
      - Size in bytes, or with a unit such as V(20 GiB). A driver may round it up, to a multiple of 2 MiB for example.
      - A disk that is there grows if the size is more, while VMs that have it are halted, or at once where the SR's driver can do that.
        No disk shrinks.
    type: str
  type:
    description: What the disk is for. Fixed when it is created; V(user) if not set.
    type: str
    choices: [user, system, ephemeral, suspend, metadata, rrd, pvs_cache, crashdump, ha_statefile, redo_log, cbt_metadata]
  image_format:
    description: How the driver stores the disk. Fixed when it is created; the driver's usual one if not set.
    type: str
    choices: [vhd, raw, qcow2]
  read_only:
    description: Whether nobody can write to the disk. Fixed when it is created.
    type: bool
  sharable:
    description: Whether several VMs can write to the disk at the same time. Fixed when it is created.
    type: bool
  tags:
    description: Exactly these tags.
    type: list
    elements: str
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
  xenstore_data:
    description: Keys to set in what the guest sees in xenstore; null removes a key.
    type: dict
  on_boot:
    description: Whether what a VM writes is kept, or the disk is as it was each time the VM starts. Needs an SR that can, and halted VMs.
    type: str
    choices: [persist, reset]
  allow_caching:
    description: Whether the disk may be cached on the host (IntelliCache).
    type: bool
  cbt:
    description: Whether the host keeps account of changed blocks, for backups of what changed.
    type: bool
  source:
    description: A new disk is a full copy of this one, by name or uuid. Of a snapshot if no disk has the name.
    type: str
  source_sr:
    description: The SR O(source) is in, where several disks have its name.
    type: str
  snapshot_of:
    description: The disk is a snapshot of this one, by name or uuid.
    type: str
  attached_to:
    description: Exactly these VMs have the disk. It is plugged into VMs that run; their guests need drivers for that (guest tools).
    type: list
    elements: dict
    suboptions:
      vm:
        description: The VM, by name or uuid.
        type: str
        required: true
      position:
        description: The place among its disks, V(0) for the first. If not set, where it is, or the first free one.
        type: int
      mode:
        description: Whether the VM can write to it. V(rw) for a disk that is not attached yet.
        type: str
        choices: [rw, ro]
      bootable:
        description: Whether a paravirtual VM starts from it.
        type: bool
      plugged:
        description: Of a running VM, whether the disk is plugged. V(true) if not set.
        type: bool
  allow_disruption:
    description: Whether a disk may be removed that a halted VM has.
    type: bool
    default: false
  wait_timeout:
    description: How many seconds a copy or move may take.
    type: int
    default: 3600
seealso:
  - module: domzero.xen.xen_vdi_info
  - module: domzero.xen.xen_vdi_import
  - module: domzero.xen.xen_vdi_export
  - module: domzero.xen.xen_vm
"""

EXAMPLES = r"""
- name: A disk in the pool's default SR
  domzero.xen.xen_vdi:
    name: archive
    description: Old mails
    size: 100 GiB

- name: Plugged into a VM while that runs
  domzero.xen.xen_vdi:
    name: archive
    attached_to:
      - vm: mail
        position: 2

- name: Larger, and detached
  domzero.xen.xen_vdi:
    name: archive
    size: 200 GiB
    attached_to: []

- name: A snapshot of it
  domzero.xen.xen_vdi:
    name: archive before the clean-up
    snapshot_of: archive

- name: A copy of it in another SR
  domzero.xen.xen_vdi:
    name: archive-copy
    sr: Filer
    source: archive

- name: The disk itself goes there too
  domzero.xen.xen_vdi:
    name: archive
    sr: Filer
    move: true

- name: The copy is not needed any more
  domzero.xen.xen_vdi:
    name: archive-copy
    state: absent
"""

RETURN = r"""
vdi:
  description: The disk as it is after the task, by option name, and its C(uuid), which a disk that is moved only gets then.
  returned: success
  type: dict
  sample:
    allow_caching: false
    attached_to:
      - {vm: mail, position: 2, mode: rw, bootable: false, plugged: true}
    cbt: false
    description: Old mails
    image_format: vhd
    name: archive
    on_boot: persist
    other_config: {}
    read_only: false
    sharable: false
    size: 107374182400
    sr: Local storage
    tags: []
    type: user
    uuid: 3a2c5d5b-6f4e-4c64-8a77-0c0c63f4c7a1
    xenstore_data: {}
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vdi.resource import Vdi

MODULE = manage(Vdi)

if __name__ == "__main__":
    main(MODULE)
