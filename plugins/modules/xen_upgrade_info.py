#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_upgrade_info
short_description: Tell where the upgrade of a pool stands
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Tells whether an upgrade was begun, by whom, how far it is, whether its run still lives, what is set aside, which VMs are not at home
    or were stopped, and which hosts are down or disabled. Changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  takeover_after:
    description: A run does not live any more when its session made no call for so many seconds.
    type: float
    default: 90
seealso:
  - module: domzero.xen.xen_upgrade
"""

EXAMPLES = r"""
- name: Where does it stand?
  domzero.xen.xen_upgrade_info:
  register: upgrade

- name: Tell what is not as it was
  ansible.builtin.debug:
    msg: "{{ upgrade.phase | default('no upgrade', true) }}, stopped: {{ upgrade.stopped.keys() | join(', ') }}"
"""

RETURN = r"""
begun:
  description: Whether an upgrade was begun and has not ended.
  returned: success
  type: bool
alive:
  description: Whether its run still makes calls. Always false for a run without a session of M(domzero.xen.xen_session).
  returned: success
  type: bool
run:
  description: The id of the run it belongs to, empty if none was begun, as all of the following.
  returned: success
  type: str
id:
  description: The id of the upgrade, whoever continues it.
  returned: success
  type: str
by:
  description: The user and the control node.
  returned: success
  type: str
  sample: root@control1
since:
  description: When it began, by the coordinator's clock.
  returned: success
  type: str
  sample: 20260901T20:00:00Z
phase:
  description: How far it is.
  returned: success
  type: str
  sample: working
method:
  description: How hosts are upgraded.
  returned: success
  type: str
  sample: xcpng_packages
options:
  description: What was noted for whoever continues.
  returned: success
  type: dict
aside:
  description: What is set aside, as M(domzero.xen.xen_upgrade) returns it.
  returned: success
  type: dict
discs:
  description: CDs that are ejected, and their VMs.
  returned: success
  type: list
  elements: dict
  sample: [{vm: web1, disc: debian-12.7.0-amd64-netinst.iso}]
home:
  description: VMs that are to be brought home, and the host that is it.
  returned: success
  type: dict
  sample: {web1: xcp00}
stopped:
  description: VMs that were stopped, how, and on which host they ran.
  returned: success
  type: dict
  sample: {legacy: {how: shutdown, host: xcp01}}
hosts_down:
  description: Names of the hosts that are down.
  returned: success
  type: list
  elements: str
hosts_disabled:
  description: Names of the hosts that are up and disabled.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal_told


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    return {"changed": False, **journal_told.told(Objects(session), params["takeover_after"])}


MODULE = Module({"takeover_after": {"type": "float", "default": 90.0}}, run)

if __name__ == "__main__":
    main(MODULE)
