#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_host
short_description: Manage a host of a pool, its maintenance and its power
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Changes the settings of a host, puts it into maintenance, reboots it, switches it off and on.
  - How a host comes into a pool and leaves it is managed by M(domzero.xen.xen_pool).
  - The task waits until a host that reboots has booted, is live, has its storage attached again and is as enabled as it was.
  - An option left out is not managed, what others set is kept.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: The host's C(name_label). With O(uuid) or O(address) it is what the host is to be named.
    type: str
  uuid:
    description: Find the host by its uuid.
    type: str
  address:
    description: Find the host by the address of its management interface, or a name that resolves to it. A port does no harm.
    type: str
  description:
    description: Free text, the host's C(name_description).
    type: str
  tags:
    description: Exactly these tags.
    type: list
    elements: str
  other_config:
    description:
      - Keys to set; null removes a key. Keys not named here are left alone.
      - Keys that the host writes itself (C(boot_time), C(agent_start_time)) or that follow another option are neither shown nor taken.
    type: dict
  suspend_image_sr:
    description: The SR for the memory of VMs suspended on this host, by name or uuid. Empty for the pool's.
    type: str
  crash_dump_sr:
    description: The SR for crash dumps of VMs on this host, by name or uuid. Empty for the pool's.
    type: str
  local_cache_sr:
    description: The local SR that caches disks of shared ones, by name or uuid. Empty for none. Can be changed in maintenance only.
    type: str
  iscsi_iqn:
    description: The host's iSCSI name. iSCSI SRs log in with it when they are next attached.
    type: str
  multipathing:
    description: Whether SRs use several paths. Attached SRs take it on when they are next attached.
    type: bool
  logging:
    description: Keys of the log configuration to set; null removes a key.
    type: dict
  syslog_destination:
    description: The host to send the log to, the key of that name of O(logging). Empty for none.
    type: str
  dom0_hostname:
    description: The host name of the control domain.
    type: str
  timezone:
    description: The time zone, such as V(Europe/Berlin).
    type: str
  ntp_mode:
    description: Where the time comes from.
    type: str
    choices: [DHCP, Custom, Factory, Disabled]
  ntp_custom_servers:
    description: Exactly these time servers, used with O(ntp_mode=Custom).
    type: list
    elements: str
  ssh_enabled:
    description: Whether SSH is on. Turning it on or off ends O(ssh_auto_mode).
    type: bool
  ssh_enabled_timeout:
    description: Seconds after which SSH turns itself off again, 0 for never.
    type: int
  ssh_auto_mode:
    description: Whether SSH is only on while the toolstack is not.
    type: bool
  console_idle_timeout:
    description: Seconds after which an idle console is closed, 0 for never.
    type: int
  https_only:
    description: Whether the host refuses unencrypted connections.
    type: bool
  display:
    description:
      - Whether the control domain uses the physical display. The next boot changes it.
      - V(enable_on_reboot) means the same as V(enabled), V(disable_on_reboot) the same as V(disabled).
    type: str
    choices: [enabled, disable_on_reboot, disabled, enable_on_reboot]
  numa_affinity_policy:
    description: How VMs are placed on NUMA nodes.
    type: str
    choices: [any, best_effort, default_policy]
  guest_vcpus_params:
    description: Keys of the VCPU parameters for all VMs on this host; null removes a key.
    type: dict
  power_on_mode:
    description: How the host is switched on from afar, such as V(wake-on-lan), V(DRAC) or the name of a script. Empty for not at all.
    type: str
  power_on_config:
    description: Keys for O(power_on_mode), such as C(power_on_ip) and C(power_on_user); null removes a key.
    type: dict
  power_on_password:
    description: The password for O(power_on_mode). It is kept as a secret of the pool.
    type: str
  update_password:
    description:
      - XenAPI does not give O(power_on_password) back. With V(on_create) it is written if there is none yet, or along with another change
        of O(power_on_mode) or O(power_on_config).
      - With V(always) it is written by each run.
    type: str
    choices: [always, on_create]
    default: on_create
  enabled:
    description: Whether the host takes VMs. V(false) is maintenance.
    type: bool
  evacuate:
    description:
      - Whether a host that goes into maintenance, reboots or is switched off first moves its VMs to other hosts, live.
      - Where they go is planned before anything is done. VMs of other hosts move as well where that makes room. If there is no way all
        reasons are told. M(domzero.xen.xen_evacuation_plan) shows such a plan.
      - Where the pool has workload balancing on that says where they go.
    type: bool
    default: false
  unmovable:
    description:
      - What becomes of VMs that cannot move when O(evacuate) is to empty the host. V(shutdown) switches those off that have no guest
        tools, or are not down in five minutes.
      - VMs that were stopped are started again by O(bring_back).
    type: str
    choices: [fail, shutdown, suspend]
    default: fail
    version_added: 0.2.0
  remember:
    description: Whether VMs that O(evacuate) moves note the host they leave as their home, for O(bring_back) of a later task.
    type: bool
    default: false
    version_added: 0.2.0
  bring_back:
    description:
      - Whether VMs come back that left the host for O(evacuate) with O(remember), once it is enabled. VMs that were stopped are started.
      - VMs of other hosts that had made way return to those. A VM for which there is no room stays where it is, with a warning.
      - A task that empties the host as well remembers what it moves.
    type: bool
    default: false
    version_added: 0.2.0
  network:
    description: The network the migrations go over, by name or uuid. Default is that of management.
    type: str
    version_added: 0.2.0
  power_state:
    description:
      - Whether the host is on. A host that the pool does not hear of counts as V(halted).
      - To be switched on it needs O(power_on_mode), and a coordinator that runs.
      - The coordinator itself can be switched off; after that nobody answers until somebody switches it on.
    type: str
    choices: [running, halted]
  reboot:
    description:
      - V(required) reboots if an update asks for it, so a second run does nothing.
      - V(always) reboots in each run.
      - A host that reboots is put into maintenance before and is enabled again afterwards, unless it was not or O(enabled) says otherwise.
    type: str
    choices: [never, required, always]
    default: never
  allow_disruption:
    description: Whether the task may interrupt others, as a reboot or a shutdown does.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for a host that boots or goes down. Each VM has an hour to move, or this time if it is more.
    type: int
    default: 1800
notes:
  - Settings that a release does not have are refused by name. NTP and time zone need a release of 2026, SSH one of 2025.
seealso:
  - module: domzero.xen.xen_host_info
  - module: domzero.xen.xen_pool
  - module: domzero.xen.xen_evacuation_plan
  - module: domzero.xen.xen_vm_moves
"""

EXAMPLES = r"""
- name: Names and log destination
  domzero.xen.xen_host:
    name: xcp01
    description: Rack 3
    iscsi_iqn: iqn.2024-01.com.example:xcp01
    syslog_destination: log.example.com
    tags: [rack3]

- name: Time, and no SSH
  domzero.xen.xen_host:
    name: xcp01
    timezone: Europe/Berlin
    ntp_mode: Custom
    ntp_custom_servers: [ntp1.example.com, ntp2.example.com]
    ssh_enabled: false

- name: Into maintenance, its VMs move
  domzero.xen.xen_host:
    name: xcp01
    enabled: false
    evacuate: true
    remember: true

- name: Out of maintenance, its VMs come back
  domzero.xen.xen_host:
    name: xcp01
    enabled: true
    bring_back: true

- name: Reboot it if an update asks for it
  domzero.xen.xen_host:
    name: xcp01
    enabled: true
    evacuate: true
    reboot: required
    allow_disruption: true

- name: It can be switched on from afar
  domzero.xen.xen_host:
    name: xcp01
    power_on_mode: DRAC
    power_on_config:
      power_on_ip: 192.0.2.61
      power_on_user: root
    power_on_password: "{{ bmc_password }}"

- name: Switch it off
  domzero.xen.xen_host:
    name: xcp01
    power_state: halted
    evacuate: true
    allow_disruption: true

- name: Switch it on
  domzero.xen.xen_host:
    name: xcp01
    power_state: running
"""

RETURN = r"""
host:
  description: The host as it is after the task, by option name, and its C(uuid).
  returned: success
  type: dict
  sample:
    address: 192.0.2.11
    enabled: true
    logging: {syslog_destination: log.example.com}
    multipathing: false
    name: xcp01
    power_state: running
    uuid: 52e2f9fe-8aca-4e7e-9b80-b8d8eb2ce90d
moved:
  description: VMs that were moved away from the host or back to it, or that made way, or are to be. C(memory) is in bytes.
  returned: with bring_back, or when evacuate finds VMs there
  type: list
  elements: dict
  sample:
    - {vm: web1, uuid: 7d7a42bb-ba1a-4d68-9b9c-b8a2c2d5b17c, from: xcp01, to: xcp00, memory: 4305453056}
stopped:
  description: VMs that were stopped since they could not move.
  returned: when evacuate finds VMs there
  type: list
  elements: dict
  sample: []
started:
  description: VMs that were started again.
  returned: with bring_back
  type: list
  elements: dict
  sample: []
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.module import main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.host import Host

MODULE = manage(Host)

if __name__ == "__main__":
    main(MODULE)
