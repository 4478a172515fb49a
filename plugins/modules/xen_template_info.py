#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_template_info
short_description: List the templates of a pool
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Lists templates in the words of the options of M(domzero.xen.xen_template). Handing an entry to that module changes nothing.
  - Snapshots, which XenAPI marks as templates too, are not among them.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.xen.listing
options:
  default:
    description: Only the stock templates that the hosts came with (V(true)), or only the others (V(false)).
    type: bool
seealso:
  - module: domzero.xen.xen_template
"""

EXAMPLES = r"""
- name: All templates
  domzero.xen.xen_template_info:
  register: all

- name: Those that were made here
  domzero.xen.xen_template_info:
    default: false
  register: own

- name: One by its name
  domzero.xen.xen_template_info:
    name: Debian Bookworm 12
  register: debian

- name: It is a stock one, whose VMs get one disk
  ansible.builtin.assert:
    that:
      - debian.facts[debian.templates[0].uuid].default
      - debian.templates[0].provision_disks | length == 1
"""

RETURN = r"""
templates:
  description: The templates, sorted by name. Each holds the options of M(domzero.xen.xen_template) and its C(uuid).
  returned: success
  type: list
  elements: dict
  sample:
    - description: "Default template: a clone gets its disks when it is provisioned"
      install_methods: [cdrom, nfs, http, ftp]
      install_repository: ""
      limits:
        bios: true
        disks_max: 255
        memory_max: 1649267441664
        nics_max: 7
        uefi: true
        vcpus_max: 64
      name: Debian Bookworm 12
      provision_disks:
        - {bootable: true, device: "0", size: 10737418240, sr: "", type: system}
      tags: []
      uuid: 0e4b9bd2-5a5d-4c0b-8c5e-7d7ff4ee4f3d
facts:
  description: By uuid what is not for the options.
  returned: success
  type: dict
  contains:
    default:
      description: Whether it is a stock template.
      type: bool
    made_from:
      description: The name of the template that it was copied from; empty for none.
      type: str
    image:
      description: The SHA-256 of the image it was made from, if it was made from one.
      type: str
    disks:
      description:
        - The disks it has of its own, which its VMs get copies of, in order. Each has C(device), C(name), C(uuid), C(size) in bytes, C(sr)
          and C(bootable).
      type: list
      elements: dict
    nics:
      description: Its network cards, each with C(device) and C(network).
      type: list
      elements: dict
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import inform, main
from ansible_collections.domzero.xen.plugins.module_utils.resources.template import Template

MODULE = inform(Template)

if __name__ == "__main__":
    main(MODULE)
