#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pif
short_description: Manage the interfaces of a pool's hosts and their addresses
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Gives an interface (PIF) of a host its IPv4 and IPv6 addresses, plugs or unplugs it, and makes it the one the host is managed through.
  - An interface connects one host to one network. It is there as long as the NIC is, or as the VLAN, bond or tunnel that
    M(domzero.xen.xen_network) makes.
  - Addresses are checked before anything is changed, also for what the host would not notice, such as an address that another
    interface of the pool has.
  - An option left out is not managed.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description: An interface is there or not. To take its address away, use O(mode=none).
    type: str
    choices: [present]
    default: present
  uuid:
    description: The interface by its uuid. What is said beside it of host, network, device and VLAN has to be true.
    type: str
  host:
    description: The host, by name, uuid or address. May be left out in a pool of one host.
    type: str
  network:
    description: The interface that connects the host to this network, by name or uuid.
    type: str
  device:
    description: The interface of this name, such as V(eth1) or V(bond0). Without O(vlan) and O(network) not one of its VLANs.
    type: str
  vlan:
    description: VLAN tag of the interface.
    type: int
  mode:
    description: How the interface comes by its IPv4 address.
    type: str
    choices: [none, dhcp, static]
  ip:
    description: IPv4 address, with O(mode=static). May bring its prefix length, as in V(10.0.0.5/24).
    type: str
  netmask:
    description: Netmask of O(ip), such as V(255.255.255.0).
    type: str
  gateway:
    description: IPv4 gateway inside the network of O(ip); empty for none.
    type: str
  dns:
    description: Exactly these name servers. IPv4 ones need O(mode=static), IPv6 ones O(ipv6_mode=static).
    type: list
    elements: str
  ipv6_mode:
    description: How the interface comes by its IPv6 address.
    type: str
    choices: [none, dhcp, static, autoconf]
  ipv6:
    description: IPv6 address with its prefix length, with O(ipv6_mode=static). XenAPI takes exactly one.
    type: list
    elements: str
  ipv6_gateway:
    description: IPv6 gateway, inside the network of O(ipv6) or link-local; empty for none.
    type: str
  primary_address_type:
    description: Of which family the address is that the host is managed by. Fixed for the management interface.
    type: str
    choices: [IPv4, IPv6]
  management:
    description:
      - V(true) makes this the interface the host is managed through; another one stops being it.
      - The address of the coordinator changes with it, and the task goes on there. Later tasks have to use the new address, see
        RV(hostname).
      - In a pool of several hosts move the members first, the coordinator last.
    type: bool
  plugged:
    description:
      - Whether the interface is up.
      - If not set, an interface to which the task gives an address is plugged, and any other is left as it is.
    type: bool
  disallow_unplug:
    description: Whether the interface is protected from being unplugged, as one for storage should be.
    type: bool
  properties:
    description: Only C(gro) (generic receive offload), V(on) or V(off), of a NIC or a bond.
    type: dict
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
  allow_disruption:
    description: Whether the coordinator's address may change in a pool of several hosts. Its members lose it for a moment, and are told the
      new address.
    type: bool
    default: false
seealso:
  - module: domzero.xen.xen_pif_info
  - module: domzero.xen.xen_network
"""

EXAMPLES = r"""
- name: An address in the storage network
  domzero.xen.xen_pif:
    host: xcp00
    network: Storage
    mode: static
    ip: 172.16.0.200/24

- name: The same for every host, and it stays plugged
  domzero.xen.xen_pif:
    host: "{{ item.key }}"
    network: Storage
    mode: static
    ip: "{{ item.value }}"
    netmask: 255.255.255.0
    disallow_unplug: true
  loop: "{{ {'xcp00': '172.16.0.200', 'xcp01': '172.16.0.201'} | dict2items }}"

- name: Another gateway and name servers for the management interface
  domzero.xen.xen_pif:
    host: xcp01
    device: eth0
    gateway: "{{ gateway }}"
    dns: ["{{ gateway }}", 9.9.9.9]

- name: A member is managed through the storage network from now on
  domzero.xen.xen_pif:
    host: xcp01
    network: Storage
    management: true

- name: No address on that NIC
  domzero.xen.xen_pif:
    host: xcp00
    device: eth1
    mode: none
    plugged: false
"""

RETURN = r"""
pif:
  description:
    - The interface as it is after the task, by option name, and its C(uuid).
    - Addresses are there where they are configured; what DHCP or a router gave is told by M(domzero.xen.xen_pif_info).
    - Options the host's release does not know are left out.
  returned: success
  type: dict
  sample:
    device: eth2
    disallow_unplug: true
    dns: []
    gateway: ""
    host: xcp00
    ip: 172.16.0.200
    ipv6_mode: none
    management: false
    mode: static
    netmask: 255.255.255.0
    network: Storage
    other_config: {}
    plugged: true
    primary_address_type: IPv4
    properties: {gro: "on"}
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
hostname:
  description: Where the coordinator answers from now on.
  returned: when the task changed that to a static address
  type: str
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.pif import Pif

MODULE = manage(Pif)

if __name__ == "__main__":
    main(MODULE)
