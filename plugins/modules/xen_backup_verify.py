#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_backup_verify
short_description: Check that backups can be restored
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Reads backups of a repository on the machine the task runs on and tells everything that is wrong with them at once. The backups an
    increment builds on are checked with it.
  - What was found is noted beside each backup. No increment builds on one that was found to be bad, M(domzero.xen.xen_restore) refuses it,
    and M(domzero.xen.xen_backup_prune) does not count it. It is good again when a later check of that level, or a higher one, finds it
    so.
  - A file that cannot be read because of its disk, mount or permissions is told, the task fails, and nothing is noted of its backup.
  - With O(boot_test) VMs are also restored from their backups, started without networks, and removed.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  repository:
    description: The folder of the backups.
    type: path
    required: true
  kind:
    description: Only backups of pools, of hosts, or of VMs.
    type: str
    choices: [pool, host, vm]
  pool:
    description: Only backups from this pool, by name or uuid as the backups have it.
    type: str
  name:
    description: Only backups of this pool, host or VM, by name or uuid.
    type: str
  backup:
    description:
      - V(newest) for the newest of each, whether it is good or not; V(all); or one by its time stamp or id.
    type: str
    default: newest
  level:
    description:
      - With V(checksum) the SHA-256 of every file is compared with the one in the manifest.
      - With V(structure) in addition what the files hold is looked at. VHD files with their footers, headers, tables, and whom they
        build on; C(.xva) files with the checksum of every block; the dump of a pool's database; the archive of a host; and whether
        all of it is what the manifest says.
    type: str
    choices: [checksum, structure]
    default: checksum
  identity:
    description:
      - File with the key of C(age) for backups that are encrypted, needed for O(level=structure) and O(boot_test). Those of C(gpg) are
        opened by its agent.
      - Checksums are checked without. For what is inside, one file after another is decrypted into a private folder where temporary files
        lie (E(TMPDIR)).
    type: path
  boot_test:
    description:
      - Each chosen backup of a VM is restored as a VM of another name, with new MAC addresses, started, and removed with its disks,
        whatever comes of it. What an interrupted run left is removed by the next one.
      - A guest that does not come up makes its backup a bad one. That the pool could not take it, such as for lack of memory, does not.
    type: dict
    suboptions:
      sr:
        description: Where its disks go meanwhile, by name or uuid.
        type: str
        required: true
      host:
        description: The host it is started on, by name, uuid or address.
        type: str
      wait_for:
        description:
          - What proves that it runs. V(tools) waits for the guest tools, V(address) for an address the guest tells, V(none) for nothing
            but that it was started.
          - The NICs are removed before the start. With V(address) they are put on a network made for the test instead, which leads
            nowhere.
        type: str
        choices: [tools, address, none]
        default: tools
      timeout:
        description: Seconds in which that has to happen.
        type: int
        default: 600
notes:
  - The options that say how to reach a host are used with O(boot_test) only.
  - In check mode files are read and nothing is noted; a boot test is planned.
  - Of all that is asked for, something without any backup makes the task fail, after the others have been looked at.
  - A backup that did not start is not built on any more. M(domzero.xen.xen_backup_prune) does not remove it, as its data may be good.
  - Memory does not depend on the size of the backups.
seealso:
  - module: domzero.xen.xen_backup
  - module: domzero.xen.xen_backup_info
  - module: domzero.xen.xen_restore
"""

EXAMPLES = r"""
- name: Is the newest backup of everything what was written?
  domzero.xen.xen_backup_verify:
    repository: "{{ backups }}"

- name: All backups of a VM, inside too
  domzero.xen.xen_backup_verify:
    repository: "{{ backups }}"
    kind: vm
    name: web01
    backup: all
    level: structure
  register: checked

- name: Does it start?
  domzero.xen.xen_backup_verify:
    repository: "{{ backups }}"
    kind: vm
    name: web01
    boot_test:
      sr: Scratch
      wait_for: tools
      timeout: 300
"""

RETURN = r"""
backups:
  description:
    - Each backup that was looked at, those an increment builds on among them, as M(domzero.xen.xen_backup_info) tells it, and beside
      that what follows.
    - When the task fails they are told as well.
  returned: success or failure
  type: list
  elements: dict
  contains:
    level:
      description: How it was checked, V(checksum), V(structure) or V(boot).
      type: str
    ok:
      description: Whether nothing is wrong with it by itself.
      type: bool
    restorable:
      description: Whether nothing is wrong with it and all it builds on.
      type: bool
    bytes:
      description: How much was read.
      type: int
    findings:
      description: Everything that is wrong.
      type: list
      elements: dict
      contains:
        file:
          description: The name of the file in the backup's folder.
          type: str
        where:
          description: The place in it; empty for all of it.
          type: str
        problem:
          description: What is wrong there.
          type: str
        unreadable:
          description: Whether it could only not be looked at; nobody knows then whether it is damaged.
          type: bool
  sample:
    - bytes: 2119680
      created: "2026-11-21T22:58:09Z"
      findings: []
      kind: vm
      level: checksum
      name: web01
      ok: true
      restorable: true
      stamp: 20261121T225809Z
      state: good
operations:
  description: The XenAPI calls of the boot tests, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

import contextlib
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main, session_for
from ansible_collections.domzero.xen.plugins.module_utils.resources import backup_verify


@contextlib.contextmanager
def if_needed(params: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    """A session for a boot test, and nobody for files."""
    if not params["boot_test"]:
        yield None
        return
    with session_for(params) as session:
        yield session


MODULE = Module(backup_verify.OPTIONS, backup_verify.run, session=if_needed)

if __name__ == "__main__":
    main(MODULE)
