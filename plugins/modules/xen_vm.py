#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm
short_description: Manage virtual machines
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes virtual machines from templates, other VMs or snapshots, changes them while they run where that is possible, starts, suspends,
    halts and removes them.
  - An option left out is not managed; a new VM has what its template has.
  - A new VM is made under the name C(NAME (unfinished)) and named last, before it starts. An interrupted task is finished by running
    it again.
  - A task that gives a VM more memory, vCPUs, disks or network cards than its template recommends is done with a warning. What it
    recommends are its O(domzero.xen.xen_template#module:limits).
  - What can only change while the VM is halted restarts it once, cleanly. That needs O(allow_disruption=true) and is refused otherwise,
    before anything is changed.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.vm
  - domzero.xen.vm_memory
  - domzero.xen.vm_cpus
  - domzero.xen.vm_boot
  - domzero.xen.vm_disks
  - domzero.xen.vm_cd
  - domzero.xen.vm_cloud_init
  - domzero.xen.vm_nics
  - domzero.xen.vm_devices
options:
  state:
    description:
      - V(present), it is there as described.
      - V(absent), it is not there, and neither are its disks, but those that are kept or belong to others too.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Its name. Needed for a new one; with O(uuid) what it is to be named.
    type: str
  uuid:
    description: Find it by its uuid instead of by its name.
    type: str
  template:
    description: The template a new VM is made from, by name or uuid. Looked at only when the VM is not there yet.
    type: str
  from_vm:
    description: The halted VM a new one is made from, by name or uuid; with O(from_snapshot) the VM that snapshot is of.
    type: str
  from_snapshot:
    description: The snapshot a new VM is made from, by name or uuid.
    type: str
  clone:
    description:
      - How the disks of its source become those of a new VM. V(fast) shares data with them (VHD chains), V(full) copies them.
      - V(auto) is V(fast) unless the disks are to lie in another O(sr) or their chain is near the limit of 30 images.
    type: str
    choices: [auto, fast, full]
    default: auto
  sr:
    description: The SR for the disks of a new VM, by name or uuid. Without it, that of its source's disks, or the pool's default.
    type: str
  power_state:
    description: What it is to do. A new VM that the task says nothing of is halted.
    type: str
    choices: [running, halted, suspended, paused]
  host:
    description: The host to start or resume it on, by name, uuid or address. It does not move a VM that runs.
    type: str
  force:
    description: Whether it may be switched off when it cannot be shut down cleanly in O(shutdown_timeout).
    type: bool
    default: false
  shutdown_timeout:
    description: Seconds that a clean shutdown may take.
    type: int
    default: 600
  snapshots:
    description:
      - What becomes of its snapshots with O(state=absent). A VM that has snapshots is only deleted when the task says it.
      - Those that are kept are snapshots of nothing, from which a VM can be made.
    type: str
    choices: [delete, keep]
  allow_disruption:
    description: Whether the VM may be restarted, or switched off and removed, where the task needs it.
    type: bool
    default: false
  wait_timeout:
    description: Seconds that whatever is waited for may take.
    type: int
    default: 600
seealso:
  - module: domzero.xen.xen_vm_info
"""

EXAMPLES = r"""
- name: A VM from a stock template
  domzero.xen.xen_vm:
    name: web01
    template: Debian Bookworm 12
    description: Front end
    tags: [production, web]
    folder: /web/front

- name: A VM from a cloud image, which cloud-init sets up at its first start
  domzero.xen.xen_vm:
    name: app01
    template: Debian 12 cloud
    disks:
      - size: 20 GiB
    nics:
      - network: Pool-wide network associated with eth0
        mac: "02:16:3e:5c:00:11"
    cloud_init:
      user_data:
        ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample admin@example.com]
        packages: [nginx]
    power_state: running
    wait_for: address

- name: Its drive has done its duty, and may hold secrets
  domzero.xen.xen_vm:
    name: app01
    cloud_init:
      state: absent

- name: A VM with two disks, to be installed from a CD
  domzero.xen.xen_vm:
    name: db01
    template: Other install media
    disks:
      - name: db01 system
        size: 20 GiB
      - name: db01 data
        size: 100 GiB
        sr: Fast
        keep: true
        qos: {class: real_time, priority: 2}
    cd: {iso: debian-12.7.0-amd64-netinst.iso}

- name: The data disk is larger and there is one more, the CD is out of the drive
  domzero.xen.xen_vm:
    name: db01
    disks:
      - name: db01 data
        size: 200 GiB
      - name: db01 log
        size: 10 GiB
    cd: {iso: ""}

- name: A disk goes to other storage, one that is not in the list goes altogether
  domzero.xen.xen_vm:
    name: db01
    disks:
      - name: db01 system
        sr: Fast
      - name: db01 data
    prune_disks: true

- name: The VM goes with the disks it owns; the one that is kept is told in kept_disks
  domzero.xen.xen_vm:
    name: db01
    state: absent

- name: It is not needed any more
  domzero.xen.xen_vm:
    name: web02
    state: absent
"""

RETURN = r"""
vm:
  description: The VM in the words of the options, with its C(uuid); empty when it is absent.
  returned: success
  type: dict
  sample:
    name: web01
    power_state: running
    tags: [production, web]
    uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c
clone:
  description: How the disks of a new VM were made from its source's, V(fast) or V(full).
  returned: when a VM with disks is made from another
  type: str
  sample: fast
chain_length:
  description: The images that the longest chain of the new VM's disks has.
  returned: when a VM with disks is made from another
  type: int
  sample: 2
kept_disks:
  description: The disks of a deleted VM that are kept, as they are another's too or are to be.
  returned: when O(state=absent) and the VM was there
  type: list
  elements: dict
  sample: []
deleted_snapshots:
  description: The names of the snapshots that went with the VM.
  returned: when O(snapshots=delete) and there are some
  type: list
  elements: str
  sample: [before the upgrade]
kept_snapshots:
  description: The names of the snapshots that are left of the VM.
  returned: when O(snapshots=keep) and there are some
  type: list
  elements: str
  sample: [before the upgrade]
operations:
  description: The calls that were made, or would be.
  returned: success
  type: list
  elements: str
  sample: [VM.clone, VM.provision, VM.set_name_label, VM.start]
diff:
  description: What differs, by option name.
  returned: success
  type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm import Vm

MODULE = manage(Vm)

if __name__ == "__main__":
    main(MODULE)
