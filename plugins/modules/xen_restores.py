#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_restores
short_description: Bring many virtual machines back from a backup folder
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Does for many VMs what M(domzero.xen.xen_restore) does for one, several of them at a time. This is how a pool that was lost and built
    anew gets its VMs back.
  - VMs that started first where they came from (their C(order)) come first; those of a higher order begin when all before them are done
    and, where they were started, their C(start_delay) has passed.
  - Appliances and VM groups that the VMs were in, and that the pool has not, are made before, and the VMs are put into them.
  - A VM that the pool has already, by uuid or name, is left alone; one of the same name that is known as another one is no reason to
    leave it out. So a run that was cut off is finished by running it again, and a second run changes nothing.
  - Several VMs of one name come back together with C(preserve) in O(options).
  - One that fails, or has no backup that can be used, does not keep the others from being restored. The task fails in the end then, and
    names each of them.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  repository:
    description: Folder of the backups, on the machine where the task runs.
    type: path
    required: true
  pool:
    description: Name or uuid of the pool the backups are from. Needed where O(repository) has backups of several.
    type: str
  names:
    description: Names or uuids of the VMs. All that have a backup, if empty.
    type: list
    elements: str
    default: []
  exclude:
    description: Names or uuids of VMs that are not restored.
    type: list
    elements: str
    default: []
  start:
    description: Which VMs are started when they are there. V(as_before) starts those that ran when they were backed up.
    type: str
    choices: [as_before, always, never]
    default: as_before
  options:
    description:
      - Options of M(domzero.xen.xen_restore) for all of them, such as C(sr), C(networks), C(preserve) or C(verify).
      - C(networks) may name more networks than a VM is on.
    type: dict
    default: {}
  parallel:
    description: How many are restored at a time, each over a connection of its own.
    type: int
    default: 2
seealso:
  - module: domzero.xen.xen_restore
  - module: domzero.xen.xen_backups
"""

EXAMPLES = r"""
- name: All VMs, as they were
  domzero.xen.xen_restores:
    repository: "{{ backups }}"
    options:
      preserve: true

- name: Two of them onto other storage, one at a time, not started
  domzero.xen.xen_restores:
    repository: "{{ backups }}"
    names: [web01, db01]
    start: never
    parallel: 1
    options:
      sr: Fast
      networks: {VM traffic: Lab}
"""

RETURN = r"""
restores:
  description:
    - Of each VM that was to be restored what was done, in the order it was done, with C(name), C(changed), C(operations), the time stamp of
      its backup (C(stamp)), the uuid it had (C(source)), and C(vm) and C(backup) as M(domzero.xen.xen_restore) returns them.
    - One that failed has C(failed), C(msg), C(error_code) and C(error_params).
  returned: always
  type: list
  elements: dict
  sample:
    - {name: db01, stamp: 20261121T225809Z, changed: true}
around:
  description: Appliances and VM groups that were made for the VMs, each with C(kind) and C(name).
  returned: always
  type: list
  elements: dict
  sample: [{kind: appliance, name: Shop, changed: true}]
there:
  description: Names of VMs the pool has already. They were left alone.
  returned: always
  type: list
  elements: str
  sample: [build01]
without_backup:
  description: VMs that cannot be brought back, each with its C(name) and C(why).
  returned: always
  type: list
  elements: dict
  sample: []
diff:
  description: Which VMs come to be there.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils import restore_batch
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main

MODULE = Module(restore_batch.ARGUMENTS, restore_batch.run)

if __name__ == "__main__":
    main(MODULE)
