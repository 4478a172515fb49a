#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_moves
short_description: Move, stop and start many VMs of a pool, as much at once as may be
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Carries out a list of actions on VMs, such as the one of M(domzero.xen.xen_upgrade_plan) or M(domzero.xen.xen_evacuation_plan).
  - An action overtakes earlier ones of the list unless it could be in their way. What counts is the room that earlier ones need,
    and the VMs of a group with anti-affinity.
  - What is so already is left alone. A VM that is not as the action expects it is not touched, and told under RV(surprises).
  - A VM that something is under way with, such as a migration that an interrupted run has left, is waited for. Running the same list again
    goes on where it stopped.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  actions:
    description:
      - What is to be done, in an order that would be valid one by one.
      - A VM that is as its last action leaves it is left alone, whatever comes before.
    type: list
    elements: dict
    required: true
    suboptions:
      action:
        description:
          - V(migrate) moves a VM that runs to O(actions[].host).
          - V(shutdown) and V(suspend) stop a VM that runs. That it was stopped is noted in the VM's C(other_config) before.
          - V(start) and V(resume) start or resume a VM on O(actions[].host), whichever it needs, and take that note off.
        type: str
        required: true
        choices: [migrate, shutdown, suspend, start, resume]
      vm:
        description: The VM, by name or uuid.
        type: str
        required: true
      name:
        description: What the VM is called in messages should it not be there any more.
        type: str
      host:
        description: Where the VM is to be after the action, by name or uuid. With V(shutdown) and V(suspend) the host it is expected on.
        type: str
      host_name:
        description: For people to read, not used.
        type: str
      source:
        description: The host the VM is expected on, by name or uuid. If it runs elsewhere it is not touched.
        type: str
      source_name:
        description: For people to read, not used.
        type: str
      memory:
        description: Bytes that the VM is expected to take of a host, with its overhead. If it takes more by now it is not touched.
        type: int
  network:
    description: The network the migrations go over, by name or uuid. Default is that of management.
    type: str
  max_parallel:
    description: How many VMs move at a time in the whole pool. Default is as many as O(per_host) lets.
    type: int
  per_host:
    description: How many VMs move into a host at a time, and how many out of it.
    type: int
    default: 3
  remember_home:
    description:
      - Whether the host that a VM leaves is noted in the VM's C(other_config) as its home, unless a home is noted there already.
      - The note is taken off when the VM is brought to that host.
    type: bool
    default: false
  eject:
    description:
      - Whether a disc in a storage that the target host does not have is ejected before the VM moves. Otherwise such a VM does not move.
      - Which disc it was is noted in the drive's C(other_config).
    type: bool
    default: true
  stop:
    description:
      - How V(shutdown) is done. V(clean_then_hard) switches a VM off that has no guest tools, or is not down in O(shutdown_timeout).
    type: str
    choices: [clean, hard, clean_then_hard]
    default: clean_then_hard
  shutdown_timeout:
    description: Seconds a guest has to shut down.
    type: int
    default: 300
  wait_timeout:
    description:
      - How long one migration, start or suspension may take, in seconds. One that takes longer goes on, and the next run waits for it.
    type: int
    default: 7200
  strict:
    description: Whether the task fails when something under RV(failed_actions) did.
    type: bool
    default: true
  run:
    description:
      - The id of the rolling upgrade that this is part of (M(domzero.xen.xen_upgrade)). If another run has taken it over nothing is done.
    type: str
seealso:
  - module: domzero.xen.xen_vm_migrate
  - module: domzero.xen.xen_host
"""

EXAMPLES = r"""
- name: Two VMs change places by way of a third host
  domzero.xen.xen_vm_moves:
    actions:
      - {action: migrate, vm: web1, host: xcp02}
      - {action: migrate, vm: db1, host: xcp00}
    max_parallel: 2
    remember_home: true

- name: One is shut down, in two minutes at most
  domzero.xen.xen_vm_moves:
    actions:
      - {action: shutdown, vm: web1}
    shutdown_timeout: 120

- name: It is started again on its host
  domzero.xen.xen_vm_moves:
    actions:
      - {action: start, vm: web1, host: xcp00}
"""

RETURN = r"""
moved:
  description: VMs that were moved, or are to be. C(memory) is in bytes.
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: web1, uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c, from: xcp00, to: xcp02, memory: 4305453056}
stopped:
  description: VMs that were stopped. C(how) is V(clean), V(hard) or V(suspend).
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: legacy, uuid: 1f8f3fd5-5d4b-46a5-9f2c-6b0f6a2f2d0b, host: xcp00, how: hard}
started:
  description: VMs that were started or resumed.
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: legacy, uuid: 1f8f3fd5-5d4b-46a5-9f2c-6b0f6a2f2d0b, host: xcp00}
surprises:
  description: VMs that were left alone, since they are not as the action expects them, or there is no room for them.
  returned: always
  type: list
  elements: dict
  sample:
    - {vm: web3, uuid: 0c7f3e0c-3b0d-4f5a-8a58-5c2e0a3f6d11, action: migrate, msg: "VM 'web3' is halted."}
failed_actions:
  description: Actions that failed; the VM goes on where it was.
  returned: always
  type: list
  elements: dict
  sample:
    - vm: db1
      uuid: 5b2c2d0f-5f4e-4b6e-8f0a-1d3c5e7f9a0b
      action: migrate
      error_code: VM_MIGRATE_FAILED
      msg: "Could not move VM 'db1' from host 'xcp01' to host 'xcp00': VM.pool_migrate was refused: VM_MIGRATE_FAILED."
minutes:
  description: How long it took; 0 in check mode.
  returned: always
  type: float
  sample: 4.5
operations:
  description: The XenAPI calls made, or in check mode those that would be made, in the order of the actions.
  returned: always
  type: list
  elements: str
"""

import time
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.resource import refuse_forbidden
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal, moves_told
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.moves import Moves
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.moves_room import Limits


def run(session: Session, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    objects, began = Objects(session), time.monotonic()
    if params["run"]:
        journal.must_own(objects, params["run"])
    rules = moves_told.rules_of(objects, params)
    wishes = moves_told.wishes_of(objects, params["actions"])
    moves = Moves(session, wishes, rules, Limits(params["max_parallel"], params["per_host"]))
    moves.predict()
    refuse_forbidden(moves.plan(), session)
    try:
        if not check:
            moves.carry_out()
    except XenError as e:
        e.facts = {**moves_told.told_of(moves), **e.facts}
        raise
    told = moves_told.told_of(moves)
    minutes = 0.0 if check else round((time.monotonic() - began) / 60, 1)
    failed = {"failed": True, "msg": moves_told.sentence(told)} if told["failed_actions"] and params["strict"] else {}
    return {"changed": bool(told["operations"]), **told, "minutes": minutes, **failed}


MODULE = Module(moves_told.ARGUMENTS, run)

if __name__ == "__main__":
    main(MODULE)
