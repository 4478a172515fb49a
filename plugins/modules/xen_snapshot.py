#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_snapshot
short_description: Take, go back to, delete and thin out snapshots of VMs
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Takes a snapshot of a VM with or without its memory, makes a template from it, takes the VM back to it, deletes it with its disks,
    or deletes all but the newest of many.
  - What a snapshot takes of its storage is computed and compared with the free space before it is taken. On thick storage
    (types V(lvm), V(lvmoiscsi), V(lvmohba), V(lvmofcoe)) a disk gets a new image of its full size while the data written so far stays
    beside it.
  - What would make xapi refuse is said before the first call.
  - An option left out is not managed.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description:
      - V(present) takes the snapshot unless the VM has one of that name.
      - V(absent) deletes it, its disks and the memory it keeps. Disks of the VM itself are not touched.
      - V(reverted) takes the VM back to it. This is an action as V(restarted) is one for services, so it is done whenever the task runs,
        since nobody can tell from outside whether something was written since.
      - V(pruned) deletes those of the VM's snapshots that match O(matching) and O(tagged), but for the newest O(keep).
    type: str
    choices: [present, absent, reverted, pruned]
    default: present
  vm:
    description:
      - The VM, by name or uuid. Needed to take a snapshot, and where several VMs have snapshots of that name.
      - With O(state=reverted) also a VM that was deleted while its snapshots stayed. It comes back.
    type: str
  name:
    description: Name of the snapshot. With O(uuid) the name it is to have.
    type: str
  uuid:
    description: An existing snapshot by its uuid.
    type: str
  kind:
    description:
      - V(disk) keeps the disks as they would be found after a power failure.
      - V(memory) keeps the memory too; a running VM stands still for as long as it takes to write that. Needs guest tools.
      - V(quiesced) lets a Windows guest come to rest through VSS. Only releases before 8.1 can do that.
      - If not set, V(disk). Fixed when the snapshot is taken.
    type: str
    choices: [disk, memory, quiesced]
  ignore_disks:
    description:
      - Disks of the VM that are left out, by name, device (V(xvdb)), position (V(1)) or uuid of the VDI. With O(kind=disk) only.
      - Going back to the snapshot later detaches these disks from the VM; their data stays.
    type: list
    elements: str
  description:
    description: What the snapshot is for. It has the VM's own description if not set.
    type: str
  tags:
    description: Exactly these tags. It has the VM's own tags if not set.
    type: list
    elements: str
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
  as_template:
    description: A template of this name is made as a clone of the snapshot, unless there is a template of that name.
    type: str
  check_space:
    description:
      - Whether the task fails when the snapshot needs more space than is free in the worst case. Otherwise that is a warning.
      - The worst case on thick storage is that every block of a disk was written. How many were, xapi does not tell.
    type: bool
    default: true
  power_state:
    description:
      - What becomes of the VM after it was taken back. xapi leaves it halted, or suspended where the snapshot has its memory.
      - V(leave) leaves it so, V(running) starts or resumes it, V(as_before) does that if the VM ran before.
    type: str
    choices: [leave, as_before, running]
    default: leave
  keep:
    description: How many of the matching snapshots stay, with O(state=pruned).
    type: int
  matching:
    description: Shell pattern of the names that O(state=pruned) may delete, such as V(nightly-*).
    type: str
  tagged:
    description: Only snapshots that have all these tags may be deleted by O(state=pruned).
    type: list
    elements: str
  allow_disruption:
    description: Whether a VM that is not halted may be taken back. It is switched off by force for that.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for a snapshot or revert of the VM that is under way already, and for a pool that does not answer.
    type: int
    default: 600
seealso:
  - module: domzero.xen.xen_snapshot_info
  - module: domzero.xen.xen_snapshot_schedule
"""

EXAMPLES = r"""
- name: Before a risky change
  domzero.xen.xen_snapshot:
    vm: web
    name: before upgrade
    description: Apache 2.4 still
  register: taken

- name: With its memory, so that it goes on where it was
  domzero.xen.xen_snapshot:
    vm: web
    name: running
    kind: memory

- name: Without the scratch disk
  domzero.xen.xen_snapshot:
    vm: db
    name: before import
    ignore_disks: [scratch]

- name: The upgrade went wrong
  domzero.xen.xen_snapshot:
    vm: web
    name: before upgrade
    state: reverted
    power_state: as_before
    allow_disruption: true

- name: It went well
  domzero.xen.xen_snapshot:
    vm: web
    name: before upgrade
    state: absent

- name: A template from what the VM is now
  domzero.xen.xen_snapshot:
    vm: web
    name: golden
    as_template: Web server 1.0

- name: Tonight's
  domzero.xen.xen_snapshot:
    vm: db
    name: nightly-{{ day }}
    tags: [nightly]

- name: Seven nights are enough
  domzero.xen.xen_snapshot:
    vm: db
    state: pruned
    matching: nightly-*
    tagged: [nightly]
    keep: 7
"""

RETURN = r"""
snapshot:
  description:
    - The snapshot as it is after the task, by option name, and its C(uuid). Empty when it is gone.
    - With O(state=pruned) only C(snapshots), the names of those the VM has left, the newest first.
  returned: success
  type: dict
  sample:
    description: Apache 2.4 still
    kind: disk
    name: before upgrade
    other_config: {}
    tags: []
    uuid: 1b0ad0a2-6f4f-4b29-8a57-0f5de3a0b6c1
    vm: web
cost:
  description: Bytes that the new images may take at most before the guest writes anything, by SR.
  returned: when something is taken, cloned or taken back
  type: dict
  sample: {iSCSI: 10779361280}
power_state:
  description: What the VM is after it was taken back.
  returned: when state is reverted
  type: str
  sample: halted
detached:
  description: Disks the VM had and the snapshot has not. They are detached and keep their data.
  returned: when state is reverted
  type: list
  elements: dict
  contains:
    device: {description: Where it was attached., type: str}
    name: {description: Its name., type: str}
    vdi: {description: Its uuid., type: str}
    sr: {description: Its SR., type: str}
    size: {description: Bytes., type: int}
deleted:
  description: Name, uuid and time of the snapshots deleted, the newest first.
  returned: when state is pruned
  type: list
  elements: dict
  sample: [{name: nightly-1, time: "20260101T02:00:00Z", uuid: 1b0ad0a2-6f4f-4b29-8a57-0f5de3a0b6c1}]
kept:
  description: The same of those that matched and stayed.
  returned: when state is pruned
  type: list
  elements: dict
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.snapshot import Snapshot

MODULE = manage(Snapshot)

if __name__ == "__main__":
    main(MODULE)
