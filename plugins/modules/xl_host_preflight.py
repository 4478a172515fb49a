#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_host_preflight
short_description: Look whether a machine can be a Xen Dom0
version_added: 0.2.0
author: [Domzero (@domzero)]
extends_documentation_fragment: [domzero.xen.xl]
description:
  - Looks at distribution, processor, memory, disk space, Secure Boot, boot loader and kernel, and at what is to be set, before anything is
    touched. Fails with everything that is missing at once.
  - Only reads.
options:
  guest_memory:
    description: Memory that has to be left for guests, with a unit.
    type: str
    default: 128 MiB
  packages:
    description: The packages that are to be installed.
    type: list
    elements: str
    default: [xen-system-amd64]
  disk_space:
    description: Free space that the packages need, with a unit. Looked at where some are missing.
    type: str
    default: 300 MiB
  require_hvm:
    description: Whether a processor that cannot run PVH and HVM guests is refused. Otherwise it is a warning.
    type: bool
    default: false
  allow_untested:
    description: Whether another system than Debian 12 and 13 is let pass.
    type: bool
    default: false
  boot:
    description: Options for M(domzero.xen.xl_boot), to learn of a mistake in them now. The machine has to have the memory they give Dom0.
    type: dict
    default: {}
  conf:
    description: Options for M(domzero.xen.xl_conf), to learn of a mistake in them now.
    type: dict
    default: {}
notes:
  - Works before Xen runs.
seealso:
  - module: domzero.xen.xl_boot
  - module: domzero.xen.xl_conf
"""

EXAMPLES = r"""
- name: The machine can be a Dom0 of 2 GiB, with 8 GiB for guests
  domzero.xen.xl_host_preflight:
    boot: {dom0_mem: 2 GiB}
    guest_memory: 8 GiB
    require_hvm: true

- name: What is to be set is right, too
  domzero.xen.xl_host_preflight:
    boot:
      dom0_mem: 1024M
      com1: 115200,8n1
    conf:
      settings: {autoballoon: "off"}
"""

RETURN = r"""
host:
  description: What the machine is.
  returned: always, once it was read
  type: dict
  contains:
    system:
      description: Its distribution.
      type: str
    under_xen:
      description: Whether it runs as Dom0.
      type: bool
    hvm:
      description: Whether its processors can run PVH and HVM guests.
      type: bool
    memory_mib:
      description: Its memory.
      type: int
    secure_boot:
      description: Whether Secure Boot is on.
      type: bool
    dom0_kernels:
      description: The kernels that can be Dom0.
      type: list
      elements: str
  sample:
    system: Debian GNU/Linux 12 (bookworm)
    under_xen: false
    hvm: true
    memory_mib: 3920
    secure_boot: false
    dom0_kernels: [6.1.0-56-amd64]
missing_packages:
  description: Those of O(packages) that are not installed.
  returned: always, once it was read
  type: list
  elements: str
  sample: [xen-system-amd64]
can_ask_apt:
  description: Whether the machine has what C(ansible.builtin.apt) needs in check mode.
  returned: always, once it was read
  type: bool
  sample: true
predicting:
  description: Whether the task was run in check mode, for a role that has to know; C(ansible_check_mode) knows it of the whole play only.
  returned: always, once it was read
  type: bool
  sample: false
problems:
  description: Why the machine cannot be a Dom0, or what is wrong in the options. The task fails where there is any.
  returned: always, once it was read
  type: list
  elements: str
  sample: []
commands:
  description: Nothing is run that changes anything.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.sizes import size
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.params import in_bytes, memory
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.reading import host_info, is_dom0
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.wanted import wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.fit import HVM_FLAGS, Need, judge
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.machine import Machine, read
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.settings import checked_settings, checked_xendomains
from ansible_collections.domzero.xen.plugins.module_utils.xl.tool import Tool
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

OPTIONS: dict[str, t.Any] = {
    "guest_memory": {"type": "str", "default": "128 MiB"},
    "packages": {"type": "list", "elements": "str", "default": ["xen-system-amd64"]},
    "disk_space": {"type": "str", "default": "300 MiB"},
    "require_hvm": {"type": "bool", "default": False},
    "allow_untested": {"type": "bool", "default": False},
    "boot": {"type": "dict", "default": {}},
    "conf": {"type": "dict", "default": {}},
}
Check = t.Callable[[], object]


def run(task: Task) -> dict[str, t.Any]:
    options = task.params
    need, problems = needed(options)
    root = Path("/")
    dom0 = is_dom0(root)
    machine = read(root, dom0=dom0, update_grub=has("update-grub"))
    info = host_info(task.tool) if dom0 else {}
    total = int(info.get("total_memory", "0")) << 20 if dom0 else None
    hvm = "hvm" in info.get("virt_caps", "").split() if dom0 else None
    judged = judge(machine, need, total, hvm)
    problems = judged.problems + problems
    told = {
        "host": described(machine, total, hvm),
        "missing_packages": judged.lacking,
        "can_ask_apt": "python3-apt" in machine.packages,
        "predicting": task.check,
        "problems": problems,
    }
    if problems:
        several = f"For {len(problems)} reasons this cannot be done here:" if len(problems) > 1 else "This cannot be done here:"
        raise XenError("\n".join([several, *(f"- {problem}" for problem in problems)]), facts=told)
    return {"changed": False, **told, "commands": [], "warnings": judged.warnings}


def has(program: str) -> bool:
    try:
        return bool(Tool.which(program))
    except NotFound:
        return False


def needed(options: t.Mapping[str, t.Any]) -> tuple[Need, list[str]]:
    """What the options ask of the machine, and what is wrong in them."""
    boot, conf = options["boot"], options["conf"]
    checks: list[tuple[str, Check]] = [
        ("guest_memory", lambda: size(options["guest_memory"])),
        ("disk", lambda: size(options["disk_space"])),
        ("dom0_memory", lambda: in_bytes(memory(boot["dom0_mem"], "dom0_mem")) if wanted(boot) and boot.get("dom0_mem") else None),
        ("", lambda: checked_settings(conf.get("settings") or {})),
        ("", lambda: checked_xendomains(conf.get("xendomains") or {})),
    ]
    found: dict[str, t.Any] = {}
    problems = []
    for name, check in checks:
        try:
            found[name] = check()
        except InvalidChange as e:
            problems.append(str(e))
    found.pop("", None)
    need = Need(packages=tuple(options["packages"]), hvm=options["require_hvm"], untested=options["allow_untested"])
    return need._replace(**found), problems


def described(machine: Machine, total: int | None, hvm: bool | None) -> dict[str, t.Any]:
    return {
        "system": machine.name,
        "under_xen": machine.dom0,
        "hvm": bool(machine.flags & HVM_FLAGS) if hvm is None else hvm,
        "memory_mib": (total or machine.memory) >> 20,
        "secure_boot": machine.secure_boot,
        "dom0_kernels": list(machine.dom0_kernels),
    }


if __name__ == "__main__":
    main(OPTIONS, run)
