# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running `xl` and other programs of a Dom0, so that none of them can hang a task."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import typing as t

from ..errors import NotFound, Timeout, XenError

# Where a Dom0 has its programs, also when the login's PATH lacks them.
PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
# How long a program that was asked to end (SIGTERM) has until it is killed, in seconds.
GRACE = 3.0
# What libxl and libxc put before a sentence: file, line and function.
SOURCE = re.compile(r"^(?:libxl(?:-save-helper)?|xc|libxlu|xl): (?:[a-z]+: )*(?:\w+\.c:\d+:? ?)?(?:\w+: )?(?:Domain \d+:)?\s*")
# What goes well is told too.
NEWS = re.compile(r"^xc: (?:info|progress|detail): ")
# Lines that tell no reason: what xl does, and what follows from the failure told before.
SILENT = re.compile(
    r"^(Parsing config from .*|Loading new save file .*| ?Savefile contains .*|Saving to .* new xl format .*"
    r"|migration (?:target: (?:Ready|Transfer complete|Got permission|Domain started)|sender: (?:Target has|Giving)).*"
    r"|Non-existant domain|Unable to destroy guest|Destruction of domain failed|\s*)$"
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Done:
    """How a program ended."""

    status: int
    out: str
    err: str


class Tool:
    """`xl` of this host.

    Args: path (the program, or its name), timeout (seconds for a command that asks for no other).
    """

    def __init__(self, path: str = "xl", timeout: float = 120.0):
        self.path, self.timeout = path, timeout

    @staticmethod
    def which(name: str = "xl") -> str:
        """Where the program is; "xl" also in the places of system programs. Raises NotFound."""
        found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(PLACES))
        if not found:
            hint = "Is this a Xen Dom0? Debian has it in xen-utils-common." if name == "xl" else ""
            raise NotFound(f"The program {name} is not on this host.", hint=hint)
        return found

    def run(self, *args: str, timeout: float | None = None, check: bool = True) -> Done:
        """xl with these arguments. Raises as command() does."""
        return self.command((self.path, *args), timeout=timeout, check=check)

    def command(self, argv: t.Sequence[str], *, timeout: float | None = None, check: bool = True, stdin: str = "") -> Done:
        """Any program; "xl" is the one of this tool.

        Raises NotFound where the program is missing, Timeout (it has been killed then, with all it started), XenError when `check` and the
        status is not 0.
        """
        seconds = timeout or self.timeout
        program = self.which(self.path if argv[0] == "xl" else argv[0])
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write(stdin.encode())
            given.seek(0)
            # Files, not pipes: what a program leaves running (a device model) would keep a pipe open.
            environment = {**os.environ, "LC_ALL": "C", "LANG": "C"}
            process = subprocess.Popen(
                [program, *argv[1:]], stdin=given, stdout=out, stderr=err, env=environment, start_new_session=True
            )  # fmt: skip
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                end(process)
                raise Timeout(overdue(argv, seconds, text_of(err)), hint=where_to_look(argv)) from None
            except BaseException:
                end(process)
                raise
            done = Done(status, text_of(out), text_of(err))
        if check and status:
            raise XenError(f"{typed(argv)} failed: {telling(done)}", facts={"status": status})
        return done


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a program and what it started."""
    for number, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)


def text_of(file: t.IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def typed(argv: t.Sequence[str]) -> str:
    """A command as one types it in a shell; a program by its name."""
    return " ".join(shlex.quote(word) for word in (os.path.basename(argv[0]), *argv[1:]))


def overdue(argv: t.Sequence[str], seconds: float, err: str) -> str:
    said = reasons(err)
    last = f" Its last words: {said[-1]}." if said else ""
    return f"{typed(argv)} did not finish within {seconds:g} seconds and was stopped.{last}"


def where_to_look(argv: t.Sequence[str]) -> str:
    if os.path.basename(argv[0]) != "xl":
        return ""
    return "Look at `xl list`, `xl dmesg` and /var/log/xen; a larger timeout helps where the host is only busy."


def reasons(text: str) -> list[str]:
    """The lines of xl's messages that tell why, without the places in its source, each once."""
    lines = [SOURCE.sub("", line).strip() for line in text.splitlines() if not NEWS.match(line)]
    return list(dict.fromkeys(line for line in lines if not SILENT.match(line)))


def telling(done: Done) -> str:
    """Why a command failed, in one line."""
    said = reasons(done.err) or reasons(done.out)
    return "; ".join(line.rstrip(".") for line in said[:4]) + "." if said else f"it ended with status {done.status} and said nothing."
