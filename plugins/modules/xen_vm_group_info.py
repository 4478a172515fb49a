#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_group_info
short_description: List the groups of VMs
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists groups of VMs in the words of the options of M(domzero.xen.xen_vm_group). Handing an entry to that module changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: Only the group of this name.
    type: str
  uuid:
    description: Only the group of this uuid.
    type: str
seealso:
  - module: domzero.xen.xen_vm_group
"""

EXAMPLES = r"""
- name: All groups
  domzero.xen.xen_vm_group_info:
  register: all

- name: One of them
  domzero.xen.xen_vm_group_info:
    name: databases
  register: databases

- name: Where its VMs run
  ansible.builtin.debug:
    msg: "{{ databases.facts | dict2items | map(attribute='value.running_on') }}"
"""

RETURN = r"""
vm_groups:
  description: The groups of VMs by name. Each holds the options of M(domzero.xen.xen_vm_group) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - description: ""
      name: databases
      placement: anti_affinity
      uuid: 0b35b9b2-8b8a-4a12-a1b5-4a53a0b6f8c9
      vms: [db1, db2]
facts:
  description: By uuid what cannot be set.
  returned: when any was found
  type: dict
  contains:
    running_on:
      description: By host, which of its VMs run there.
      type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm_group import VmGroup

MODULE = inform(VmGroup)

if __name__ == "__main__":
    main(MODULE)
