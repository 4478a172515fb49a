#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_group
short_description: Manage groups of VMs that are kept apart
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Creates, changes and deletes VM groups, and puts VMs into them. Where the placement is V(anti_affinity), hosts are chosen so that the
    VMs of the group run on as many different ones as possible when they start, resume, migrate or are evacuated.
  - Older releases know no VM groups, which the module says.
  - An option left out is not managed.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description: Whether the group is there.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the group. With O(uuid) the name it is to have.
    type: str
  uuid:
    description: An existing group by its uuid.
    type: str
  description:
    description: What it is for.
    type: str
  placement:
    description: How its VMs are placed. Fixed when the group is created; V(normal) if not set.
    type: str
    choices: [normal, anti_affinity]
  vms:
    description: Exactly these VMs, by name or uuid. They may run.
    type: list
    elements: str
  take_over:
    description: Whether VMs may be taken that are in another group now. A VM is in one at most.
    type: bool
    default: false
seealso:
  - module: domzero.xen.xen_vm_group_info
"""

EXAMPLES = r"""
- name: Three databases that are not to fail together
  domzero.xen.xen_vm_group:
    name: databases
    placement: anti_affinity
    vms: [db1, db2, db3]

- name: One less
  domzero.xen.xen_vm_group:
    name: databases
    vms: [db1, db2]

- name: The VMs stay, the group goes
  domzero.xen.xen_vm_group:
    name: databases
    state: absent
"""

RETURN = r"""
vm_group:
  description: The group as it is after the task, by option name, and its C(uuid). Empty when it is gone.
  returned: success
  type: dict
  sample:
    description: ""
    name: databases
    placement: anti_affinity
    uuid: 0b35b9b2-8b8a-4a12-a1b5-4a53a0b6f8c9
    vms: [db1, db2]
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm_group import VmGroup

MODULE = manage(VmGroup)

if __name__ == "__main__":
    main(MODULE)
