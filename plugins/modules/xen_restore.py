#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_restore
short_description: Restore a VM, a host or a pool from its backups
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Brings back what M(domzero.xen.xen_backup) saved, to the pool it came from or to another one.
  - A B(VM) is imported whole, whatever form its backup has, with the disks as they were in that moment. The pool itself makes the VM, its
    NICs and its virtual TPM. It is left halted, or suspended where the backup has its memory. A VM that keeps its name gets into its
    appliance and its VM groups again, if the pool has them.
  - The database of a B(pool) is sent to a coordinator, after that one has looked whether it can take it. The coordinator reboots with it
    and is alone in its pool then; RV(to_do) says which hosts are to be joined again, and which VMs have disks that nobody can reach.
    VMs that run on its other hosts are a reason to refuse, since they could be started twice.
    A host of another machine takes it, too, if it has the same release and network cards of the same names.
  - The control domain of a B(host) is unpacked onto the host's second partition. Somebody has to boot the installation medium then and
    choose C(Restore from Backup).
  - Single disks of a VM can be restored, to a VM of their own (O(disks)) or onto a VM that is there (O(onto)).
  - The repository lies on the machine the task runs on. That is the control node, unless the task runs as an ordinary module on another
    machine (C(delegate_to), or a play for that machine).
  - Before anything is changed the files are read and held against their checksums (see O(verify)), and it is seen to that the pool has the
    SR with enough space and the networks the VM is on. A backup that is damaged is refused, and the newest sound one is named.
  - What is restored bears a mark in its C(other_config), by which it is found again, so that the same task restores the same backup once.
    A task that was killed is brought to its end by the next one, and so is one whose pool was restarted meanwhile.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  repository:
    description: The folder with the backups.
    type: path
    required: true
  kind:
    description: What is to be restored.
    type: str
    choices: [pool, host, vm]
    default: vm
  pool:
    description: The pool the backup was made of, by name or uuid as in the repository. Needed where several pools have such backups.
    type: str
  name:
    description: The VM or host the backup was made of, by name or uuid as in the repository. Required for a VM or a host.
    type: str
  backup:
    description:
      - Which backup, by its stamp or id. V(newest) is the newest one that can be used.
      - A pool that runs with a restored database already is left as it is with V(newest), and a warning says so. Later backups are of that
        pool itself; name one of them to go back to it.
    type: str
    default: newest
  sr:
    description:
      - The SR the disks get onto, by name or uuid.
      - Default is the one they were on, if all were on the same one and the pool has it, by its uuid, or else one alone of its name. Else
        it is the pool's default SR. With O(replace) it is that of the disk that is replaced.
      - An import has one SR for all disks. To have each on its own SR, restore the VM with O(disks=[]) first, and then its disks, with
        O(onto) and O(replace=true).
    type: str
  networks:
    description:
      - "Networks of the pool by the names of those the VM was on, as C({LAN of old: LAN})."
      - Of the others the pool takes the one of the same name, or else on the same bridge. A network the pool doesn't have has to be
        named here.
    type: dict
    default: {}
  preserve:
    description:
      - Keep the VM's uuid and the MAC addresses of its NICs, for a VM that is lost. A VM that would be replaced, or that has the same MAC
        addresses, is a reason to refuse.
      - With V(false) it gets new ones.
    type: bool
    default: false
  new_name:
    description:
      - What the restored VM is called. Default is its name in the backup.
      - A VM of that name that does not come from this backup is a reason to refuse, unless O(preserve) tells the VMs of one name apart.
    type: str
  start:
    description: Start the VM when it is restored. A VM that was restored before is left as it is.
    type: bool
    default: false
  disks:
    description: Only these disks, by their place in the VM (V(0), V(1)) as in the backup. Default are all that are in the backup.
    type: list
    elements: str
  onto:
    description:
      - A VM of the pool, by name or uuid, that gets the disks. It stays as it is otherwise.
      - They are attached beside those it has, and plugged if it runs, or in their place (O(replace)).
      - With O(kind=host) the host that gets the control domain. Default is the one it is of, by uuid, or else by name.
    type: str
  replace:
    description:
      - With O(onto), the restored disks take the places they had in the backup. A disk that is in such a place is detached, and stays
        in its SR (see O(remove_replaced)). The VM has to be halted. In a place that is free the drive is as it was in the backup.
      - A disk that was restored from the same backup to another place of the VM before is a reason to refuse.
    type: bool
    default: false
  remove_replaced:
    description:
      - With O(replace), destroy the disks that were replaced, when those that were restored are attached.
      - One that another VM has, too, is a reason to refuse.
    type: bool
    default: false
  dry_run:
    description: Of a pool, only have the coordinator look whether it could take the database. That look comes before every restore.
    type: bool
    default: false
  allow_disruption:
    description: A pool's database replaces the one that is there, and the coordinator reboots. With V(false) that is refused.
    type: bool
    default: false
  host_timeout:
    description: Seconds the coordinator may take until it is back with the restored database of a pool.
    type: int
    default: 1800
  identity:
    description:
      - The file with the identity that opens what was encrypted with C(age). What was encrypted with C(gpg) is opened by its agent.
    type: path
  verify:
    description:
      - When the files are held against their checksums.
      - V(before) reads them once before. A damaged backup never reaches the pool.
      - V(during) reads them while they are sent. The end is held back until all has been found sound; what is damaged is an upload that is
        broken off, of which the pool keeps nothing.
      - With V(never) only the structure of the files is looked at.
    type: str
    choices: [before, during, never]
    default: before
  wait_timeout:
    description: Seconds a transfer may take.
    type: int
    default: 86400
notes:
  - What a pool was restored from is in its C(other_config), key C(domzero.xen:restored), and is in the database that is sent already. To
    restore the same backup again, remove that key.
  - A backup of form C(xva) that is packed is read once more before it is sent, to tell the pool its length.
  - What is encrypted is decrypted into a private folder for the time of the restore.
seealso:
  - module: domzero.xen.xen_backup
  - module: domzero.xen.xen_backup_info
  - module: domzero.xen.xen_backup_verify
  - module: domzero.xen.xen_vm_import
"""

EXAMPLES = r"""
- name: A VM as it was in its newest backup, beside the one that is there
  domzero.xen.xen_restore:
    repository: "{{ backups }}"
    name: web01
    new_name: web01-restored

- name: Bring back a VM that is lost, as it was
  domzero.xen.xen_restore:
    repository: "{{ backups }}"
    name: web02
    preserve: true
    start: true

- name: From another pool, onto this pool's storage and network, of a certain day
  domzero.xen.xen_restore:
    repository: "{{ backups }}"
    pool: old pool
    name: web01
    backup: "{{ stamp }}"
    new_name: web01-here
    sr: Filer
    networks:
      LAN of old: Storage

- name: One disk as it was, beside those the VM has
  domzero.xen.xen_restore:
    repository: "{{ backups }}"
    name: web01
    onto: web01
    disks: ["0"]

- name: The disks of a VM as they were, instead of those it has
  domzero.xen.xen_restore:
    repository: "{{ backups }}"
    name: web01
    onto: web01
    replace: true

- name: Could the database of the pool be restored here?
  domzero.xen.xen_restore:
    repository: "{{ backups }}"
    kind: pool
    dry_run: true
"""

RETURN = r"""
pool:
  description: The pool that was restored. C(unattached) are the SRs that its coordinator could not attach when it was back.
  returned: with O(kind=pool)
  type: dict
  sample:
    name: lab
    uuid: 1c1b0c5a-7d57-4f46-9a5b-6a6f7d1f5f10
    coordinator: xcp00
    restored: true
    unattached: []
host:
  description: The host that got the control domain.
  returned: with O(kind=host)
  type: dict
  sample: {name: xcp00, uuid: 5b1d4a34-6a5e-47c4-9f3f-2a7c1c2d7e01, restored: true}
to_do:
  description: What is left to be done by somebody else, in sentences.
  returned: with O(kind=pool) or O(kind=host)
  type: list
  elements: str
  sample: ["Host 'xcp01' (10.0.0.12) is out of the pool: install it anew and join it (xen_pool with members)."]
members:
  description: Hosts of the backup that are not in the pool any more.
  returned: with O(kind=pool)
  type: list
  elements: dict
  sample:
    - {name: xcp01, uuid: 8b0d9c1e-2f5b-4a57-b1a4-3f7d1f0c2a22, address: 10.0.0.12, coordinator: false, version: 8.3.0}
unreachable:
  description: VMs of the backup with disks on SRs that no host of the pool is attached to.
  returned: with O(kind=pool)
  type: list
  elements: dict
  sample:
    - {name: db01, uuid: 2f1c9a7e-0b1f-4a71-9d7e-0f3a2b1c5d44, srs: [Local storage]}
vm:
  description: The VM as it is after the task.
  returned: when a VM was restored, or disks onto one
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    networks:
      description: The networks of its NICs, by device.
      returned: when a VM was restored
      type: dict
    disks:
      description: The names of its disks, by their places.
      type: dict
    restored:
      description: Where on the VM the disks are that were restored, by their places in the backup.
      returned: when disks were restored onto a VM
      type: dict
      sample: {"0": "2"}
    power_state:
      description: Its state.
      type: str
    uuid:
      description: Its uuid.
      returned: when the VM is there
      type: str
  sample:
    name: web01-restored
    networks: {"0": LAN}
    disks: {"0": system, "1": data}
    power_state: Halted
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
backup:
  description: The backup that was restored, as M(domzero.xen.xen_backup_info) tells it.
  returned: success
  type: dict
  sample:
    pool: lab
    kind: vm
    name: web01
    stamp: 20261121T225809Z
    form: vhd
    state: good
leftovers:
  description: Disks and VMs that a failed import left in the pool and that could not be removed.
  returned: failure, if there are any
  type: list
  elements: str
operations:
  description: The XenAPI calls made and the transfers (C(http/...)), or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore import Restore

MODULE = manage(Restore)

if __name__ == "__main__":
    main(MODULE)
