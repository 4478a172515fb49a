#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_volume_group
short_description: LVM volume groups of a Xen host, with thin pools
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes a volume group of disks or partitions, adds further ones, and makes and grows thin pools in it.
  - A disk that became larger is used entirely.
  - What holds something is refused unless O(force) is set. What is in use, or belongs to another group, is always refused.
  - Physical volumes and pools that are not named are left alone.
extends_documentation_fragment: [domzero.xen.xl]
options:
  name:
    description: The name of the group.
    type: str
    required: true
  devices:
    description: Disks or partitions it is to have. Any path of a device will do.
    type: list
    elements: path
    default: []
  thin_pools:
    description: Thin pools it is to have. They grow when their size does, and never shrink.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the pool.
        type: str
        required: true
      size:
        description: How large it is, such as V(200 GiB); or the share of what is free when it is made, such as V(80%).
        type: str
        required: true
  force:
    description: Whether a disk is taken that holds a file system or partitions that nobody uses. They are lost.
    type: bool
    default: false
  state:
    description: Whether the group is there. Only a group without volumes is removed.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: domzero.xen.xl_volume
"""

EXAMPLES = r"""
- name: The second disk is for guests
  domzero.xen.xl_volume_group:
    name: guests
    devices: [/dev/vdb]

- name: Guests share a thin pool
  domzero.xen.xl_volume_group:
    name: guests
    devices: [/dev/vdb]
    thin_pools:
      - name: thin
        size: 256 MiB
"""

RETURN = r"""
volume_group:
  description: The group as it is after the task; as it was before it in check mode. Sizes in bytes.
  returned: success
  type: dict
  sample:
    name: guests
    size: 4290772992
    free: 4022337536
    devices: [/dev/vdb]
    thin_pools: [{name: thin, size: 268435456}]
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: [pvcreate --yes /dev/vdb, vgcreate guests /dev/vdb]
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.xl.storage import disks
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage.groups import Lvm, Wanted, named, plan, pool
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage.reading import read_lvm
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

POOL = {"name": {"type": "str", "required": True}, "size": {"type": "str", "required": True}}
OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True}, "devices": {"type": "list", "elements": "path", "default": []},
    "thin_pools": {"type": "list", "elements": "dict", "default": [], "options": POOL}, "force": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}  # fmt: skip


def run(task: Task) -> dict[str, t.Any]:
    """Raises XenError."""
    params = task.params
    absent = params["state"] == "absent"
    pools = tuple(pool(one) for one in params["thin_pools"])
    found = () if absent else tuple(disks.device(task.tool, path) for path in params["devices"])
    wanted = Wanted(named(params["name"], "volume group"), tuple(dict.fromkeys(found)), pools, params["force"], absent)
    there = read_lvm(task.tool, wanted.name)
    steps = plan(wanted, there)
    commands = task.carry_out(steps)
    before = told(there, wanted.name)
    after = told(read_lvm(task.tool, wanted.name), wanted.name) if steps and not task.check else before
    diff = {"before": {"commands": []}, "after": {"commands": commands}}
    return {"changed": bool(steps), "commands": commands, "diff": diff, "volume_group": after}


def told(there: Lvm, name: str) -> dict[str, t.Any]:
    group = there.group
    if not group:
        return {}
    pools = [{"name": one.name, "size": one.size} for one in group.volumes if one.thin_pool]
    devices = [one.path for one in there.of(name)]
    return {"name": name, "size": group.size, "free": group.free, "devices": devices, "thin_pools": pools}


if __name__ == "__main__":
    main(OPTIONS, run, tool="lvm")
