#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_info
short_description: Read objects of any class of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Returns the objects of a XenAPI class with the fields and values XenAPI has for them.
  - One request reads all objects of a class, and one more each class that O(filter) or O(query) looks into.
  - Passwords and other secrets are returned as stars.
  - The C(xen_*_info) modules tell of some classes in the words of the modules that manage them.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  class:
    description: The class as XenAPI spells it, such as V(VM), V(host) or V(PIF). An unknown one is answered with names like it.
    type: str
    required: true
  filter:
    description:
      - Only objects whose fields have these values, by XenAPI's names.
      - A set has to hold the value or, for a list, all of them. A map has to hold the given keys with their values.
      - A null stands for no object.
      - A field that refers to another object may be given that object's name or uuid.
    type: dict
    default: {}
  fields:
    description: Only these fields in RV(objects), and C(ref). All if not set.
    type: list
    elements: str
  query:
    description:
      - A L(JMESPath,https://jmespath.org) query over the list of the objects, with all their fields. It returns as RV(result).
      - A reference can be looked into as if the object stood in its place, over any number of steps, such as C(VBDs[].VDI.SR.name_label).
      - A reference to nothing is null.
    type: str
requirements:
  - jmespath (Python package), for O(query)
"""

EXAMPLES = r"""
- name: Names and sizes of all shared SRs
  domzero.xen.xen_info:
    class: SR
    filter:
      shared: true
    fields: [name_label, physical_size]

- name: Which NICs are attached to which network
  domzero.xen.xen_info:
    class: PIF
    filter:
      currently_attached: true
    query: "[].{host: host.name_label, nic: device, network: network.name_label, address: IP}"

- name: Running VMs and the SRs their disks are on
  domzero.xen.xen_info:
    class: VM
    filter: {power_state: Running, is_control_domain: false}
    fields: [uuid]
    query: "[].{vm: name_label, host: resident_on.name_label, srs: VBDs[?type=='Disk'].VDI.SR.name_label}"
"""

RETURN = r"""
objects:
  description: The objects, sorted by name. Each has its reference as C(ref) beside XenAPI's fields.
  returned: success
  type: list
  elements: dict
  sample:
    - ref: OpaqueRef:47edde2e-4d0d-4c4b-9b4c-2f6a01b5a0f1
      name_label: NFS virtual disk storage
      physical_size: 2199023255552
result:
  description: What O(query) makes of the objects.
  returned: when O(query) is set
  type: raw
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils import joined
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main


def run(session: Session, params: t.Mapping[str, t.Any], _check: bool) -> dict[str, t.Any]:
    return {"changed": False, **joined.read(session, params["class"], params["filter"], params["fields"], params["query"])}


MODULE = Module(
    {
        "class": {"type": "str", "required": True},
        "filter": {"type": "dict", "default": {}},
        "fields": {"type": "list", "elements": "str"},
        "query": {"type": "str"},
    },
    run,
)

if __name__ == "__main__":
    main(MODULE)
