#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_sr_info
short_description: List the storage repositories of a pool
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Lists storage repositories (SRs) in the words of the options of M(domzero.xen.xen_sr). Handed back to that module, an entry changes
    nothing.
  - Passwords cannot be read back and are left out.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
seealso:
  - module: domzero.xen.xen_sr
"""

EXAMPLES = r"""
- name: All SRs
  domzero.xen.xen_sr_info:
  register: storage

- name: Those that some host has not attached
  ansible.builtin.debug:
    msg: "{{ storage.srs | rejectattr('attach', 'equalto', 'all') | map(attribute='name') }}"

- name: One SR, by its name
  domzero.xen.xen_sr_info:
    name: Local storage
"""

RETURN = r"""
srs:
  description: The SRs, sorted by name, each by option name and with its C(uuid).
  returned: success
  type: list
  elements: dict
facts:
  description: What can only be read, by the SR's uuid.
  returned: when any SR was found
  type: dict
  contains:
    physical_size:
      description: Bytes of the medium; -1 if not known yet.
      type: int
    physical_utilisation:
      description: Bytes taken of it; -1 if not known yet.
      type: int
    virtual_allocation:
      description: Sum of the sizes of the disks in bytes.
      type: int
    attachment:
      description: By host, whether it has the SR attached. A host that does not know the SR is missing.
      type: dict
    disks:
      description: How many disks the pool knows on it.
      type: int
    sm_config:
      description: Everything the driver keeps there.
      type: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.sr.resource import Sr

MODULE = inform(Sr)

if __name__ == "__main__":
    main(MODULE)
