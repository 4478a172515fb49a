#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_clone
short_description: Clone a virtual machine or a snapshot of one
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes a VM that is as another one, halted or kept in a snapshot, was; with disks, network interfaces with new MAC addresses, and all
    settings.
  - It is made under the name C(NAME (unfinished)) and named last. An interrupted task is finished by running it again.
  - A VM of that name that is there already is left as it is. To change it use M(domzero.xen.xen_vm), which clones too, and sets
    whatever is to be different in the same task.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: The name of the clone.
    type: str
    required: true
  vm:
    description: The halted VM that is cloned, by name or uuid; with O(snapshot) the VM that snapshot is of.
    type: str
  snapshot:
    description: The snapshot that is cloned, by name or uuid.
    type: str
  clone:
    description:
      - V(fast) shares data with the source's disks (VHD chains), V(full) copies them.
      - V(auto) is V(fast) unless the disks are to lie in another O(sr) or their chain is near the limit of 30 images.
    type: str
    choices: [auto, fast, full]
    default: auto
  sr:
    description: The SR for its disks, by name or uuid. Without it, that of the source's disks.
    type: str
  description:
    description: Its description. Without it, the source's.
    type: str
  wait_timeout:
    description: Seconds that the copying may take.
    type: int
    default: 3600
seealso:
  - module: domzero.xen.xen_vm
  - module: domzero.xen.xen_snapshot
"""

EXAMPLES = r"""
- name: A second web server, as the first is
  domzero.xen.xen_vm_clone:
    name: web02
    vm: web01

- name: One that shares nothing with it
  domzero.xen.xen_vm_clone:
    name: web03
    vm: web01
    clone: full
"""

RETURN = r"""
vm:
  description: The clone in the words of the options of M(domzero.xen.xen_vm), with its C(uuid).
  returned: success
  type: dict
  sample:
    name: web02
    power_state: halted
    uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c
clone:
  description: How the disks were made, V(fast) or V(full).
  returned: when a VM with disks is cloned
  type: str
  sample: fast
chain_length:
  description: The images that the longest chain of the clone's disks has.
  returned: when a VM with disks is cloned
  type: int
  sample: 2
operations:
  description: The calls that were made, or would be.
  returned: success
  type: list
  elements: str
  sample: [VM.clone, VM.set_name_label]
diff:
  description: What differs, by option name.
  returned: success
  type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm.clone import Clone

MODULE = manage(Clone)

if __name__ == "__main__":
    main(MODULE)
