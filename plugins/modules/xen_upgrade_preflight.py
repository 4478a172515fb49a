#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_upgrade_preflight
short_description: Find what is in the way of upgrading a pool before anything is touched
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Looks at a whole pool at once and fails with everything that is to be mended before its hosts are upgraded one after the other, each
    with what to do about it. What is only worth knowing is told as warnings. Changes nothing.
  - Looked at are hosts that are down or disabled, versions, shared SRs that are not attached everywhere, high availability, workload
    balancing, VMs that start with their host, guidance of earlier updates, space, exports, backups and other work under way, disks in
    control domains, CDs, guest tools, suspended VMs, another upgrade of this pool, and whether the task runs in a VM of this very pool.
  - When an upgrade was begun and is to go on, hosts that are down or disabled, and work that is under way, are no problems, since the
    upgrade waits for them.
  - Which VMs keep their hosts from being upgraded is told by M(domzero.xen.xen_upgrade_plan).
extends_documentation_fragment:
  - domzero.xen.xen
options:
  method:
    description:
      - How hosts are to be upgraded, as for M(domzero.xen.xen_upgrade_plan). With V(pool_update) the space for update files counts.
    type: str
  hosts:
    description: The hosts that are to be upgraded, by name or uuid. Default is all of them.
    type: list
    elements: str
    default: []
  unmovable:
    description: What is to happen to VMs that cannot move. With V(suspend) the space for their memory counts.
    type: str
    choices: [fail, skip_host, shutdown, suspend]
  control_node_last:
    description:
      - The VM that the task runs in, by name or uuid, if it is one of this pool. Its host is to come last.
      - Empty says that it runs in none of them, where a VM has the same address as this machine.
    type: str
  ha:
    description: Whether high availability will be set aside.
    type: bool
    default: true
  auto_poweron:
    description: Whether the start of VMs with their hosts will be set aside.
    type: bool
    default: true
  wlb:
    description: Whether workload balancing will be set aside.
    type: bool
    default: true
  eject:
    description: Whether CDs will be ejected that some hosts do not have.
    type: bool
    default: true
  run:
    description: The id of the run that goes on with an upgrade.
    type: str
  takeover_after:
    description: Another run does not live any more when its session made no call for so many seconds. It is watched for that long.
    type: float
    default: 90
seealso:
  - module: domzero.xen.xen_upgrade
  - module: domzero.xen.xen_upgrade_plan
"""

EXAMPLES = r"""
- name: Is the pool ready to be upgraded?
  domzero.xen.xen_upgrade_preflight:
    method: xcpng_packages

- name: All that would be in the way of two hosts, without failing
  domzero.xen.xen_upgrade_preflight:
    hosts: [xcp00, xcp01]
    ha: false
  register: ready
  failed_when: false
"""

RETURN = r"""
problems:
  description: What is to be mended before, and how, one text each. Empty when the task succeeds.
  returned: always
  type: list
  elements: str
  sample: ["Host 'xcp02' is down. Start it, or leave it out with hosts."]
warnings:
  description: What is worth knowing. Ansible shows them as warnings of the task.
  returned: always
  type: list
  elements: str
notes:
  description: The warnings, to be used by tasks that follow.
  returned: always
  type: list
  elements: str
  sample: ["High availability is on. It is set aside while the upgrade runs, and given back."]
control_node:
  description: The VM that the task runs in, if it is one of this pool, else empty.
  returned: always
  type: str
resumes:
  description: Whether an upgrade was begun that is to go on.
  returned: always
  type: bool
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import preflight

SET_ASIDE: dict[str, t.Any] = {"type": "bool", "default": True}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "method": {"type": "str"},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "unmovable": {"type": "str", "choices": ["fail", "skip_host", "shutdown", "suspend"]},
    "control_node_last": {"type": "str"},
    "ha": SET_ASIDE,
    "auto_poweron": SET_ASIDE,
    "wlb": SET_ASIDE,
    "eject": SET_ASIDE,
    "run": {"type": "str"},
    "takeover_after": {"type": "float", "default": 90.0},
}


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    handed = params.get("session")
    mine = session.call("session.get_uuid", session.handle) if handed and session.handle == handed["ref"] else ""
    found = preflight.examine(Objects(session), params, mine)
    result = {"changed": False, **found, "notes": found["warnings"]}
    if found["problems"]:
        return {**result, "failed": True, "msg": "The pool is not ready to be upgraded: " + " ".join(found["problems"])}
    return result


MODULE = Module(ARGUMENTS, run)

if __name__ == "__main__":
    main(MODULE)
