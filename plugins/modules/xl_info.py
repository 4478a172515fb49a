#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_info
short_description: What a plain Xen host and its domains are
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Tells of the host, of its domains, also of those that have a file and do not run, of its CPU pools and schedulers, and of xenstore.
  - Programs of Xen are asked a fixed number of times, however many domains there are.
extends_documentation_fragment: [domzero.xen.xl]
options:
  gather:
    description: What to tell.
    type: list
    elements: str
    choices: [host, domains, cpupools, schedulers, xenstore]
    default: [host, domains, cpupools, schedulers]
  name:
    description: Only this domain. Where there is none of that name the list of domains is empty.
    type: str
  xenstore_path:
    description: Where in xenstore to begin, for V(xenstore) in O(gather).
    type: str
    default: /
  config_dir:
    description: Where the files of domains are.
    type: str
    default: /etc/xen
seealso:
  - module: domzero.xen.xl_domain
  - module: domzero.xen.xl_migrate
"""

EXAMPLES = r"""
- name: Look at the host and its domains
  domzero.xen.xl_info:
  register: xen

- name: Say which domains run
  ansible.builtin.debug:
    msg: "{{ xen.domains | selectattr('power_state', 'eq', 'running') | map(attribute='name') | join(', ') }}"

- name: Look at what one domain left in xenstore
  domzero.xen.xl_info:
    gather: [domains, xenstore]
    name: web
    xenstore_path: /tool
"""

RETURN = r"""
host:
  description: What C(xl info -n) tells, with C(dom0), the memory and vCPUs of Dom0. Memory is in MiB. Empty where it was not asked for.
  returned: success
  type: dict
  sample:
    host: xen1
    release: 6.1.0-56-amd64
    machine: x86_64
    nr_cpus: 2
    total_memory: 4095
    free_memory: 2772
    virt_caps: [pv, hvm, hap]
    xen_version: 4.17.7
    xen_scheduler: credit2
    xen_commandline: placeholder dom0_mem=1024M,max:1024M
    cpu_topology: [{cpu: 0, core: 0, socket: 0, node: 0}]
    dom0: {memory: 1024, vcpus: 2, uptime: 298, cpu_seconds: 164.0}
domains:
  description: Domains by name, without Dom0.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: web
    uuid:
      description: Its UUID; empty for one that does not run and whose file gives none.
      type: str
      sample: c53ce769-4f23-4e2a-8d43-c8f16e4b1b82
    config_file:
      description: Its file; empty where it has none.
      type: str
      sample: /etc/xen/web.cfg
    domain:
      description: What M(domzero.xen.xl_domain) takes, from its file, or from what runs where it has none; without passwords.
      type: dict
      sample: {name: web, type: pvh, kernel: /srv/xen/vmlinuz, memory: 512, vcpus: 1, autostart: true}
    domid:
      description: Its number; none where it does not run.
      type: int
      sample: 4
    power_state:
      description: One of running, paused, stopped, shutdown, crashed, suspended, dying.
      type: str
      sample: running
    shutdown_reason:
      description: One of poweroff, reboot, suspend, crash, watchdog for a domain that ended and is still there.
      type: str
      sample: ""
    type:
      description: One of pv, pvh, hvm; none where it does not run.
      type: str
      sample: pvh
    memory:
      description: MiB that it has.
      type: int
      sample: 512
    vcpus:
      description: Its vCPUs. One that is not online has no C(cpu). C(hard) and C(soft) say on which CPUs it may and should run.
      type: list
      elements: dict
      sample: [{number: 0, online: true, cpu: 1, cpu_seconds: 2.9, hard: all, soft: all}]
    disks:
      description: Its disks.
      type: list
      elements: dict
      sample:
        - vdev: xvda
          devid: 51712
          target: /dev/vg0/web
          format: raw
          access: rw
          cdrom: false
          state: connected
          backend: /local/domain/0/backend/vbd/4/51712
    nics:
      description: Its NICs.
      type: list
      elements: dict
      sample:
        - devid: 0
          mac: 00:16:3e:00:00:11
          bridge: xenbr0
          vifname: vif4.0
          ip: ""
          state: connected
          backend: /local/domain/0/backend/vif/4/0
    console:
      description: Its console; C(vnc) where it has a display that way.
      type: dict
      sample: {type: xenconsoled, tty: /dev/pts/1}
    uptime:
      description: Seconds since it was started or came to this host.
      type: int
      sample: 32
    cpu_seconds:
      description: Seconds of CPU that it used.
      type: float
      sample: 3.5
    pool:
      description: Its CPU pool.
      type: str
      sample: Pool-0
cpupools:
  description: CPU pools; C(cpus) are the numbers of their CPUs.
  returned: success
  type: list
  elements: dict
  sample: [{name: Pool-0, scheduler: credit2, active: true, domains: 3, cpus: [0, 1]}]
schedulers:
  description: Of each pool the parameters of its scheduler, and those of its domains.
  returned: success
  type: list
  elements: dict
  sample:
    - scheduler: credit2
      pool: Pool-0
      parameters: {ratelimit: 1000us}
      domains: [{name: Domain-0, domid: 0, weight: 256, cap: 0}]
xenstore:
  description: Keys and values below O(xenstore_path). A key that has a value and others below it has its value under an empty name.
  returned: success
  type: dict
  sample: {xenstored: /usr/lib/xen-4.17/bin/oxenstored}
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.xl.info.domains import every
from ansible_collections.domzero.xen.plugins.module_utils.xl.info.source import Source
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module

SUBSETS = ["host", "domains", "cpupools", "schedulers", "xenstore"]
OPTIONS = {
    "gather": {"type": "list", "elements": "str", "choices": SUBSETS, "default": SUBSETS[:-1]},
    "name": {"type": "str"},
    "xenstore_path": {"type": "str", "default": "/"},
    "config_dir": {"type": "str", "default": "/etc/xen"},
}


def host(source: Source) -> dict[str, t.Any]:
    dom0 = next((row for row in source.rows if row["domid"] == 0), None)
    told = {key: dom0[key] for key in ("memory", "vcpus")} if dom0 else {}
    if dom0:
        told |= {"uptime": source.uptimes.get(dom0["name"], 0), "cpu_seconds": dom0["time"]}
    return {**source.host, "dom0": told}


def run(task: Task) -> dict[str, t.Any]:
    """The result. Raises XenError."""
    source, params, gather = Source(task.tool), task.params, task.params["gather"]
    warnings: list[str] = []
    return {
        "changed": False,
        "host": host(source) if "host" in gather else {},
        "domains": every(source, params["config_dir"], params["name"], warnings) if "domains" in gather else [],
        "cpupools": source.pools if "cpupools" in gather else [],
        "schedulers": source.schedulers() if "schedulers" in gather else [],
        "xenstore": source.subtree(params["xenstore_path"]) if "xenstore" in gather else {},
        "warnings": warnings,
    }


def main() -> None:
    run_module(OPTIONS, run)


if __name__ == "__main__":
    main()
