# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dom0 as the installation of a guest needs it: commands, mounts that nobody else sees, work inside the guest's root.

All mounts are made in a mount namespace of this process: they are gone when it ends, however it ends. Loop devices are those that mount(8)
makes, which go with the last mount.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import typing as t

from ...errors import InvalidChange, Timeout, XenError

CLONE_NEWNS = 0x00020000  # <linux/sched.h>
PLACE = "/run/domzero.xen/root"
ENVIRONMENT = {"LC_ALL": "C", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}


def environment() -> dict[str, str]:
    """That of this process, with what is in no ordinary user's path, and without any language."""
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".lstrip(":")
    return {**os.environ, **ENVIRONMENT, "PATH": path}


Result = t.TypeVar("Result")


class Machine:
    """Runs commands, each for at most `timeout` seconds (0: as long as it takes)."""

    def __init__(self, timeout: float = 3600):
        self.timeout, self.alone = timeout, False

    def has(self, tool: str) -> bool:
        return shutil.which(tool, path=environment()["PATH"]) is not None

    def ask(self, *argv: str) -> tuple[int, str]:
        """Exit status and output of a command that changes nothing. A missing program is status 127."""
        try:
            done = subprocess.run(argv, capture_output=True, text=True, errors="replace", env=environment(), timeout=120, check=False)
        except FileNotFoundError:
            return 127, ""
        except subprocess.TimeoutExpired as e:
            raise Timeout(f"{' '.join(argv)} has not ended within 120 seconds.") from e
        return done.returncode, done.stdout

    def run(self, *argv: str, stdin: str = "") -> str:
        """The output. Raises XenError with what the command said last, Timeout; its children are ended with it."""
        told = " ".join(argv)
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                env=environment(), start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as e:
            raise XenError(f"{argv[0]} is not installed on Dom0.") from e
        try:
            out, _err = child.communicate(stdin, timeout=self.timeout or None)
        except subprocess.TimeoutExpired as e:
            os.killpg(child.pid, signal.SIGKILL)
            out, _err = child.communicate()
            raise Timeout(f"{told} has not ended within {self.timeout:g} seconds. It said last: {last(out)}") from e
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        if child.returncode:
            raise XenError(f"{told} failed with status {child.returncode}: {last(out)}")
        return out

    def be_alone(self) -> None:
        """From here on mounts are this process's own. Raises XenError."""
        if self.alone:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS):
            raise XenError(f"No mounts of its own: {os.strerror(ctypes.get_errno())}.", hint="Dom0's kernel has to allow mount namespaces.")
        self.run("mount", "--make-rprivate", "/")
        self.alone = True

    def mounted(self, path: str, offset: int = 0, length: int = 0, *, read_only: bool = False) -> str:
        """Mounts what lies at `offset` of a device or file, and tells where."""
        self.be_alone()
        os.makedirs(PLACE, mode=0o700, exist_ok=True)
        options = ["ro" if read_only else "rw"]
        if offset or not os.path.exists(path) or not is_block(path):
            options += ["loop", *([f"offset={offset}", f"sizelimit={length}"] if offset else [])]
        if read_only and self.type_at(path, offset) in ("ext3", "ext4"):
            options.append("noload")  # its journal is left as it is
        self.run("mount", "-o", ",".join(options), path, PLACE)
        return PLACE

    def unmounted(self) -> None:
        """Whatever is mounted there, and below it. What is busy is let go when it is not used any more."""
        if self.alone and os.path.ismount(PLACE):
            status, _out = self.ask("umount", "--recursive", PLACE)
            if status:
                self.run("umount", "--recursive", "--lazy", PLACE)

    def type_at(self, path: str, offset: int = 0) -> str:
        return self.probe(path, offset).get("TYPE", "")

    def probe(self, path: str, offset: int = 0) -> dict[str, str]:
        """What blkid(8) finds there: TYPE, UUID, LABEL, PTTYPE. Empty if nothing is known. Raises XenError for what it cannot look at."""
        status, out = self.ask("blkid", "--probe", "--output", "export", *(["--offset", str(offset)] if offset else []), path)
        if status == 8:
            return {"TYPE": "several"}  # "ambivalent": more than one kind at once
        if status not in (0, 2):
            raise XenError(f"What is on {path} cannot be learnt: blkid ended with status {status}.")
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line) if status == 0 else {}


def is_block(path: str) -> bool:
    return (os.stat(path).st_mode & 0o170000) == 0o060000


def last(out: str, lines: int = 4) -> str:
    return "; ".join([line.strip() for line in out.splitlines() if line.strip()][-lines:]) or "nothing"


def inside(root: str, act: t.Callable[[], Result]) -> Result:
    """What `act` returns (plain values), with `root` as the root of all paths: no link in a guest's files leads outside.

    Raises XenError with what went wrong there.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        told: dict[str, t.Any] = {}
        try:
            os.close(reading)
            os.chroot(root)
            os.chdir("/")
            told = {"value": act()}
        except XenError as e:
            told = {"error": e.message}
        except BaseException as e:  # the parent tells it
            told = {"error": f"{type(e).__name__}: {e}"}
        finally:
            with os.fdopen(writing, "w") as pipe:
                json.dump(told, pipe)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    result = json.loads(text or '{"error": "it was ended"}')
    if "error" in result:
        raise InvalidChange(f"Inside the guest's root: {result['error']}")
    return t.cast("Result", result["value"])
