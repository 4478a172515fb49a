#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_snapshot_info
short_description: List the snapshots of VMs
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists snapshots in the words of the options of M(domzero.xen.xen_snapshot). Handing an entry to that module changes nothing.
  - Tells beside them how they stand on one another, their disks and what they take of their storage.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  vm:
    description: Only snapshots of this VM, by name or uuid. A VM that was deleted while its snapshots stayed is known by both too.
    type: str
  name:
    description: Only snapshots of this name.
    type: str
  uuid:
    description: Only the snapshot of this uuid.
    type: str
seealso:
  - module: domzero.xen.xen_snapshot
"""

EXAMPLES = r"""
- name: All snapshots of a VM
  domzero.xen.xen_snapshot_info:
    vm: web
  register: web

- name: What they take, by SR
  ansible.builtin.debug:
    msg: "{{ web.facts | dict2items | map(attribute='value.cost') }}"

- name: All snapshots of the pool
  domzero.xen.xen_snapshot_info:
  register: all
"""

RETURN = r"""
snapshots:
  description: The snapshots by VM, the oldest first. Each holds the options of M(domzero.xen.xen_snapshot) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - description: ""
      kind: disk
      name: before upgrade
      other_config: {}
      tags: []
      uuid: 1b0ad0a2-6f4f-4b29-8a57-0f5de3a0b6c1
      vm: web
facts:
  description: By uuid what cannot be set.
  returned: when any snapshot was found
  type: dict
  contains:
    time:
      description: When it was taken (UTC).
      type: str
    vm_uuid:
      description: The uuid of the VM; empty if it is gone.
      type: str
    power_state_at_snapshot:
      description: What the VM was when it was taken, such as V(running); empty where that was not noted.
      type: str
    current:
      description: Whether the VM stands on this one, because it was taken last or the VM was taken back to it.
      type: bool
    parent:
      description: The uuid of the snapshot this one stands on; empty for none.
      type: str
    children:
      description: The uuids of those that stand on it.
      type: list
      elements: str
    path:
      description: Names from the first snapshot in the line to this one.
      type: list
      elements: str
    scheduled:
      description: Whether a schedule took it.
      type: bool
    disks:
      description: Its disks. C(vdi) is the uuid of the disk in the snapshot, C(snapshot_of) that of the VM's disk, empty if it is gone;
        C(chain) the number of images its data lies in.
      type: list
      elements: dict
    memory:
      description: Where the memory is kept, with C(vdi), C(sr) and C(utilisation) in bytes. Only for
        O(domzero.xen.xen_snapshot#module:kind=memory).
      type: dict
    cost:
      description: Bytes its own disks and memory take, by SR. Data it shares with the VM is not counted.
      type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.snapshot import Snapshot

MODULE = inform(Snapshot)

if __name__ == "__main__":
    main(MODULE)
