#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_guest_wait
short_description: Wait until a domU answers, or has stopped
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Waits until the SSH server of a domain answers Dom0, until its console asks for a login, or until the domain is gone.
  - When that takes too long, the task fails and tells what the console of the guest says. A domain that is gone is not waited for, and what
    its console said last is told if Dom0 keeps it (xenconsoled with C(--log=guest)).
  - Changes nothing. In check mode it does not wait.
extends_documentation_fragment: [domzero.xen.xl]
options:
  name:
    description: The domain's name.
    type: str
    required: true
  wait_for:
    description:
      - V(ssh) waits for an SSH server at O(address), or at the address that Dom0 knows of O(macs) from its DHCP server and its neighbours.
      - V(console) waits for C(login:) on the console, V(running) until the domain is there, V(off) until it is not. V(none) waits for
        nothing.
    type: str
    choices: [ssh, console, running, "off", none]
    default: ssh
  address:
    description: The guest's address.
    type: str
  macs:
    description: MAC addresses of its NICs, by which its address is found.
    type: list
    elements: str
  port:
    description: The port of its SSH server.
    type: int
    default: 22
  wait_timeout:
    description: Seconds to wait.
    type: float
    default: 300
seealso:
  - module: domzero.xen.xl_domain
"""

EXAMPLES = r"""
- name: The guest can be logged in to
  domzero.xen.xl_guest_wait:
    name: web01
    wait_for: running

- name: The installer has ended
  domzero.xen.xl_guest_wait:
    name: web02
    wait_for: "off"
    wait_timeout: 3600
"""

RETURN = r"""
address:
  description: Where it answers, as far as it is known.
  returned: success
  type: str
  sample: 192.0.2.10
waited:
  description: Seconds that were waited.
  returned: success
  type: int
  sample: 41
console:
  description: What its console says.
  returned: when it was waited for too long
  type: str
  sample: "web01 login:"
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.machine import Machine
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.waiting import await_guest
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module

OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "wait_for": {"type": "str", "choices": ["ssh", "console", "running", "off", "none"], "default": "ssh"},
    "address": {"type": "str"},
    "macs": {"type": "list", "elements": "str"},
    "port": {"type": "int", "default": 22},
    "wait_timeout": {"type": "float", "default": 300.0},
}


def run(task: Task) -> dict[str, t.Any]:
    p = task.params
    if task.check:
        return {"changed": False, "address": p["address"] or "", "waited": 0}
    return {
        "changed": False,
        **await_guest(
            Machine(task.timeout),
            p["name"],
            p["wait_for"],
            p["wait_timeout"],
            address=p["address"] or "",
            macs=p["macs"] or (),
            port=p["port"],
        ),
    }


def main() -> None:
    run_module(OPTIONS, run)


if __name__ == "__main__":
    main()
