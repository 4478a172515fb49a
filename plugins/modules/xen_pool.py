#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool
short_description: Manage a pool, its members and its high availability
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Changes the settings of a XenServer or XCP-ng pool, joins hosts to it, ejects hosts, moves the role of the coordinator,
    turns high availability on and off, installs CA certificates.
  - Before anything is changed every host that is to join is looked at. All reasons why it cannot join are told at once, for all hosts,
    with what differs and what to do; in check mode too.
  - The task waits until each new member is live and enabled. If it is interrupted, run it again; it finishes what is missing.
  - Every host has a pool, if only of its own; so there is no O(ignore:state).
  - An option left out is not managed, what others set is kept.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  uuid:
    description: The pool's uuid. The task fails if the host belongs to another pool.
    type: str
  name:
    description: The pool's C(name_label).
    type: str
  description:
    description: Free text, the pool's C(name_description).
    type: str
  tags:
    description: Exactly these tags.
    type: list
    elements: str
  other_config:
    description: Keys to set; null removes a key. Keys not named here are left alone.
    type: dict
  default_sr:
    description: The SR for new disks, by name or uuid. Empty for none.
    type: str
  suspend_image_sr:
    description: The SR for the memory of suspended VMs, by name or uuid. Empty for none.
    type: str
  crash_dump_sr:
    description: The SR for crash dumps, by name or uuid. Empty for none.
    type: str
  migration_compression:
    description: Whether the memory of VMs is compressed while they are migrated.
    type: bool
  igmp_snooping_enabled:
    description: Whether the bridges send multicast only where somebody listens.
    type: bool
  ha_allow_overcommit:
    description: Whether VMs may be protected for which there is no plan.
    type: bool
  coordinator:
    description:
      - The host that is to be the coordinator, by name, uuid or address.
      - A change ends all sessions and tasks of the pool, so it needs O(allow_disruption). The task goes on at the new coordinator and waits
        until all hosts have found it. A session of M(domzero.xen.xen_session) has ended then.
    type: str
  tls_verification:
    description: Whether the hosts check each other's certificates. Once on, it cannot be turned off for the pool.
    type: bool
  ca_certificates:
    description: CA certificates that the hosts trust. Those not named are left alone.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name under which it is installed.
        type: str
        required: true
      certificate:
        description: The certificate in PEM form. Needed to install it.
        type: str
      fingerprint_sha256:
        description: The certificate's SHA-256 fingerprint, as the result tells it.
        type: str
      state:
        description: Whether it is to be installed.
        type: str
        choices: [present, absent]
        default: present
  members:
    description:
      - Hosts that are to be in the pool, the coordinator left out. A host that is a member already is left alone, and needs no password.
      - Hosts not named here stay; O(eject) removes.
      - What a host has locally, such as its SRs and halted VMs, comes along. Its own pool's name and settings are dropped.
    type: list
    elements: dict
    suboptions:
      name:
        description: What the host is called in messages. Default is its address.
        type: str
      address:
        description: Where it answers, as C(host), C(host:port) or a URL.
        type: str
        required: true
      uuid:
        description: The uuid of a member whose address has changed.
        type: str
      username:
        description: The user to log in as at the host. Default is that of the task.
        type: str
      password:
        description: The user's password. Default is that of the task.
        type: str
      validate_certs:
        description: Whether the host's certificate is checked. Default is that of the task.
        type: bool
      ca_file:
        description: File of the certificates (PEM) that may sign the host's. Default is that of the task.
        type: path
      fingerprint:
        description: SHA-256 fingerprints to accept for the host. Default are those of the task.
        type: list
        elements: str
      force:
        description:
          - Join although the software build or the CPU vendor differs. All other obstacles stay obstacles.
          - The task then warns about what no longer works, such as live migration.
        type: bool
        default: false
  eject:
    description:
      - Hosts that are not to be in the pool, by name, uuid or address.
      - Such a host is installed anew by the pool and reboots as a pool of its own; its local SRs are lost, so it needs O(lose_local_data).
    type: list
    elements: str
  lose_local_data:
    description:
      - Whether hosts in O(eject) may lose the SRs, disks and VMs that only they have.
      - Without it the task fails and tells what these are.
    type: bool
    default: false
  ha:
    description: High availability.
    type: dict
    suboptions:
      enabled:
        description: Whether it is on.
        type: bool
      heartbeat_srs:
        description:
          - Shared SRs for the heartbeat, by name or uuid, attached on every host. XenAPI uses the first.
          - If it is on with an SR that is not among them, it is turned off and on again.
        type: list
        elements: str
      host_failures_to_tolerate:
        description: How many hosts may fail before protected VMs are no longer restarted.
        type: int
  allow_disruption:
    description: Whether the task may interrupt others, as a change of the coordinator does.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for each host that joins, leaves or takes over.
    type: int
    default: 1800
seealso:
  - module: domzero.xen.xen_host
  - module: domzero.xen.xen_pool_info
  - module: domzero.xen.xen_pool_preflight
"""

EXAMPLES = r"""
- name: A pool has a name and a default SR
  domzero.xen.xen_pool:
    name: Lab
    description: For tests
    default_sr: VM disks
    other_config:
      owner: us

- name: Two hosts join it
  domzero.xen.xen_pool:
    members:
      - name: xcp01
        address: "{{ xcp01_address }}"
      - name: xcp02
        address: "{{ xcp02_address }}"
        username: root
        password: "{{ xcp02_password }}"
        force: true # other CPUs

- name: One of them becomes the coordinator
  domzero.xen.xen_pool:
    coordinator: xcp01
    allow_disruption: true

- name: High availability with one heartbeat SR
  domzero.xen.xen_pool:
    ha:
      enabled: true
      heartbeat_srs: [VM disks]
      host_failures_to_tolerate: 1

- name: A host leaves, with everything it has locally
  domzero.xen.xen_pool:
    ha:
      enabled: false
    eject: [xcp02]
    lose_local_data: true
"""

RETURN = r"""
pool:
  description: The pool as it is after the task, by option name, and its C(uuid).
  returned: success
  type: dict
  sample:
    coordinator: xcp00
    default_sr: VM disks
    ha: {enabled: false, heartbeat_srs: [], host_failures_to_tolerate: 0}
    members:
      - {address: 192.0.2.11, name: xcp01, uuid: 52e2f9fe-8aca-4e7e-9b80-b8d8eb2ce90d}
    name: Lab
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
join:
  description: The hosts of O(members) that were not in the pool.
  returned: with O(members), and when a host cannot join
  type: list
  elements: dict
  contains:
    host:
      description: The name given in O(members), or the address.
      type: str
    address:
      description: Where it answers.
      type: str
    forced:
      description: Whether differences of software or CPUs were passed over.
      type: bool
    reasons:
      description: Why it cannot join.
      type: list
      elements: dict
      contains:
        error_code:
          description: The error XenAPI would give.
          type: str
        message:
          description: What is in the way, with the values of both sides.
          type: str
        hint:
          description: What to do.
          type: str
eject:
  description: What is lost with the hosts of O(eject) that were in the pool. Sizes are in bytes.
  returned: when a host of O(eject) is in the pool, also when that is refused
  type: list
  elements: dict
  contains:
    host:
      description: The host's name.
      type: str
    srs:
      description: Its local SRs with C(name), C(type), C(size) and the C(name) and C(size) of their C(vdis).
      type: list
      elements: dict
    vms:
      description: Names of the VMs that have disks there.
      type: list
      elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.pool import Pool

MODULE = manage(Pool)

if __name__ == "__main__":
    main(MODULE)
