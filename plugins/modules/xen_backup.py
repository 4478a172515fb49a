#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_backup
short_description: Back up a VM, a host or the pool's database
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Adds one more backup to a repository, which is a folder on the machine the task runs on (local, or mounted from a file server). That
    is the control node, unless the task runs as an ordinary module on another machine.
  - A VM is backed up incrementally. Its first backup holds its disks as VHD files, each later one what has changed since the one before.
    The snapshot that the backup is taken of stays on the pool as the base of the next; the one of the backup before goes.
  - With O(mode=full) a VM becomes one C(.xva) file, as the host exports it.
  - The database of the pool (O(kind=pool)) comes as the coordinator writes it, C(pool.xml). It is read through and counts only if it is
    of this pool and has all its hosts.
  - The control domain of a host (O(kind=host)) comes as the archive that the host makes of it, C(host.tar), with a second suffix if it is
    packed.
  - A backup counts from the moment its manifest is written, which is last. After a failure nothing is left of it, neither in the
    repository nor on the pool; what a killed task left is removed by the next one. Nothing of an earlier backup goes before the new
    one is complete.
  - Where nothing is there to build on, a backup is whole and RV(reason) says why, for example the base snapshot was deleted, the VM was
    reverted, a disk was resized or replaced, or the backup before is damaged.
  - The memory needed does not depend on the size of the disks.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  repository:
    description: The folder. It has to be there; what is in it is made by the first backup.
    type: path
    required: true
  kind:
    description: What is backed up.
    type: str
    choices: [pool, host, vm]
    required: true
  name:
    description:
      - Name of the VM or host. One of O(name) and O(uuid) is needed for O(kind=vm), and for O(kind=host) unless the pool has one host only.
      - For O(kind=pool) none is needed; one that is given has to be the pool's.
    type: str
  uuid:
    description: Uuid of the VM or host.
    type: str
  mode:
    description:
      - For O(kind=vm). V(incremental) moves only what has changed since the last incremental backup that can be used.
      - V(full) makes an C(.xva). Incremental backups go on beside it as if it was not there.
    type: str
    choices: [incremental, full]
    default: incremental
  compression:
    description: With O(mode=full), how the host packs the file.
    type: str
    choices: [none, gzip, zstd]
    default: none
  consistency:
    description:
      - How a VM that runs is caught. V(disk) takes its disks as after a loss of power.
      - V(quiesce) lets the guest flush its applications before. Only releases before 8.1 can do that, for guests with a VSS provider.
      - V(memory) keeps the memory as well. It needs O(mode=full).
    type: str
    choices: [disk, quiesce, memory]
    default: disk
  live:
    description: Whether a VM that runs may be backed up, through a snapshot. With V(false) such a VM is refused.
    type: bool
    default: true
  ignore_disks:
    description:
      - Disks of the VM to leave out, by name, device (C(xvdb)), position or uuid.
      - Disks with C([NOBAK]) in their name or C(domzero.xen:no-backup) in their C(other_config) are always left out.
    type: list
    elements: str
    default: []
  full_every:
    description: So many incremental backups in a row build on each other at most; then comes a whole one. V(0) means only when needed.
      What has 400 files already (backups times disks) is not built on in any case.
    type: int
    default: 0
  cbt:
    description:
      - With V(auto) an incremental backup reads the blocks of a disk that its host noted as changed, over NBD. That needs changed block
        tracking (O(domzero.xen.xen_vdi#module:cbt)) since the backup before, and a network with the purpose C(nbd) or C(insecure_nbd)
        (O(domzero.xen.xen_network#module:purpose)) whose addresses can be reached from where the task runs.
      - If that holds for all disks of the VM no snapshot remains on the pool, only what the hosts note, which takes hardly any room.
      - Where it does not work a disk is read as with V(never), and a warning says why.
    type: str
    choices: [auto, never]
    default: auto
  check_space:
    description: Refuse to take the snapshot when it may need more room than its SR has. With V(false) that is a warning.
    type: bool
    default: true
  encryption:
    description: Encrypt the files with the command of this name, which has to be there where the task runs.
    type: dict
    suboptions:
      tool:
        description: The command.
        type: str
        choices: [age, gpg]
        required: true
      recipients:
        description: Public keys, in the words of the command.
        type: list
        elements: str
        required: true
  verify:
    description:
      - Read the files back from the disk and check their structure before the backup counts. What is encrypted cannot be read back here;
        see M(domzero.xen.xen_backup_verify).
    type: bool
    default: false
  keep:
    description: No retention rule removes this backup.
    type: bool
    default: false
  if_older_than:
    description:
      - Do nothing while the newest backup that can be used is younger, such as V(20h) or V(1d12h). Without it each run makes a backup.
    type: str
  wait_timeout:
    description: Seconds a transfer may take.
    type: int
    default: 86400
notes:
  - The database of a pool and the control domain of a host hold passwords, of storage for example. The files can be read by their owner
    only; see O(encryption).
  - In the snapshot's C(other_config) the key C(domzero.xen:backup) tells the repository and the backup it belongs to, and its own uuid;
    clones of it inherit the key, and are nobody's leftovers. Backups of the same VM into several repositories do not disturb each other;
    each keeps a snapshot of its own.
  - With changed block tracking the base is not a snapshot of the VM but one of each disk, without data (type C(cbt_metadata)). It has that
    key too. Those of a VM that is deleted are left over, and can be deleted as any disk.
seealso:
  - module: domzero.xen.xen_backups
  - module: domzero.xen.xen_backup_verify
  - module: domzero.xen.xen_restore
  - module: domzero.xen.xen_backup_info
"""

EXAMPLES = r"""
- name: What has changed since the last backup
  domzero.xen.xen_backup:
    repository: "{{ repository }}"
    kind: vm
    name: web01

- name: At most once a day, and whole every thirty days
  domzero.xen.xen_backup:
    repository: "{{ repository }}"
    kind: vm
    name: web01
    if_older_than: 20h
    full_every: 30

- name: The database of the pool
  domzero.xen.xen_backup:
    repository: "{{ repository }}"
    kind: pool

- name: The control domain of a host
  domzero.xen.xen_backup:
    repository: "{{ repository }}"
    kind: host
    name: xcp01

- name: One file to keep, checked as it lies on the disk
  domzero.xen.xen_backup:
    repository: "{{ repository }}"
    kind: vm
    name: web01
    mode: full
    compression: zstd
    verify: true
    keep: true
"""

RETURN = r"""
backup:
  description: The backup that was made, or the newest one where none was needed. In check mode what is known before.
  returned: success
  type: dict
  sample:
    created: "2026-11-21T22:58:09Z"
    disks: 2
    encrypted: false
    form: vhd
    id: 0d7a1c1e-5d0f-4f64-9d55-9e5a3f1f9a11
    keep: false
    kind: vm
    name: web01
    number: 12
    parent: 20261120T225811Z
    path: /backup/lab_5a0b.../vm_web01_6c1a.../20261121T225809Z
    pool: lab
    problem: ""
    size: 73924608
    stamp: 20261121T225809Z
    state: good
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
    verified: {}
reason:
  description: For an incremental backup of a VM, why it is whole; empty if it builds on another one.
  returned: when a VM was backed up incrementally
  type: str
  sample: it is the first one
left_out:
  description: Disks of the VM that are not in the backup, and why.
  returned: when a VM was backed up
  type: list
  elements: dict
  sample:
    - {device: "1", name: "scratch [NOBAK]", vdi: 4a2f2d0e-3c64-4a8e-8a39-0f3c9a4b7a55, why: "its name has [NOBAK]"}
cost:
  description: Bytes that the snapshot takes at most, by SR.
  returned: when a snapshot was taken
  type: dict
  sample: {Local storage: 21581824}
operations:
  description:
    - The XenAPI calls made and the transfers (C(http/...), C(nbd/read)), or in check mode those that would be made. With
      C(repository/commit) the files become a backup.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup import Backup

MODULE = manage(Backup)

if __name__ == "__main__":
    main(MODULE)
