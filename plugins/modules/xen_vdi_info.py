#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vdi_info
short_description: List virtual disks
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists virtual disks (VDIs) in the words of the options of M(domzero.xen.xen_vdi). Handing an entry to that module changes nothing.
  - What only the storage driver works with, such as the hidden images snapshots stand on, is left out.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: Only disks of this name.
    type: str
  uuid:
    description: Only the disk of this uuid.
    type: str
  sr:
    description: Only disks in this SR, by name or uuid.
    type: str
  vm:
    description: Only disks of this VM, by name or uuid.
    type: str
  snapshots:
    description: Whether snapshots are listed as well.
    type: bool
    default: true
  changed_since:
    description:
      - A snapshot, by name or uuid. Only its disk and the snapshots that were taken of it since are listed, and RV(facts) tells how much
        of each has changed.
      - The disk's changes have to be tracked since then (O(domzero.xen.xen_vdi#module:cbt)).
    type: str
seealso:
  - module: domzero.xen.xen_vdi
"""

EXAMPLES = r"""
- name: All disks of a VM
  domzero.xen.xen_vdi_info:
    vm: mail
  register: disks

- name: Which of them have long chains of snapshots
  ansible.builtin.debug:
    msg: "{{ disks.facts | dict2items | selectattr('value.chain_length', 'gt', 20) | map(attribute='key') }}"

- name: Disks of an SR that no VM has
  domzero.xen.xen_vdi_info:
    sr: Disks
    snapshots: false
  register: local

- name: Show them
  ansible.builtin.debug:
    msg: "{{ local.vdis | selectattr('attached_to', 'equalto', []) | map(attribute='name') }}"
"""

RETURN = r"""
vdis:
  description: The disks, sorted by name, each by option name and with its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - name: archive
      size: 107374182400
      sr: Disks
      uuid: 3a2c5d5b-6f4e-4c64-8a77-0c0c63f4c7a1
facts:
  description: What can only be read, by the disk's uuid.
  returned: when any disk was found
  type: dict
  contains:
    location:
      description: What the driver knows the disk by.
      type: str
    physical_utilisation:
      description: Bytes taken of the SR.
      type: int
    parents:
      description: The uuids of the images below in its chain, the nearest first.
      type: list
      elements: str
    chain_length:
      description: How many images its data is spread over. No snapshot can be taken when there are 30.
      type: int
    snapshot:
      description: Whether it is a snapshot.
      type: bool
    snapshot_of:
      description: The uuid of the disk it is a snapshot of; empty for none, or one that is gone.
      type: str
    snapshots:
      description: The uuids of its snapshots.
      type: list
      elements: str
    sm_config:
      description: What the driver notes.
      type: dict
    changed:
      description:
        - How much is another than in the snapshot O(changed_since); about what an export with
          O(domzero.xen.xen_vdi_export#module:base) will hold. Null for a disk that a VM has at the moment; take a snapshot of it.
      returned: with O(changed_since)
      type: dict
      contains:
        since:
          description: The snapshot's uuid.
          type: str
        size:
          description: Bytes, in blocks of 64 KiB.
          type: int
    sha256:
      description: Checksum of the file it was imported from (M(domzero.xen.xen_vdi_import)); empty for none.
      type: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.vdi.resource import Vdi

MODULE = inform(Vdi)

if __name__ == "__main__":
    main(MODULE)
