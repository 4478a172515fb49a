#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_export
short_description: Export a VM with its disks into a file
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Writes a VM as an C(.xva) file, which XenServer, XCP-ng and M(domzero.xen.xen_vm_import) make a VM again.
  - A VM that runs is exported as it is at this moment, through a snapshot. The snapshot and its disks go afterwards, also after a failure;
    what a killed task left is removed by the next one.
  - The file lies on the machine the task runs on. That is the control node, unless the task runs as an ordinary module on another
    machine (C(delegate_to), or a play for that machine).
  - The file gets its name only when all of it is on the disk and the pool has said that the export is complete. Until then it has a
    temporary name beside it, and after a failure nothing is left.
  - Beside the file a manifest is written (C(<dest>.manifest.json)) with the VM's uuid, size and SHA-256. While file and manifest fit
    the task, the VM is not exported again, whatever has become of it since; see O(force).
  - The memory needed does not depend on the size of the disks.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: The VM's name. Needed if O(uuid) is not given.
    type: str
  uuid:
    description: The VM's uuid. A template or a snapshot is named by it as well.
    type: str
  dest:
    description:
      - The file to write. Only the user the task runs as may read it.
      - A file that is there already is written over only if it is an earlier export of the same VM, or with O(force=true).
    type: path
    required: true
  compression:
    description:
      - How the host packs the file. V(zstd) costs the host little and is known from XenServer 8 and XCP-ng 8 on, V(gzip) costs it much.
    type: str
    choices: [none, gzip, zstd]
    default: none
  live:
    description: Whether a VM that runs may be exported, through a snapshot. With V(false) such a VM is refused.
    type: bool
    default: true
  metadata_only:
    description: Export the description of the VM only, without what is on its disks.
    type: bool
    default: false
  verify:
    description:
      - Read the file back before it gets its name and check its structure and the checksum of every block.
      - The SHA-256 in the manifest and that nothing is missing are always seen to; this finds what a bad disk or a bad export spoilt.
    type: bool
    default: false
  force:
    description: Export the VM even if the file and its manifest fit, and write over whatever is there.
    type: bool
    default: false
  wait_timeout:
    description: Seconds the export may take.
    type: int
    default: 86400
notes:
  - Where the Python package C(xxhash) or the system's library of that name is missing, O(verify) takes a hundred times longer. For V(zstd)
    it needs the command C(zstd) or the Python package C(zstandard).
  - The VM in the file has the uuid of the snapshot if it was exported through one; the manifest tells the VM's.
seealso:
  - module: domzero.xen.xen_vm_import
  - module: domzero.xen.xen_xva_info
"""

EXAMPLES = r"""
- name: A backup of a VM that runs
  domzero.xen.xen_vm_export:
    name: web01
    dest: "{{ backups }}/web01.xva"
    compression: zstd

- name: One file a day, checked as it lies on the disk
  domzero.xen.xen_vm_export:
    name: web01
    dest: "{{ backups }}/web01-{{ day }}.xva"
    verify: true

- name: The newest state, whatever is there
  domzero.xen.xen_vm_export:
    name: web01
    dest: "{{ backups }}/web01.xva"
    compression: zstd
    force: true

- name: Only the description
  domzero.xen.xen_vm_export:
    name: web01
    dest: "{{ backups }}/web01-description.xva"
    metadata_only: true
"""

RETURN = r"""
export:
  description: The file. What only a finished export can tell (size, SHA-256, time) is left out in check mode.
  returned: success
  type: dict
  sample:
    compression: zstd
    dest: /backup/web01.xva
    exported: "2026-01-01T02:00:00Z"
    manifest: /backup/web01.xva.manifest.json
    metadata_only: false
    name: web01
    release: {product_brand: XCP-ng, product_version: 8.3.0, xapi: "26.1"}
    schema: 1
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    size: 4295021568
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
operations:
  description: The XenAPI calls made and the transfers (C(http/...)), or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm_export import VmExport

MODULE = manage(VmExport)

if __name__ == "__main__":
    main(MODULE)
