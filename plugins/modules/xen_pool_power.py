#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool_power
short_description: Shut a whole pool down and bring it back
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - V(halted) shuts the guests down, all at the same time, then the members, and the coordinator last.
  - V(running) switches members on that the pool can switch on, waits for the others, enables the hosts that were enabled, waits until all
    storage is attached that was, and starts the guests that were running. The coordinator has to be switched on first.
  - What was running is noted in the pool's C(other_config) before anything is shut down and removed when everything is back, so that an
    interrupted task is finished by running it again, from any control node.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  uuid:
    description: The pool's uuid. The task fails if the host belongs to another pool.
    type: str
  power_state:
    description: What the pool is to be.
    type: str
    choices: [running, halted]
    required: true
  force:
    description: Switch guests off that cannot be shut down cleanly.
    type: bool
    default: false
  guest_timeout:
    description: Seconds to wait for all guests to shut down.
    type: int
    default: 600
  host_timeout:
    description: Seconds to wait for the hosts to be down, or to be up with their storage.
    type: int
    default: 1800
seealso:
  - module: domzero.xen.xen_host
"""

EXAMPLES = r"""
- name: What would be shut down
  domzero.xen.xen_pool_power:
    power_state: halted
  check_mode: true

- name: Everything is up
  domzero.xen.xen_pool_power:
    power_state: running
    host_timeout: 3600
"""

RETURN = r"""
pool:
  description: The pool after the task.
  returned: success
  type: dict
  contains:
    power_state:
      description: V(running), V(halted), or V(partly running) while hosts are down or guests wait to be started again.
      type: str
    hosts_running:
      description: Names of the hosts that are up.
      type: list
      elements: str
    guests_running:
      description: Names of the VMs that run.
      type: list
      elements: str
    uuid:
      description: The pool's uuid.
      type: str
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.pool_power import PoolPower

MODULE = manage(PoolPower)

if __name__ == "__main__":
    main(MODULE)
