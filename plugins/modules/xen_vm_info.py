#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_info
short_description: List the virtual machines of a pool
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists virtual machines in the words of the options of M(domzero.xen.xen_vm). Handing an entry to that module changes nothing.
  - Templates, snapshots and control domains are left out.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
seealso:
  - module: domzero.xen.xen_vm
"""

EXAMPLES = r"""
- name: All VMs
  domzero.xen.xen_vm_info:
  register: all

- name: One of them
  domzero.xen.xen_vm_info:
    name: web01
  register: one

- name: Where they run
  ansible.builtin.debug:
    msg: "{{ all.facts | dict2items | map(attribute='value.host') }}"
"""

RETURN = r"""
vms:
  description: The VMs. Each holds the options of M(domzero.xen.xen_vm) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - name: web01
      power_state: running
      uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c
facts:
  description: What is known of each VM beside the options, by uuid.
  returned: when there is a VM
  type: dict
  contains:
    host:
      description: The host it is on; empty when it is on none.
      type: str
    snapshots:
      description: Its snapshots, the oldest first, each with C(name), C(uuid) and C(time).
      type: list
      elements: dict
    disks:
      description:
        - What each of its disks is called where, in order. C(position) is that of the option, C(device) what the guest sees, C(vbd) and
          C(vdi) are uuids, C(sr) is where it lies, C(size) and C(physical_utilisation) are bytes.
        - C(chain_length) is the number of images its data is spread over, C(parents) are the uuids of those below it, the nearest first.
      type: list
      elements: dict
    limits:
      description: What its template recommended, in the words of the option C(limits) of M(domzero.xen.xen_template). Not enforced.
      type: dict
    addresses:
      description: The addresses its guest tells, by the device of the interface; IPv4 first, link-local ones last.
      type: dict
    guest_os:
      description: What its guest tells of its operating system, C(name), C(distro), C(version) and C(kernel).
      type: dict
    tools:
      description: Whether its guest tools were C(detected) since it started and are C(up_to_date), and their C(version).
      type: dict
  sample:
    7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c:
      host: xcp00
      snapshots: []
      disks:
        - position: 0
          device: xvda
          vbd: 986c1f7b-4c09-42e5-857c-e549311e01a1
          vdi: ba6315c3-82ea-4994-9dd9-2d577d1cd6c4
          sr: NFS
          image_format: vhd
          size: 4294967296
          physical_utilisation: 12288
          plugged: true
          chain_length: 1
          parents: []
      limits: {memory_max: 1649267441664, vcpus_max: 64, disks_max: 255, nics_max: 7, bios: true, uefi: true}
      addresses:
        "0": [10.40.8.72]
      guest_os: {name: Debian GNU/Linux 12 (bookworm), distro: debian, version: "12.0", kernel: 6.1.0-18-amd64}
      tools: {detected: true, up_to_date: true, version: 9.4.0-0}
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm import Vm

MODULE = inform(Vm)

if __name__ == "__main__":
    main(MODULE)
