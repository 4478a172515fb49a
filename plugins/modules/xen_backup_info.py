#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_backup_info
short_description: Tell which backups there are
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Reads a repository of backups on the machine the task runs on and tells what is in it. No host is asked.
  - It reads the manifests and looks whether the files are there in their sizes. What the files hold is checked by
    M(domzero.xen.xen_backup_verify), whose last verdict is told.
  - With rules of retention every backup tells whether M(domzero.xen.xen_backup_prune) would remove it, and why.
  - It can be asked while backups are made.
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
  contents:
    description: Whether the dumps of pools are read and it is told what they hold. Those that are encrypted are not.
    type: bool
    default: false
notes:
  - The options that say how to reach a host are taken and not used.
seealso:
  - module: domzero.xen.xen_backup
  - module: domzero.xen.xen_backup_prune
  - module: domzero.xen.xen_backup_verify
  - module: domzero.xen.xen_restore
"""

EXAMPLES = r"""
- name: Which backups are there of web01?
  domzero.xen.xen_backup_info:
    repository: "{{ backups }}"
    kind: vm
    name: web01
  register: there

- name: The newest one can be used
  ansible.builtin.assert:
    that: there.backups[-1].state == 'good'

- name: Which VMs are in the last dump of the pool?
  domzero.xen.xen_backup_info:
    repository: "{{ backups }}"
    kind: pool
    contents: true
  register: dumps

- name: Show them
  ansible.builtin.debug:
    msg: "{{ (dumps.backups | last).contents.vms | map(attribute='name') }}"

- name: What would go?
  domzero.xen.xen_backup_info:
    repository: "{{ backups }}"
    keep_daily: 7
    keep_weekly: 5
    keep_monthly: 12
    time_zone: Europe/Berlin
  register: thinned

- name: Show it
  ansible.builtin.debug:
    msg: "{{ thinned.backups | selectattr('next_deletion.removed') | map(attribute='path') }}"
"""

RETURN = r"""
backups:
  description: The backups by pool, kind and name, of each thing the oldest first. Sizes are bytes.
  returned: success
  type: list
  elements: dict
  contains:
    pool:
      description: The pool it was made from.
      type: str
      sample: lab
    pool_uuid:
      description: Its uuid.
      type: str
    kind:
      description: V(pool), V(host) or V(vm).
      type: str
    name:
      description: The name of the pool, host or VM at that time.
      type: str
      sample: web01
    uuid:
      description: Its uuid.
      type: str
    stamp:
      description: The name of its folder, by which it can be chosen.
      type: str
      sample: 20261121T225809Z
    id:
      description: Its id, by which it can be chosen as well.
      type: str
    number:
      description: The order in which those of one thing were made, whatever the clocks said.
      type: int
    created:
      description: The moment it stands for.
      type: str
      sample: "2026-11-21T22:58:09Z"
    form:
      description: V(xva) for a whole VM in one file, V(vhd) for one file of each disk, V(dump) of a pool, V(archive) of a host.
      type: str
    parent:
      description: The stamp of the backup it builds on. Empty for one that is whole.
      type: str
    depth:
      description: How many backups it consists of, itself counted. 0 if one of them is damaged or missing.
      type: int
      sample: 3
    size:
      description: Of its files.
      type: int
    disks:
      description: The disks, with how many bytes of each are in this backup (C(data)) and how they came to it (C(how)).
      type: list
      elements: dict
    left_out:
      description: The disks that are not in it, and why.
      type: list
      elements: dict
    state:
      description:
        - V(good) if it can be used.
        - V(damaged) if its manifest or one of its files is not what it was.
        - V(bad) if its last check found something, and V(broken chain) if one it builds on cannot be used.
      type: str
    problem:
      description: Why it cannot be used.
      type: str
    verified:
      description: The last check, with C(when), C(level), C(ok) and C(problem). Null if there was none since its files were written.
      type: dict
    keep:
      description: Whether it stays, whatever the rules say.
      type: bool
    encrypted:
      description: Whether its files are.
      type: bool
    path:
      description: Its folder.
      type: str
    next_deletion:
      description: Whether these rules remove it (C(removed)) and why it stays or goes (C(why)). Only if a rule was given.
      type: dict
      sample: {removed: false, why: [daily]}
    contents:
      description:
        - What the dump of a pool holds. That is its C(schema) and C(generation), the C(pool), and the C(hosts), C(srs), C(networks) and
          C(vms) with their disks.
        - Null for other backups, and with a warning for a dump that cannot be read. Only with O(contents=true).
      type: dict
subjects:
  description: What has backups, by pool, kind and name.
  returned: success
  type: list
  elements: dict
  contains:
    pool:
      description: The pool.
      type: str
    pool_uuid:
      description: Its uuid.
      type: str
    kind:
      description: V(pool), V(host) or V(vm).
      type: str
    name:
      description: Its name at its newest backup.
      type: str
    uuid:
      description: Its uuid.
      type: str
    path:
      description: Its folder.
      type: str
    newest:
      description: The stamp of the newest backup that can be used. Empty if none can.
      type: str
    created:
      description: The moment that one stands for.
      type: str
    count:
      description: How many backups there are.
      type: int
    usable:
      description: How many of them can be used.
      type: int
    size:
      description: Of the files of all of them, in bytes.
      type: int
    state:
      description: V(good) if all can be used, V(damaged) if some cannot, V(lost) if none can, V(empty) if there are none.
      type: str
    leftovers:
      description:
        - What interrupted runs left, which the next run removes. While a backup is made its files are among them.
      type: list
      elements: str
foreign:
  description: What lies in the repository and does not belong to it. It is left alone.
  returned: success
  type: list
  elements: str
"""

import contextlib
import datetime as dt
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.backup import info, retention
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import KINDS
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main

OPTIONS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": list(KINDS)},
    "pool": {"type": "str"},
    "name": {"type": "str"},
    "contents": {"type": "bool", "default": False},
    **retention.OPTIONS,
}


@contextlib.contextmanager
def nobody(_params: t.Mapping[str, t.Any]) -> t.Iterator[t.Any]:
    """No session is needed."""
    yield None


def run(_session: t.Any, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    now = dt.datetime.now(retention.UTC)
    plans = info.Plans(retention.Rules.of(params), retention.zone_of(params["time_zone"]), now)
    wanted = {key: params[key] or "" for key in ("kind", "pool", "name")}
    return {"changed": False, **info.tell(Repository(params["repository"]), plans, **wanted, contents=params["contents"])}


MODULE = Module(OPTIONS, run, session=nobody)

if __name__ == "__main__":
    main(MODULE)
