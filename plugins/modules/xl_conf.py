#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_conf
short_description: Set the defaults of xl, and what becomes of guests when Dom0 goes down
version_added: 0.2.0
author: [Domzero (@domzero)]
extends_documentation_fragment: [domzero.xen.xl]
description:
  - Sets what is in C(/etc/xen/xl.conf) and C(/etc/default/xendomains). Comments, and what is not named, stay as they are.
  - A setting that C(xl) would ignore, since it does not know it, is refused.
options:
  settings:
    description:
      - Settings of C(/etc/xen/xl.conf) by their names in C(xl.conf(5)), such as V(autoballoon), V(vif.default.bridge) and V(claim_mode).
      - One that is empty is taken out of the file, so that C(xl) has its own default.
    type: dict
    default: {}
  xendomains:
    description: What Debian's service C(xendomains) does with guests when Dom0 starts and goes down.
    type: dict
    default: {}
    suboptions:
      save:
        description: Folder that running guests are saved to when Dom0 goes down. Empty to shut them down instead.
        type: str
      restore:
        description: Whether saved guests are restored when Dom0 has started.
        type: bool
      auto:
        description: Folder whose configuration files are started with Dom0. Empty for none.
        type: str
      migrate:
        description: What comes after the domain in C(xl migrate), to move guests to another Dom0 first. Empty for no migration.
        type: str
      stop_timeout:
        description: Seconds each of these may take for a guest.
        type: int
  path:
    description: The file of O(settings).
    type: path
    default: /etc/xen/xl.conf
  xendomains_path:
    description: The file of O(xendomains).
    type: path
    default: /etc/default/xendomains
  backup:
    description: Whether an earlier file is kept beside the new one.
    type: bool
    default: true
notes:
  - C(xl) reads its file each time it is called, and xendomains its own when it starts or stops guests; nothing has to be restarted.
  - Works before Xen runs.
seealso:
  - module: domzero.xen.xl_boot
"""

EXAMPLES = r"""
- name: Guests are on the bridge xenbr1 where they name none, and Dom0 keeps its memory
  domzero.xen.xl_conf:
    settings:
      autoballoon: "off"
      vif.default.bridge: xenbr1

- name: Guests are shut down with Dom0, two minutes each, and not saved
  domzero.xen.xl_conf:
    xendomains:
      save: ""
      restore: false
      stop_timeout: 120
"""

RETURN = r"""
settings:
  description: All that C(/etc/xen/xl.conf) sets after the task, or would.
  returned: success
  type: dict
  sample: {autoballoon: 'off', vif.default.bridge: xenbr1}
xendomains:
  description: What C(/etc/default/xendomains) says after the task, or would, in the words of the option.
  returned: success
  type: dict
  sample: {save: '', restore: false, auto: /etc/xen/auto, migrate: '', stop_timeout: 120}
backup_files:
  description: Where earlier files are kept.
  returned: success
  type: list
  elements: str
  sample: [/etc/xen/xl.conf.2026-11-22@03:20:11~]
commands:
  description: What was done to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: [write /etc/xen/xl.conf]
"""

import functools
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.xl.host.files import text_of, written
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.settings import (
    checked_settings,
    checked_xendomains,
    settings_in,
    told_xendomains,
    with_settings,
    with_variables,
)
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

OPTIONS: dict[str, t.Any] = {
    "settings": {"type": "dict", "default": {}},
    "xendomains": {
        "type": "dict",
        "default": {},
        "options": {
            "save": {"type": "str"},
            "restore": {"type": "bool"},
            "auto": {"type": "str"},
            "migrate": {"type": "str"},
            "stop_timeout": {"type": "int"},
        },
    },
    "path": {"type": "path", "default": "/etc/xen/xl.conf"},
    "xendomains_path": {"type": "path", "default": "/etc/default/xendomains"},
    "backup": {"type": "bool", "default": True},
}


def run(task: Task) -> dict[str, t.Any]:
    params = task.params
    conf, domains = Path(params["path"]), Path(params["xendomains_path"])
    before = {str(conf): text_of(conf), str(domains): text_of(domains)}
    after = {
        str(conf): with_settings(before[str(conf)], checked_settings(params["settings"]), str(conf)),
        str(domains): with_variables(before[str(domains)], checked_xendomains(params["xendomains"])),
    }
    changed = [path for path in before if after[path] != before[path]]
    kept: list[str] = []
    steps = [
        Step(("write", path), f"write {path}", run=functools.partial(_write, path, after[path], params["backup"], kept)) for path in changed
    ]
    commands = task.carry_out(steps)
    return {
        "changed": bool(commands),
        "settings": settings_in(after[str(conf)], str(conf)),
        "xendomains": told_xendomains(after[str(domains)]),
        "backup_files": kept,
        "commands": commands,
        "diff": [{"before_header": path, "before": before[path], "after_header": path, "after": after[path]} for path in changed],
    }


def _write(path: str, text: str, backup: bool, kept: list[str]) -> None:
    kept += filter(None, [written(Path(path), text, backup=backup)])


if __name__ == "__main__":
    main(OPTIONS, run)
