#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_guest_preflight
short_description: Look at a list of domUs before any of them is made
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Checks the description of guests and what Dom0 has for them, and tells all that is wrong at once. Volume groups and folders with their
    room, bridges, kernels, what systems are made from, names, addresses and volumes that are used twice or by others, memory (of the host,
    and of a guest whose initrd does not fit into its own, where Dom0 has C(lsinitramfs)), volumes that would shrink or hold something else.
  - Works out what the modules of the role P(domzero.xen.domu#role) are called with, which calls this module first.
  - Changes nothing.
extends_documentation_fragment: [domzero.xen.xl]
options:
  guests:
    description: The guests, as in C(domu_guests) of the role P(domzero.xen.domu#role).
    type: list
    elements: dict
    required: true
  defaults:
    description: What every guest has that does not say otherwise.
    type: dict
    default: {}
  state_dir:
    description: Where Dom0 keeps what it needs of guests, a folder for each.
    type: path
    default: /var/lib/domzero.xen/guests
seealso:
  - module: domzero.xen.xl_guest_os
  - module: domzero.xen.xl_domain
"""

EXAMPLES = r"""
- name: Everything that two guests need is there
  domzero.xen.xl_guest_preflight:
    defaults: {image_dir: /srv/guests, boot: guest, install: {method: tarball, tarball: /srv/images/debian-12.tar}}
    guests:
      - {name: web01, root: {size: 2 GiB}}
      - {name: db01, root: {size: 2 GiB}, data: [{name: data, size: 1 GiB, mount: /srv}]}

- name: A guest whose volume is there already
  domzero.xen.xl_guest_preflight:
    guests:
      - {name: old01, root: {path: /srv/guests/old01.img}, boot: none, options: {bootloader: pygrub}}
"""

RETURN = r"""
guests:
  description: For each guest the options of the modules that make it. The hash of a password is left out.
  returned: success
  type: list
  elements: dict
  sample: [{name: web01, state: running, running: false, found: missing, address: ""}]
predicting:
  description: Whether it ran in check mode. Unlike C(ansible_check_mode), it tells of plays that are in check mode by themselves too.
  returned: success
  type: bool
  sample: false
problems:
  description: What is wrong.
  returned: failure
  type: list
  elements: str
  sample: ["Guest web01: Dom0 has no bridge xenbr0."]
"""

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.look import FOLDER
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.machine import Machine
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.survey import survey
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module

OPTIONS: dict[str, t.Any] = {
    "guests": {"type": "list", "elements": "dict", "required": True},
    "defaults": {"type": "dict", "default": {}},
    "state_dir": {"type": "path", "default": FOLDER},
}


def run(task: Task) -> dict[str, t.Any]:
    for own in [task.params["defaults"], *task.params["guests"]]:
        task.hide((own.get("system") or {}).get("root_password_hash"))
    found = survey(task.params["guests"], task.params["defaults"], Machine(task.timeout), task.params["state_dir"])
    if found.problems:
        problems = list(dict.fromkeys(found.problems))
        raise InvalidChange("\n".join(problems), facts={"problems": problems})
    for row in found.rows:
        row["os"].pop("root_password_hash", None)
    return {"changed": False, "predicting": task.check, "guests": found.rows, "warnings": found.warnings}


def main() -> None:
    # the descriptions hold hashes of passwords, which Ansible would not know to leave out of Dom0's journal
    run_module(OPTIONS, run, no_log=True)


if __name__ == "__main__":
    main()
