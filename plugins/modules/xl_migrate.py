#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_migrate
short_description: Move a running domain to another plain Xen host
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Run on the Dom0 where the domain is. Migrates it live to another Dom0 with C(xl migrate), over ssh, and takes its file along.
  - Looked at before anything is begun, at both ends and also in check mode, is whether ssh and C(xl) work there, that Xen there is not
    older, that the domain may migrate, that its name and UUID are free there, that the memory is enough, that its disks are there and the
    same storage, and that its bridges are there. Kernel and ramdisk are not needed there for it to move, only to start it anew.
  - Where the domain already is at the other end, nothing is done but what an interrupted run left to do.
  - When a migration fails the task tells where the domain is. What a migration that was cut off leaves, C(NAME--migratedaway) here and
    C(NAME--incoming) there, is told with what to do; a copy left here of a domain that runs there is removed.
extends_documentation_fragment: [domzero.xen.xl]
options:
  name:
    description: Name of the domain.
    type: str
    required: true
  destination:
    description: The host name or address of the other Dom0.
    type: str
    required: true
  user:
    description: The login there. It has to be root's.
    type: str
    default: root
  port:
    description: The port of its ssh server.
    type: int
  ssh_command:
    description: The program that reaches it.
    type: str
    default: ssh
  ssh_options:
    description: Further arguments for it, such as V(-i) with a key. It is run so that it never asks.
    type: list
    elements: str
    default: []
  same_disks:
    description:
      - V(true) says that what has the same path and size is the same storage, as with DRBD.
      - Otherwise what tells storage apart is compared, such as WWN, the UUID of the logical volume, or file system and inode of a file.
    type: bool
    default: false
  paused:
    description: Leave the domain paused there.
    type: bool
    default: false
  move_config:
    description:
      - Copy its file there and keep it here as C(NAME.cfg.moved); the link for autostart moves too. A different file there is kept as
        C(NAME.cfg.before).
      - The file is copied as it is. A path that it names has to be right there too.
    type: bool
    default: true
  migration_timeout:
    description: Seconds the migration itself may take. Without it, ten times O(timeout).
    type: float
  config_dir:
    description: Where the files of domains are, at both ends.
    type: str
    default: /etc/xen
notes:
  - A PV domain migrates only where Xen has shadow paging, which Debian builds it without. HVM and PVH domains need none.
seealso:
  - module: domzero.xen.xl_domain
  - module: domzero.xen.xl_info
"""

EXAMPLES = r"""
- name: Move a domain to another host
  domzero.xen.xl_migrate:
    name: web
    destination: xen2

- name: Over a port of its own, with a key that is there for nothing else
  domzero.xen.xl_migrate:
    name: mail
    destination: xen2
    port: 2222
    ssh_options: [-i, /root/.ssh/migration]
    timeout: 300
"""

RETURN = r"""
domain:
  description: The domain at the other end.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: web
    host:
      description: The host name it is on.
      type: str
      sample: xen2
    domid:
      description: Its number there; null in check mode where it has yet to move.
      type: int
      sample: 7
moved:
  description: Whether the domain itself moved, or would.
  returned: success
  type: bool
  sample: true
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample:
    - "xl migrate -s 'ssh -o BatchMode=yes -o ConnectTimeout=30' web root@xen2"
    - mv -f /etc/xen/web.cfg /etc/xen/web.cfg.moved
"""

from ansible_collections.domzero.xen.plugins.module_utils.xl.migrate.moving import run
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module

OPTIONS = {
    "name": {"type": "str", "required": True},
    "destination": {"type": "str", "required": True},
    "user": {"type": "str", "default": "root"},
    "port": {"type": "int"},
    "ssh_command": {"type": "str", "default": "ssh"},
    "ssh_options": {"type": "list", "elements": "str", "default": []},
    "same_disks": {"type": "bool", "default": False},
    "paused": {"type": "bool", "default": False},
    "move_config": {"type": "bool", "default": True},
    "migration_timeout": {"type": "float"},
    "config_dir": {"type": "str", "default": "/etc/xen"},
}


def main() -> None:
    run_module(OPTIONS, run)


if __name__ == "__main__":
    main()
