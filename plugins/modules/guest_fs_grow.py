#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_fs_grow
short_description: Give a file system in a guest the room its disk has
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Run in a Linux guest whose disk became larger. Makes the partition larger (GPT, whose backup is moved to the end of the disk, or MBR,
    also logical ones), then the physical volume and the logical volume where LVM is used, then the file system. Nothing is unmounted.
  - All of it is found from the mount point. What cannot be is told before anything is changed.
  - An interrupted run is finished by running it again.
  - Runs in the guest, as any ordinary module, and needs root there. The role P(domzero.xen.guest_disk_grow#role) also grows the disk
    itself.
options:
  path:
    description: Where the file system is mounted, or the block device that holds it.
    type: str
    required: true
  disk_size:
    description:
      - How large its disk is, in bytes or with a unit such as V(20 GiB). The kernel is told to look, and waited for until it knows.
      - In check mode the disk is taken to have that size.
      - Without it the disk is as large as the kernel says.
    type: str
  disk:
    description: The disk that grows, such as V(/dev/xvdb). Needed with O(disk_size) where a volume group lies on several.
    type: str
  lv_size:
    description: How large its logical volume is to be. Without it, it gets all that is free in its volume group.
    type: str
  wait_timeout:
    description: Seconds the kernel has to learn of O(disk_size).
    type: int
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and tells the commands of the real run.
    support: full
  diff_mode:
    description: Returns the sizes of what becomes larger, before and after.
    support: full
  platform:
    description: Where it runs.
    support: full
    platforms: linux
requirements:
  - lsblk, sfdisk and partx (util-linux; sfdisk is in the package fdisk of Debian and Ubuntu), pvresize and lvextend (lvm2) for LVM
  - resize2fs (e2fsprogs), xfs_growfs (xfsprogs) or btrfs (btrfs-progs), whichever the file system needs
notes:
  - File systems of the types ext2, ext3, ext4, xfs and btrfs (on one device) grow; linear and striped logical volumes; no encrypted ones.
  - Less than 16 MiB at the end is left alone.
seealso:
  - module: domzero.xen.xen_vdi
  - module: domzero.xen.xen_vm
"""

EXAMPLES = r"""
- name: The file system has all of its disk
  domzero.xen.guest_fs_grow:
    path: /srv/data

- name: As soon as the kernel knows that the disk is larger
  domzero.xen.guest_fs_grow:
    path: /srv/mail
    disk_size: 500 MiB
"""

RETURN = r"""
mount_point:
  description: Where the file system is mounted.
  returned: success
  type: str
  sample: /srv/data
fs_type:
  description: The type of the file system.
  returned: success
  type: str
  sample: ext4
device:
  description: What holds it.
  returned: success
  type: str
  sample: /dev/xvdb1
size:
  description: Bytes of the file system after the task.
  returned: success
  type: int
  sample: 21473787904
disk:
  description: The disk that is or becomes larger; empty where there are several and the task names none.
  returned: success
  type: str
  sample: /dev/xvdb
disk_size:
  description: Bytes of that disk as the kernel knows it.
  returned: success
  type: int
  sample: 21474836480
disk_size_after:
  description: The same, or O(disk_size) if that is more.
  returned: success
  type: int
  sample: 21474836480
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: [sfdisk --quiet --no-reread --no-tell-kernel -N 1 /dev/xvdb, partx --update --nr 1 /dev/xvdb, resize2fs /dev/xvdb1]
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, Timeout, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.sizes import readable_size, size
from ansible_collections.domzero.xen.plugins.module_utils.growing.reading import read
from ansible_collections.domzero.xen.plugins.module_utils.growing.stack import SLACK, Disk, Stack, Step
from ansible_collections.domzero.xen.plugins.module_utils.growing.steps import Growth, Wanted, plan, the_disk

OPTIONS = {
    "path": {"type": "str", "required": True},
    "disk_size": {"type": "str"},
    "disk": {"type": "str"},
    "lv_size": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 60},
}


class Guest:
    """The machine this runs on."""

    def __init__(self, module: AnsibleModule):
        self._module = module

    def has(self, tool: str) -> bool:
        return bool(self._module.get_bin_path(tool))

    def run(self, command: t.Sequence[str], stdin: str = "") -> tuple[int, str, str]:
        path = self._module.get_bin_path(command[0]) or command[0]
        status, out, err = self._module.run_command([path, *command[1:]], data=stdin or None, binary_data=True)
        return status, out, err

    def mounts(self) -> str:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def real(self, path: str) -> str:
        return os.path.realpath(path) if os.path.exists(path) else ""

    def number(self, path: str) -> str:
        try:
            told = os.stat(path)
        except OSError:
            return ""
        return f"{os.major(told.st_rdev)}:{os.minor(told.st_rdev)}" if (told.st_mode & 0o170000) == 0o060000 else ""

    def rescan(self, disk: Disk) -> None:
        """The kernel asks an emulated SCSI disk for its size; of a Xen disk it is told."""
        entry = f"/sys/block/{disk.path[len('/dev/') :].replace('/', '!')}/device/rescan"
        if os.path.exists(entry):
            with open(entry, "w", encoding="ascii") as file:
                file.write("1")


def wanted_of(params: t.Mapping[str, t.Any], guest: Guest) -> Wanted:
    """Raises InvalidChange for what is not a size."""
    sizes = {key: None if params[key] is None else size(params[key]) for key in ("disk_size", "lv_size")}
    for key, value in sizes.items():
        if value == 0:
            raise InvalidChange(f"{key} is 0 bytes.")
    return Wanted(disk=guest.real(params["disk"]) or params["disk"] if params["disk"] else "", **sizes)


def await_disk(guest: Guest, path: str, wanted: Wanted, timeout: float) -> Stack:
    """What there is when the kernel knows the disk as large as it is to be. Raises Timeout."""
    end = time.monotonic() + timeout
    while True:
        stack = read(guest, path)
        disk = the_disk(stack, wanted)
        if not disk or wanted.disk_size is None or wanted.disk_size - disk.size < SLACK:
            return stack
        if time.monotonic() > end:
            raise Timeout(
                f"The guest's kernel knows {disk.path} with {readable_size(disk.size)}, not with {readable_size(wanted.disk_size)}.",
                hint="Is it the disk that was grown? A disk without Xen's drivers becomes larger when the VM has been halted and started.",
            )
        guest.rescan(disk)
        time.sleep(0.5)


def change(guest: Guest, steps: t.Iterable[Step]) -> None:
    """Raises XenError for a command that fails, with what was done before."""
    done: list[str] = []
    for step in steps:
        status, out, err = guest.run(step.command, step.stdin)
        told = " ".join(step.command)
        if status:
            raise XenError(
                f"{told} failed: {' '.join((err or out).split())}", hint="What it left can be finished by running this again.",
                facts={"commands_done": done},
            )  # fmt: skip
        done.append(told)


def grow(guest: Guest, params: t.Mapping[str, t.Any], check: bool) -> dict[str, t.Any]:
    """What the module returns. Raises XenError."""
    if os.geteuid() != 0:
        raise InvalidChange("Only root can grow a file system.", hint="Use become: true.")
    wanted = wanted_of(params, guest)
    stack = read(guest, params["path"])
    growth = plan(stack, wanted)  # with the size the disk is to have: a refusal comes before any wait
    if not check:
        stack = await_disk(guest, params["path"], wanted, params["wait_timeout"])
        growth = plan(stack, wanted)
        change(guest, growth.steps)
    result = told(stack, wanted, growth)
    if growth.steps and not check:
        stack = read(guest, params["path"])
        left = plan(stack, wanted).steps
        if left:
            raise XenError(f"{left[0].device} has {readable_size(left[0].before)}, and not the size it was to get.", facts=result)
        result["size"] = stack.file_system.size
    return result


def told(stack: Stack, wanted: Wanted, growth: Growth) -> dict[str, t.Any]:
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for step in growth.steps:
        before.setdefault(step.device, step.before)
        after[step.device] = step.after
    disk, fs = the_disk(stack, wanted), stack.file_system
    return {
        "changed": bool(growth.steps), "mount_point": fs.mount, "fs_type": fs.type, "device": fs.device, "size": growth.size,
        "disk": disk.path if disk else "", "disk_size": disk.size if disk else 0,
        "disk_size_after": max(disk.size, wanted.disk_size or 0) if disk else 0,
        "commands": [" ".join(step.command) for step in growth.steps], "diff": {"before": before, "after": after},
        "warnings": growth.warnings,
    }  # fmt: skip


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    module.run_command_environ_update = {"LANG": "C", "LC_ALL": "C"}
    try:
        result = grow(Guest(module), module.params, module.check_mode)
    except XenError as e:
        facts = {key: value for key, value in e.facts.items() if key not in ("changed", "warnings", "diff")}
        module.fail_json(msg=str(e), **facts)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
