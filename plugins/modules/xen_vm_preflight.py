#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_preflight
short_description: Find what is wrong with a list of VMs before anything is touched
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Reads the list that the role P(domzero.xen.vm#role) takes, tries each VM as M(domzero.xen.xen_vm) would in check mode, and fails with
    all problems at once, in the words of that module.
  - Found are contradictions in the list too, such as a name or a MAC address used twice, and VMs that start and together need more memory
    than the hosts have. Those that are to go are taken for gone.
  - Tells which VMs would change, and in which order they are to be made.
  - Otherwise VMs are tried one by one. That their disks do not fit into an SR together is not seen.
  - Changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  vms:
    description:
      - The VMs, as options of M(domzero.xen.xen_vm).
      - One that is made from another in the list (C(from_vm)) that is not there yet can't be tried, and comes after it.
    type: list
    elements: dict
    required: true
  absent:
    description: VMs that are to go, as options of M(domzero.xen.xen_vm).
    type: list
    elements: dict
    default: []
  appliances:
    description: Names of appliances that are made before the VMs.
    type: list
    elements: str
    default: []
  groups:
    description: Names of VM groups that are made before the VMs.
    type: list
    elements: str
    default: []
  templates:
    description: Names of templates that another task makes before. What VMs made from one that is not there yet would do can't be told.
    type: list
    elements: str
    default: []
  parallel:
    description: How many VMs are in one of the RV(rounds) at most.
    type: int
    default: 4
seealso:
  - module: domzero.xen.xen_vm
  - module: domzero.xen.xen_vms
"""

EXAMPLES = r"""
- name: Look before making VMs
  domzero.xen.xen_vm_preflight:
    vms:
      - {name: db01, template: Debian Bookworm 12, order: 1}
      - {name: web01, template: Debian Bookworm 12, order: 2, memory: 4 GiB}
  register: looked

- name: Which of them would change, and which would go
  domzero.xen.xen_vm_preflight:
    vms:
      - {name: db01, tags: [database]}
    absent:
      - {name: web00}
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each. Empty when the task succeeds.
  returned: always
  type: list
  elements: str
vms:
  description: Of each VM of the list whether it would change (C(changed)) and the calls that would be made (C(operations)).
  returned: always
  type: list
  elements: dict
  sample:
    - {name: db01, changed: false, operations: [], uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c}
    - {name: web01, changed: true, operations: [VM.clone, VM.provision, VM.set_name_label]}
absent:
  description: The same of the VMs that are to go.
  returned: always
  type: list
  elements: dict
rounds:
  description:
    - Places in the list of the VMs with something to do, in the order to do it; those of one round can be done at once.
    - A VM comes after the one it is made from, then those of lower C(order) come first.
  returned: always
  type: list
  elements: list
  sample: [[1]]
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils import vm_batch
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    return {"changed": False, **vm_batch.look(session, params).told()}


MODULE = Module(vm_batch.ARGUMENTS, run)

if __name__ == "__main__":
    main(MODULE)
