# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One task about a volume, from its options to its result."""

from __future__ import annotations

import os
import typing as t

from ...errors import XenError
from ..step import Step
from ..tool import Tool
from .host import Host
from .observe import observe
from .plan_image import describe as describe_image
from .plan_image import plan_image
from .plan_lvm import describe as describe_logical
from .plan_lvm import plan_lvm
from .wanted import Wanted, of_params
from .what import Now

Result = dict[str, t.Any]
"""What the functions of a module return."""


def volume_of(wanted: Wanted, now: Now) -> Result:
    """The volume there is, in the words of the options and with what else is known; empty for none."""
    uses = [use.shown() for use in now.uses if use.kind not in ("snapshot", "thin")]
    own = now.volumes.get(wanted.name)
    if own:
        taken = sorted(lv.name for lv in now.volumes.values() if lv.origin == own.name)
        more = {"path": own.path, "virtual_size": own.virtual, "full": own.full, "snapshots": taken, "used_by": uses}
        return {**describe_logical(own, now.content), **more}
    if now.image:
        more = {"virtual_size": now.image.virtual, "allocated": now.image.allocated, "used_by": uses}
        return {**describe_image(now.image, now.content), **more}
    return {}


def manage(tool: Tool, params: t.Mapping[str, t.Any], carry_out: t.Callable[[t.Sequence[Step]], list[str]], check: bool) -> Result:
    """What the module returns. Raises XenError."""
    os.umask(0o077)  # a guest's disk is nobody else's to read
    wanted, host = of_params(params), Host(tool)
    now = observe(host, wanted)
    planned = plan_lvm(now, wanted) if wanted.lvm else plan_image(now, wanted)
    commands = carry_out(planned.steps)
    if check or not planned.steps:
        volume = {**volume_of(wanted, now), **planned.after} if planned.after else {}
        if volume and planned.steps and not volume.get("snapshot_of"):
            volume["virtual_size"] = volume["size"]
    else:
        now = observe(host, wanted)
        volume = volume_of(wanted, now)
        if bool(volume) != bool(planned.after) or volume.get("size") != planned.after.get("size"):
            raise XenError(
                f"{wanted.told} is not what it was to become: it has {volume.get('size', 'no')} bytes.", facts={"commands": commands}
            )
    return {
        "changed": bool(commands), "volume": volume, "commands": commands, "diff": {"before": planned.before, "after": planned.after},
        "warnings": list(planned.warnings),
    }  # fmt: skip


OPTIONS: dict[str, dict[str, t.Any]] = {
    "vg": {"type": "str"},
    "name": {"type": "str"},
    "path": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "format": {"type": "str", "choices": ["lvm", "raw", "qcow2", "vhd"]},
    "size": {"type": "str"},
    "pool": {"type": "str"},
    "sparse": {"type": "bool", "default": True},
    "source": {"type": "path"},
    "source_format": {"type": "str", "choices": ["raw", "qcow2", "vhd", "vmdk", "vdi"]},
    "snapshot_of": {"type": "str"},
    "snapshot": {"type": "str"},
    "backing": {"type": "path"},
    "backing_format": {"type": "str", "choices": ["raw", "qcow2", "vhd"]},
    "fs": {"type": "str", "choices": ["ext4", "xfs", "swap"]},
    "label": {"type": "str"},
    "fs_options": {"type": "list", "elements": "str"},
    "resize_fs": {"type": "bool", "default": False},
    "shrink": {"type": "bool", "default": False},
    "copy_timeout": {"type": "float", "default": 14400.0},
}
