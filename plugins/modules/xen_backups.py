#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_backups
short_description: Back up many virtual machines, hosts and the pool's metadata in one go
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Does for many what M(domzero.xen.xen_backup) does for one, several of them at a time. VMs are chosen by name, tag, group or expression.
  - What stands in the way of all is refused before anything is begun, such as a repository that is not writable or has too little room, or
    a command that is missing.
  - One that fails, or is not there, does not keep the others from being backed up. The task fails in the end then, and names each of them.
  - Told to end (SIGTERM), it ends what is under way and removes what is not complete.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  repository:
    description: Folder of the backups, on the machine where the task runs.
    type: path
    required: true
  select:
    description:
      - VMs to back up; all if nothing of it is said (C({})). A VM is chosen if one of O(select.names), O(select.tags), O(select.groups) and
        O(select.query) says so, and not left out by O(select.exclude) or O(select.exclude_tags).
      - Copies that a boot test left and VMs whose restore has not ended are backed up only if O(select.names) names them, and a warning
        tells of them.
    type: dict
    suboptions:
      names:
        description: Names or uuids.
        type: list
        elements: str
        default: []
      tags:
        description: VMs with one of these tags.
        type: list
        elements: str
        default: []
      groups:
        description: Names or uuids of VM groups and appliances.
        type: list
        elements: str
        default: []
      query:
        description:
          - A L(JMESPath,https://jmespath.org) expression over a VM as M(domzero.xen.xen_vm_info) tells it, with its facts in C(facts).
          - The VM is chosen if it is neither false, null nor empty.
        type: str
      exclude:
        description: Names or uuids of VMs that are not backed up whatever else is said.
        type: list
        elements: str
        default: []
      exclude_tags:
        description: VMs with one of these tags are not backed up whatever else is said.
        type: list
        elements: str
        default: []
  pool:
    description: Whether the pool's metadata is backed up, first of all.
    type: bool
    default: false
  hosts:
    description: Names or uuids of hosts whose control domain is backed up, V(all) for each of them.
    type: list
    elements: str
    default: []
  backups:
    description: Backups one by one, as options of M(domzero.xen.xen_backup), beside what is chosen otherwise.
    type: list
    elements: dict
    default: []
  options:
    description: Options of M(domzero.xen.xen_backup) for all of them. Those that are about VMs count for VMs only.
    type: dict
    default: {}
  parallel:
    description: How many are made at a time, each over a connection of its own.
    type: int
    default: 2
  check_room:
    description: Whether to refuse when the backups would probably need more room than O(repository) has.
    type: bool
    default: true
requirements:
  - jmespath (Python package), for O(select.query)
seealso:
  - module: domzero.xen.xen_backup
  - module: domzero.xen.xen_backup_report
"""

EXAMPLES = r"""
- name: The pool and all VMs but one
  domzero.xen.xen_backups:
    repository: "{{ backups }}"
    pool: true
    select:
      exclude: [build01]
    options:
      if_older_than: 20h

- name: What is in production, three at a time
  domzero.xen.xen_backups:
    repository: "{{ backups }}"
    select:
      tags: [production]
      query: "power_state == 'running' && contains(name, 'db')"
    options:
      full_every: 7
      if_older_than: 20h
    parallel: 3

- name: One whole and one by increments
  domzero.xen.xen_backups:
    repository: "{{ backups }}"
    backups:
      - {name: web01, mode: full, compression: gzip, if_older_than: 1m}
      - {name: db01, if_older_than: 1m}
"""

RETURN = r"""
backups:
  description:
    - Of each what was done, in their order, with C(kind), C(name), C(uuid), C(changed), C(operations), and C(backup) as
      M(domzero.xen.xen_backup) returns it.
    - C(count) is how many backups there are of it now, C(boot_tested) when one of them was last started as a test (empty if never).
    - One that failed has C(failed), C(msg), C(error_code) and C(error_params).
  returned: always
  type: list
  elements: dict
  sample:
    - kind: vm
      name: web01
      uuid: 1f8f3fd5-5d4b-46a5-9f2c-6b0f6a2f2d0b
      changed: true
      operations: [VM.snapshot]
room:
  description:
    - Bytes the backups were taken to need before they were made (C(needed)), what they could have needed at most (C(most), since nobody
      tells how much of a disk on thick storage is data), and bytes that were free.
  returned: always
  type: dict
  sample: {needed: 1073741824, most: 1073741824, free: 107374182400}
diff:
  description: What differs, of each that is new.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils import backup_batch
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main

MODULE = Module(backup_batch.ARGUMENTS, backup_batch.run, backup_batch.RULES)

if __name__ == "__main__":
    main(MODULE)
