#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pif_info
short_description: List the interfaces of a pool's hosts
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Lists interfaces (PIFs) in the words of the options of M(domzero.xen.xen_pif). Handing an entry to that module changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  host:
    description: Only interfaces of this host, by name, uuid or address.
    type: str
  network:
    description: Only interfaces to this network, by name or uuid.
    type: str
  device:
    description: Only interfaces of this name, its VLANs included.
    type: str
  uuid:
    description: Only the interface of this uuid.
    type: str
seealso:
  - module: domzero.xen.xen_pif
"""

EXAMPLES = r"""
- name: All interfaces of a host
  domzero.xen.xen_pif_info:
    host: xcp00
  register: all

- name: Whatever address the hosts have in that network, from DHCP or not
  domzero.xen.xen_pif_info:
    network: Pool-wide network associated with eth0
  register: interfaces

- name: Show them
  ansible.builtin.debug:
    msg: "{{ interfaces.facts | dict2items | map(attribute='value.ip') }}"
"""

RETURN = r"""
pifs:
  description: The interfaces, the coordinator's first. Each holds the options of M(domzero.xen.xen_pif) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - device: eth0
      disallow_unplug: false
      host: xcp00
      ipv6_mode: none
      management: true
      mode: dhcp
      network: Management
      other_config: {}
      plugged: true
      primary_address_type: IPv4
      properties: {gro: "on"}
      uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
facts:
  description: By uuid what cannot be set, or not directly.
  returned: success
  type: dict
  contains:
    ip:
      description: The IPv4 address there is, configured or from DHCP; empty for none.
      type: str
    netmask:
      description: Its netmask.
      type: str
    gateway:
      description: The IPv4 gateway.
      type: str
    dns:
      description: The name servers.
      type: list
      elements: str
    ipv6:
      description: The IPv6 addresses with their prefix lengths.
      type: list
      elements: str
    mac:
      description: The MAC address; that of a VLAN is the same everywhere.
      type: str
    mtu:
      description: Bytes in a packet since it was last plugged; -1 where it is not known.
      type: int
    physical:
      description: Whether it is a NIC.
      type: bool
    carrier:
      description: Whether a cable with something at its other end is plugged in.
      type: bool
    speed:
      description: Of the NIC, in Mbit/s.
      type: int
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.pif import Pif

MODULE = inform(Pif)

if __name__ == "__main__":
    main(MODULE)
