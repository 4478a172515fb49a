# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest: a QEMU process with disks of its own in a folder, which outlives the process that started it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import monitor, recipe
from ansible_collections.domzero.xen.tests.nested_xen.chroot import run
from ansible_collections.domzero.xen.tests.nested_xen.ssh import Ssh

BOOT = 900.0  # seconds until SSH answers; 45 on an idle machine
LINK = "52:54:00:12:34:57"  # the card that leads to another guest


class NoGuest(RuntimeError):
    """A guest did not come up, or went away."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Machine:
    """`ssh_port` leads to the guest's sshd; on `link_port` two guests meet, of which one listens."""

    folder: Path
    key: Path
    ssh_port: int
    link_port: int
    listens: bool = True

    @classmethod
    def create(cls, folder: Path, image: Path) -> Machine:
        """A new one in an empty folder, on top of an image whose key lies beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        machine = cls(folder, image.parent / "id_ed25519", free_port(), free_port())
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", machine.disk)
        machine._keep()
        return machine

    @classmethod
    def known(cls, folder: Path) -> Machine:
        """The one in a folder. Raises NoGuest."""
        try:
            kept = json.loads((folder / "machine.json").read_text())
        except FileNotFoundError:
            raise NoGuest(f"there is no machine in {folder}") from None
        return cls(folder, Path(kept["key"]), kept["ssh_port"], kept["link_port"], kept["listens"])

    def _keep(self) -> None:
        if not self.data.exists():
            run("qemu-img", "create", "-q", "-f", "qcow2", self.data, f"{recipe.DATA_MIB}M")
        kept = {"key": str(self.key), "ssh_port": self.ssh_port, "link_port": self.link_port, "listens": self.listens}
        (self.folder / "machine.json").write_text(json.dumps({**kept, "host_vars": self.ssh.host_vars()}))

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def data(self) -> Path:
        return self.folder / "data.qcow2"

    @property
    def serial(self) -> Path:
        return self.folder / "serial.log"

    @property
    def ssh(self) -> Ssh:
        return Ssh(self.ssh_port, self.key, sockets())

    def command(self, load: str = "") -> list[str]:
        """QEMU's command line; `load` is the snapshot to go on from. What is emulated never differs, or snapshots would not load."""
        disks = [f"file={path},if=virtio,format=qcow2,cache=unsafe,discard=unmap" for path in (self.disk, self.data)]
        meeting = "listen" if self.listens else "connect"
        return [
            *("qemu-system-x86_64", "-name", "nested-xen", "-machine", "pc", "-accel", recipe.ACCEL, "-cpu", recipe.CPU),
            *("-smp", str(recipe.CPUS), "-m", str(recipe.MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none"),
            *("-drive", disks[0], "-drive", disks[1], "-device", "virtio-rng-pci"),
            *("-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"),
            *("-device", "virtio-net-pci,netdev=n0,addr=0x3,mac=52:54:00:12:34:56"),
            *("-netdev", f"socket,id=n1,{meeting}=127.0.0.1:{self.link_port}", "-device", f"virtio-net-pci,netdev=n1,addr=0x4,mac={LINK}"),
            *("-serial", f"file:{self.serial}", "-qmp", f"unix:{self.monitor},server=on,wait=off"),
            *("-pidfile", str(self.folder / "pid"), "-daemonize"),
            *(["-loadvm", load] if load else []),
        ]

    @property
    def monitor(self) -> Path:
        return sockets() / f"qmp-{self.ssh_port}"

    def start(self, load: str = "", patience: float = BOOT) -> None:
        """Start QEMU; it goes on in the background, from a snapshot once SSH answers. Raises BuildFailed (QEMU said why), NoGuest."""
        run(*self.command(load))
        if load:
            self.wait(patience)
            self.ssh.run(f"date --set=@{time.time():.0f}")  # a snapshot sets the clock back

    def wait(self, timeout: float = BOOT) -> None:
        """Until SSH answers. Raises NoGuest with the end of the console."""
        end = time.monotonic() + timeout
        while not self.ssh.answers():
            if time.monotonic() > end or not self.pid():
                why = f"no SSH after {timeout:.0f} s" if self.pid() else "QEMU has ended"
                raise NoGuest(f"{self.folder}: {why}; the console last said:\n{self.console()}")
            time.sleep(1)

    def pid(self) -> int | None:
        """Of the QEMU process of this folder, if it runs."""
        try:
            pid = int((self.folder / "pid").read_text())
            return pid if str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else None
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None

    def save(self, tag: str) -> None:
        """Keep the whole state, memory included. Raises MonitorError."""
        self.ssh.run("sync")
        self.ssh.forget()
        monitor.human(self.monitor, f"savevm {tag}")

    def has(self, tag: str) -> bool:
        """Whether there is a snapshot of the name."""
        return any(line.split()[1:2] == [tag] for line in run("qemu-img", "snapshot", "-l", "-U", self.disk).splitlines())

    def load(self, tag: str, patience: float = BOOT) -> None:
        """Go back to a state, in a new QEMU: in one that runs on the guest's clock jumps, and it stalls. Raises as start does."""
        self.stop()
        self.start(tag, patience)

    def pause(self) -> None:
        """Its processors stand still; its disks are as it last saw them. Raises MonitorError."""
        monitor.execute(self.monitor, "stop")

    def resume(self) -> None:
        monitor.execute(self.monitor, "cont")

    def twin(self, folder: Path, tag: str) -> Machine:
        """Another machine that goes on from a snapshot of this one, and is linked to it. Raises MonitorError, BuildFailed, NoGuest."""
        folder.mkdir(parents=True, exist_ok=True)
        other = Machine(folder, self.key, free_port(), self.link_port, listens=not self.listens)
        self.pause()
        for mine, its in ((self.disk, other.disk), (self.data, other.data)):
            run("cp", "--sparse=always", "--reflink=auto", mine, its)
        self.resume()
        other._keep()
        other.start(load=tag)
        return other

    def stop(self) -> None:
        """End QEMU at once, if it runs."""
        self.ssh.forget()
        if not (pid := self.pid()):
            return
        try:
            monitor.execute(self.monitor, "quit")
        except monitor.MonitorError:
            os.kill(pid, signal.SIGTERM)
        if not self.ended(60):
            os.kill(pid, signal.SIGKILL)

    def ended(self, timeout: float) -> bool:
        """Wait until QEMU is no more."""
        end = time.monotonic() + timeout
        while self.pid() and time.monotonic() < end:
            time.sleep(0.2)
        return not self.pid()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def console(self, lines: int = 40) -> str:
        """The last lines of the serial console."""
        return "\n".join(self.serial.read_text(errors="replace").splitlines()[-lines:]) if self.serial.exists() else "(nothing)"


def sockets() -> Path:
    """A folder for sockets, whose paths must be short; of this user alone."""
    folder = Path(tempfile.gettempdir()) / f"nested-xen-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
