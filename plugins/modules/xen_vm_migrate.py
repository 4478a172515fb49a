#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xen_vm_migrate
short_description: Move a VM to another host, other storage or another pool without stopping it
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Moves a running VM to another host of its pool (XenMotion), its disks to other SRs (storage XenMotion), or both at once to a
    host of another pool. A halted VM's disks move as well, and a halted VM moves to another pool.
  - Before anything is begun, all reasons that prevent it are told at once, each with what to do about it. XenAPI itself tells the
    first one only. Check mode tells the same.
  - Where the VM and its disks are already where the task wants them, nothing is done. A migration of the VM that is under way is
    waited for first, also in check mode.
  - With C(-v), a line tells each tenth of the way, unless the task runs as an ordinary module (such as with C(async)).
  - When a migration fails, the VM is where it was. What it may have left where the VM was to go is named.
extends_documentation_fragment:
  - domzero.xen.xen
options:
  name:
    description: The VM's name.
    type: str
  uuid:
    description: The VM by its uuid. One of O(name) and O(uuid) is needed.
    type: str
  host:
    description:
      - The host that is to run it, by name, uuid or address. With O(to), a host of the other pool; default is the one that O(to) logs
        in at.
      - A halted VM is on no host. Then this is a host that has to have all its disks.
    type: str
  sr:
    description: Where all its disks are to be, by name or uuid of the SR. Of several SRs of one name it is the one the host has.
    type: str
  disks:
    description: Where some of its disks are to be. Keys are the disk's place (such as V("0")), its name or its uuid, values are SRs.
    type: dict
  srs:
    description:
      - Where the disks of an SR are to be. Keys are SRs the disks are in, values those they go to. O(disks) counts more than this, and
        this more than O(sr).
      - To another pool every disk must be told about in one of the three ways.
    type: dict
  to:
    description: The other pool, when the VM is to leave its own.
    type: dict
    suboptions:
      hostname:
        description: The coordinator of the other pool, or the host the VM is to go to, as C(host), C(host:port) or a URL.
        type: str
        required: true
      username:
        description: The user to log in as there.
        type: str
        default: root
      password:
        description: The user's password there.
        type: str
        required: true
      validate_certs:
        description: Whether the certificate is checked.
        type: bool
        default: true
      ca_file:
        description: File of CA certificates (PEM) to check it with.
        type: path
      fingerprint:
        description: SHA-256 fingerprints of the certificates of that pool's hosts, one of which is to be shown.
        type: list
        elements: str
      timeout:
        description: How long to wait for a connection or an answer, in seconds.
        type: float
        default: 60
  networks:
    description: The other pool's network for each network the VM is on. Networks not named here go to the one of the same name.
    type: dict
  copy:
    description:
      - Whether the VM stays, and a copy of it with a new uuid and new MAC addresses is made in the other pool. It must be halted.
      - When the other pool has a VM of that name, it is taken for the copy and nothing is done.
    type: bool
  network:
    description:
      - The network the migration goes over, of the pool it goes to. The target host needs an address there.
      - Default is the network that the pool keeps for it (C(xo:migrationNetwork) in its other_config), else that of management.
    type: str
  compress:
    description: Whether the memory is compressed on its way. Default is what the pool is set to.
    type: bool
  force:
    description: Whether a VM without guest tools is moved as well, or one that is pinned, or to a host whose CPU lacks features. The
      guest may not survive it.
    type: bool
    default: false
  eject_cd:
    description: Whether a disc that the target host cannot reach is taken out of the VM's drive.
    type: bool
    default: false
  wait_timeout:
    description: How long the migration may take, and one that is under way, in seconds. A migration that takes longer goes on, and the
      next run waits for it.
    type: int
    default: 7200
seealso:
  - module: domzero.xen.xen_pool_balance
"""

EXAMPLES = r"""
- name: To another host
  domzero.xen.xen_vm_migrate:
    name: web1
    host: east1

- name: Back over the storage network, without the disc in its drive
  domzero.xen.xen_vm_migrate:
    name: web1
    host: east0
    network: Storage
    eject_cd: true

- name: Its disks into another SR, while it runs
  domzero.xen.xen_vm_migrate:
    name: web1
    sr: NFS fast

- name: To another host and its local storage
  domzero.xen.xen_vm_migrate:
    name: web1
    host: east1
    sr: Local storage

- name: A copy of a halted VM in another pool
  domzero.xen.xen_vm_migrate:
    name: mail
    copy: true
    sr: Local storage
    to:
      hostname: "{{ west.hostname }}"
      password: "{{ west.password }}"
      fingerprint: "{{ west.fingerprint }}"

- name: To another pool, where the networks have other names
  domzero.xen.xen_vm_migrate:
    name: web1
    host: west0
    networks: {Storage: Pool-wide network associated with eth1}
    srs: {Local storage: Local storage}
    to:
      hostname: "{{ west.hostname }}"
      password: "{{ west.password }}"
      fingerprint: "{{ west.fingerprint }}"

- name: What would prevent it
  domzero.xen.xen_vm_migrate:
    name: web2
    host: east1
  check_mode: true
  register: asked
  failed_when: false # asked.reasons tells
"""

RETURN = r"""
vm:
  description:
    - The VM after the task, by option name, and its C(uuid). In check mode as it would be.
    - C(host) is empty for a VM that runs nowhere. C(disks) has the SR of each disk. With O(to), C(pool) says in which of the two it is.
  returned: success
  type: dict
  sample:
    name: web1
    host: xcp01
    disks: {"0": NFS vms, "1": NFS vms}
    uuid: 6c1a0a5a-8d0f-4f4e-9a54-1d6b4b3d9f0a
reasons:
  description: All that prevents the migration.
  returned: when it cannot be
  type: list
  elements: dict
  contains:
    code:
      description: XenAPI's error code for it.
      type: str
    reason:
      description: A sentence that names the object.
      type: str
    remedy:
      description: What to do.
      type: str
  sample:
    - code: VM_LACKS_FEATURE
      reason: VM 'web1' has no guest tools running.
      remedy: "Install the guest tools, or set force: true when the guest is known to bear it."
cured:
  description: Obstacles that the task removed, or would remove in check mode.
  returned: when there were any
  type: list
  elements: str
operations:
  description: The XenAPI calls made, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
"""

import typing as t
from contextlib import contextmanager
from dataclasses import replace

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.module import log_in, main, manage
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm_migrate import VmMigrate

TO: dict[str, dict[str, t.Any]] = {
    "hostname": {"type": "str", "required": True},
    "username": {"type": "str", "default": "root"},
    "password": {"type": "str", "required": True, "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "fingerprint": {"type": "list", "elements": "str"},
    "timeout": {"type": "float", "default": 60.0},
}


@contextmanager
def other_pool(params: t.Mapping[str, t.Any]) -> t.Iterator[Session | None]:
    """A session there, which ends with the task. Raises XenError that says which pool it is about."""
    if not params["to"]:
        yield None
        return
    try:
        session = log_in(params["to"])
    except XenError as e:
        e.message = f"The pool the VM is to go to: {e.message}"
        raise
    try:
        yield session
    finally:
        session.log_out()


def run(session: Session, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    with other_pool(params) as other:
        return PLAIN.run(session, {**params, "to": other}, check)


PLAIN = manage(VmMigrate)
MODULE = replace(PLAIN, arguments={**PLAIN.arguments, "to": {"type": "dict", "options": TO}}, run=run)

if __name__ == "__main__":
    main(MODULE)
