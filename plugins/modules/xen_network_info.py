#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_network_info
short_description: List the networks of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Lists networks in the words of the options of M(domzero.xen.xen_network). Handing an entry to that module changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
seealso:
  - module: domzero.xen.xen_network
"""

EXAMPLES = r"""
- name: All networks
  domzero.xen.xen_network_info:
  register: all

- name: One by its name
  domzero.xen.xen_network_info:
    name: Pool-wide network associated with eth0
  register: management

- name: It is that of a NIC on every host
  ansible.builtin.assert:
    that:
      - management.networks[0].nic == "eth0"
      - management.facts[management.networks[0].uuid].hosts | dict2items | map(attribute="value.nic") | unique == ["eth0"]
"""

RETURN = r"""
networks:
  description: The networks, sorted by name. Each holds the options of M(domzero.xen.xen_network) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - automatic: true
      default_locking_mode: unlocked
      description: ""
      managed: true
      mtu: 1500
      name: VM traffic
      nic: eth1
      other_config: {}
      purpose: []
      tags: []
      uuid: 0e4b9bd2-5a5d-4c0b-8c5e-7d7ff4ee4f3d
facts:
  description: By uuid what is not for the options.
  returned: success
  type: dict
  contains:
    bridge:
      description: The name of the bridge in the hosts' control domain.
      type: str
    hosts:
      description:
        - How the network is connected on each host, by the host's name. An empty dictionary for a host without connection.
        - Empty for an internal network.
      type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.network import Network

MODULE = inform(Network)

if __name__ == "__main__":
    main(MODULE)
