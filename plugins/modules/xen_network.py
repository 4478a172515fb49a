#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_network
short_description: Manage the networks of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Creates, changes and destroys the networks of a XenServer or XCP-ng pool.
  - An option left out is not managed, what others set is kept.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.state
options:
  name:
    description: The network's C(name_label).
    type: str
    required: true
  description:
    description: Free text, the network's C(name_description).
    type: str
  mtu:
    description: A PIF takes it on when it is next plugged.
    type: int
  tags:
    description: Exactly these tags.
    type: list
    elements: str
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
"""

EXAMPLES = r"""
- name: A network for storage traffic
  domzero.xen.xen_network:
    name: storage
    mtu: 9000

- name: That network is not needed any more
  domzero.xen.xen_network:
    name: storage
    state: absent
"""

RETURN = r"""
network:
  description: The network as it is after the task, by option name, and its C(uuid).
  returned: success
  type: dict
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.network import Network

MODULE = manage(Network)

if __name__ == "__main__":
    main(MODULE)
