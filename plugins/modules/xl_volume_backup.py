#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_volume_backup
short_description: Copy a volume of a plain Xen host while its domain runs
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Takes a snapshot of a logical volume, copies it into an image file, and removes the snapshot. What is copied is the volume at one
    moment, as after a power cut, so that file systems with a journal and most databases come up from it; the domain runs on.
  - The snapshot is removed also when something fails. After a run that was cut off, the next one removes what it left, which it knows by
    the tag C(xl_volume.backup). The copy has C(.partial) behind its name until it is complete.
  - A copy that is there already is left as it is. Give every copy its own name, such as one with the date.
  - An image file is copied where nobody writes to it. One in use is copied if it is raw and lies on btrfs or xfs.
options:
  vg:
    description: The volume group of a logical volume.
    type: str
  name:
    description: The name of a logical volume.
    type: str
  path:
    description: The path of an image file, or of a logical volume, such as V(/dev/vg0/web).
    type: path
  dest:
    description: The file that becomes the copy, on Dom0.
    type: path
    required: true
  format:
    description: The format of the copy. Without it the name of O(dest) tells, else it is V(qcow2). Unused room is not copied.
    type: str
    choices: [raw, qcow2, vhd]
  snapshot_size:
    description:
      - The room for what the domain writes while the copy is made, for volumes that are not thin. When that is full, the copy fails, and
        the domain runs on.
      - Without it, a fifth of the volume, or what is free in the group if that is less.
    type: str
  compress:
    description: Whether a V(qcow2) copy is compressed. That takes several times as long.
    type: bool
    default: false
  verify:
    description: Whether the copy is read again and compared with the snapshot.
    type: bool
    default: false
  force:
    description: Whether a copy that is there is replaced, each time the task runs.
    type: bool
    default: false
  copy_timeout:
    description: Seconds each command may take that copies or compares.
    type: float
    default: 14400.0
requirements:
  - lvm2 for logical volumes
  - qemu-img (C(qemu-utils) of Debian)
notes:
  - Several volumes of one domain are not copied at the same moment. Pause the domain where that matters, or let its guest make the
    copy consistent.
  - A copy becomes a volume again with O(domzero.xen.xl_volume#module:source).
extends_documentation_fragment: [domzero.xen.xl]
seealso:
  - module: domzero.xen.xl_volume
"""

EXAMPLES = r"""
- name: A copy of the day, compressed
  domzero.xen.xl_volume_backup:
    vg: vg0
    name: web-root
    dest: /srv/backup/web-root.{{ day }}.qcow2
    compress: true

- name: A copy that is read again, of an image file
  domzero.xen.xl_volume_backup:
    path: /srv/xen/db.img
    dest: /srv/backup/db.qcow2
    verify: true
"""

RETURN = r"""
backup:
  description:
    - The copy, with its path, format, C(size) (bytes of the disk in it) and C(allocated) (bytes it takes), which is not told in check mode.
  returned: success
  type: dict
  sample:
    path: /srv/backup/web-root.qcow2
    format: qcow2
    size: 10737418240
    allocated: 1482031104
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample:
    - lvcreate --yes --addtag xl_volume.backup --snapshot --size 2147483648b --name web-root.backup vg0/web-root
    - qemu-img convert -q -t writeback -f raw -O qcow2 /dev/vg0/web-root.backup /srv/backup/web-root.qcow2.partial
    - mv -f -T /srv/backup/web-root.qcow2.partial /srv/backup/web-root.qcow2
    - lvremove --yes vg0/web-root.backup
commands_done:
  description: The commands that were done before one failed.
  returned: failure
  type: list
  elements: str
"""

import signal

from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.backup import OPTIONS, manage
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module


def end(_signum: int, _frame: object) -> None:
    raise SystemExit(1)


def run(task: Task) -> dict[str, object]:
    signal.signal(signal.SIGTERM, end)  # so that the snapshot is removed
    return manage(task.tool, task.params, task.carry_out, task.check)


def main() -> None:
    run_module(OPTIONS, run)


if __name__ == "__main__":
    main()
