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
  - Creates, changes and destroys the networks of a XenServer or XCP-ng pool, and what connects them to the NICs of all its hosts.
  - Without O(nic), O(vlan), O(bond) and O(tunnel) a new network is internal, for the VMs of one host to talk to each other; how an
    existing one is connected is left alone.
  - VLANs, bonds and tunnels are made on every host of the pool. Where one is missing, because the host joined later or a run was
    interrupted, it is completed.
    A host that is down is skipped with a warning; a host without the NIC is an error, before anything is changed.
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
    description: Bytes in a packet, 68 to 65535. An interface takes it on when it is next plugged.
    type: int
  tags:
    description: Exactly these tags.
    type: list
    elements: str
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
  automatic:
    description:
      - Whether clients such as XenCenter connect new VMs to this network without being asked. It is the key C(automatic) of
        O(other_config), where a missing one means V(true).
    type: bool
  purpose:
    description: Exactly these purposes. All disks of a pool are served by NBD either with TLS (V(nbd)) or without (V(insecure_nbd)).
    type: list
    elements: str
    choices: [nbd, insecure_nbd]
  default_locking_mode:
    description: What a VIF without a locking mode of its own may send. V(disabled) drops everything. Changes only while no VIF is in use.
    type: str
    choices: [unlocked, disabled]
  bridge:
    description:
      - A name of your own for the bridge in the hosts' control domain, chosen by the pool if left out.
      - Fixed when the network is created.
    type: str
  managed:
    description: Whether XenAPI manages the bridge. Fixed when the network is created.
    type: bool
  nic:
    description:
      - Device name of a physical NIC, such as V(eth1). The network is the one this NIC has throughout the pool, found by the NIC of
        the coordinator; it takes the O(name) given.
      - It is there as long as the NIC is, so it cannot be removed.
      - Excludes O(vlan), O(bond) and O(tunnel).
    type: str
  vlan:
    description: The network is a VLAN. Another tag or network to stand on means taking it apart, see O(allow_disruption).
    type: dict
    suboptions:
      tag:
        description: 1 to 4094.
        type: int
        required: true
      network:
        description: The network to stand on, by name or uuid, that of a NIC or a bond. Either this or O(vlan.nic).
        type: str
      nic:
        description: Device name of the NIC whose network to stand on.
        type: str
  bond:
    description:
      - The network is a bond of NICs. Addresses, management, VLANs and VMs of its NICs move to it.
      - Other NICs mean taking it apart, see O(allow_disruption); mode and properties change in place.
    type: dict
    suboptions:
      nics:
        description: Device names of at least two physical NICs, the same on every host.
        type: list
        elements: str
        required: true
      mode:
        description: How the NICs share the traffic. V(balance-slb) if a new bond is given none.
        type: str
        choices: [balance-slb, active-backup, lacp]
      properties:
        description:
          - Only for mode V(lacp). Those not named are left alone, a new bond has the defaults.
          - C(hashing_algorithm) is V(src_mac) or V(tcpudp_ports) (the default); C(lacp-time) is V(slow) (the default) or V(fast);
            C(lacp-fallback-ab) is V(true) (the default) or V(false);
            C(lacp-aggregation-key) is a number.
        type: dict
      mac:
        description:
          - MAC address of the bond, in a pool of one host.
          - Left out, it takes that of one of its NICs, as in a pool of several hosts it always does.
        type: str
  tunnel:
    description: The network is a tunnel between the hosts. Needs Open vSwitch, and an address of every host on the network it runs over.
    type: dict
    suboptions:
      network:
        description: The network to run over, by name or uuid. Either this or O(tunnel.nic). Another one means taking it apart, see
          O(allow_disruption).
        type: str
      nic:
        description: Device name of the NIC whose network to run over.
        type: str
      protocol:
        description: V(gre) if a new tunnel is given none. A change takes effect when the tunnel is next plugged.
        type: str
        choices: [gre, vxlan]
  allow_disruption:
    description:
      - Whether a VLAN, bond or tunnel may be taken apart and made anew with another tag, other NICs or on another network. The
        network itself stays.
      - Never done to a management interface.
    type: bool
    default: false
seealso:
  - module: domzero.xen.xen_network_info
  - module: domzero.xen.xen_pif
"""

EXAMPLES = r"""
- name: An internal network
  domzero.xen.xen_network:
    name: Internal
    description: For VMs of one host

- name: The network of the second NIC gets a name that says what it is for
  domzero.xen.xen_network:
    name: VM traffic
    nic: eth1

- name: VLAN 100 on it, on every host
  domzero.xen.xen_network:
    name: DMZ
    vlan:
      tag: 100
      network: VM traffic
    tags: [public]

- name: Two NICs bonded with LACP
  domzero.xen.xen_network:
    name: Storage
    mtu: 9000
    bond:
      nics: [eth2, eth3]
      mode: lacp
      properties:
        hashing_algorithm: src_mac

- name: A network that spans the hosts without a switch
  domzero.xen.xen_network:
    name: Overlay
    tunnel:
      network: Management
      protocol: vxlan

- name: The VLAN gets another tag, though it is interrupted by that
  domzero.xen.xen_network:
    name: DMZ
    vlan:
      tag: 101
      network: VM traffic
    allow_disruption: true

- name: That network is not needed any more
  domzero.xen.xen_network:
    name: DMZ
    state: absent
"""

RETURN = r"""
network:
  description:
    - The network as it is after the task, by option name, and its C(uuid).
    - It holds one of C(nic), C(vlan), C(bond) and C(tunnel), or none for an internal network. Options the host's release does not
      know are left out.
  returned: success
  type: dict
  sample:
    automatic: true
    default_locking_mode: unlocked
    description: ""
    managed: true
    mtu: 1500
    name: DMZ
    other_config: {}
    purpose: []
    tags: [public]
    uuid: 5e9b4f5f-3e43-4f54-a1a6-1c1d2a3a4c11
    vlan: {network: VM traffic, tag: 100}
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
diff:
  description: What differs, by option name; in C(hosts) for each host how the network is connected there.
  returned: success
  type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.network import Network

MODULE = manage(Network)

if __name__ == "__main__":
    main(MODULE)
