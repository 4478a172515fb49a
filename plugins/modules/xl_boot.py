#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_boot
short_description: Make a Debian machine boot into Xen
version_added: 0.2.0
author: [Domzero (@domzero)]
extends_documentation_fragment: [domzero.xen.xl]
description:
  - Writes the parameters of the hypervisor and of Dom0's kernel into a file of its own in C(/etc/default/grub.d), lets C(update-grub) write
    the menu, and makes the entry of Xen the default.
  - Tells what waits for a reboot, from the command lines the machine runs with and those of the entry. It does not reboot.
  - With O(try_first) a Xen that was never seen running is booted once only; the next task, run under Xen, makes it the default. Until
    then a power cycle leads back to the entry without Xen.
options:
  dom0_mem:
    description:
      - Memory of Dom0, with a unit, as in V(1024M) or V(1 GiB), as a fraction of the machine's as in V(10%), or both as in V(512M+5%).
      - Without it, Dom0 starts with all the memory and is made smaller as guests are started.
    type: str
  dom0_mem_min:
    description: The least memory of Dom0.
    type: str
  dom0_mem_max:
    description: The most memory Dom0 can have. Is O(dom0_mem) if not set.
    type: str
  dom0_max_vcpus:
    description: The virtual processors of Dom0, as V(2), or the least and the most as in V(1-4).
    type: str
  dom0_vcpus_pin:
    description: Whether each virtual processor of Dom0 stays on one processor.
    type: bool
    default: false
  console:
    description:
      - Where the hypervisor writes to, such as V(com1) and V(vga).
      - With a serial port, Dom0's kernel gets C(console=hvc0), unless O(kernel_options) name a console C(hvc).
    type: list
    elements: str
    default: []
  com1:
    description: Speed, bits, parity and stop bits of the first serial port, as in V(115200,8n1).
    type: str
  noreboot:
    description: Whether the machine stands still after a crash of the hypervisor instead of rebooting.
    type: bool
    default: false
  scheduler:
    description: The hypervisor's scheduler.
    type: str
    choices: [credit, credit2, arinc653, rtds, 'null']
  hypervisor_options:
    description:
      - Any other parameters of the hypervisor, by name. V(true) for one that stands alone, V(false) for C(NAME=false), a list for one
        that is given several times.
    type: dict
    default: {}
  kernel_options:
    description: Parameters of Dom0's kernel beside those of the machine's other entries.
    type: list
    elements: str
    default: []
  kernel_options_replace:
    description: Whether O(kernel_options) are all, beside C(root=).
    type: bool
    default: false
  try_first:
    description:
      - Whether Xen is the default only if the machine runs as asked. Where it does not, the entry without Xen is the default, and Xen is
        booted the next time only.
      - Has no effect, with a warning, where GRUB cannot write to C(/boot/grub) (LVM, RAID, btrfs).
    type: bool
    default: false
  require:
    description: Whether the task fails, before it changes anything, where the machine does not run as asked. For the time after a reboot.
    type: bool
    default: false
  path:
    description: The file. Those of the folder are read in the order of their names.
    type: path
    default: /etc/default/grub.d/zz-dom0.cfg
  grub_cfg:
    description: GRUB's menu. C(grubenv) is in the same folder.
    type: path
    default: /boot/grub/grub.cfg
  backup:
    description: Whether the earlier file is kept beside it.
    type: bool
    default: true
requirements:
  - GRUB, with grub2-common of Debian
notes:
  - Works before Xen runs.
seealso:
  - module: domzero.xen.xl_host_preflight
  - name: Xen Hypervisor Command Line Options
    description: What the parameters mean.
    link: https://xenbits.xenproject.org/docs/unstable/misc/xen-command-line.html
"""

EXAMPLES = r"""
- name: Dom0 has 2 GiB and two processors
  domzero.xen.xl_boot:
    dom0_mem: 2 GiB
    dom0_max_vcpus: "2"
    dom0_vcpus_pin: true
  register: boot

- name: The hypervisor writes to the serial port, and its mitigations are chosen
  domzero.xen.xl_boot:
    dom0_mem: 1024M
    console: [com1, vga]
    com1: 115200,8n1
    hypervisor_options:
      spec-ctrl: "no"
      loglvl: all
    kernel_options: [nomodeset]
"""

RETURN = r"""
boot:
  description: How the machine boots after the task, or would.
  returned: success
  type: dict
  contains:
    under_xen:
      description: Whether it runs as Dom0 now.
      type: bool
    entry:
      description: The title of the entry of Xen.
      type: str
    fallback:
      description: The title of the entry without Xen.
      type: str
    default:
      description: The title of the entry that is booted by default.
      type: str
    hypervisor:
      description: The parameters of the hypervisor in the entry of Xen.
      type: list
      elements: str
    kernel:
      description: The parameters of Dom0's kernel there.
      type: list
      elements: str
    running_hypervisor:
      description: The parameters the hypervisor runs with; empty without Xen.
      type: list
      elements: str
    running_kernel:
      description: The parameters the kernel runs with.
      type: list
      elements: str
  sample:
    under_xen: true
    entry: Debian GNU/Linux, with Xen hypervisor
    fallback: Debian GNU/Linux
    default: Debian GNU/Linux, with Xen hypervisor
    hypervisor: ['dom0_mem=2G,max:2G', dom0_max_vcpus=2, dom0_vcpus_pin]
    kernel: [root=UUID=11111111-2222-3333-4444-555555555555, ro, quiet]
    running_hypervisor: ['dom0_mem=2G,max:2G', dom0_max_vcpus=2, dom0_vcpus_pin]
    running_kernel: [root=UUID=11111111-2222-3333-4444-555555555555, ro, quiet]
needs_reboot:
  description: Why the machine does not yet run as asked, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ['The hypervisor runs without dom0_vcpus_pin.']
guests:
  description: The guests that run, where a reboot is needed.
  returned: success
  type: list
  elements: str
  sample: [web1]
backup_file:
  description: Where the earlier file is kept.
  returned: when a file was written over
  type: str
  sample: /etc/default/grub.d/zz-dom0.cfg.2026-11-22@03:20:11~
commands:
  description: What was run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: [write /etc/default/grub.d/zz-dom0.cfg, update-grub, grub-set-default xen-gnulinux-simple-11111111-2222-3333-4444-555555555555]
"""

import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.plan import (
    Entries,
    Plan,
    Seen,
    choices,
    found,
    given_twice,
    needs_reboot,
    plan,
)
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.reading import Places, guests, hypervisors, look, why_not_once
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.wanted import wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.files import written
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

OPTIONS: dict[str, t.Any] = {
    "dom0_mem": {"type": "str"},
    "dom0_mem_min": {"type": "str"},
    "dom0_mem_max": {"type": "str"},
    "dom0_max_vcpus": {"type": "str"},
    "dom0_vcpus_pin": {"type": "bool", "default": False},
    "console": {"type": "list", "elements": "str", "default": []},
    "com1": {"type": "str"},
    "noreboot": {"type": "bool", "default": False},
    "scheduler": {"type": "str", "choices": ["credit", "credit2", "arinc653", "rtds", "null"]},
    "hypervisor_options": {"type": "dict", "default": {}},
    "kernel_options": {"type": "list", "elements": "str", "default": []},
    "kernel_options_replace": {"type": "bool", "default": False},
    "try_first": {"type": "bool", "default": False},
    "require": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/etc/default/grub.d/zz-dom0.cfg"},
    "grub_cfg": {"type": "path", "default": "/boot/grub/grub.cfg"},
    "backup": {"type": "bool", "default": True},
}


class Boot:
    """One task: looks, plans, writes the menu, and chooses from the menu that came of it."""

    def __init__(self, task: Task):
        self.task = task
        menu = Path(task.params["grub_cfg"])
        self.places = Places(Path(task.params["path"]), menu, menu.with_name("grubenv"))
        self.wanted = wanted(task.params)
        self.kept, self.warnings = "", list[str]()

    def run(self) -> dict[str, t.Any]:
        before = look(self.places, self.task.tool)
        self._look_for_a_hypervisor()
        first = self._try_first(before)
        planned = plan(before, self.wanted, try_first=first)
        if self.task.params["require"]:
            self._refuse_another_machine(planned)
        self.warnings += [
            f"Another file gives the hypervisor {word} too; the last one counts." for word in given_twice(planned.entries, self.wanted)
        ]
        commands = self.task.carry_out(self._menu_steps(planned))
        if commands and not self.task.check:
            planned = self._planned_anew(planned, first)
        commands += self.task.carry_out(self._entry_steps(planned))
        return self._result(before, planned, commands)

    def _look_for_a_hypervisor(self) -> None:
        if hypervisors():
            return
        if not self.task.check:
            raise XenError("There is no hypervisor in /boot.", hint="Install xen-system-amd64.")
        self.warnings.append("There is no hypervisor in /boot yet; what follows supposes one.")

    def _refuse_another_machine(self, planned: Plan) -> None:
        if planned.needs_reboot:
            facts = {"needs_reboot": planned.needs_reboot, "fallback": planned.entries.linux_title}
            raise XenError(" ".join(planned.needs_reboot), hint="Look at what the console showed.", facts=facts)

    def _try_first(self, seen: Seen) -> bool:
        if not self.task.params["try_first"] or not needs_reboot(seen, plan(seen, self.wanted, try_first=False).entries):
            return False
        why = why_not_once(self.task.tool, self.places.menu.parent)
        if why:
            self.warnings.append(f"Xen becomes the default at once: {why}, so nothing can be booted only once.")
        return not why

    def _menu_steps(self, planned: Plan) -> list[Step]:
        steps = []
        if planned.write:
            steps.append(Step(("write", str(self.places.file)), "write the parameters", run=self._write))
        if planned.update:
            # it looks at every disk for other systems
            steps.append(Step(("update-grub",), "write GRUB's menu", timeout=self.task.timeout * 5))
        return steps

    def _write(self) -> None:
        self.kept = written(self.places.file, self.wanted.text, backup=self.task.params["backup"])

    def _planned_anew(self, planned: Plan, first: bool) -> Plan:
        seen = look(self.places, self.task.tool)
        entries = found(seen.menu, self.wanted, str(self.places.file))
        waiting = needs_reboot(seen, entries)
        default, once = choices(seen, entries, first=first and bool(waiting))
        return planned._replace(entries=entries, needs_reboot=waiting, default=default, once=once)

    def _entry_steps(self, planned: Plan) -> list[Step]:
        steps = []
        if planned.default:
            steps.append(Step(("grub-set-default", planned.default), "choose the default entry"))
        if planned.once:
            steps.append(Step(("grub-reboot", planned.once), "choose the entry of the next boot"))
        return steps

    def _result(self, before: Seen, planned: Plan, commands: list[str]) -> dict[str, t.Any]:
        was = before.menu.find(before.environment.get("saved_entry", "")) if before.menu.saved else None
        default_before = was.titles if was else ""
        default = title(planned.entries, planned.default) if planned.default else default_before
        told = {
            "under_xen": before.under_xen,
            "entry": planned.entries.xen_title,
            "fallback": planned.entries.linux_title,
            "default": default,
            "hypervisor": planned.entries.hypervisor,
            "kernel": planned.entries.kernel,
            "running_hypervisor": before.hypervisor,
            "running_kernel": before.kernel,
        }
        result = {
            "changed": bool(commands),
            "boot": told,
            "needs_reboot": planned.needs_reboot,
            "guests": guests(self.task.tool) if planned.needs_reboot and before.under_xen else [],
            "commands": commands,
            "warnings": self.warnings,
            "diff": [
                differing(str(self.places.file), before.text, self.wanted.text),
                differing("default entry", f"{default_before}\n", f"{default}\n"),
            ],
        }
        return {**result, "backup_file": self.kept} if self.kept else result


def differing(what: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": what, "before": before, "after_header": what, "after": after}


def title(entries: Entries, path: str) -> str:
    return entries.xen_title if path == entries.xen else entries.linux_title


if __name__ == "__main__":
    main(OPTIONS, lambda task: Boot(task).run())
