#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_appliance
short_description: Manage appliances (vApps), VMs that start and stop together in order
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Creates, changes and deletes appliances, says in which order their VMs start, and starts or shuts them down.
  - An option left out is not managed.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description: Whether the appliance is there.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the appliance. With O(uuid) the name it is to have.
    type: str
  uuid:
    description: An existing appliance by its uuid.
    type: str
  description:
    description: What it is for.
    type: str
  vms:
    description: Exactly these VMs. Others leave the appliance and are otherwise left alone.
    type: list
    elements: dict
    suboptions:
      vm:
        description: The VM, by name or uuid.
        type: str
        required: true
      order:
        description: VMs of the lowest order start first and shut down last. Those of the same order do so together.
        type: int
      start_delay:
        description: Seconds to wait after this VM was started before those of the next order are.
        type: int
      shutdown_delay:
        description: Seconds to wait after this VM was shut down before those of the next order are.
        type: int
  take_over:
    description: Whether VMs may be taken that are in another appliance now. A VM is in one at most.
    type: bool
    default: false
  power_state:
    description:
      - What all its VMs are to be. V(running) resumes suspended ones and continues paused ones, V(halted) shuts them down cleanly.
      - It is told when it is the same for all of them.
    type: str
    choices: [running, halted, paused]
  force:
    description: Whether VMs are switched off that do not shut down cleanly within O(shutdown_timeout), for want of guest tools too.
    type: bool
    default: false
  shutdown_timeout:
    description: Seconds for all VMs of the appliance to shut down cleanly.
    type: int
    default: 600
  allow_disruption:
    description: Whether paused and suspended VMs may be switched off, which loses what they had in memory.
    type: bool
    default: false
seealso:
  - module: domzero.xen.xen_appliance_info
"""

EXAMPLES = r"""
- name: The database starts first
  domzero.xen.xen_appliance:
    name: shop
    description: Everything the shop needs
    vms:
      - {vm: db, order: 0, start_delay: 30}
      - {vm: app, order: 1, start_delay: 10}
      - {vm: web, order: 2}

- name: Start it
  domzero.xen.xen_appliance:
    name: shop
    power_state: running

- name: Shut it down, the database last; by force what does not hear within five minutes
  domzero.xen.xen_appliance:
    name: shop
    power_state: halted
    force: true
    shutdown_timeout: 300

- name: The VMs stay, the appliance goes
  domzero.xen.xen_appliance:
    name: shop
    state: absent
"""

RETURN = r"""
appliance:
  description: The appliance as it is after the task, by option name, and its C(uuid). Empty when it is gone.
  returned: success
  type: dict
  sample:
    description: Everything the shop needs
    name: shop
    power_state: running
    uuid: 7d4d9a41-6c0e-4d8e-8f0a-62b6f6b3a1d2
    vms:
      - {order: 0, shutdown_delay: 0, start_delay: 30, vm: db}
      - {order: 1, shutdown_delay: 0, start_delay: 10, vm: app}
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.appliance import Appliance

MODULE = manage(Appliance)

if __name__ == "__main__":
    main(MODULE)
