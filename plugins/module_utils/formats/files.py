# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file on its way to the disk: under a temporary name until it is complete, hashed as it comes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import typing as t
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..errors import InvalidChange, XenError

PIECE = 1 << 20  # what goes from hand to hand at once
WRITE_BACK = 64 << 20  # so much at once is sent on its way to the disk, so that little is left to wait for in the end
HOLE = 1 << 16  # zeros of this length are not written to a sparse file
_ZEROS = bytes(PIECE)
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up", errno.EFBIG: "files may not be as large there"}


class Readable(t.Protocol):
    """A file opened without buffering, or Pieces."""

    def readinto(self, buffer: t.Any, /) -> int | None: ...


def is_zero(piece: memoryview | bytes | bytearray) -> bool:
    """Whether it holds only zeros; at the speed of memcmp."""
    size = len(piece)
    return all(_ZEROS.startswith(piece[at : at + PIECE]) for at in range(0, size, PIECE))


def temporary_name(target: Path) -> Path:
    """Beside the target, always the same: what a killed task left is written over by the next."""
    return target.with_name(f".{target.name}.part")


def target_of(text: str) -> Path:
    """Raises InvalidChange for what is no file's name."""
    if not Path(text).name:
        raise InvalidChange(f"dest {text!r} names no file.", hint="Give the name of the file.")
    return Path(text)


@contextlib.contextmanager
def workshop(target: Path) -> t.Iterator[Path]:
    """A folder beside a file for what is needed to make it, always the same one: what a killed task left in it goes.

    Raises BlockingIOError when another task works there, OSError.
    """
    folder = target.with_name(f".{target.name}.work")
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.ExitStack() as stack:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for left in folder.iterdir():
            left.unlink()
        yield folder


def refuse_bad_target(target: Path) -> None:
    """Raises InvalidChange where no file can be written."""
    folder = target.parent
    if target.is_dir():
        raise InvalidChange(f"{target} is a folder.", hint="Give the name of the file.")
    if not folder.is_dir():
        raise InvalidChange(f"The folder {folder} is not there.", hint="Make it on the machine where the task runs.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidChange(f"The folder {folder} is not writable for the user the task runs as.")


def sync_folder(path: Path) -> None:
    """The names in it to the disk, where a file system has a way to say so (CIFS has none in some releases). Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def forget_cached(fd: int) -> None:
    """What is read next is what lies on the disk, not what is remembered of it, where it is there already."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)


def sha256_of(path: Path | str) -> str:
    """64 hexadecimal digits. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        digest, buffer = hashlib.sha256(), memoryview(bytearray(PIECE))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


class Landing:
    """A file that gets its name when it is complete and on the disk; without finish() nothing remains of it.

    with Landing(path) as file: file.write(piece); ...; file.finish()

    sparse: zeros become holes (a disk image; its last byte may be one). Only the owner may read it, as it may be a guest's disk.
    Raises XenError when the disk is full, or when another task writes the same file.
    """

    def __init__(self, target: Path | str, *, sparse: bool = False):
        self.target, self.sparse = Path(target), sparse
        self.temporary = temporary_name(self.target)
        self.size = self._behind = 0
        self._digest = hashlib.sha256()
        self._fd = -1

    @property
    def sha256(self) -> str:
        """Of what has been written so far."""
        return self._digest.hexdigest()

    def __enter__(self) -> Landing:
        refuse_bad_target(self.target)
        try:
            self._fd = os.open(self.temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._claim()
        except BlockingIOError:
            self._close()
            raise XenError(f"Another task is writing {self.target}.", hint="Wait for it, or give another name.") from None
        except OSError as e:
            self._close()
            raise self._failed(e) from e
        return self

    def _claim(self) -> None:
        """Raises BlockingIOError when it is somebody else's, OSError."""
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            own = os.path.samestat(os.fstat(self._fd), os.lstat(self.temporary))
        except FileNotFoundError:
            own = False
        if not own:
            raise BlockingIOError  # it got its name just now: this is a finished file
        os.ftruncate(self._fd, 0)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, piece: memoryview | bytes) -> None:
        """The next bytes."""
        self._digest.update(piece)
        try:
            self._write(memoryview(piece))
        except OSError as e:
            raise self._failed(e) from e
        self.size += len(piece)
        if self.size - self._behind >= 2 * WRITE_BACK and hasattr(os, "posix_fadvise"):
            # begins to write it; what has been written before need not take the place of others in the cache
            os.posix_fadvise(self._fd, max(0, self._behind - WRITE_BACK), 2 * WRITE_BACK, os.POSIX_FADV_DONTNEED)
            self._behind += WRITE_BACK

    def _write(self, piece: memoryview) -> None:
        if not self.sparse:
            self._write_at(piece, self.size)
        elif not is_zero(piece):
            for at in range(0, len(piece), HOLE):
                part = piece[at : at + HOLE]
                if not is_zero(part):
                    self._write_at(part, self.size + at)

    def place(self, offset: int, piece: memoryview | bytes) -> None:
        """Bytes that belong somewhere; such a file has no sha256, and its size has to be said at the end."""
        try:
            self._write_at(memoryview(piece), offset)
        except OSError as e:
            raise self._failed(e) from e

    def _write_at(self, piece: memoryview, offset: int) -> None:
        while piece:
            count = os.pwrite(self._fd, piece, offset)
            piece, offset = piece[count:], offset + count

    def finish(self, size: int | None = None) -> None:
        """All is there: to the disk with it, then the name. size in bytes, where it does not follow from what was written."""
        self.size = self.size if size is None else size
        try:
            os.ftruncate(self._fd, self.size)
            os.fsync(self._fd)
            os.replace(self.temporary, self.target)
            sync_folder(self.target.parent)
        except OSError as e:
            raise self._failed(e) from e
        self._close()

    def __exit__(self, *_error: object) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.temporary)
            self._close()

    def _failed(self, error: OSError) -> XenError:
        written = f" after {self.size} bytes" if self.size else ""
        why = _FULL.get(error.errno or 0)
        hint = "Make room where the task runs, or give another folder." if why else ""
        return XenError(f"{self.target} could not be written{written}: {why or error.strerror}.", hint=hint)


class Hashed:
    """A file that is read and hashed ahead, in a thread beside; whoever reads from it works at the same time.

    with Hashed(file) as source: source.readinto(...); source.sha256 is of everything once all has been read.
    """

    def __init__(self, source: Readable, buffers: int = 3):
        self._source, self._digest, self._beside = source, hashlib.sha256(), ThreadPoolExecutor(1)
        self._empty = [memoryview(bytearray(PIECE)) for _buffer in range(buffers)]
        self._ahead: deque[Future[tuple[memoryview, memoryview]]] = deque()
        self._buffer = self._rest = memoryview(b"")

    @property
    def sha256(self) -> str:
        """Of what has been read so far."""
        return self._digest.hexdigest()

    def __enter__(self) -> Hashed:
        self._ahead.extend(self._beside.submit(self._fill, buffer) for buffer in self._empty)
        return self

    def _fill(self, buffer: memoryview) -> tuple[memoryview, memoryview]:
        piece = buffer[: self._source.readinto(buffer) or 0]
        self._digest.update(piece)
        return buffer, piece

    def readinto(self, buffer: memoryview) -> int:
        """What is there, at most a buffer full; 0 at the end."""
        if not self._rest:
            if self._buffer:
                self._ahead.append(self._beside.submit(self._fill, self._buffer))
            self._buffer, self._rest = self._ahead.popleft().result() if self._ahead else (self._buffer, self._rest)
        count = min(len(self._rest), len(buffer))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def drain(self) -> None:
        """Read the rest, for its hash."""
        buffer = memoryview(bytearray(PIECE))
        while self.readinto(buffer):
            pass

    def __exit__(self, *_error: object) -> None:
        self._beside.shutdown(cancel_futures=True)


class Pieces:
    """Pieces of bytes read like a file: something that is made while it is sent."""

    def __init__(self, pieces: t.Iterable[bytes | memoryview]):
        self._pieces, self._rest = iter(pieces), memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, less at the end only; 0 when all is read."""
        filled = 0
        while filled < len(buffer):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            count = min(len(self._rest), len(buffer) - filled)
            buffer[filled : filled + count], self._rest = self._rest[:count], self._rest[count:]
            filled += count
        return filled
