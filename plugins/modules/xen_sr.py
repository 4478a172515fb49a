#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_sr
short_description: Manage the storage repositories of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Creates storage repositories (SRs), takes in those that lie on a server already, attaches them on every host, changes, forgets and
    destroys them.
  - An option left out is not managed, what others set is kept.
  - "An SR that the pool has, by O(name) or O(uuid): its fields are brought into the wanted state and it is attached to every host it
    belongs to, which repairs it after a host joined the pool or lost it. If where it lies is to change, its attachment (PBD) is replaced
    on each host, which needs O(allow_disruption) where it is attached and is refused while a running VM uses a disk of it."
  - "An SR that the pool does not have: the module looks at the target first (C(SR.probe), in check mode too). It refuses what cannot be,
    such as an export or IQN that is not there, a LUN that another SR of the pool uses, or a host that does not reach the server, and
    tells what there is instead. What lies on the target is never written over unless the task says O(existing=overwrite). See O(existing)
    for the rule."
  - An interrupted task is finished by running it again, as the SR is then found by its name and attached where it is not yet.
  - Passwords are handed to the pool, which keeps them as secrets. They cannot be read back from an SR. Another password is only noticed
    with O(update_password=always).
notes:
  - An SR without a name on its medium cannot be told from that of another pool. Two pools that use one SR destroy its disks.
  - A probe finds SRs, no other data. A LUN or disk that holds anything but an SR counts as empty.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.sr
seealso:
  - module: domzero.xen.xen_sr_info
  - module: domzero.xen.xen_sr_probe
options:
  state:
    description:
      - V(present), the SR is there and attached.
      - V(forgotten), the pool does not know it any more; its data stays on the storage.
      - V(absent), it is destroyed. Refused while it holds disks, unless O(destroy_data=true). A library of ISO files cannot be destroyed,
        only forgotten.
      - With V(forgotten) and V(absent) it is detached from every host first, which is refused while a running VM uses a disk of it.
    type: str
    choices: [present, absent, forgotten]
    default: present
  name:
    description: The SR's C(name_label).
    type: str
    required: true
  uuid:
    description:
      - Find the SR by its uuid instead of by its name; the name is then what it is to be named.
      - If the pool has no such SR, the one of this uuid on the target is introduced.
    type: str
  description:
    description: Free text, the SR's C(name_description).
    type: str
  type:
    description:
      - "Kind of storage, needed to create an SR and fixed then: V(nfs), V(lvmoiscsi), V(iso), V(smb), V(lvmohba), V(ext), V(lvm),
        V(lvmofcoe), V(cephfs), V(glusterfs), V(moosefs), V(linstor), V(xfs), V(zfs), V(largeblock), V(iscsi), V(hba), V(file), V(shm),
        V(udev), V(dummy)."
      - The pool has to have the driver. Some kinds come with XCP-ng only.
      - For a type of somebody else's driver give its keys in O(device_config), and O(existing=overwrite) if the driver cannot look at the
        target, knowing that it may hold something.
    type: str
  content_type:
    description: What the SR is for, V(user) or V(iso); follows from O(type) unless given, and is fixed when the SR is created.
    type: str
  shared:
    description:
      - Whether every host can attach the SR. Follows from O(type) unless given; V(ext), V(lvm), V(xfs), V(zfs), V(largeblock), V(file),
        V(shm), V(udev), V(dummy) and an ISO library in a directory of a host are local, the others are shared.
    type: bool
  tags:
    description: Exactly these tags.
    type: list
    elements: str
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
  sm_config:
    description: Keys for the driver, such as C(nosubdir) of V(nfs); null removes a key. Keys not named here are left alone, those that
      drivers write are not shown.
    type: dict
  host:
    description:
      - For a local SR, the host it lies on, by name or uuid; the coordinator unless given.
      - Of several local SRs of one name it tells which is meant.
    type: str
  default:
    description: Whether new disks are made on this SR unless another is named (the pool's C(default_SR)).
    type: bool
  attach:
    description:
      - V(all), every host has the SR attached; refused before anything is done when a host cannot reach the server.
      - V(best_effort), hosts that cannot reach the server are left out with a warning.
      - V(as_is), nothing is attached that is not.
      - A host that is down is a warning only. It attaches the SR when it starts.
    type: str
    choices: [all, best_effort, as_is]
    default: all
  existing:
    description:
      - What to do with SRs that are found on the target when the pool does not have the SR yet.
      - V(auto). A LUN or disk holds one SR at most. If it bears the name of the task, or a kind of SR that keeps no name, it is
        introduced with its disks. With another name it is refused. On a file server each SR has a folder of its own; if there are any
        that the pool does not have, the task is refused, since they may belong to another pool. With nothing found the SR is created.
      - V(introduce). The only SR found is introduced, whatever its name. With nothing found the SR is created.
      - V(keep). A new SR is created beside those found. Not for a LUN or disk.
      - V(overwrite). A new SR is created on the LUN or disk. What is found there is lost.
      - With O(uuid) the SR of that uuid is introduced, or the task fails.
      - An SR that this pool has already is never introduced or overwritten.
    type: str
    choices: [auto, introduce, keep, overwrite]
    default: auto
  lun:
    description: V(lvmoiscsi). Number of the LUN when the SR is created; O(scsi_id) is found by it. With neither, the target must have
      exactly one LUN. Later only O(scsi_id) counts.
    type: int
  update_password:
    description:
      - V(on_create), passwords are given to the SR when it is created or its attachments are replaced.
      - V(always), they are compared with the pool's secrets and renewed there, which the hosts use at their next login.
    type: str
    choices: [on_create, always]
    default: on_create
  destroy_data:
    description: Allow O(state=absent) to destroy the disks on the SR.
    type: bool
    default: false
  allow_disruption:
    description: Allow the SR to be detached for a moment to change where it lies.
    type: bool
    default: false
  scan:
    description: Look for new, changed and lost disks on the SR at the end of the task. It is not reported as a change.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Disks on an NFS export, the pool's default
  domzero.xen.xen_sr:
    name: VM disks
    type: nfs
    server: 172.16.0.10
    path: /export/vms
    default: true

- name: A LUN of a SAN
  domzero.xen.xen_sr:
    name: Databases
    type: lvmoiscsi
    target: 172.16.0.20
    iqn: iqn.2024-01.lab.example:san.pool
    lun: 0

- name: ISO images on an SMB share
  domzero.xen.xen_sr:
    name: Windows ISOs
    type: iso
    location: //127.20.0.10/iso
    smb_username: isoreader
    smb_password: "{{ iso_password }}"

- name: ISO images on an NFS export, and what was put there since
  domzero.xen.xen_sr:
    name: ISO library
    type: iso
    location: 172.16.0.10:/export/iso
    scan: true

- name: After a host joined the pool its SR is attached there too
  domzero.xen.xen_sr:
    name: VM disks

- name: A disk of one host
  domzero.xen.xen_sr:
    name: Scratch
    type: ext
    device: /dev/sdb
    host: xcp01

- name: The LUN goes to another pool, with its disks
  domzero.xen.xen_sr:
    name: Databases
    state: forgotten

- name: The disk is not needed any more
  domzero.xen.xen_sr:
    name: Scratch
    host: xcp01
    state: absent
    destroy_data: true
"""

RETURN = r"""
sr:
  description: The SR as it is after the task, by option name, and its C(uuid). Passwords and values that are the driver's default are
    left out.
  returned: success
  type: dict
  sample:
    name: VM disks
    description: ""
    type: nfs
    content_type: user
    shared: true
    tags: []
    other_config: {}
    sm_config: {}
    default: true
    attach: all
    server: 172.16.0.10
    path: /export/vms
    uuid: 4f0c2c11-6b0e-6f3c-8f6d-0f0a6a6c3b5e
attached_to:
  description: Names of the hosts that have the SR attached.
  returned: when state is present
  type: list
  elements: str
introduced:
  description: Whether the SR was on the target already and was taken in.
  returned: when the pool did not have the SR
  type: bool
destroyed_disks:
  description: Names and sizes of the disks that are lost.
  returned: when state is absent and the SR held disks
  type: list
  elements: str
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.sr.resource import Sr

MODULE = manage(Sr)

if __name__ == "__main__":
    main(MODULE)
