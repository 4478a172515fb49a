# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks LVM and open-iscsi of a host what there is."""

from __future__ import annotations

import glob
import os
import re
import time

from ...errors import InvalidChange, XenError
from ..tool import Tool
from . import disks
from .groups import Lvm, lvm
from .iscsi import NAME_FILE, NOTHING, REASONS, Found, Wanted, chosen, initiator_of, record_of, sessions_of, targets_of

UNITS = ("open-iscsi.service", "iscsid.service")


def read_lvm(tool: Tool, name: str) -> Lvm:
    def asked(*argv: str) -> str:
        return tool.command([*argv[:1], "--reportformat", "json", "--units", "b", "--nosuffix", "-o", argv[1]]).out

    volumes = "vg_name,lv_name,lv_size,lv_attr"
    return lvm(
        asked("pvs", "pv_name,vg_name,pv_size,dev_size,pe_start"),
        asked("vgs", "vg_name,vg_size,vg_free,vg_extent_size"),
        asked("lvs", volumes),
        name,
    )


def text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def offered(tool: Tool, wanted: Wanted) -> list[tuple[str, str]]:
    """Asks the portal for its targets and notes nothing. Raises XenError where it does not answer."""
    done = tool.command(["iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", wanted.portal, "-o", "nonpersistent"], check=False)
    if done.status and done.status != NOTHING:
        said = " ".join(dict.fromkeys(line.strip() for line in done.err.splitlines() if line.strip()))
        raise XenError(
            f"{wanted.portal} told no targets: {REASONS.get(done.status) or said}.",
            hint="Does the target run there, and may this host reach it? One that asks for CHAP needs discovery_username.",
        )
    return targets_of(done.out)


def read_iscsi(tool: Tool, wanted: Wanted) -> Found:
    sessions = tool.command(["iscsiadm", "-m", "session"], check=False)
    record = None
    if wanted.target:
        shown = tool.command(["iscsiadm", "-m", "node", "-T", wanted.target, "-p", wanted.portal, "-o", "show", "-S"], check=False)
        record = record_of(shown.out) if not shown.status else None
    enabled = True
    if os.path.isdir("/run/systemd/system"):
        told = tool.command(["systemctl", "is-enabled", *UNITS], check=False).out.split()
        enabled = all(state == "enabled" for state in told) and len(told) == len(UNITS)
    return Found(initiator_of(text(NAME_FILE)), record, sessions_of(sessions.out), enabled)


def target_of(tool: Tool, wanted: Wanted) -> str:
    """The name of the target: as given where the host knows it already, else as the portal tells it."""
    if wanted.target and (wanted.absent or wanted.discovery or read_iscsi(tool, wanted).record is not None):
        return wanted.target
    if wanted.discovery:
        raise InvalidChange("Name the target where the portal asks for CHAP at the discovery.")
    if wanted.absent:
        raise InvalidChange("Name the target to be removed.")
    return chosen(wanted, offered(tool, wanted))


def paths(wanted: Wanted) -> dict[str, str]:
    """The disks of a target: stable names, and the kernel's."""
    pattern = f"/dev/disk/by-path/ip-{glob.escape(wanted.portal)}-iscsi-{glob.escape(wanted.target)}-lun-*"
    return {path: os.path.realpath(path) for path in sorted(glob.glob(pattern)) if not re.search(r"-part\d+$", path)}


def await_paths(wanted: Wanted, timeout: float) -> dict[str, str]:
    """Until udev has named them; none after the timeout: the target may have no disks for this host."""
    end = time.monotonic() + timeout
    while not paths(wanted) and time.monotonic() < end:
        time.sleep(0.3)
    return paths(wanted)


def refuse_used(wanted: Wanted) -> None:
    """Raises InvalidChange while somebody uses a disk of the target."""
    for path, real in paths(wanted).items():
        if not disks.free(real):
            raise InvalidChange(
                f"{real} of {wanted.target} ({path}) is in use.",
                hint="Unmount it, detach it from its guest, or deactivate its volume group first.",
            )
