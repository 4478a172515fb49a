#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_upgrade
short_description: Begin and end the upgrade of a pool
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Notes in the pool's C(other_config) that an upgrade is under way, whose it is and how far it is, so that a later run, from any control
    node, can continue it. Two runs at once exclude each other.
  - Sets aside what would act on its own meanwhile, which is high availability, workload balancing, VMs that start with their host, and
    CDs that tie running VMs to some of the hosts. Everything is noted before it is set aside, and given back before the note goes.
  - What remains after an interruption is finished by running the task again.
  - Used by the role P(domzero.xen.pool_upgrade#role).
extends_documentation_fragment:
  - domzero.xen.xen
options:
  state:
    description:
      - V(begun) notes the upgrade, or continues one whose run does not live any more, and sets aside. Fails while another run is at work.
      - V(paused) gives back what can be given back and keeps the note, for a run that continues later.
      - V(ended) gives everything back, enables the hosts that were enabled at the beginning, and removes all notes. High availability is
        turned on only when all hosts are up, enabled and of one release. Otherwise it stays aside, is told, and the task fails.
      - V(aborted) does the same for an upgrade that is not to be finished, and tells what remains undone. VMs that are away from home or
        were stopped keep a note of that for the next upgrade.
    type: str
    choices: [begun, paused, ended, aborted]
    required: true
  run:
    description:
      - The id of this run, up to 64 letters, digits and characters of C(_.:@-). Without one V(begun) makes one up and returns it.
      - The other states fail if the upgrade is another run's by now. Without an id they take over from a run that does not live any more.
    type: str
  method:
    description: How hosts are upgraded, noted for whoever continues.
    type: str
  options:
    description: What whoever continues needs to know, noted as it is. Nothing secret, since all users of the pool can read it.
    type: dict
  phase:
    description: How far the upgrade is, noted as it is. V(paused) and V(giving back) say that nobody is at work.
    type: str
  takeover_after:
    description:
      - Another run does not live any more when its session made no call for so many seconds. V(0) takes over at once.
      - Only a run that has a session of M(domzero.xen.xen_session) can be seen to live. One whose O(phase) begins with C(command) is given
        forty times as long, since tasks of the user's own make no such calls.
    type: float
    default: 90
  ha:
    description: Whether high availability is set aside.
    type: bool
    default: true
  auto_poweron:
    description: Whether the start of VMs with their hosts is set aside.
    type: bool
    default: true
  wlb:
    description: Whether workload balancing is set aside.
    type: bool
    default: true
  eject:
    description: Whether CDs of running VMs are ejected that some of the hosts do not have.
    type: bool
    default: true
seealso:
  - module: domzero.xen.xen_upgrade_info
  - module: domzero.xen.xen_upgrade_preflight
"""

EXAMPLES = r"""
- name: Begin an upgrade
  domzero.xen.xen_upgrade:
    state: begun
    run: tonight
    method: xcpng_packages

- name: Note how far it is
  domzero.xen.xen_upgrade:
    state: begun
    run: tonight
    phase: working

- name: End it, everything is as it was
  domzero.xen.xen_upgrade:
    state: ended
    run: tonight
"""

RETURN = r"""
upgrade:
  description: The pool after the task, as far as an upgrade holds it. In check mode as it would be.
  returned: success
  type: dict
  contains:
    begun:
      description: Whether an upgrade is under way.
      type: bool
    phase:
      description: How far it is.
      type: str
    method:
      description: How hosts are upgraded.
      type: str
    ha_enabled:
      description: Whether high availability is on.
      type: bool
    auto_poweron:
      description: Whether VMs start with their hosts.
      type: bool
    wlb_enabled:
      description: Whether workload balancing is on.
      type: bool
    discs:
      description: CDs that are ejected, and their VMs.
      type: list
      elements: dict
    hosts_disabled:
      description: Names of the hosts that are up and disabled.
      type: list
      elements: str
  sample:
    begun: true
    phase: begun
    method: xcpng_packages
    ha_enabled: false
    auto_poweron: false
    wlb_enabled: false
    discs: [{vm: web1, disc: debian-12.7.0-amd64-netinst.iso}]
    hosts_disabled: []
run:
  description: The id of the run the upgrade belongs to.
  returned: always
  type: str
id:
  description: The id of the upgrade, whoever continues it.
  returned: always
  type: str
since:
  description: When it began, by the coordinator's clock.
  returned: always
  type: str
  sample: 20260901T20:00:00Z
resumed:
  description: Whether V(begun) found one that was begun before.
  returned: always
  type: bool
aside:
  description: What is set aside. For high availability the uuids of its SRs, how many hosts may fail, and its configuration.
  returned: always
  type: dict
  sample:
    ha: {srs: [0f3a53f6-2b3c-4d2a-8b2e-3f8f6f0c1a11], ntol: 1, config: {}}
    auto_poweron: "true"
    wlb: true
still_aside:
  description: What could not be given back, and why, one sentence each.
  returned: always
  type: list
  elements: str
undone:
  description: Hosts that are down, VMs that are not at home or were stopped, one sentence each. Empty for V(begun).
  returned: always
  type: list
  elements: str
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.resource import achieve, predict
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.aside_task import Upgrade, outcome


def run(session: Session, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    upgrade = Upgrade(session, params)
    result = predict(upgrade) if check else achieve(upgrade)
    return outcome(result, params["state"], upgrade.stuck.values())


MODULE = Module(Upgrade.arguments(), run)

if __name__ == "__main__":
    main(MODULE)
