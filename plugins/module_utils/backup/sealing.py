# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encryption at rest, left to the commands age (https://age-encryption.org) and gpg (OpenPGP).

What is written goes through the command into the file; the plain data never lies on a disk. Both notice every change of a file when it
is read. The private key is needed for reading only: age takes it from a file (identity), gpg asks its agent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import typing as t
from pathlib import Path

from ..errors import InvalidChange, XenError
from ..formats.compression import Damaged
from ..formats.files import PIECE, Landing, Readable
from .private import private_folder

if t.TYPE_CHECKING:
    from .manifest import Stored
    from .stored import Backup

Encryption = t.Mapping[str, t.Any]  # {} = none, else {"tool": "age" or "gpg", "recipients": [...]}
# gpg asks nobody: a key whose passphrase the agent does not have cannot be used
_GPG = ("gpg", "--batch", "--no-tty", "--quiet", "--yes", "--pinentry-mode", "error")
_PACKAGES = {"age": "Install it (Debian and Fedora: age).", "gpg": "Install it (Debian: gnupg, Fedora and EL: gnupg2)."}
AGE_CHUNK = 64 << 10
_WRONG_KEY = ("no identity matched", "No secret key")


def _encrypt(encryption: Encryption) -> list[str]:
    recipients = [part for recipient in encryption["recipients"] for part in ("-r", recipient)]
    if encryption["tool"] == "age":
        return ["age", "--encrypt", *recipients]
    # whoever is named is meant: nobody can say in a task how much a key is trusted. What is packed already is not packed again
    return [*_GPG, "--trust-model", "always", "--compress-algo", "none", "--encrypt", *recipients]


def _decrypt(encryption: Encryption, identity: str) -> list[str]:
    return ["age", "--decrypt", "-i", identity] if encryption["tool"] == "age" else [*_GPG, "--decrypt"]


def _start(command: list[str], stdin: t.Any, stdout: t.Any) -> subprocess.Popen[bytes]:
    """In a session of its own: it cannot ask for a passphrase. Raises InvalidChange where the command is missing."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, bufsize=0, env=environment, start_new_session=True
        )  # fmt: skip
    except FileNotFoundError:
        tool = command[0]
        raise InvalidChange(f"The command {tool} is missing where the task runs.", hint=_PACKAGES[tool]) from None


def _said(process: subprocess.Popen[bytes]) -> str:
    """The line that matters of what a command that failed told."""
    text = process.stderr.read().decode(errors="replace") if process.stderr else ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "report unexpected or unhelpful errors" not in line]
    told = [line.partition(": ")[2].removeprefix("error: ") for line in lines]
    return "; ".join(told) or f"status {process.returncode}"


def named(name: str, encryption: Encryption) -> str:
    """What a file is called that holds this one encrypted; itself where it is not."""
    return f"{name}.{encryption['tool']}" if encryption else name


def plain_name(name: str) -> str:
    """What it is called when it is decrypted."""
    stem, _dot, suffix = name.rpartition(".")
    return stem if suffix in _PACKAGES else name


def refuse_bad(encryption: Encryption) -> None:
    """Whether something can be encrypted so, by encrypting nothing. Raises InvalidChange: command missing, recipient unknown."""
    if not encryption:
        return
    tool, recipients = encryption["tool"], encryption["recipients"]
    if tool not in _PACKAGES or not recipients or not all(recipients):
        raise InvalidChange(f"Nobody could open what {tool} encrypts: no recipient is given.", hint="Give at least one in recipients.")
    with _start(_encrypt(encryption), subprocess.DEVNULL, subprocess.DEVNULL) as process:
        told = _said(process)
    if process.returncode:
        hints = {
            "age": "A recipient is a public key: age1... or ssh-ed25519 ...",
            "gpg": "Import the public key; name it by its fingerprint.",
        }
        raise InvalidChange(f"{tool} cannot encrypt for {', '.join(map(str, recipients))}: {told}.", hint=hints[tool])


class Sealed:
    """A file that is encrypted while it is written; otherwise as formats.files.Landing. size, sha256: of what lies there.

    with Sealed(path, encryption) as file: file.write(piece); ...; file.finish()
    Raises InvalidChange (the command is missing), XenError (it failed, the disk is full).
    """

    def __init__(self, target: Path | str, encryption: Encryption):
        self._landing, self._encryption = Landing(target), encryption
        self.target, self.temporary = self._landing.target, self._landing.temporary
        self._failed: BaseException | None = None
        self._open = contextlib.ExitStack()

    @property
    def size(self) -> int:
        """Bytes that lie there; of the whole file when it is finished."""
        return self._landing.size

    @property
    def sha256(self) -> str:
        return self._landing.sha256

    def __enter__(self) -> Sealed:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._landing)
            self._process = _start(_encrypt(self._encryption), subprocess.PIPE, subprocess.PIPE)
            self._pump = threading.Thread(target=self._move, daemon=True)
            self._pump.start()
            self._open = stack.pop_all()
        return self

    def _move(self) -> None:
        """From the command into the file, beside whoever writes."""
        buffer, out = memoryview(bytearray(PIECE)), t.cast("t.Any", self._process.stdout)
        try:
            while count := out.readinto(buffer):
                self._landing.write(buffer[:count])
        except BaseException as e:
            self._failed = e
            self._process.kill()  # whoever writes must not wait for it

    def write(self, piece: memoryview | bytes) -> None:
        """The next bytes, plain."""
        stdin, rest = t.cast("t.Any", self._process.stdin), memoryview(piece)
        try:
            while rest:
                rest = rest[stdin.write(rest) :]
        except (BrokenPipeError, ValueError):
            self._end()
            raise XenError(f"{self.target} could not be encrypted: {self._encryption['tool']} has ended.") from None

    def _end(self) -> None:
        """The command has nothing more to do. Raises XenError."""
        with contextlib.suppress(OSError):
            t.cast("t.Any", self._process.stdin).close()
        self._pump.join()
        if self._failed:
            raise self._failed
        told = _said(self._process)
        if self._process.wait():
            raise XenError(f"{self.target} could not be encrypted: {self._encryption['tool']} says: {told}.")

    def finish(self) -> None:
        """All is there: to the disk with it, then the name."""
        self._end()
        self._landing.finish()

    def __exit__(self, *error: t.Any) -> None:
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._process.stdin, self._pump, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                pipe.join() if isinstance(pipe, threading.Thread) else t.cast("t.Any", pipe).close()
        self._process.wait()
        self._open.__exit__(*error)


def landing(target: Path | str, encryption: Encryption) -> Landing | Sealed:
    """A file of a backup to be written as a stream, encrypted or not."""
    return Sealed(target, encryption) if encryption else Landing(target)


class _Opened:
    """What a command gives, read like a file. Raises Damaged, InvalidChange (another key is needed) at the end of it."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, tool: str):
        self._process, self._path, self._tool = process, path, tool

    def readinto(self, buffer: t.Any, /) -> int:
        """What is there, at most a buffer full; 0 at the end."""
        count = t.cast("t.Any", self._process.stdout).readinto(buffer)
        if not count and self._process.wait():
            told = _said(self._process)
            if any(text in told for text in _WRONG_KEY):
                raise InvalidChange(f"{self._path} cannot be opened: {told}.", hint="It was encrypted for somebody else's key.")
            raise Damaged(f"{self._path} is damaged: {self._tool} cannot decrypt it ({told}).")
        return int(count or 0)


@contextlib.contextmanager
def opened(path: Path, encryption: Encryption, identity: str = "") -> t.Iterator[Readable]:
    """A file of a backup read as a stream, decrypted on the way. identity: file of age's private key.

    Raises InvalidChange (the command or the key is missing), OSError; reading raises Damaged, InvalidChange. All has to be read to know.
    """
    with open(path, "rb", buffering=0) as file:
        if not encryption:
            yield file
            return
        refuse_missing_key(path, encryption, identity)
        with _start(_decrypt(encryption, identity), file, subprocess.PIPE) as process:
            try:
                yield _Opened(process, path, str(encryption["tool"]))
            finally:
                process.kill()


def refuse_missing_key(what: Path | str, encryption: Encryption, identity: str) -> None:
    """Whether there is what it takes to read something, as far as that can be seen. Raises InvalidChange."""
    tool = encryption.get("tool")
    if tool and not shutil.which(tool):
        raise InvalidChange(f"The command {tool} is missing where the task runs.", hint=_PACKAGES.get(tool, ""))
    if tool == "age" and not identity:
        raise InvalidChange(f"{what} is encrypted with age.", hint="Give the file of the private key (identity).")
    if tool == "age" and not os.access(identity, os.R_OK):
        raise InvalidChange(f"The identity {identity} cannot be read.", hint="Give the file of age's private key.")


def size_of(plain: int, other_plain: int, other_sealed: int, encryption: Encryption) -> int:
    """How large a file of `plain` bytes will be, judged by another one for the same recipients. Exact for age."""
    if not encryption:
        return plain
    added = other_sealed - other_plain
    if encryption["tool"] == "age":  # https://c2sp.org/age: 16 bytes for each 64 KiB
        return plain + added + 16 * (max(1, -(-plain // AGE_CHUNK)) - max(1, -(-other_plain // AGE_CHUNK)))
    return plain + added * plain // other_plain


@contextlib.contextmanager
def unsealed(backup: Backup, stored: Stored, identity: str = "", folder: Path | str | None = None) -> t.Iterator[Path]:
    """A file of a backup that can be read anywhere in it: itself, or a decrypted copy in a folder of our own, which goes afterwards.

    folder: where that is made (default: where temporary files lie, TMPDIR). Raises as opened, XenError (disk full).
    """
    path, encryption = backup.file(stored), backup.manifest.encryption if backup.manifest else {}
    if not encryption:
        yield path
        return
    with private_folder(Path(folder or tempfile.gettempdir())) as place:
        copy = place / plain_name(path.name)
        with opened(path, encryption, identity) as source, Landing(copy, sparse=True) as file:
            buffer = memoryview(bytearray(PIECE))
            while count := source.readinto(buffer):
                file.write(buffer[:count])
            file.finish()
        yield copy
