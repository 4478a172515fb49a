#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_evacuation_plan
short_description: Plan how one host is emptied
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Plans which VM goes where, so that a host is empty. Nothing is changed.
  - C(host.evacuate) of XenAPI gives up where a VM fits no host as they are, or may not run on one of them. This plan moves VMs of other
    hosts out of the way where that makes room, and takes each VM to a host that will do for it. As little memory is moved as may be.
  - Where there is no plan, the task fails and tells what is in the way and what to do about it.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.upgrade_plan
options:
  name:
    description: The host, by name, uuid or address.
    type: str
    required: true
  unmovable:
    description:
      - What becomes of VMs that cannot be moved.
      - With V(fail) there is no plan, and the result tells what to do about each of them. With V(shutdown) or V(suspend) they are stopped.
    type: str
    choices: [fail, shutdown, suspend]
    default: fail
  compare:
    description: Whether xapi is asked, too, what it thinks of emptying the host.
    type: bool
    default: false
seealso:
  - module: domzero.xen.xen_upgrade_plan
"""

EXAMPLES = r"""
- name: Where the VMs of lab1 would go
  domzero.xen.xen_evacuation_plan:
    name: lab1
    unmovable: shutdown
  register: plan

- name: Show it
  ansible.builtin.debug:
    var: plan.table

- name: What would become of them, and what xapi says
  domzero.xen.xen_evacuation_plan:
    name: lab2
    unmovable: suspend
    network: Pool-wide network associated with eth2
    compare: true
"""

RETURN = r"""
moves:
  description: The migrations, in order. C(memory) is in bytes.
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: web1, uuid: 6f0d7ccd-1d1c-4f8e-8c5d-0e1f6b2c7a90, from: lab1, to: lab3, memory: 2168455168}
stops:
  description: VMs that are stopped, and how.
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: gateway, uuid: 0d7a2c5b-3f3e-4f0e-9a55-c5b1f7f9f0aa, host: lab1, action: shutdown}
actions:
  description: All of it as M(domzero.xen.xen_vm_moves) takes it.
  returned: always
  type: list
  elements: dict
  sample: []
passed:
  description: Whether VMs of other hosts pass the host on their way, since nothing else makes room. Then it must not be disabled before.
  returned: always
  type: bool
  sample: false
cost:
  description: The number of moves, the memory that is moved in bytes, how often the VM moves that moves most, the minutes it takes, and
    what no plan does with less than. None if there is no plan.
  returned: always
  type: dict
  sample: {moves: 1, memory: 2168455168, most_moved: 1, minutes: 0.4, downtime: {}, bound: {moves: 1, memory: 2168455168}}
problems:
  description: Why there is no plan, with what to do. Empty if there is one.
  returned: always
  type: list
  elements: str
  sample: []
blockers:
  description: VMs that cannot be moved, whatever becomes of them. Each with C(vm), C(uuid), C(host), XenAPI's C(code), C(why) and
    C(remedy).
  returned: always
  type: list
  elements: dict
  sample:
    - vm: gateway
      uuid: 0d7a2c5b-3f3e-4f0e-9a55-c5b1f7f9f0aa
      host: lab1
      code: VM_HAS_PCI_ATTACHED
      why: VM 'gateway' uses a PCI device of its host.
      remedy: Stop it and take the device away.
table:
  description: The plan as lines to read.
  returned: always
  type: list
  elements: str
  sample: ["Host lab1 is emptied in about 0.4 minutes", "  web1  lab1 -> lab3  2.02 GiB"]
xapi:
  description: Whether xapi itself would empty the host as it is (C(empties)), and its codes for the VMs that prevent that
    (C(prevented_by)).
  returned: with O(compare)
  type: dict
  sample: {empties: false, prevented_by: {gateway: [VM_HAS_PCI_ATTACHED]}}
"""

import typing as t
from dataclasses import dataclass

from ansible_collections.domzero.xen.plugins.module_utils import hosts
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import Policy
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import planning
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.survey import survey
from ansible_collections.domzero.xen.plugins.module_utils.vms import Vms

UNMOVABLE = {"type": "str", "choices": ["fail", "shutdown", "suspend"], "default": "fail"}


@dataclass(frozen=True)
class Empty:
    """What is wanted of the host."""

    evacuate: bool = True


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    planning.checked(params)
    objects = Objects(session)
    planning.rested(objects, params["wait_timeout"])
    host = hosts.resolve(objects, params["name"])
    network = planning.network_of(objects, params["network"])
    seen = survey(objects, {host: Empty()}, network=network, eject=params["eject"])
    policy = Policy(params["unmovable"], "never", params["anti_affinity"], 1, params["max_parallel_migrations"])
    result = planning.emptied(seen, hosts.name_of(objects, host), policy, planning.speed(params), passing=True)
    if not params["compare"]:
        return result
    label = Vms(objects).label
    answer = session.call("host.get_vms_which_prevent_evacuation", host)
    prevented = {label(vm): [objects.readable(word) for word in words if word != vm] for vm, words in answer.items()}
    says = ", ".join(f"{vm} ({words[0]})" for vm, words in sorted(prevented.items()))
    line = f"xapi itself gives up because of {says}." if says else "xapi itself would empty it as well."
    return {**result, "xapi": {"empties": not prevented, "prevented_by": prevented}, "table": [*result["table"], line]}


MODULE = Module(
    {
        "name": {"type": "str", "required": True},
        **planning.POLICY,
        "unmovable": UNMOVABLE,
        "compare": {"type": "bool", "default": False},
    },
    run,
)

if __name__ == "__main__":
    main(MODULE)
