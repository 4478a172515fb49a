#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_host_upgrade
short_description: Upgrade or reboot hosts
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Installs on hosts what they lack, reboots them or restarts their toolstack where that is needed, waits until they are back with their
    storage, and lets them take guests again.
  - All hosts of the list are worked on at once. The coordinator comes before the members, since a member must not be newer than it.
  - VMs are not moved. A host that needs a reboot has to be empty (M(domzero.xen.xen_host) with C(evacuate), or the role
    C(domzero.xen.pool_upgrade), which does all of a pool). One that needs a restart of its toolstack alone keeps its VMs.
  - What a host needs follows from its state. When the task was interrupted the next one continues. What is installed already is not
    installed again, and a host that boots is waited for.
  - When one host fails the others are finished. Then the task fails and names it.
  - A host of the list that is in maintenance takes guests again afterwards, unless it was there before the upgrade of the pool began
    (M(domzero.xen.xen_upgrade)).
  - A host that is away is waited for, with check mode it is told. High availability has to be off.
extends_documentation_fragment:
  - domzero.xen.xen
  - domzero.xen.upgrade_method
options:
  hosts:
    description:
      - The hosts, by name, uuid or address. Those that need nothing are left alone.
      - With an empty list no host is touched, but what the pool needs once is done. The repositories are asked for updates, or the files
        with updates are put into the pool. All hosts that need something are asked whether they can be upgraded, as far as they can tell.
    type: list
    elements: str
    required: true
  wait_timeout:
    description: Seconds one host may take. If not set, 3600, and 7200 for O(method=installer).
    type: int
  run:
    description:
      - The id of the run this task belongs to (RV(domzero.xen.xen_upgrade#module:run)). The task fails when another run has taken over.
    type: str
seealso:
  - module: domzero.xen.xen_upgrade_plan
  - module: domzero.xen.xen_host
"""

EXAMPLES = r"""
- name: Update the packages of a host and reboot it
  domzero.xen.xen_host_upgrade:
    hosts: [lab0]
    method: xcpng_packages

- name: Update the toolstack of two members, whose VMs stay
  domzero.xen.xen_host_upgrade:
    hosts: [lab1, lab2]
    method: xcpng_packages
    packages: [xapi-core]

- name: Reboot a host that has not booted since its firmware was changed
  domzero.xen.xen_host_upgrade:
    hosts: [lab0]
    method: reboot
    since: "{{ changed }}"
"""

RETURN = r"""
hosts:
  description: Each host.
  returned: success, or when a host failed
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: lab0
    uuid:
      description: Its uuid.
      type: str
      sample: 0f3c1d5e-5b0c-4c8e-9d0f-6a1b2c3d4e5f
    changed:
      description: Whether anything was done.
      type: bool
      sample: true
    why:
      description: Why it needed that.
      type: str
      sample: 3 packages are out of date
    packages:
      description: What was installed.
      type: list
      elements: str
      sample: [xen-hypervisor-4.17.5-15.1.xcpng8.3]
    rebooted:
      description: Whether it was rebooted.
      type: bool
      sample: true
    restarted:
      description: Whether its toolstack alone was restarted.
      type: bool
      sample: false
    plugged:
      description: SRs that it did not attach by itself when it came back.
      type: list
      elements: str
      sample: []
    before:
      description: Versions of its software before.
      type: dict
      sample: {product_version: 8.3.0, xen: 4.17.5-13}
    after:
      description: Versions afterwards. Not told in check mode.
      type: dict
      sample: {product_version: 8.3.0, xen: 4.17.5-15}
    left:
      description: What the host still needs. Empty if nothing.
      type: str
      sample: ""
    minutes:
      description: How long it took.
      type: float
      sample: 11.5
    operations:
      description: The XenAPI calls made, or in check mode those that would be made.
      type: list
      elements: str
      sample: [host.disable, host.add_to_other_config, host.call_plugin, host.reboot, host.enable]
    failed:
      description: Whether it failed. Only told then.
      type: bool
      sample: true
    msg:
      description: Why it failed. Only told then.
      type: str
      sample: "Waited 3600 seconds for host 'lab0' to come back; last seen: it is not live"
vms:
  description:
    - VMs that run and are not yet what the updates of their hosts ask for, each with what it needs.
    - A migration does what V(restart_device_model) asks for, a restart of the VM does V(restart_vm).
  returned: success, or when a host failed
  type: dict
  sample:
    app0-01: [restart_device_model]
operations:
  description: The XenAPI calls made for all of them, or in check mode those that would be made.
  returned: success, or when a host failed
  type: list
  elements: str
  sample: [host.disable, host.add_to_other_config, host.call_plugin, host.reboot, host.enable]
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import methods
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.host_upgrade import ARGUMENTS, upgrade

MODULE = Module(ARGUMENTS, upgrade, methods.RULES)

if __name__ == "__main__":
    main(MODULE)
