#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_domain
short_description: A domain of a plain Xen host, managed by xl
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Describes a domU by the keys of xl.cfg(5), writes its file, and starts, changes, saves or ends it with C(xl).
  - What can be changed while it runs is (memory, virtual CPUs that are online, scheduler, pinning, disks, CDs, network interfaces);
    what needs a restart is told, and done if allowed.
  - Whatever would keep it from starting (a kernel, disk or bridge that is not there, memory, names and MACs that are in use, keys and
    values that xl passes over in silence) is told before anything is changed.
  - Comments, order and unknown keys of a file that is there stay. An interrupted run is finished by running it again.
options:
  name:
    description: Its name. Needed unless O(config) or O(config_text) has it.
    type: str
  config:
    description: A file on Dom0 whose text its file gets, with the other options put in.
    type: path
  config_text:
    description: The same as a text.
    type: str
  extra_config:
    description:
      - Further keys of xl.cfg(5), which are no options here.
      - A key whose value is empty is taken out of the file, also one that is an option.
    type: dict
  config_dir:
    description: The folder of its file, which is called after it and ends in C(.cfg).
    type: path
    default: /etc/xen
  backup:
    description: Keep the earlier file, with C(.~1~) and so on at its end.
    type: bool
    default: true
  autostart:
    description: Whether it starts with the host (xendomains), by a link in the folder C(auto) of O(config_dir).
    type: bool
  state:
    description:
      - V(present) writes its file (and changes what runs), and leaves the power state alone.
      - V(running), V(paused). V(stopped) shuts it down, V(destroyed) ends it without.
      - V(saved) writes its memory to O(save_path), V(restored) continues from there.
      - V(absent) shuts it down and removes its file. Its disks stay.
    type: str
    choices: [present, running, paused, stopped, destroyed, saved, restored, absent]
    default: present
  save_path:
    description: The file that holds its state when it is saved. Without it C(/var/lib/xen/save/NAME), which xendomains uses too.
    type: path
  keep_saved:
    description: Leave that file when it has been restored.
    type: bool
    default: false
  shutdown_timeout:
    description: Seconds a guest may take to shut down.
    type: float
    default: 300.0
  force:
    description: Destroy a guest that does not shut down in time, one that crashed and is kept, and a saved state in the way of a start.
    type: bool
    default: false
  live:
    description: Change a domain that runs. Without it only its file is changed.
    type: bool
    default: true
  restart:
    description:
      - Shut it down and start it again where a change needs that.
      - If the run is cut off in between, or it cannot be started, the next run starts it, also with V(present). Until then the file
        C(.NAME.restart) beside its own tells what ran; without that file it stays as it is.
    type: bool
    default: false
extends_documentation_fragment:
  - domzero.xen.xl
  - domzero.xen.xl_domain_boot
  - domzero.xen.xl_domain_cpu
  - domzero.xen.xl_domain_devices
  - domzero.xen.xl_domain_display
  - domzero.xen.xl_domain_platform
notes:
  - Options that are not given are not managed. An option with an empty value (V("") or V([])) is taken out of the file; numbers and
    booleans by O(extra_config).
  - Ansible notes the options of a task in the journal of Dom0. It leaves out O(vncpasswd) and O(spicepasswd), but not passwords in
    O(config_text) or O(vfb); C(no_log) of the task does that.
  - Domains of type HVM are not run in the tests of this collection; what xl makes of their configuration is.
seealso:
  - module: domzero.xen.xl_info
  - module: domzero.xen.xl_volume
  - module: domzero.xen.xl_migrate
"""

EXAMPLES = r"""
- name: A domU runs
  domzero.xen.xl_domain:
    name: web
    type: pvh
    kernel: /srv/xen/vmlinuz
    ramdisk: /srv/xen/initrd.img
    cmdline: root=/dev/xvda1 ro console=hvc0
    memory: 256
    maxmem: 512
    vcpus: 1
    maxvcpus: 2
    disk:
      - {target: /srv/xen/web.img, format: raw, vdev: xvda, access: rw}
    vif:
      - {mac: "00:16:3e:10:00:01"}
    autostart: true
    state: running

- name: It gets more memory and more of the CPUs while it runs
  domzero.xen.xl_domain:
    name: web
    memory: 512 MiB
    cpu_weight: 512

- name: Its state is kept while the host is serviced
  domzero.xen.xl_domain:
    name: web
    state: saved

- name: It goes on
  domzero.xen.xl_domain:
    name: web
    state: restored

- name: A domain of an existing file
  domzero.xen.xl_domain:
    config: /srv/xen/build.cfg
    state: running

- name: A domain goes; its disks stay
  domzero.xen.xl_domain:
    name: build
    state: absent
    force: true
"""

RETURN = r"""
domain:
  description: The domain in the vocabulary of the module, as its file has it; without passwords. Handed back, it changes nothing.
  returned: success
  type: dict
  sample: {name: web, type: pvh, kernel: /srv/xen/vmlinuz, memory: 512, maxmem: 512, vcpus: 1, maxvcpus: 2, autostart: true}
domid:
  description: Its number; none where it does not run.
  returned: success
  type: int
  sample: 7
power_state:
  description: One of running, paused, stopped; shutdown and crashed for one that ended and is kept.
  returned: success
  type: str
  sample: running
needs_restart:
  description: What is in its file and not in what runs, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["kernel: web runs with /srv/xen/vmlinuz-6.1; /srv/xen/vmlinuz-6.12 comes with a restart."]
config_file:
  description: Its file.
  returned: success
  type: str
  sample: /etc/xen/web.cfg
backup_file:
  description: Where the earlier file is; empty where it did not change.
  returned: success
  type: str
  sample: /etc/xen/web.cfg.~1~
commands:
  description: The commands that were run to change something, or would be; C(write) for what the module writes itself.
  returned: success
  type: list
  elements: str
  sample: [cp -p /etc/xen/web.cfg /etc/xen/web.cfg.~1~, write /etc/xen/web.cfg, xl mem-set web 512]
commands_done:
  description: Those that were done before the one that failed.
  returned: failure
  type: list
  elements: str
  sample: [write /etc/xen/web.cfg]
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.xl.cfg import Cfg
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain import change, doing, settings, settled
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.lifecycle import STATES
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.request import request, scene
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import SLOWER, Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as xl_main

OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str"},
    "config": {"type": "path"},
    "config_text": {"type": "str"},
    "extra_config": {"type": "dict"},
    "config_dir": {"type": "path", "default": "/etc/xen"},
    "backup": {"type": "bool", "default": True},
    "autostart": {"type": "bool"},
    "state": {"type": "str", "choices": list(STATES), "default": "present"},
    "save_path": {"type": "path"},
    "keep_saved": {"type": "bool", "default": False},
    "shutdown_timeout": {"type": "float", "default": 300.0},
    "force": {"type": "bool", "default": False},
    "live": {"type": "bool", "default": True},
    "restart": {"type": "bool", "default": False},
    **settings.arguments(),
}


def run(task: Task) -> dict[str, t.Any]:
    """What the module returns. Raises XenError."""
    asked = request(task.params)
    given = Cfg.parse("")
    settings.put(given, asked.wanted)
    for secret in [*settings.secrets(asked.base), *settings.secrets(given)]:
        task.hide(secret)
    now = scene(asked, task.tool)
    planned = change.plan(asked, now, task.tool)
    ways = doing.Doing(task.tool, asked.name, task.params["shutdown_timeout"], task.params["force"], task.timeout * SLOWER)
    commands = task.carry_out(ways.armed(planned.steps))
    seen = settled.after(task.tool, asked, now, planned, carried_out=bool(commands) and not task.check)
    return {
        "changed": bool(commands), "commands": commands, "diff": planned.diff, "domain": planned.domain, "domid": seen.domid,
        "power_state": seen.power_state, "needs_restart": planned.needs_restart, "config_file": asked.place.path,
        "backup_file": planned.backup_file, "warnings": [*planned.warnings, *planned.needs_restart, *ways.notes, *seen.notes],
    }  # fmt: skip


def main() -> None:
    xl_main(OPTIONS, run, required_one_of=[("name", "config", "config_text")], mutually_exclusive=[("config", "config_text")])


if __name__ == "__main__":
    main()
