#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_info
short_description: List the virtual machines of a pool
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists virtual machines in the words of the options of M(domzero.xen.xen_vm). Handing an entry to that module changes nothing.
  - Templates, snapshots and control domains are left out.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
seealso:
  - module: domzero.xen.xen_vm
"""

EXAMPLES = r"""
- name: All VMs
  domzero.xen.xen_vm_info:
  register: all

- name: One of them
  domzero.xen.xen_vm_info:
    name: web01
  register: one

- name: Where they run
  ansible.builtin.debug:
    msg: "{{ all.facts | dict2items | map(attribute='value.host') }}"
"""

RETURN = r"""
vms:
  description: The VMs. Each holds the options of M(domzero.xen.xen_vm) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - name: web01
      power_state: running
      uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c
facts:
  description: What is known of each VM beside the options, by uuid.
  returned: when there is a VM
  type: dict
  contains:
    host:
      description: The host it is on; empty when it is on none.
      type: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm import Vm

MODULE = inform(Vm)

if __name__ == "__main__":
    main(MODULE)
