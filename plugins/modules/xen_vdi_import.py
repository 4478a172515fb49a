#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vdi_import
short_description: Import a file as a virtual disk
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes a virtual disk (VDI) of a raw, VHD or qcow2 image, or of any other that C(qemu-img) reads.
  - The disk bears the SHA-256 of the file in C(other_config). It is imported again only if the file has become another one, and
    then only with O(overwrite=true); what a VM has written to the disk since does not count.
  - An import that was interrupted leaves a disk that the next run knows and fills again.
  - The file lies on the machine the task runs on. That is the control node, unless the task runs as an ordinary module on another
    machine (C(delegate_to), or a play for that machine). For an image that is neither raw nor VHD, C(qemu-img) is needed there, and
    room for a copy.
  - Before anything is made the image is checked as far as its format allows it, so that a file that is cut off is refused. A raw one has
    nothing to check but O(checksum).
  - The memory needed does not depend on the size of the disk.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  src:
    description: The image.
    type: path
    required: true
  parents:
    description:
      - Where O(src) is a VHD that holds only what differs from another one (O(domzero.xen.xen_vdi_export#module:base)), the files it builds
        on, the nearest first. The last one is whole.
      - They are laid over each other while they are sent.
    type: list
    elements: path
  name:
    description: Name of the disk. Needed if O(uuid) is not given.
    type: str
  uuid:
    description: The disk to write over, by its uuid.
    type: str
  sr:
    description: The SR it is in or is to be in, by name or uuid; a new disk is made in the pool's default SR if not set.
    type: str
  description:
    description: Description of the disk.
    type: str
  size:
    description: Size of the disk in bytes, or with a unit such as V(20 GiB), where it is to be larger than the image.
    type: str
  checksum:
    description: The SHA-256 the file must have, as its publisher tells it; C(sha256:) may stand before it.
    type: str
  overwrite:
    description: Whether the content of a disk that is there, and did not come from this file, is written over.
    type: bool
    default: false
  wait_timeout:
    description: Seconds the import may take.
    type: int
    default: 86400
seealso:
  - module: domzero.xen.xen_vdi_export
  - module: domzero.xen.xen_vdi
  - module: domzero.xen.xen_template
"""

EXAMPLES = r"""
- name: A disk from an image
  domzero.xen.xen_vdi_import:
    src: "{{ folder }}/appliance.img"
    name: appliance
    size: 20 GiB

- name: The image has become another one
  domzero.xen.xen_vdi_import:
    src: "{{ folder }}/appliance-2.img"
    name: appliance
    overwrite: true
"""

RETURN = r"""
vdi:
  description: The disk.
  returned: success
  type: dict
  sample:
    description: ""
    name: appliance
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    size: 21474836480
    sr: Local storage
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
format:
  description: The format of the file.
  returned: success
  type: str
  sample: qcow2
operations:
  description: The XenAPI calls made and the transfer (C(http/...)), or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vdi.imports import VdiImport

MODULE = manage(VdiImport)

if __name__ == "__main__":
    main(MODULE)
