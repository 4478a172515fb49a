#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_upgrade_plan
short_description: Plan the rolling upgrade of a pool
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Plans which VM goes where, and which hosts are upgraded when, so that hosts are empty while they are upgraded and VMs run on. Nothing is
    changed.
  - The coordinator comes first. As little memory is moved as may be; the result tells that beside what no plan can do with less. A VM never
    goes to a host of an older release, nor to one that lacks an SR, a network or a feature of the CPU it needs.
  - The plan is made from the pool as it is, so a pool that is half upgraded gets a plan for the rest. VMs that were stopped for the upgrade
    are started first where their host is done, and VMs that are to be brought back to where they were go there.
  - Where there is no plan, the task fails and tells what is in the way and what to do about it.
  - The role P(domzero.xen.pool_upgrade#role) carries plans out.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.upgrade_method
  - domzero.xen.upgrade_plan
options:
  hosts:
    description: Upgrade these hosts only, by name or uuid. All that are due if not set.
    type: list
    elements: str
  return_home:
    description:
      - Which VMs end where they were. With V(always) all do, and every VM moves there and back. With V(affinity) those that have an
        affinity for a host end there, where they fit.
    type: str
    choices: [never, always, affinity]
    default: never
  max_hosts_down:
    description: How many hosts may be upgraded at once, when the coordinator has been. Fewer are, where the others cannot take all their
      VMs.
    type: int
    default: 1
  follow:
    description:
      - The RV(plan) of an earlier task. It is gone on with as long as the pool is as it left it, so that what is done is what was shown.
        Otherwise there is a new plan.
    type: dict
  run:
    description: The id of the run of M(domzero.xen.xen_upgrade) this is part of. If another run has taken over, the task fails.
    type: str
seealso:
  - module: domzero.xen.xen_evacuation_plan
"""

EXAMPLES = r"""
- name: What an update of all packages would take
  domzero.xen.xen_upgrade_plan:
    method: xcpng_packages
  register: upgrade

- name: Show it
  ansible.builtin.debug:
    var: upgrade.table

- name: Two hosts at once, every VM back where it was; what cannot be moved is shut down meanwhile
  domzero.xen.xen_upgrade_plan:
    method: reboot
    max_hosts_down: 2
    return_home: always
    unmovable: shutdown
    network: Pool-wide network associated with eth2
    speed: {nic: 60, upgrade: 8}
"""

RETURN = r"""
due:
  description: The hosts that are due, of those asked for, with the reason, whether their VMs have to leave, whether they are rebooted, and
    the packages that are installed where that is known.
  returned: always
  type: dict
  sample:
    lab0: {why: 2 packages to update, evacuate: true, reboot: true, packages: [xen-hypervisor-4.17.5-15.1.xcpng8.3]}
skipped:
  description: Hosts that are left out, and why.
  returned: always
  type: dict
  sample: {}
problems:
  description: Why there is no plan, with what to do. Empty if there is one.
  returned: always
  type: list
  elements: str
  sample: ["VM 'gateway' uses a PCI device of its host. Stop it and take the device away."]
blockers:
  description: VMs that cannot be moved off hosts that have to be empty, whatever becomes of them.
  returned: always
  type: list
  elements: dict
  contains:
    vm:
      description: Its name.
      type: str
    uuid:
      description: Its uuid.
      type: str
    host:
      description: Where it runs.
      type: str
    code:
      description: XenAPI's code for the reason.
      type: str
    why:
      description: The reason.
      type: str
    remedy:
      description: What to do about it.
      type: str
discs:
  description: Discs that are taken out of the drives of running VMs during the upgrade, since some host cannot reach them.
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: web0, disc: debian-12.7.0-amd64-netinst.iso}
left:
  description: What remains undone and cannot be planned now, such as a VM that was stopped on a host that is down.
  returned: always
  type: list
  elements: str
  sample: []
plan:
  description: All that is to be done, in order.
  returned: always
  type: dict
  contains:
    waves:
      description: Hosts that are upgraded together (C(hosts)), with the C(moves) before that, the VMs that are stopped (C(stops),
        with the reason C(why)) and started again (C(starts)), and the C(minutes) all of this takes.
      type: list
      elements: dict
    home:
      description: The moves after the last wave.
      type: list
      elements: dict
  sample:
    waves:
      - hosts: [lab0]
        moves: [{vm: web0, uuid: 6f0d7ccd-1d1c-4f8e-8c5d-0e1f6b2c7a90, from: lab0, to: lab3, memory: 2168455168}]
        stops: []
        starts: []
        minutes: 15.4
    home: []
cost:
  description: The number of moves, the memory that is moved in bytes, how often the VM moves that moves most, the minutes it takes, the
    minutes for which VMs are down, and what no plan does with less than. None if there is no plan.
  returned: always
  type: dict
  sample:
    {moves: 1, memory: 2168455168, most_moved: 1, minutes: 15.4, downtime: {}, bound: {moves: 1, memory: 2168455168}}
table:
  description: The plan as lines to read.
  returned: always
  type: list
  elements: str
  sample: ["1 host is due:", "  lab0  2 packages to update (reboot, coordinator)"]
next:
  description: The first step. The actions as M(domzero.xen.xen_vm_moves) takes them, the hosts that are upgraded after that (by uuid),
    with their C(name) and C(address) too in C(host_records)), whether they have to be empty, and the VMs to start when they are back.
    Before all of that the hosts in C(enable) have to leave maintenance, where an earlier run has left them, and those in C(disable)
    should take no new VMs.
  returned: always
  type: dict
  sample: {actions: [], hosts: [2a6d7c39-4b43-4b0f-9d0c-67f4a0a5b6d1], evacuate: true, starts: []}
done:
  description: Whether nothing is left that could be done.
  returned: always
  type: bool
  sample: false
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils import hosts as pool_hosts
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import Policy
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal, methods, planning
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.survey import survey


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    planning.checked(params)
    objects = Objects(session)
    journal.must_own(objects, params["run"])
    planning.rested(objects, params["wait_timeout"])
    only = None if params["hosts"] is None else [pool_hosts.resolve(objects, text) for text in params["hosts"]]
    method = methods.of(params["method"], params, session, objects, params["run"] or "")
    due = method.due()
    network = planning.network_of(objects, params["network"])
    home = params["return_home"]
    seen = survey(
        objects, due, only=only, ordered=method.ordered, network=network, eject=params["eject"], homes=home == "always"
    )  # fmt: skip
    policy = Policy(
        params["unmovable"], home, params["anti_affinity"], params["max_hosts_down"], params["max_parallel_migrations"]
    )  # fmt: skip
    chosen = {pool_hosts.name_of(objects, ref): row for ref, row in due.items() if only is None or ref in only}
    told = {
        host: {"why": row.why, "evacuate": row.evacuate, "reboot": row.reboot, "packages": row.packages}
        for host, row in sorted(chosen.items())
    }
    return planning.upgraded(seen, policy, planning.speed(params), told, planning.known(seen, params["follow"]))


MODULE = Module(
    {
        **methods.ARGUMENTS,
        "hosts": {"type": "list", "elements": "str"},
        "return_home": {"type": "str", "choices": ["never", "always", "affinity"], "default": "never"},
        "max_hosts_down": {"type": "int", "default": 1},
        **planning.POLICY,
        "follow": {"type": "dict"},
        "run": {"type": "str"},
    },
    run,
    methods.RULES,
)

if __name__ == "__main__":
    main(MODULE)
