# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files to and from a host beside the XenAPI session (xen-api: ocaml/xapi/import.ml, export.ml, import_raw_vdi.ml, export_raw_vdi.ml).

Memory stays the same however large the file is: a few buffers go round between the connection and a thread that reads or writes the
file and hashes it. What became of a transfer is told by its task on the pool, never by the HTTP status, which xapi sends too early.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
import typing as t
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from . import tasks
from .client import LAST_CALLS, Session
from .errors import ApiError, ConnectionFailed, OutcomeUnknown, Timeout, XenError
from .formats.files import PIECE, Landing, Readable
from .http_transfer import LAST_WORDS, Broken, Getting, Putting, Refused, opened
from .transport import Endpoint

Progress = t.Callable[[int], None]  # bytes so far
Write = t.Callable[[memoryview], None]
Query = t.Mapping[str, str]
DAY = 86400.0  # seconds a transfer may take
SETTLE = 60.0  # seconds until a task has ended after its connection has
BUFFERS = 4
ASK = 5.0  # seconds between two looks at how far a transfer is


class Moved(t.NamedTuple):
    """What went over the wire: bytes, their SHA-256 (hex), how long it took; the task and its result (a reference, several, or "")."""

    size: int
    sha256: str
    seconds: float
    result: t.Any
    task: str = ""


def download(
    session: Session, path: str, query: Query, target: Path | str, *, what: str, host: str = "", timeout: float = DAY,
    progress: Progress | None = None, sparse: bool = False, seal: t.Callable[[Landing], None] | None = None,
) -> Moved:  # fmt: skip
    """GET path into a file, which gets its name only when all of it is there and the task says so.

    what: the name of the task on the pool ("Export of web01"); host: the address of another host of the pool to ask, where it is
    known who can see the storage; timeout in seconds for all of it; sparse: zeros become holes; seal: a last look at what has come
    (under its temporary name) before it gets its name.
    Raises ApiError (the pool's reason), ConnectionFailed (the connection broke), Timeout, XenError (disk full); no file remains then.
    """
    started = time.monotonic()
    with Landing(target, sparse=sparse) as file:
        result = receive(session, path, query, file.write, what=what, host=host, timeout=timeout, progress=progress)
        if seal:
            seal(file)
        file.finish()
        return Moved(file.size, file.sha256, time.monotonic() - started, result)


def receive(
    session: Session, path: str, query: Query, write: Write, *, what: str, host: str = "", timeout: float = DAY,
    progress: Progress | None = None, expected: t.Callable[[], int] = lambda: 0, note: str = "",
) -> t.Any:  # fmt: skip
    """GET path into a function that takes the next bytes; it is called in a thread beside. The task's result.

    Other parameters as of download. expected: bytes that come in all, as soon as somebody knows (0 until then): the task shows then
    how far it is, where the host does not say so itself. note: the task's description, by which it is known should this process be killed.
    Raises as download, and what write raises. That all has come is only certain once this returns.
    """
    with _Work(session, what, timeout, note=note) as work:
        asked = functools.partial(Getting, path=path, query=work.signed(query), session=session.handle)
        with work.watched(), opened(asked, _at(session, host)) as incoming:

            def moved() -> None:
                work.size = expected()
                work.moved(incoming.received, progress)

            _drain(incoming.readinto, write, moved)
        return work.outcome(SETTLE)


def upload(
    session: Session, path: str, query: Query, source: Path | str | Readable, size: int, *, what: str, host: str = "",
    timeout: float = DAY, progress: Progress | None = None, mark: str = "", began: t.Callable[[str], None] | None = None,
    sha256: str = "",
) -> Moved:  # fmt: skip
    """PUT a file (or what can be read) of that many bytes.

    Parameters as of download. mark: put into the description of the task, which then stays there, for whoever has to find out what
    became of an upload after the one who began it is gone; the caller destroys it in the end (Moved.task). began: told the task's
    reference before anything is sent. sha256: of the source, where it is known already; it is not computed then.
    Raises ApiError (the pool's reason), ConnectionFailed (the connection broke; the task has been cancelled and has ended: the pool
    removes what it made), OutcomeUnknown (it broke, and the pool cannot be asked), Timeout.
    """
    started = time.monotonic()
    with _opened(source) as file, _Work(session, what, timeout, mark) as work:
        digest, work.size = hashlib.sha256(), size
        if began:
            began(work.ref)

        def fill(buffer: memoryview) -> memoryview:
            try:
                piece = buffer[: file.readinto(buffer) or 0]
            except OSError as e:
                raise XenError(f"{what}: {source} cannot be read: {e.strerror}.") from e
            if not sha256:
                digest.update(piece)
            return piece

        def send(piece: memoryview) -> None:
            if outgoing.sent + len(piece) > size:
                raise XenError(
                    f"{what}: there is more to be sent than the {size} bytes announced.", hint="Is the file still being written?"
                )
            outgoing.send(piece)
            work.moved(outgoing.sent, progress)

        asked = functools.partial(Putting, path=path, query=work.signed(query), session=session.handle, size=size)
        with work.watched(decides=True), opened(asked, _at(session, host)) as outgoing:
            _feed(fill, send)
            if outgoing.sent < size:
                raise XenError(f"{what}: only {outgoing.sent} of the {size} bytes announced were there to be sent.")
            outgoing.check_answer()
            work.outcome(work.left)
        return Moved(size, sha256 or digest.hexdigest(), time.monotonic() - started, work.result, work.ref if mark else "")


@contextlib.contextmanager
def _opened(source: Path | str | Readable) -> t.Iterator[Readable]:
    if not isinstance(source, (str, os.PathLike)):
        yield source
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(source, "rb", buffering=0))
        except OSError as e:
            raise XenError(f"{source} cannot be read: {e.strerror}.") from e
        yield file


def _at(session: Session, host: str) -> Endpoint:
    return session.endpoint.at(host) if host else session.endpoint


def _drain(read: t.Callable[[memoryview], int], write: t.Callable[[memoryview], None], moved: t.Callable[[], None]) -> None:
    """Reads here, writes in a thread beside."""
    with ThreadPoolExecutor(1) as beside:
        writing: deque[Future[None]] = deque()
        buffers = [memoryview(bytearray(PIECE)) for _buffer in range(BUFFERS)]
        try:
            for turn in range(1 << 62):
                if len(writing) == BUFFERS:
                    writing.popleft().result()
                buffer = buffers[turn % BUFFERS]
                count = read(buffer)
                if not count:
                    break
                writing.append(beside.submit(write, buffer[:count]))
                moved()
            for left in writing:
                left.result()
        except BaseException:
            beside.shutdown(cancel_futures=True)
            raise


def _feed(fill: t.Callable[[memoryview], memoryview], send: t.Callable[[memoryview], None]) -> None:
    """Reads in a thread beside, sends here."""
    with ThreadPoolExecutor(1) as beside:
        buffers = [memoryview(bytearray(PIECE)) for _buffer in range(BUFFERS)]
        ahead = deque((buffer, beside.submit(fill, buffer)) for buffer in buffers)
        try:
            while True:
                buffer, reading = ahead.popleft()
                piece = reading.result()
                if not piece:
                    break
                send(piece)
                ahead.append((buffer, beside.submit(fill, buffer)))
        except BaseException:
            beside.shutdown(cancel_futures=True)
            raise


class _Work:
    """The task on the pool that a transfer reports to: ours, named for whoever looks at the pool; gone when this ends."""

    def __init__(self, session: Session, what: str, timeout: float, mark: str = "", note: str = ""):
        self.session, self.what, self._mark, self._note = session, what, mark, note
        self._end, self._timeout = time.monotonic() + timeout, timeout
        self._ended, self._asked = False, time.monotonic()
        self.size = 0  # of what is to be moved, where it is known
        self.result: t.Any = ""

    def __enter__(self) -> _Work:
        self.ref: str = self.session.call("task.create", self.what, self._mark or self._note)
        return self

    def signed(self, query: Query) -> dict[str, str]:
        return {**query, "task_id": self.ref}

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    def moved(self, size: int, progress: Progress | None) -> None:
        """Raises Timeout."""
        self.session.go_on()
        if progress:
            progress(size)
        self._tell(size)
        if self.left < 0:
            raise Timeout(f"{self.what} had moved {size} bytes after {self._timeout:g} seconds and was ended.")

    def _tell(self, size: int) -> None:
        """How far it is. Of what has no size known before the pool's own account, asked now and then; else the pool is told."""
        watch, due = self.session.watch, time.monotonic() - self._asked > ASK
        if self.size and watch:
            watch(self.what, size / self.size, size)
        if not due:
            return
        self._asked = time.monotonic()
        if self.size:
            tasks.quietly(self.session, "task.set_progress", self.ref, min(1.0, size / self.size))
        elif watch:
            with contextlib.suppress(XenError):
                watch(self.what, float(self.session.call("task.get_progress", self.ref, timeout=LAST_CALLS)), size)

    def outcome(self, timeout: float) -> t.Any:
        """The task's result. Raises ApiError, Timeout, OutcomeUnknown."""
        record = tasks.ended(self.session, self.ref, self.what, max(timeout, 1.0))
        self._ended = True
        if record["status"] == "success":
            self.result = tasks.result_of(record["result"])
            return self.result
        raise ApiError(self.what, record["error_info"] or ["TASK_CANCELLED", self.ref])

    @contextlib.contextmanager
    def watched(self, *, decides: bool = False) -> t.Iterator[None]:
        """When the connection breaks, the pool may know why; else the work is ended, and that it broke is what is told.

        decides: the task may say that all went well nevertheless.
        """
        try:
            yield
        except Broken as e:
            try:
                self._end_badly(SETTLE if not isinstance(e, Refused) else 0)
                if decides and self._ended:
                    return
            except ApiError as told:
                if told.code != "TASK_CANCELLED":
                    raise told from e
            except (ConnectionFailed, OutcomeUnknown) as lost:
                raise OutcomeUnknown(f"{self.what}: {e} The pool cannot be asked what became of it: {lost.message}") from e
            raise ConnectionFailed(f"{self.what}: {e}", hint="The pool has ended its part.") from e

    def _end_badly(self, settle: float) -> None:
        """Raises ApiError with the pool's reason, TASK_CANCELLED if it has none."""
        with contextlib.suppress(Timeout):
            self.outcome(LAST_WORDS)
            return
        tasks.quietly(self.session, "task.cancel", self.ref)
        with contextlib.suppress(Timeout):
            self.outcome(settle)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if kind is not None and not self._ended:
            tasks.quietly(self.session, "task.cancel", self.ref)
            if not isinstance(error, ConnectionFailed):  # that one has been waited for
                with contextlib.suppress(XenError):
                    tasks.ended(self.session, self.ref, self.what, LAST_CALLS)
            if isinstance(error, OutcomeUnknown) and self._mark:
                return  # the next look at the task tells
            tasks.quietly(self.session, "task.set_status", self.ref, "cancelled")
        if kind is not None or not self._mark:
            tasks.quietly(self.session, "task.destroy", self.ref)
