#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool_balance
short_description: Spread the running VMs of a pool evenly over its hosts
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Plans live migrations that even the load of memory, of vCPUs or of both over the hosts of a pool, and carries them out. Check mode
    shows the plan.
  - A VM moves only where it can run and fits. VMs that cannot move, such as those without guest tools, are told with the reason.
  - A VM whose affinity names a host stays on it or goes to it. Members of a VM group with anti-affinity are not brought together.
  - Load is what XenAPI counts, the least memory a VM may have and its vCPUs, as a share of what the host has for guests.
  - Hosts in maintenance or down are left alone. Migrations that are under way are waited for first, also in check mode.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  uuid:
    description: The pool's uuid, when the task is to make sure that it is this one.
    type: str
  by:
    description: What is evened.
    type: str
    choices: [memory, vcpus, both]
    default: memory
  threshold:
    description: How many percentage points may lie between the host that bears most and the one that bears least. Below it nothing is done.
    type: float
    default: 10
  max_moves:
    description: How many VMs one task moves at most, the most useful first. The next run goes on.
    type: int
    default: 10
  parallel:
    description: How many VMs move at a time.
    type: int
    default: 1
  exclude:
    description: VMs that stay where they are, by name or uuid.
    type: list
    elements: str
    default: []
  network:
    description: The network the migrations go over. Hosts without an address there get no VM. Default is that of management.
    type: str
  wait_timeout:
    description: How long one migration may take, with O(parallel) a group of them, in seconds. Those that take longer go on, and the next
      run waits for them.
    type: int
    default: 7200
seealso:
  - module: domzero.xen.xen_vm_migrate
"""

EXAMPLES = r"""
- name: What would be moved
  domzero.xen.xen_pool_balance:
  check_mode: true
  register: plan

- name: Even the memory, three VMs at most
  domzero.xen.xen_pool_balance:
    max_moves: 3

- name: Memory and vCPUs, two VMs at a time over the storage network, the database stays
  domzero.xen.xen_pool_balance:
    by: both
    threshold: 5
    parallel: 2
    network: Storage
    exclude: [db1]
"""

RETURN = r"""
balance:
  description: The load of the hosts after the task, in check mode as it would be.
  returned: success
  type: dict
  contains:
    imbalance:
      description: Percentage points between the host that bears most and the one that bears least.
      type: float
    hosts:
      description: For each host that takes guests the percentage of its C(memory) and C(vcpus) in use, and the number of C(vms) there.
      type: dict
  sample:
    imbalance: 3.2
    hosts:
      xcp00: {memory: 41.0, vcpus: 50.0, vms: 4}
      xcp01: {memory: 37.8, vcpus: 62.5, vms: 5}
moves:
  description: The VMs moved, or to be moved, in order. C(memory) is in bytes.
  returned: success
  type: list
  elements: dict
  sample:
    - {vm: web1, from: xcp00, to: xcp01, memory: 4294967296}
tied:
  description: VMs that cannot move, and why. Looked at only when the pool is out of balance.
  returned: when the imbalance reaches the threshold
  type: dict
  sample:
    legacy: VM 'legacy' has no guest tools running.
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.pool_balance import PoolBalance

MODULE = manage(PoolBalance)

if __name__ == "__main__":
    main(MODULE)
