#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_import
short_description: Make a VM of an exported file
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Uploads an C(.xva) file, made by M(domzero.xen.xen_vm_export), XenCenter or C(xe vm-export), and leaves the VM halted.
  - The file lies on the machine the task runs on. That is the control node, unless the task runs as an ordinary module on another
    machine (C(delegate_to), or a play for that machine).
  - Before anything is changed the file is checked (see O(verify)), and it is seen to that the pool has the SR with enough space and
    the networks the VM is on.
  - The VM bears a mark in its C(other_config), made of the file's SHA-256 and O(name), by which it is found again. So the same task
    imports the same file once, whatever is changed of the VM afterwards. Another O(name) makes another VM.
  - When the connection is lost the pool removes what it has made of the VM, and the task sees to that. A task that was killed is brought
    to its end by the next one.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  src:
    description: The file. Packed with gzip or zstd it is taken as well.
    type: path
    required: true
  name:
    description:
      - What the VM is called. Default is its name in the file.
      - A VM of that name that does not come from this file is a reason to refuse.
    type: str
  sr:
    description: The SR its disks get onto, by name or uuid. Default is the pool's default SR.
    type: str
  networks:
    description:
      - "Networks of the pool by the names of those the VM is on in the file, as C({LAN of old: LAN})."
      - Of the others the pool takes the one of the same name, or else on the same bridge. A network the pool doesn't have has to be
        named here.
    type: dict
    default: {}
  preserve:
    description:
      - Keep the VM's uuid and the MAC addresses of its NICs, as to restore a VM that is lost. A VM that would be replaced, or that has the
        same MAC addresses, is a reason to refuse.
      - With V(false) it gets new ones.
      - A VM that was exported while it ran has the uuid of the snapshot in the file.
    type: bool
    default: false
  verify:
    description:
      - When the structure of the file, the checksum of every block and, if there is a manifest beside the file, its SHA-256 are checked.
      - V(before) reads the file once before the upload. A bad file never reaches the pool.
      - V(during) checks while it is sent, which takes no time of its own. The end of the file is held back until all of it has been
        found sound; a bad file is an upload that is broken off, of which the pool keeps nothing.
      - With V(never) the pool alone checks the blocks.
    type: str
    choices: [before, during, never]
    default: before
  wait_timeout:
    description: Seconds the import may take.
    type: int
    default: 86400
notes:
  - Where the Python package C(xxhash) or the system's library of that name is missing, checking takes a hundred times longer. A file packed
    with zstd needs the command C(zstd) or the Python package C(zstandard) to be checked.
  - To start the VM use M(domzero.xen.xen_vm).
seealso:
  - module: domzero.xen.xen_vm_export
  - module: domzero.xen.xen_xva_info
  - module: domzero.xen.xen_vm
"""

EXAMPLES = r"""
- name: A VM from a backup, beside the one that is there
  domzero.xen.xen_vm_import:
    src: "{{ backups }}/web01.xva"
    name: web01-restored

- name: Bring back a VM that is lost, as it was
  domzero.xen.xen_vm_import:
    src: "{{ backups }}/web02.xva"
    preserve: true

- name: From another pool, onto this pool's storage and network
  domzero.xen.xen_vm_import:
    src: "{{ backups }}/web01.xva"
    name: web01-here
    sr: Filer
    networks:
      LAN of the old pool: Storage
    verify: during
"""

RETURN = r"""
vm:
  description: The VM as it is after the task.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    networks:
      description: The networks of its NICs, by device.
      type: dict
    uuid:
      description: Its uuid.
      returned: when the VM is there
      type: str
  sample:
    name: web01-restored
    networks: {"0": LAN}
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
xva:
  description: The file the VM comes from.
  returned: success
  type: dict
  sample:
    src: /backup/web01.xva
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    size: 4295021568
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

from dataclasses import replace

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm_import import VmImport

# what is imported has no uuid before
MODULE = replace(manage(VmImport), arguments=VmImport.options)

if __name__ == "__main__":
    main(MODULE)
