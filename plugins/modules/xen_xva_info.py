#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_xva_info
short_description: Check an exported VM without importing it
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Reads an C(.xva) file on the machine the task runs on, checks it and tells what is in it. No host is asked.
  - Checked are the structure and the checksum of every block (XXH64, or SHA-1 in older files), packed or not. If a manifest of
    M(domzero.xen.xen_vm_export) lies beside the file, its size and SHA-256 have to be the file's.
  - Fails with the place if anything is wrong with the file.
  - The memory needed does not depend on the size of the file.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  src:
    description: The file.
    type: path
    required: true
  verify:
    description: Whether all of the file is checked. With V(false) only its beginning is read, and told what it should hold.
    type: bool
    default: true
notes:
  - The options that say how to reach a host are taken and not used.
  - Where the Python package C(xxhash) or the system's library of that name is missing, checking takes a hundred times longer. A file packed
    with zstd needs the command C(zstd) or the Python package C(zstandard).
seealso:
  - module: domzero.xen.xen_vm_export
  - module: domzero.xen.xen_vm_import
"""

EXAMPLES = r"""
- name: Is that backup still good?
  domzero.xen.xen_xva_info:
    src: "{{ backups }}/web01.xva"
  register: backup

- name: What is in it?
  domzero.xen.xen_xva_info:
    src: "{{ backups }}/web01.xva"
    verify: false
"""

RETURN = r"""
xva:
  description: What the file holds. Sizes are bytes.
  returned: success
  type: dict
  contains:
    src:
      description: The file.
      type: str
    compression:
      description: V(none), V(gzip) or V(zstd).
      type: str
    verified:
      description: Whether all of it was checked. What follows from that alone is left out otherwise.
      type: bool
    size:
      description: Of the file.
      type: int
    sha256:
      description: Of the file, if it was checked.
      type: str
    blocks:
      description: How many blocks of disks are in it, if it was checked.
      type: int
    data:
      description: How much data of disks is in it, if it was checked.
      type: int
    unchecked:
      description: How many of the blocks have no checksum, as in files of the oldest releases; if it was checked.
      type: int
    metadata_only:
      description: Whether the disks' data is missing, as in an export of the description alone; if it was checked.
      type: bool
    release:
      description: Who made it.
      type: dict
    vms:
      description: The VMs with their disks and NICs, snapshots last.
      type: list
      elements: dict
    disk_size:
      description: Of all disks together, as guests see them.
      type: int
    networks:
      description: Names of the networks the VMs are on.
      type: list
      elements: str
    srs:
      description: Where the disks were.
      type: list
      elements: dict
"""

import contextlib
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.formats import manifest, ova, xva
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main


@contextlib.contextmanager
def nobody(_params: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    """No session is needed."""
    yield None


def run(_session: t.Any, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    path = Path(params["src"])
    if not params["verify"]:
        compression, described = xva.look_into(path)
        told = {"compression": compression, "verified": False, "size": path.stat().st_size}
    else:
        found = xva.verify(path)
        described = found.ova
        noted = manifest.read(manifest.place(path))
        if noted and (noted.size, noted.sha256) != (found.size, found.sha256):
            raise Damaged(f"{path} is sound, but not the file its manifest tells of: its SHA-256 is {found.sha256}, not {noted.sha256}.")
        told = {"verified": True, **{key: value for key, value in found._asdict().items() if key != "ova"}}
    return {"changed": False, "xva": {"src": str(path), **ova.describe(described), **told}}


MODULE = Module({"src": {"type": "path", "required": True}, "verify": {"type": "bool", "default": True}}, run, session=nobody)

if __name__ == "__main__":
    main(MODULE)
