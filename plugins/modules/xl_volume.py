#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_volume
short_description: Storage of domains on a plain Xen host
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Makes, grows, shrinks, copies and removes what the disks of domains lie on, which is a logical volume (also a thin one), or an image
    file (raw, qcow2, vhd). Puts a file system or swap onto it, and takes snapshots.
  - Nothing that somebody uses is removed or made smaller, no file system is written over, and a volume is only made smaller where
    O(shrink) allows it, what is on it can become smaller, and it has room in it.
  - An interrupted run is finished by running it again. An image that is being made has C(.partial) behind its name, a logical volume the
    tag C(xl_volume.partial) until it is complete.
options:
  vg:
    description: The volume group of a logical volume.
    type: str
  name:
    description: The name of a logical volume.
    type: str
  path:
    description: The path of an image file. A path such as V(/dev/vg0/web) is the logical volume O(name=web) in O(vg=vg0).
    type: path
  state:
    description:
      - Whether it is there. With O(snapshot), V(absent) removes that snapshot and keeps the image.
      - What a running domain has as a disk, what is mounted, open or a part of something else, and what has snapshots or overlays is not
        removed; the error names them. Thin snapshots live on without what they were taken of.
    type: str
    choices: [present, absent]
    default: present
  format:
    description:
      - Of an image that is made, or the one it is expected to have. Without it the name of the file tells, else it is V(raw).
      - An image that exists is not converted; make a new one with O(source).
      - V(lvm) is a logical volume, and need not be given.
    type: str
    choices: [lvm, raw, qcow2, vhd]
  size:
    description:
      - Bytes, or a number with a unit, such as V(20 GiB). Rounded up to extents of the volume group, or to sectors of 512 bytes.
      - A volume that is smaller grows. A logical volume, and a raw image that is attached by a loop device (as C(xl) does it without qemu),
        grow while a domain uses them, and a Linux guest sees that within seconds. Images that qemu serves do not.
      - Of a snapshot of a logical volume that is not thin, the room for what changes while it is there. When that is full, the snapshot is
        lost.
      - Needed for a new volume, unless it is copied or a thin snapshot.
    type: str
  pool:
    description: The thin pool in which a new logical volume lies. Its size is then only taken when it is used.
    type: str
  sparse:
    description: Whether a new image takes its room only when it is used.
    type: bool
    default: true
  source:
    description:
      - What a new volume is a copy of, an image file or a block device. Formats are converted. A volume that exists already is not compared
        with it.
      - Nobody may be writing to it. Of a volume in use, take a snapshot, or use M(domzero.xen.xl_volume_backup).
    type: path
  source_format:
    description: The format of O(source), where its name does not tell. Devices are raw.
    type: str
    choices: [raw, qcow2, vhd, vmdk, vdi]
  snapshot_of:
    description:
      - What the volume is a snapshot of. For a logical volume, the name of another in the same group; thin volumes have thin snapshots.
      - For a raw image, the path of the image, which is copied, and shares what is in it where the file system can do that (btrfs, xfs);
        only there it may be in use.
      - A qcow2 image keeps its snapshots in itself, see O(snapshot), so that a domain's disk stays what it is.
    type: str
  snapshot:
    description:
      - The name of a snapshot that a qcow2 image has in itself. It is taken once; C(qemu-img snapshot -a) goes back to it.
      - Nobody may use the image meanwhile.
    type: str
  backing:
    description:
      - The image that a new qcow2 image begins as. It keeps what differs, so that many domains can begin as one image.
      - The image below must not be changed any more. One that has such images in its own folder is neither removed nor resized.
    type: path
  backing_format:
    description: The format of O(backing), where its name does not tell.
    type: str
    choices: [raw, qcow2, vhd]
  fs:
    description:
      - The file system, or swap, made on a volume that holds none. A volume with anything else on it is left alone, with an error.
    type: str
    choices: [ext4, xfs, swap]
  label:
    description: The label of O(fs). Changed where the volume is not in use.
    type: str
  fs_options:
    description: More words for C(mkfs) or C(mkswap), such as V(-m) and V(0). Only used when it is made.
    type: list
    elements: str
  resize_fs:
    description:
      - Whether a file system that is smaller than its volume is grown. ext2, ext3, ext4, xfs and swap, without partitions.
      - What a running domain uses is grown there, with M(domzero.xen.guest_fs_grow); here it is left alone with a warning.
      - Less than 16 MiB is left alone.
    type: bool
    default: false
  shrink:
    description:
      - Whether a volume may be made smaller. ext2, ext3 and ext4 are checked and made smaller first, swap is made anew. Images without
        any data beyond the new size are cut. Everything else is refused.
    type: bool
    default: false
  copy_timeout:
    description: Seconds each command may take that copies, checks, makes or resizes.
    type: float
    default: 14400.0
requirements:
  - lvm2 for logical volumes, qemu-img (C(qemu-utils) of Debian) for images and copies
  - e2fsprogs, xfsprogs for these file systems
notes:
  - LVM does not erase what was on the disk before. A new logical volume may hold old data beyond its beginning.
  - xfs that is not mounted is mounted for a moment to be grown, where nobody else sees it.
extends_documentation_fragment: [domzero.xen.xl]
seealso:
  - module: domzero.xen.xl_domain
  - module: domzero.xen.xl_volume_backup
  - module: domzero.xen.guest_fs_grow
"""

EXAMPLES = r"""
- name: A logical volume with a file system
  domzero.xen.xl_volume:
    vg: vg0
    name: web-root
    size: 10 GiB
    fs: ext4
    label: root

- name: A thin one, which takes its room when it is used
  domzero.xen.xl_volume:
    vg: vg0
    name: web-data
    pool: thin
    size: 100 GiB

- name: It grows, with its file system
  domzero.xen.xl_volume:
    vg: vg0
    name: web-root
    size: 12 GiB
    resize_fs: true

- name: A snapshot that holds 1 GiB of changes
  domzero.xen.xl_volume:
    vg: vg0
    name: web-root-before
    snapshot_of: web-root
    size: 1 GiB

- name: The snapshot is not needed any more
  domzero.xen.xl_volume:
    vg: vg0
    name: web-root-before
    state: absent

- name: A volume made from a cloud image
  domzero.xen.xl_volume:
    vg: vg0
    name: mail-root
    source: /srv/images/debian-12.qcow2
    size: 20 GiB

- name: An image file
  domzero.xen.xl_volume:
    path: /srv/xen/db.qcow2
    size: 20 GiB
    fs: xfs

- name: A snapshot within it
  domzero.xen.xl_volume:
    path: /srv/xen/db.qcow2
    snapshot: before-upgrade

- name: Swap of 256 MiB
  domzero.xen.xl_volume:
    path: /srv/xen/db-swap.img
    size: 256 MiB
    sparse: false
    fs: swap

- name: It becomes smaller
  domzero.xen.xl_volume:
    path: /srv/xen/db-swap.img
    size: 128 MiB
    shrink: true
"""

RETURN = r"""
volume:
  description:
    - What it is like after the task, in the words of the options; empty for one that is not there.
    - Also C(virtual_size), which differs from C(size) for snapshots (bytes that can be read from it), C(allocated) (bytes that an image
      takes), C(fs_size) (bytes of its file system), C(snapshots) that depend on it or lie in it, C(full) (per cent of the room of a
      snapshot, or of a thin volume, that is used), and C(used_by), who uses it.
  returned: success
  type: dict
  sample:
    vg: vg0
    name: web-root
    path: /dev/vg0/web-root
    format: lvm
    size: 10737418240
    virtual_size: 10737418240
    pool: ""
    snapshot_of: ""
    snapshots: [web-root-before]
    fs: ext4
    label: root
    fs_size: 10737418240
    full: 0.0
    used_by: [{kind: domain, name: web}]
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: [lvextend --size 12884901888b vg0/web-root, e2fsck -f -p /dev/vg0/web-root, resize2fs /dev/vg0/web-root]
commands_done:
  description: The commands that were done before one failed.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.manage import OPTIONS, manage
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import main as run_module


def run(task: Task) -> dict[str, object]:
    return manage(task.tool, task.params, task.carry_out, task.check)


def main() -> None:
    run_module(OPTIONS, run)


if __name__ == "__main__":
    main()
