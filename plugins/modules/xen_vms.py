#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vms
short_description: Manage many virtual machines at once
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Does for a list of VMs what M(domzero.xen.xen_vm) does for one, several of them at a time.
  - Everything is looked at first. If something is wrong with one of them, all that is wrong is told and nothing is changed.
  - A VM comes after the one it is made from, then those of lower C(order) come first, and are waited for as they say (C(wait_for))
    before others begin. When one fails, those that are under way with it are finished, and nothing more is begun.
  - VMs that are as described cost next to nothing, since the pool is read once for all.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  vms:
    description:
      - The VMs, as options of M(domzero.xen.xen_vm).
      - What one that is made from another in the list (C(from_vm)) would do can't be told before that is there.
    type: list
    elements: dict
    required: true
  absent:
    description: VMs that are to go, as options of M(domzero.xen.xen_vm). They go before others are made.
    type: list
    elements: dict
    default: []
  appliances:
    description: Names of appliances that another task makes before. In check mode they are not missed.
    type: list
    elements: str
    default: []
  groups:
    description: Names of VM groups that another task makes before. In check mode they are not missed.
    type: list
    elements: str
    default: []
  templates:
    description: Names of templates that another task makes before. What VMs made from one that is not there yet would do can't be told.
    type: list
    elements: str
    default: []
  parallel:
    description: How many VMs are worked on at a time. A host does some things one after the other whatever is asked of it.
    type: int
    default: 4
seealso:
  - module: domzero.xen.xen_vm
  - module: domzero.xen.xen_vm_preflight
"""

EXAMPLES = r"""
- name: A database, and then two web servers at once
  domzero.xen.xen_vms:
    vms:
      - {name: db01, template: Debian Bookworm 12, order: 1}
      - {name: web01, template: Debian Bookworm 12, order: 2, memory: 4 GiB}
      - {name: web02, template: Debian Bookworm 12, order: 2, memory: 4 GiB}

- name: One web server gives way to a copy of the other
  domzero.xen.xen_vms:
    vms:
      - {name: web03, from_vm: web01}
    absent:
      - {name: web02}
"""

RETURN = r"""
vms:
  description:
    - Of each VM of the list what was done, C(changed), C(operations) and C(uuid).
    - One that failed has C(failed), C(msg), C(error_code) and C(error_params).
  returned: always
  type: list
  elements: dict
  sample:
    - {name: db01, changed: false, operations: [], uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c}
    - {name: web01, changed: true, operations: [VM.clone, VM.provision, VM.set_name_label], uuid: 1f8f3fd5-5d4b-46a5-9f2c-6b0f6a2f2d0b}
absent:
  description: The same of the VMs that are to go.
  returned: always
  type: list
  elements: dict
rounds:
  description: Places in the list of the VMs that had something to do, in the order it was done; those of one round were done at once.
  returned: always
  type: list
  elements: list
  sample: [[1]]
problems:
  description: What is wrong with the list, one sentence each. Nothing was changed if there is something.
  returned: always
  type: list
  elements: str
diff:
  description: What differs, of each VM that changes.
  returned: success
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils import vm_batch
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main


def run(session: Session, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    batch = vm_batch.look(session, params)
    if not check and not batch.problems:
        batch.carry_out()
    warnings = [warning for row in (*batch.absent, *batch.vms) for warning in row.get("warnings", [])]
    return {"changed": batch.changed(), **batch.told(), "diff": batch.diffs(), **({"warnings": warnings} if warnings else {})}


MODULE = Module(vm_batch.ARGUMENTS, run)

if __name__ == "__main__":
    main(MODULE)
