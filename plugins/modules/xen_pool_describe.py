#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_pool_describe
short_description: Write down a pool as it is, for pool_build
version_added: 0.1.0
author: [Domzero (@domzero)]
description:
  - Returns the variables with which the role P(domzero.xen.pool_build#role) would find nothing to do on this pool, to start from with a
    pool that has grown. Every entry is tried before it is returned.
  - What cannot be read, such as passwords, and what the variables have no word for, such as virtual machines, is left out and named.
  - Changes nothing in the pool.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  dest:
    description:
      - A file to write the variables to as YAML, on the machine where the task runs. What is left out stands in it as a comment.
      - In the Ansible process, where the modules of this collection run unless they are told otherwise, that is the control node.
    type: path
requirements:
  - PyYAML (Python package), for O(dest)
"""

EXAMPLES = r"""
- name: Write down the pool
  domzero.xen.xen_pool_describe:
    dest: "{{ playbook_dir }}/lab.yml"

- name: Read what cannot be written down
  domzero.xen.xen_pool_describe:
  register: described

- name: Show it
  ansible.builtin.debug:
    var: described.left_out
"""

RETURN = r"""
pool_build:
  description: The variables of the role.
  returned: success
  type: dict
  contains:
    pool_build_pool:
      description: The pool's settings, as options of M(domzero.xen.xen_pool).
      type: dict
    pool_build_hosts:
      description: >-
        The hosts, the coordinator first, as options of M(domzero.xen.xen_host), each with its C(addresses) as options of
        M(domzero.xen.xen_pif).
      type: list
      elements: dict
    pool_build_networks:
      description: The networks, as options of M(domzero.xen.xen_network).
      type: list
      elements: dict
    pool_build_storage:
      description: The storage, as options of M(domzero.xen.xen_sr).
      type: list
      elements: dict
left_out:
  description: What the variables do not say, one sentence each.
  returned: success
  type: list
  elements: str
  sample: ["SR 'SAN': chap_password, which cannot be read.", "Virtual machines: web1, web2."]
dest:
  description: The file.
  returned: when O(dest) is set
  type: str
"""

import os
import shutil
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils import describe
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.module import Module, main


def run(session: Session, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    description = describe.Description(session)
    result: dict[str, t.Any] = {"changed": False, "pool_build": description.variables(), "left_out": description.left_out}
    if params["dest"] is None:
        return result
    dest, new = Path(params["dest"]), describe.as_yaml(description)
    try:
        old = dest.read_text(encoding="utf-8") if dest.exists() else ""
        if old != new and not check:
            write(dest, new)
    except OSError as e:
        raise InvalidChange(f"The file {str(dest)!r} cannot be written: {e.strerror}.", hint="Correct dest.") from e
    diff = {"before_header": str(dest), "after_header": str(dest), "before": old, "after": new}
    return {**result, "changed": old != new, "dest": str(dest), "diff": diff}


def write(dest: Path, text: str) -> None:
    """All or nothing: an interrupted run leaves the old file."""
    handle, name = tempfile.mkstemp(dir=dest.parent, prefix=f".{dest.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        if dest.exists():
            shutil.copymode(dest, name)
        else:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
        os.replace(name, dest)
    except BaseException:
        os.unlink(name)
        raise


MODULE = Module({"dest": {"type": "path"}}, run)

if __name__ == "__main__":
    main(MODULE)
