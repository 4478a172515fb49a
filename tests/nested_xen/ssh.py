# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a guest: OpenSSH with one connection that is kept, since each new one costs an emulated machine seconds."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 300.0  # seconds a command may take unless told; what takes 1 s on an idle machine took 20 s on a busy one


class CommandFailed(AssertionError):
    """A command in a guest that ended with a status other than 0; `output` is what it said."""

    def __init__(self, command: str, status: int, output: str):
        super().__init__(f"{command!r} ended with {status}: {output.strip()}")
        self.status, self.output = status, output


@dataclass(frozen=True)
class Ssh:
    """root of a guest, at a port of this machine. `sockets` is an existing folder with a short path, for the kept connection."""

    port: int
    key: Path
    sockets: Path
    address: str = "127.0.0.1"

    @property
    def options(self) -> list[str]:
        """Of ssh, scp and Ansible alike. A guest is new each time: there is no host key to know."""
        return [
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
            *("-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=20"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=10m", "-o", f"ControlPath={self.socket}"),
        ]

    @property
    def socket(self) -> Path:
        return self.sockets / str(self.port)

    def command(self, *words: str) -> list[str]:
        """The command line that runs `words` in the guest's shell."""
        return ["ssh", "-i", str(self.key), *self.options, "-p", str(self.port), f"root@{self.address}", *words]

    def run(self, script: str, *, timeout: float = TIMEOUT, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a line of shell; stdout and stderr are one. Raises CommandFailed, subprocess.TimeoutExpired."""
        line = self.command(script)
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise CommandFailed(script, done.returncode, done.stdout)
        return done

    def put(self, source: Path, target: str) -> None:
        """Copy a file into the guest. Raises subprocess.CalledProcessError."""
        line = ["scp", "-q", "-i", str(self.key), *self.options, "-P", str(self.port), str(source), f"root@{self.address}:{target}"]
        subprocess.run(line, check=True, timeout=TIMEOUT)

    def forget(self) -> None:
        """Drop the kept connection: whoever was at its other end is gone."""
        if self.socket.exists():
            subprocess.run(self.command("-O", "exit"), capture_output=True, timeout=60, check=False)
            self.socket.unlink(missing_ok=True)

    def answers(self) -> bool:
        try:
            return self.run("true", timeout=30, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            self.forget()
            return False

    def host_vars(self) -> dict[str, object]:
        """What Ansible has to know of the guest."""
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_args": " ".join(self.options),
            "ansible_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
