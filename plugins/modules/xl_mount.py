#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: xl_mount
short_description: Mounts of a Xen host, such as an NFS export with images
version_added: 0.2.0
author: [Domzero (@domzero)]
description:
  - Keeps an entry of C(/etc/fstab), and mounts it. All other lines stay as they are, and the file as it was is kept beside it.
  - Something else that is mounted there is refused, and so is unmounting what is in use.
extends_documentation_fragment: [domzero.xen.xl]
options:
  path:
    description: Where it is mounted. The folder is made if it is missing.
    type: path
    required: true
  source:
    description: What is mounted, such as V(nas.example.com:/srv/guests), V(UUID=...) or a device. Not needed to take it away.
    type: str
  fstype:
    description: The type of the file system.
    type: str
    default: nfs
  options:
    description:
      - Options of the mount, separated by commas. A device on iSCSI needs V(_netdev).
      - Without this they are V(defaults), for a device V(defaults,nofail). A host whose fstab names a device without V(nofail) does not
        start where that device is missing.
    type: str
  state:
    description:
      - V(mounted) is mounted now, and when the host starts. V(present) only has the entry.
      - V(unmounted) keeps the entry. V(absent) has neither.
    type: str
    choices: [mounted, present, unmounted, absent]
    default: mounted
seealso:
  - module: domzero.xen.xl_iscsi
  - module: domzero.xen.xl_volume_group
"""

EXAMPLES = r"""
- name: Images lie on a server
  domzero.xen.xl_mount:
    path: /srv/guests
    source: nas.example.com:/export/guests
    options: vers=4.2,hard
    state: present

- name: They are not needed any more
  domzero.xen.xl_mount:
    path: /srv/guests
    state: absent
"""

RETURN = r"""
mount:
  description: What is mounted there after the task, or would be.
  returned: success
  type: dict
  sample: {path: /srv/guests, source: "nas.example.com:/export/guests", fstype: nfs, options: "vers=4.2,hard", mounted: true}
commands:
  description: The commands that were run to change something, or would be.
  returned: success
  type: list
  elements: str
  sample: [mkdir --parents /srv/guests, systemctl daemon-reload, mount /srv/guests]
backup:
  description: The file that keeps the earlier C(/etc/fstab).
  returned: when C(/etc/fstab) was changed
  type: str
  sample: /etc/fstab.before-ansible
"""

import os
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.network import guard
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.pending import mode_of, with_systemd
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage import mounts
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage.reading import text
from ansible_collections.domzero.xen.plugins.module_utils.xl_module import Task, main

OPTIONS: dict[str, t.Any] = {
    "path": {"type": "path", "required": True}, "source": {"type": "str"}, "fstype": {"type": "str", "default": "nfs"},
    "options": {"type": "str"},
    "state": {"type": "str", "choices": ["mounted", "present", "unmounted", "absent"], "default": "mounted"},
}  # fmt: skip
BACKUP = f"{mounts.FSTAB}.before-ansible"


def run(task: Task) -> dict[str, t.Any]:
    """Raises XenError."""
    params, state = task.params, task.params["state"]
    fstab, path = text(mounts.FSTAB), params["path"]
    now = mounts.mounted(text("/proc/self/mountinfo"), path)
    known = next((found for line in fstab.splitlines() if (found := mounts.entry(line)) and mounts.same(found.path, path)), None)
    mount = wanted(params, known)
    real = os.path.realpath(device(task, mount.source)) if mount.source else ""
    new, steps = mounts.plan(mount, state, now, fstab, os.path.isdir(path), real)
    steps = [step for step in steps if step.argv[0] != "systemctl" or with_systemd()]
    lacks(task, mount, state)
    if state in ("mounted", "present") and mounts.holds_up(mount):
        task.warn(f"Without the option nofail this host does not start when {mount.source} is missing.")
    if new != fstab:
        # an entry goes after it was unmounted, and comes before it is mounted
        place = len([step for step in steps if step.argv[0] in ("umount", "mkdir")])
        steps.insert(place, Step(("write", mounts.FSTAB), "write fstab", run=lambda: write(fstab, new)))
    commands = mounting(task, mount, steps, fstab, new) if state == "mounted" else task.carry_out(steps)
    up = bool(now) if state == "present" else state == "mounted"
    told = {"path": path, "source": mount.source, "fstype": mount.type, "options": mount.options, "mounted": up}
    result = {"changed": bool(steps), "commands": commands, "mount": told, "diff": {"before": seen(fstab, now), "after": seen(new, up)}}
    return {**result, "backup": BACKUP} if new != fstab else result


def wanted(params: t.Mapping[str, t.Any], known: mounts.Mount | None) -> mounts.Mount:
    """Raises InvalidChange."""
    if params["source"]:
        options = params["options"] or mounts.usual(params["source"])
        return mounts.checked(mounts.Mount(params["source"], params["path"], params["fstype"], options))
    if params["state"] in ("mounted", "present"):
        raise InvalidChange(f"Nothing is named to be mounted at {params['path']}.", hint="Set source.")
    return known or mounts.Mount("", params["path"], params["fstype"], params["options"] or "defaults")


def device(task: Task, source: str) -> str:
    """The device of a tag such as UUID=."""
    if "=" not in source or source.startswith("/"):
        return source if source.startswith("/dev/") else ""
    return task.tool.command(["findfs", source], check=False).out.strip()


def lacks(task: Task, mount: mounts.Mount, state: str) -> None:
    """Raises NotFound; in check mode the package may come yet."""
    helper = mounts.HELPERS.get(mount.type)
    if state != "mounted" or not helper or any(os.path.exists(f"{place}/mount.{mount.type}") for place in ("/sbin", "/usr/sbin")):
        return
    sentence = f"A mount of the type {mount.type} needs the package {helper}."
    if not task.check:
        raise NotFound(sentence)
    task.warn(sentence)


def mounting(task: Task, mount: mounts.Mount, steps: t.Sequence[Step], before: str, after: str) -> list[str]:
    """The commands. What cannot be mounted leaves no entry behind that the next start of the host would wait for. Raises XenError."""
    try:
        commands = task.carry_out(steps)
        if steps and not task.check and not mounts.mounted(text("/proc/self/mountinfo"), mount.path):
            # mount(8) is silent about a device that is missing, where nofail says so
            raise XenError(f"{mount.source} was not mounted at {mount.path}.", hint="Is the device there?")
        return commands
    except XenError:
        if before != after and text(mounts.FSTAB) == after:
            guard.write(mounts.FSTAB, before, mode_of(mounts.FSTAB))
        raise


def write(before: str, after: str) -> None:
    guard.write(BACKUP, before, mode_of(mounts.FSTAB))
    guard.write(mounts.FSTAB, after, mode_of(mounts.FSTAB))


def seen(fstab: str, up: object) -> dict[str, t.Any]:
    return {"fstab": fstab, "mounted": bool(up)}


if __name__ == "__main__":
    main(OPTIONS, run, tool="mount")
