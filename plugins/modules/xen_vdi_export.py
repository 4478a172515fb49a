#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vdi_export
short_description: Export a virtual disk into a file
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Writes a virtual disk (VDI) into a file, raw, as VHD or as qcow2.
  - A disk that a VM writes to is refused; take a snapshot of it first
    (M(domzero.xen.xen_vdi) with O(domzero.xen.xen_vdi#module:snapshot_of)) and export that.
  - The file lies on the machine the task runs on. That is the control node, unless the task runs as an ordinary module on another
    machine (C(delegate_to), or a play for that machine).
  - The file gets its name only when all of it is on the disk and the pool has said that the export is complete. After a failure nothing
    is left.
  - Beside the file a manifest is written (C(<dest>.manifest.json)) with the disk's uuid, size and SHA-256. While file and manifest fit
    the task, the disk is not exported again, whatever has been written to it since; see O(force).
  - The memory needed does not depend on the size of the disk.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: The disk's name. Needed if O(uuid) is not given.
    type: str
  uuid:
    description: The disk's uuid.
    type: str
  sr:
    description: The SR it is in, by name or uuid, where several have a disk of that name.
    type: str
  dest:
    description:
      - The file to write. Only the user the task runs as may read it.
      - A file that is there already is written over only if it is an earlier export of the same disk, or with O(force=true).
    type: path
    required: true
  format:
    description: What is written. A raw file has holes where the disk has nothing. For V(qcow2) C(qemu-img) is needed where the task runs.
    type: str
    choices: [raw, vhd, qcow2]
    default: vhd
  base:
    description: Only what differs from this disk is exported, by name or uuid; a snapshot of before for example. For O(format=vhd).
    type: str
  force:
    description: Export the disk even if the file and its manifest fit, and write over whatever is there.
    type: bool
    default: false
  wait_timeout:
    description: Seconds the export may take.
    type: int
    default: 86400
seealso:
  - module: domzero.xen.xen_vdi_import
  - module: domzero.xen.xen_vm_export
"""

EXAMPLES = r"""
- name: A snapshot of a disk that is in use
  domzero.xen.xen_vdi:
    name: archive-backup
    snapshot_of: archive

- name: Its content as VHD
  domzero.xen.xen_vdi_export:
    name: archive-backup
    dest: "{{ folder }}/archive.vhd"

- name: The newest content, written over the old
  domzero.xen.xen_vdi_export:
    name: archive-backup
    dest: "{{ folder }}/archive.img"
    format: raw
    force: true
"""

RETURN = r"""
export:
  description: The file. What only a finished export can tell (size, SHA-256, time) is left out in check mode.
  returned: success
  type: dict
  sample:
    base: ""
    dest: /backup/archive.vhd
    exported: "2026-01-01T02:00:00Z"
    format: vhd
    manifest: /backup/archive.vhd.manifest.json
    name: archive-backup
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    size: 4295021568
    vdi: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
    virtual_size: 107374182400
operations:
  description: The transfer (C(http/...)), or in check mode the one that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vdi.export import VdiExport

MODULE = manage(VdiExport)

if __name__ == "__main__":
    main(MODULE)
