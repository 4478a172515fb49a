#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_appliance_info
short_description: List the appliances (vApps)
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists appliances (vApps) in the words of the options of M(domzero.xen.xen_appliance). Handing an entry to that module changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: Only the appliance of this name.
    type: str
  uuid:
    description: Only the appliance of this uuid.
    type: str
seealso:
  - module: domzero.xen.xen_appliance
"""

EXAMPLES = r"""
- name: All appliances
  domzero.xen.xen_appliance_info:
  register: all

- name: One of them
  domzero.xen.xen_appliance_info:
    name: shop
  register: shop
"""

RETURN = r"""
appliances:
  description: The appliances (vApps) by name. Each holds the options of M(domzero.xen.xen_appliance) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - description: Everything the shop needs
      name: shop
      power_state: running
      uuid: 7d4d9a41-6c0e-4d8e-8f0a-62b6f6b3a1d2
      vms:
        - {order: 0, shutdown_delay: 0, start_delay: 30, vm: db}
        - {order: 1, shutdown_delay: 0, start_delay: 10, vm: app}
facts:
  description: By uuid what cannot be set.
  returned: when any was found
  type: dict
  contains:
    power_states:
      description: What each of its VMs is, by name.
      type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.appliance import Appliance

MODULE = inform(Appliance)

if __name__ == "__main__":
    main(MODULE)
