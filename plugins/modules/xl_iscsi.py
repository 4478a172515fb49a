#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_iscsi
short_description: iSCSI targets of a Xen host
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Has the host log in at an iSCSI target, with CHAP in one or both directions, and again whenever it starts (open-iscsi).
  - A target whose disks are in use is not logged out of.
  - A session that is there keeps the secrets it logged in with; new ones count at the next login.
extends_documentation_fragment: [domzero.xen.xl]
options:
  portal:
    description: Address of the target, as C(host) or C(host:port).
    type: str
    required: true
  target:
    description: Name of the target (IQN). Can be left out where the portal offers one only.
    type: str
  initiator_name:
    description: The name by which the target knows this host. The earlier file is kept beside C(/etc/iscsi/initiatorname.iscsi).
    type: str
  username:
    description: The user of CHAP. V("") means no CHAP.
    type: str
  password:
    description: The secret of CHAP.
    type: str
  username_in:
    description: The user with which the target proves itself.
    type: str
  password_in:
    description: The secret with which the target proves itself; another one than O(password).
    type: str
  discovery_username:
    description: The user of CHAP at the discovery, where the portal asks for one. O(target) is needed then.
    type: str
  discovery_password:
    description: The secret at the discovery.
    type: str
  startup:
    description: Whether the host logs in when it starts.
    type: str
    choices: [automatic, manual]
    default: automatic
  state:
    description: Whether the host is logged in. V(absent) logs out and forgets the target.
    type: str
    choices: [present, absent]
    default: present
  wait_timeout:
    description: Seconds to wait for the disks of a new session.
    type: int
    default: 30
notes:
  - C(iscsiadm) takes secrets as arguments. While it runs, other users of Dom0 can see them.
  - Of a target that is absent in check mode, and whose portal cannot be reached yet, nothing can be predicted.
seealso:
  - module: domzero.xen.xl_volume_group
  - module: domzero.xen.xl_mount
"""

EXAMPLES = r"""
- name: Log in with CHAP, now and whenever the host starts
  domzero.xen.xl_iscsi:
    portal: 192.0.2.10
    target: iqn.2026-11.com.example:guests
    initiator_name: iqn.2026-11.com.example:xen1
    username: xen1
    password: "{{ iscsi_password }}"

- name: The target is not needed any more
  domzero.xen.xl_iscsi:
    portal: 192.0.2.10
    target: iqn.2026-11.com.example:guests
    state: absent
"""

RETURN = r"""
target:
  description: The target after the task; as it was before it in check mode. Secrets are not told.
  returned: success
  type: dict
  sample:
    portal: 192.0.2.10:3260
    target: iqn.2026-11.com.example:guests
    logged_in: true
    startup: automatic
    username: xen1
    disks:
      /dev/disk/by-path/ip-192.0.2.10:3260-iscsi-iqn.2026-11.com.example:guests-lun-0: /dev/sda
initiator_name:
  description: The name of the initiator after the task.
  returned: success
  type: str
  sample: iqn.2026-11.com.example:xen1
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: ["iscsiadm -m node -T iqn.2026-11.com.example:guests -p 192.0.2.10:3260 --login"]
"""

import dataclasses
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.xl.network import guard
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage import iscsi, reading
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

STR = {"type": "str"}
SECRET = {"type": "str", "no_log": True}
OPTIONS: dict[str, t.Any] = {
    "portal": {"type": "str", "required": True}, "target": STR, "initiator_name": STR, "username": STR, "password": SECRET,
    "username_in": STR, "password_in": SECRET, "discovery_username": STR, "discovery_password": SECRET,
    "startup": {"type": "str", "choices": ["automatic", "manual"], "default": "automatic"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"}, "wait_timeout": {"type": "int", "default": 30},
}  # fmt: skip


def run(task: Task) -> dict[str, t.Any]:
    """Raises XenError."""
    wanted = iscsi.wanted_of(task.params)
    wanted = dataclasses.replace(wanted, target=reading.target_of(task.tool, wanted))
    found = reading.read_iscsi(task.tool, wanted)
    if wanted.absent and found.session(wanted):
        reading.refuse_used(wanted)
    steps = iscsi.plan(wanted, found, task.tool)
    if wanted.initiator and wanted.initiator != found.initiator and not wanted.absent:
        steps = [Step(("write", iscsi.NAME_FILE), "name the initiator", run=lambda: name(wanted.initiator)), *steps]
    commands = task.carry_out(steps)
    initiator = wanted.initiator or found.initiator
    after = found if task.check or not steps else reading.read_iscsi(task.tool, wanted)
    disks = {} if wanted.absent else reading.await_paths(wanted, task.params["wait_timeout"] if after.session(wanted) else 0)
    return {
        "changed": bool(steps), "commands": commands, "target": told(wanted, after, disks), "initiator_name": initiator,
        "diff": {"before": shown(found), "after": shown(found) if not steps else wished(wanted, found, initiator)},
    }  # fmt: skip


def name(initiator: str) -> None:
    """The earlier file is kept."""
    before = reading.text(iscsi.NAME_FILE)
    if before:
        guard.write(f"{iscsi.NAME_FILE}.before-ansible", before, 0o600)
    guard.write(iscsi.NAME_FILE, iscsi.with_initiator(before, initiator), 0o600)


def told(wanted: iscsi.Wanted, found: iscsi.Found, disks: dict[str, str]) -> dict[str, t.Any]:
    record = found.record or {}
    return {
        "portal": wanted.portal, "target": wanted.target, "logged_in": bool(found.session(wanted)), "disks": disks,
        "startup": record.get("node.startup", ""), "username": record.get("node.session.auth.username", ""),
        "username_in": record.get("node.session.auth.username_in", ""),
    }  # fmt: skip


def shown(found: iscsi.Found) -> dict[str, str]:
    keys = ("node.startup", "node.session.auth.authmethod", "node.session.auth.username", "node.session.auth.username_in")
    return {"initiator_name": found.initiator, **{key: value for key, value in (found.record or {}).items() if key in keys and value}}


def wished(wanted: iscsi.Wanted, found: iscsi.Found, initiator: str) -> dict[str, str]:
    """For the diff: what is managed, without secrets."""
    if wanted.absent:
        return {"initiator_name": found.initiator}
    plain = {key: value for key, value in wanted.record.items() if key not in iscsi.SECRETS}
    return {**shown(found), "initiator_name": initiator, **plain}


if __name__ == "__main__":
    main(OPTIONS, run, tool="iscsiadm")
