#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_snapshot_schedule
short_description: Manage schedules that take snapshots of VMs by themselves
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Creates, changes and deletes snapshot schedules (VMSS), and says which VMs they are for. The pool takes the snapshots, and deletes those
    it took itself when a VM has more than the schedule keeps. Snapshots taken otherwise are not counted.
  - Times are those of the coordinator's clock, in its time zone. That is UTC on most hosts.
  - Needs XenServer 7.2 or XCP-ng 7.4 at least.
  - An option left out is not managed.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description: Whether the schedule is there.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the schedule. With O(uuid) the name it is to have.
    type: str
  uuid:
    description: An existing schedule by its uuid.
    type: str
  description:
    description: What it is for.
    type: str
  type:
    description:
      - V(snapshot) keeps the disks, V(checkpoint) the memory too (VMs that do not run are left out then).
      - V(snapshot_with_quiesce) is refused where a VM cannot do that; no release since 8.1 can.
      - V(snapshot) if not set.
    type: str
    choices: [snapshot, checkpoint, snapshot_with_quiesce]
  frequency:
    description: How often; V(daily) if not set.
    type: str
    choices: [hourly, daily, weekly]
  schedule:
    description: When. What is left out stays as it is, at midnight and on Monday for a new schedule.
    type: dict
    suboptions:
      min:
        description: Minute of the hour.
        type: int
        choices: [0, 15, 30, 45]
      hour:
        description: Hour of the day, 0 to 23. Not for an hourly one.
        type: int
      days:
        description: Days of the week, such as V(Monday). For a weekly one only.
        type: list
        elements: str
  retained_snapshots:
    description: How many snapshots of each VM it keeps, 1 to 10; 7 if not set.
    type: int
  enabled:
    description: Whether it runs by itself; V(true) if not set.
    type: bool
  vms:
    description: Exactly these VMs, by name or uuid.
    type: list
    elements: str
  take_over:
    description: Whether VMs may be taken that are in another schedule now. A VM is in one at most.
    type: bool
    default: false
  snapshot_now:
    description: Takes the snapshots of all its VMs at once, whenever the task runs and beside what else is to be changed.
    type: bool
    default: false
seealso:
  - module: domzero.xen.xen_snapshot_schedule_info
  - module: domzero.xen.xen_snapshot
"""

EXAMPLES = r"""
- name: Every night at a quarter past two, the last five are kept
  domzero.xen.xen_snapshot_schedule:
    name: nightly
    frequency: daily
    schedule: {hour: 2, min: 15}
    retained_snapshots: 5
    vms: [web, db]

- name: With memory before the weekend
  domzero.xen.xen_snapshot_schedule:
    name: weekend
    type: checkpoint
    frequency: weekly
    schedule: {days: [Friday], hour: 22}
    vms: [mail]

- name: Not during the move
  domzero.xen.xen_snapshot_schedule:
    name: nightly
    enabled: false

- name: Now, since something is about to happen
  domzero.xen.xen_snapshot_schedule:
    name: nightly
    snapshot_now: true

- name: No more; the snapshots stay
  domzero.xen.xen_snapshot_schedule:
    name: weekend
    state: absent
"""

RETURN = r"""
snapshot_schedule:
  description: The schedule as it is after the task, by option name, and its C(uuid). Empty when it is gone.
  returned: success
  type: dict
  sample:
    description: ""
    enabled: true
    frequency: daily
    name: nightly
    retained_snapshots: 5
    schedule: {hour: 2, min: 15}
    type: snapshot
    uuid: 2d5e2c5e-7a0a-4f44-9f5b-1c8a29f6f0a7
    vms: [db, web]
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.snapshot_schedule import SnapshotSchedule

MODULE = manage(SnapshotSchedule)

if __name__ == "__main__":
    main(MODULE)
