#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_host_info
short_description: List the hosts of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Lists hosts in the words of the options of M(domzero.xen.xen_host). Handing an entry to that module changes nothing.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
seealso:
  - module: domzero.xen.xen_host
"""

EXAMPLES = r"""
- name: All hosts
  domzero.xen.xen_host_info:
  register: all

- name: Nobody is in maintenance
  ansible.builtin.assert:
    that: all.hosts | rejectattr("enabled") | length == 0

- name: No update waits for a reboot
  ansible.builtin.assert:
    that: all.facts.values() | selectattr("reboot_reasons") | length == 0
"""

RETURN = r"""
hosts:
  description: The hosts, sorted by name. Each holds the options of M(domzero.xen.xen_host) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - address: 192.0.2.11
      enabled: true
      name: xcp01
      power_state: running
      uuid: 52e2f9fe-8aca-4e7e-9b80-b8d8eb2ce90d
facts:
  description: By uuid what is not for the options.
  returned: success
  type: dict
  contains:
    live:
      description: Whether the pool hears of it.
      type: bool
    coordinator:
      description: Whether it is the coordinator.
      type: bool
    product_brand:
      description: The product.
      type: str
    product_version:
      description: Its version.
      type: str
    platform_version:
      description: The version that members of a pool must share.
      type: str
    xapi_build:
      description: The version of the toolstack.
      type: str
    api_version:
      description: The version of XenAPI.
      type: str
    edition:
      description: The edition of the licence.
      type: str
    memory_total:
      description: Bytes of memory.
      type: int
    cpus:
      description: C(count), C(sockets), C(vendor) and C(modelname).
      type: dict
    boot_time:
      description: When it booted, in seconds since 1970.
      type: float
    guests:
      description: Names of the VMs that are on it.
      type: list
      elements: str
    reboot_reasons:
      description: What asks for a reboot; empty if nothing does.
      type: list
      elements: str
    pending_guidances:
      description: What installed updates still ask for.
      type: list
      elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.host import Host

MODULE = inform(Host)

if __name__ == "__main__":
    main(MODULE)
