#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool_preflight
short_description: Find what is wrong with the description of a pool before anything is touched
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Reads the description that the role P(domzero.xen.pool_build#role) takes, logs in to every host in it and fails with all problems
    at once.
  - Found are contradictions, such as a name, an address, a NIC or a storage target used twice, a network that nobody describes,
    a VLAN tag or a bond that cannot be.
  - Found are hosts that do not answer, refuse the login, show another certificate, lack a NIC or belong to another pool.
  - Changes nothing. Why a host cannot join is told by M(domzero.xen.xen_pool) in check mode.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  hosts:
    description: The hosts, as C(pool_build_hosts).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      address:
        description: Where it answers, as C(host) or C(host:port).
        type: str
        required: true
      username:
        description: The user to log in as. Default is that of the task.
        type: str
      password:
        description: The user's password. Default is that of the task.
        type: str
      validate_certs:
        description: As the option of that name for the coordinator. Default is that of the task.
        type: bool
      ca_file:
        description: As the option of that name for the coordinator. Default is that of the task.
        type: path
      fingerprint:
        description: As the option of that name for the coordinator. Default is that of the task.
        type: list
        elements: str
      force:
        description: As for M(domzero.xen.xen_pool); not looked at here.
        type: bool
      addresses:
        description: The host's addresses, as options of M(domzero.xen.xen_pif).
        type: list
        elements: dict
  networks:
    description: The networks, as options of M(domzero.xen.xen_network).
    type: list
    elements: dict
    default: []
  storage:
    description: The SRs, as options of M(domzero.xen.xen_sr).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Look before building
  domzero.xen.xen_pool_preflight:
    hosts:
      - {name: xcp00, address: "{{ xcp00_address }}"}
    networks:
      - {name: Management, nic: eth0}
      - {name: DMZ, vlan: {tag: 100, network: Management}}

- name: What the hosts are that a description names
  domzero.xen.xen_pool_preflight:
    hosts:
      - {name: xcp00, address: "{{ xcp00_address }}"}
      - {name: xcp01, address: "{{ xcp01_address }}", password: "{{ xcp01_password }}"}
  register: report
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each. Empty when the task succeeds.
  returned: always
  type: list
  elements: str
coordinator:
  description: The name of the described host that is the coordinator, empty if none of them is.
  returned: always
  type: str
hosts:
  description: What was seen of each host that could be reached.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The host's name in the description.
      type: str
    address:
      description: Where it answers.
      type: str
    product:
      description: Brand and version.
      type: str
    nics:
      description: Its physical NICs.
      type: list
      elements: str
    pool_of:
      description: The coordinator's address if the host is a member of a pool, else empty.
      type: str
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils import preflight
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main

HOST: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool"},
    "ca_file": {"type": "path"},
    "fingerprint": {"type": "list", "elements": "str"},
    "force": {"type": "bool"},
    "addresses": {"type": "list", "elements": "dict"},
}


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    trust = ("username", "password", "validate_certs", "ca_file", "fingerprint")
    hosts = [{**{key: params[key] for key in trust}, **{k: v for k, v in host.items() if v is not None}} for host in params["hosts"]]
    problems, looked, leads = preflight.examine(session, hosts, params["networks"], params["storage"])
    result = {"changed": False, "problems": problems, "hosts": [host._asdict() for host in looked], "coordinator": leads}
    if problems:
        return {**result, "failed": True, "msg": "The pool cannot be built as described: " + " ".join(problems)}
    return result


MODULE = Module(
    {
        "hosts": {"type": "list", "elements": "dict", "required": True, "options": HOST},
        "networks": {"type": "list", "elements": "dict", "default": []},
        "storage": {"type": "list", "elements": "dict", "default": []},
    },
    run,
)

if __name__ == "__main__":
    main(MODULE)
