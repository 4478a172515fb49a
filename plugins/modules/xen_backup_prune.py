#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_backup_prune
short_description: Remove backups that no rule keeps
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Thins out a repository of backups on the machine the task runs on, each pool, host and VM by itself. No host is asked.
  - The rules are those of restic. A backup stays when any of them keeps it. They count hours, days, weeks, months and years in which
    there is a backup. Where there are fewer backups than a rule asks for, the oldest one stays as well.
  - The newest backup that can be used never goes, nor does one that was made with O(ignore:keep), nor one whose manifest cannot be read.
    Backups from the future (a clock was wrong) stay and are not counted. Backups that cannot be used are not counted, and go when a newer
    one can be used. But those that may be good stay, such as those of which a file could not be looked at or whose boot test failed.
  - A backup that others build on is merged into them before it goes. What is left reads the same, byte for byte. For that the disk's files
    are written anew, so room for the largest of them is needed for a while. Files are compared with their checksums before; what is
    damaged is not passed on.
  - The task may be interrupted at any moment. Nothing that is to stay is lost, and the next run finishes.
  - Check mode tells exactly what would be done. How much encrypted backups free by merging is known to some bytes only.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.backup_rules
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
    description: Only backups from this pool, by the name or uuid it had.
    type: str
  name:
    description: Only backups of this pool, host or VM, by the name or uuid it had.
    type: str
  identity:
    description:
      - The file of age's private key. It is needed where encrypted backups have to be merged.
      - The plain data lies in the folder for temporary files (C(TMPDIR)) meanwhile.
    type: path
notes:
  - The options that say how to reach a host are taken and not used.
  - Where one of them cannot be pruned, all others are; then the task fails and tells which.
  - Backups that are being made, restored or checked are not touched; the task fails for those and can be repeated.
seealso:
  - module: domzero.xen.xen_backup
  - module: domzero.xen.xen_backup_info
  - module: domzero.xen.xen_backup_verify
"""

EXAMPLES = r"""
- name: Keep a week of days, a month of weeks and a year of months
  domzero.xen.xen_backup_prune:
    repository: "{{ backups }}"
    keep_daily: 7
    keep_weekly: 5
    keep_monthly: 12
    time_zone: Europe/Berlin

- name: Keep two weeks of one VM, whatever was made then
  domzero.xen.xen_backup_prune:
    repository: "{{ backups }}"
    kind: vm
    name: web01
    keep_within: 14d
"""

RETURN = r"""
removed:
  description: The backups that went, with the reason. Sizes are bytes.
  returned: success
  type: list
  elements: dict
  sample:
    - pool: lab
      pool_uuid: 1f7e0a52-9d5e-4ad4-8f3c-54c6d6a1e2b0
      kind: vm
      name: web01
      uuid: 0b6b1d3f-9c0e-4c57-8a86-1f2b2a3d4e5f
      stamp: 20261114T220003Z
      why: [no rule keeps it]
      size: 2147483648
merged:
  description: The backups that took in others, which they built on.
  returned: success
  type: list
  elements: dict
  sample:
    - pool: lab
      pool_uuid: 1f7e0a52-9d5e-4ad4-8f3c-54c6d6a1e2b0
      kind: vm
      name: web01
      uuid: 0b6b1d3f-9c0e-4c57-8a86-1f2b2a3d4e5f
      stamp: 20261115T220004Z
      with: [20261114T220003Z]
kept:
  description: The backups that stayed, with all the reasons.
  returned: success
  type: list
  elements: dict
  sample:
    - pool: lab
      pool_uuid: 1f7e0a52-9d5e-4ad4-8f3c-54c6d6a1e2b0
      kind: vm
      name: web01
      uuid: 0b6b1d3f-9c0e-4c57-8a86-1f2b2a3d4e5f
      stamp: 20261115T220004Z
      why: [the newest usable one, daily]
tidied:
  description: What interrupted tasks had left, and was removed.
  returned: success
  type: list
  elements: path
freed:
  description: How many bytes of files are less than before. Files that are merged may be larger than those they were made of.
  returned: success
  type: int
  sample: 2147483648
operations:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
  sample:
    - repository/merge vm web01 20261114T220003Z into 20261115T220004Z
    - repository/remove vm web01 20261114T220003Z
failed:
  description: What could not be pruned, and why (C(msg)). The task fails then; what was done for the others is told beside it.
  returned: success, and when some could not be pruned
  type: list
  elements: dict
"""

import contextlib
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.backup import retention
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import KINDS
from ansible_collections.domzero.xen.plugins.module_utils.backup.prune import Asked, prune
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main

OPTIONS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": list(KINDS)},
    "pool": {"type": "str"},
    "name": {"type": "str"},
    "identity": {"type": "path"},
    **retention.OPTIONS,
}


@contextlib.contextmanager
def nobody(_params: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    """No session is needed."""
    yield None


def run(_session: t.Any, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    asked = Asked.of(params)
    wanted = {key: params[key] or "" for key in ("kind", "pool", "name")}
    return prune(Repository(params["repository"]), asked, check=check, **wanted)


MODULE = Module(OPTIONS, run, session=nobody)

if __name__ == "__main__":
    main(MODULE)
