#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_snapshot_schedule_info
short_description: List the snapshot schedules
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists snapshot schedules in the words of the options of M(domzero.xen.xen_snapshot_schedule). Handing an entry to that module changes
    nothing.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: Only the schedule of this name.
    type: str
  uuid:
    description: Only the schedule of this uuid.
    type: str
seealso:
  - module: domzero.xen.xen_snapshot_schedule
"""

EXAMPLES = r"""
- name: All schedules
  domzero.xen.xen_snapshot_schedule_info:
  register: all

- name: One of them
  domzero.xen.xen_snapshot_schedule_info:
    name: nightly
  register: nightly

- name: When it last ran
  ansible.builtin.debug:
    msg: "{{ nightly.facts | dict2items | map(attribute='value.last_run_time') }}"
"""

RETURN = r"""
snapshot_schedules:
  description: The snapshot schedules by name. Each holds the options of M(domzero.xen.xen_snapshot_schedule) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - description: ""
      enabled: true
      frequency: daily
      name: nightly
      retained_snapshots: 5
      schedule: {hour: 2, min: 15}
      type: snapshot
      uuid: 2d5e2c5e-7a0a-4f44-9f5b-1c8a29f6f0a7
      vms: [db, web]
facts:
  description: By uuid what cannot be set.
  returned: when any was found
  type: dict
  contains:
    last_run_time:
      description: When it last took snapshots (UTC); empty for never.
      type: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.snapshot_schedule import SnapshotSchedule

MODULE = inform(SnapshotSchedule)

if __name__ == "__main__":
    main(MODULE)
