# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands a change to the guard: its journal is written, the guard installed for a start of the host, and its job begun."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t

from ...errors import InvalidChange, XenError
from ..tool import typed
from . import guard
from .change import Change, Command

BASE = "/var/lib/domzero-xen/network"
UNIT = "domzero-xen-network-guard.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
JOB = "domzero-xen-network-change"
OVSDB = "/etc/openvswitch/conf.db"
DELAY = 2.0  # seconds, in which the answer to whoever started it gets out
UNIT_TEXT = """# Written by Ansible (domzero.xen.xl_network).
[Unit]
Description=Return to the earlier network configuration if its change was not confirmed
DefaultDependencies=no
RequiresMountsFor=/var/lib /etc
After=local-fs.target
Before=network-pre.target networking.service systemd-networkd.service openvswitch-switch.service ovsdb-server.service
Wants=network-pre.target
ConditionPathExists={base}/pending

[Service]
Type=oneshot
ExecStart={python} {base}/guard.py boot {base}

[Install]
WantedBy=sysinit.target
"""


def with_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def refuse_second() -> None:
    """Raises InvalidChange while an earlier change waits."""
    state = guard.Journal(BASE).state
    if state:
        raise InvalidChange(
            f"An earlier change of the network is not finished ({state}).",
            hint="It is confirmed or taken back within a minute or two; try again.",
        )


def begin(change: Change, texts: t.Mapping[str, str], timeout: float, delay: float = DELAY) -> str:
    """Starts the job and returns the id of the change. Raises XenError if the job cannot be started; nothing is changed then."""
    refuse_second()
    install()
    name = f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    draft = os.path.join(BASE, f"draft-{name}")
    shutil.rmtree(BASE + "/pending", ignore_errors=True)  # without a state it never began
    for side in ("old", "new"):
        os.makedirs(os.path.join(draft, side), mode=0o700)
    plan = {
        "id": name, "timeout": timeout, "delay": delay, "verify": [list(one) for one in change.verify],
        "files": [{"path": path, "mode": mode_of(path)} for path in change.files], "copies": copies(draft),
        **{key: commands(getattr(change, key)) for key in ("stop", "start", "undo_stop", "undo_start")},
    }  # fmt: skip
    for number, (path, text) in enumerate(change.files.items()):
        for side, told in (("old", texts.get(path)), ("new", text)):
            if told is not None:
                guard.write(os.path.join(draft, side, str(number)), told, 0o600)
    guard.write(os.path.join(draft, "plan.json"), json.dumps(plan, indent=1), 0o600)
    guard.write(os.path.join(draft, f"state.{guard.APPLYING}"), "", 0o600)
    os.rename(draft, os.path.join(BASE, "pending"))
    guard.sync(BASE)
    start(name)
    return name


def commands(told: t.Iterable[Command]) -> list[dict[str, t.Any]]:
    return [{"argv": list(one.argv), "must": one.must} for one in told]


def mode_of(path: str) -> int:
    """Of the file that is there."""
    try:
        return os.stat(path).st_mode & 0o7777
    except OSError:
        return 0o644


def copies(draft: str) -> list[tuple[str, str]]:
    """Open vSwitch keeps its bridges in a database, which has to be the earlier one as well after a start of the host."""
    if not os.path.exists(OVSDB):
        return []
    shutil.copyfile(OVSDB, os.path.join(draft, "old", "conf.db"))
    return [("conf.db", os.path.realpath(OVSDB))]


def install() -> None:
    """The guard as a program, and the unit that looks for a pending change when the host starts. Raises XenError without it."""
    guard.write(os.path.join(BASE, "guard.py"), inspect.getsource(guard), 0o700)
    if not with_systemd():
        return
    text = UNIT_TEXT.format(base=BASE, python=sys.executable)
    try:
        with open(UNIT_PATH, encoding="utf-8") as file:
            there = file.read() == text
    except OSError:
        there = False
    if not there:
        guard.write(UNIT_PATH, text, 0o644)
    for argv in (["systemctl", "daemon-reload"], ["systemctl", "enable", UNIT]):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise XenError(
                f"The way back for a host that is started anew could not be made: {typed(argv)}: {' '.join(done.stdout.split())}",
                hint="The network was not changed.",
            )


def start(name: str) -> None:
    """As a service of its own that outlives this connection, and is started again if it dies; raises XenError."""
    program = [sys.executable, os.path.join(BASE, "guard.py"), "apply", BASE]
    if not with_systemd():
        subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        return
    argv = ["systemd-run", f"--unit={JOB}-{name}", "--collect", "--property=Restart=on-failure", "--property=RestartSec=1", *program]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        os.rename(os.path.join(BASE, "pending"), os.path.join(BASE, f"draft-{name}"))
        shutil.rmtree(os.path.join(BASE, f"draft-{name}"), ignore_errors=True)
        raise XenError(f"The job that changes the network could not be started: {' '.join(done.stdout.split())}")
