# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest that the stories take turns on."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import image
from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0
from ansible_collections.domzero.xen.tests.nested_xen.machine import Machine, NoGuest
from ansible_collections.domzero.xen.tests.nested_xen.ssh import Ssh

Say = t.Callable[[str], None]
HERE = image.CHECKOUT / ".cache/nested-xen"
DEBIAN, XEN = "debian", "xen"  # snapshots: as Debian was installed; with the role dom0 applied
# with --destroy=never Molecule would not even end what an earlier run has left
SCENARIO = ("molecule destroy --scenario-name dom0", "molecule test --scenario-name dom0 --destroy never")
KEEP = bool(os.environ.get("NESTED_XEN_KEEP"))  # the guest stays, and the next run goes on with it
MOLECULE = 1800.0  # seconds for the scenario
# the consoles of domains are kept, for stories to look at
LOG_CONSOLES = """set -e
sed -i '/^XENCONSOLED_TRACE=/d' /etc/default/xen
echo XENCONSOLED_TRACE=guest >>/etc/default/xen
mkdir -p /var/log/xen/console
pid=$(cat /run/xenconsoled.pid)
daemon=$(readlink /proc/$pid/exe)
kill $pid
while kill -0 $pid 2>/dev/null; do sleep 0.2; done
$daemon --pid-file /run/xenconsoled.pid --log=guest"""


class RoleFailed(AssertionError):
    """The role did not make a Dom0 of the guest, so there is nothing to tell stories on."""


class Stage:
    """The guest, made at the first story: an image, Debian booted from it, the role applied by Molecule, and snapshots of both."""

    def __init__(self, say: Say, suite: str = "bookworm"):
        self.say, self.suite = say, suite
        self.machine: Machine | None = None
        self.broken: Exception | None = None
        self.lock: t.IO[str] | None = None

    def set(self, snapshot: str) -> Dom0:
        """A Dom0 (or the Debian before it) in the state of a snapshot. Raises RoleFailed, BuildFailed, NoGuest."""
        if self.broken:
            raise self.broken
        try:
            machine = self.machine or self.prepare()
        except Exception as error:
            self.broken = error
            raise
        for patience in (180.0, 600.0):
            try:
                machine.load(snapshot, patience)
                break
            except NoGuest as error:
                self.say(f"the guest did not go on from its snapshot, and is started once more: {error}")
        else:
            raise NoGuest(f"the guest does not go on from its snapshot {snapshot}")
        return Dom0(machine.ssh, machine.serial)

    def prepare(self) -> Machine:
        HERE.mkdir(parents=True, exist_ok=True)
        self.alone()
        if not (kept() and KEEP):
            image.get(self.suite, self.say)
            self.molecule()
        self.machine = machine = Machine.known(HERE / "dom0")
        if not machine.has(XEN):
            machine.ssh.run(LOG_CONSOLES)
            machine.save(XEN)
        return machine

    def alone(self) -> None:
        """Raises NoGuest while somebody else tells stories here."""
        self.lock = (HERE / "lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoGuest(f"another run uses the guest in {HERE}") from None

    def molecule(self) -> None:
        """Run the scenario, and leave its guest running; once more if it fails. Its output goes to a file. Raises RoleFailed."""
        environment = {**os.environ, "NESTED_XEN_FOLDER": str(HERE / "dom0"), "NESTED_XEN_SUITE": self.suite, "NO_COLOR": "1"}
        environment.pop("ANSIBLE_CONFIG", None)
        for attempt in (1, 2):
            log, start = HERE / f"molecule-{attempt}.log", time.monotonic()
            with log.open("w") as file:
                failed = any(scenario(line.split(), environment, file) for line in SCENARIO)
            self.say(f"the scenario dom0: bare Debian booted, role applied, again, check mode: {time.monotonic() - start:.0f} s")
            if not failed:
                return
            self.say(f"FAILED ONCE: the scenario dom0 (attempt {attempt}). The end of {log}:\n{end_of(log)}")
        raise RoleFailed(end_of(log))

    def twin(self) -> Machine:
        """A second guest, linked to the first, which has just come from the snapshot `xen`."""
        assert self.machine
        return self.machine.twin(HERE / "other", XEN)

    def console(self) -> str:
        return self.machine.console() if self.machine else ""

    def clear(self) -> None:
        if self.lock is None:
            return
        if KEEP:
            self.say(f"the guest is kept: python -m ansible_collections.domzero.xen.tests.nested_xen ssh {HERE / 'dom0'}")
        elif (HERE / "dom0/machine.json").exists():
            Machine.known(HERE / "dom0").remove()
        self.lock.close()


def kept() -> bool:
    """An earlier run with $NESTED_XEN_KEEP has left a Dom0."""
    return (HERE / "dom0/machine.json").exists() and Machine.known(HERE / "dom0").has(XEN)


def end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-6000:]


def scenario(line: list[str], environment: dict[str, str], log: t.IO[str]) -> int:
    """Run Molecule; its status."""
    nothing = subprocess.DEVNULL
    return subprocess.run(
        line, cwd=image.CHECKOUT, env=environment, stdin=nothing, stdout=log, stderr=log, timeout=MOLECULE, check=False
    ).returncode


class Running:
    """A Dom0 that somebody else runs: no QEMU, no snapshots. `where` is root@ADDRESS:PORT."""

    def __init__(self, where: str, key: Path, sockets: Path):
        address, _colon, port = where.removeprefix("root@").partition(":")
        self.dom0 = Dom0(Ssh(int(port or 22), key, sockets, address))

    def set(self, snapshot: str) -> Dom0:
        return self.dom0

    def console(self) -> str:
        return ""

    def clear(self) -> None:
        self.dom0.ssh.forget()
