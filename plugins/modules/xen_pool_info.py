#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool_info
short_description: Tell the settings and the hosts of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Tells a pool in the words of the options of M(domzero.xen.xen_pool). Handing the entry to that module changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
seealso:
  - module: domzero.xen.xen_pool
  - module: domzero.xen.xen_host_info
"""

EXAMPLES = r"""
- name: The pool
  domzero.xen.xen_pool_info:
  register: info

- name: All its hosts are up
  ansible.builtin.assert:
    that: info.facts[info.pools[0].uuid].hosts | rejectattr("live") | length == 0
"""

RETURN = r"""
pools:
  description:
    - The pool, by the options of M(domzero.xen.xen_pool) and its C(uuid).
    - A host has only one, so there is one entry, or none if O(name) or O(uuid) is another's.
  returned: success
  type: list
  elements: dict
  sample:
    - coordinator: xcp00
      ha: {enabled: false, heartbeat_srs: [], host_failures_to_tolerate: 0}
      members:
        - {address: 192.0.2.11, name: xcp01, uuid: 52e2f9fe-8aca-4e7e-9b80-b8d8eb2ce90d}
      name: Lab
      uuid: f2840f58-9d5d-8900-d48a-b8f55a1ec48a
facts:
  description: By the pool's uuid what is not for the options.
  returned: success
  type: dict
  contains:
    hosts:
      description:
        - The coordinator, then the members by name.
        - With C(name), C(uuid), C(address), C(coordinator), C(live), C(enabled), C(product_brand) and C(product_version).
      type: list
      elements: dict
    cpu_info:
      description: Vendor, number and common features of the CPUs.
      type: dict
    ha_plan_exists_for:
      description: How many hosts may fail now.
      type: int
    ha_overcommitted:
      description: Whether more is protected than can be.
      type: bool
    restrictions:
      description: What the licence excludes.
      type: list
      elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.pool import Pool

MODULE = inform(Pool)

if __name__ == "__main__":
    main(MODULE)
