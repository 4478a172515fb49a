# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of their own, one beside the other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import lock
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

from .shelf import VM, add, chain, vm


@contextlib.contextmanager
def another(root: Path, what: str, *, shared: bool = False) -> t.Iterator[int]:
    """A process that has the lock; its pid."""
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException), vm(root).lock(what, shared=shared):
            os.write(ready[1], b"x")
            os.close(done[1])
            os.read(done[0], 1)
        os._exit(0)
    os.close(ready[1])
    assert os.read(ready[0], 1) == b"x"
    try:
        yield pid
    finally:
        for fd in (ready[0], *done):
            os.close(fd)
        os.waitpid(pid, 0)


def test_the_second_of_two_is_refused_and_told_who_is_at_work(tmp_path: Path) -> None:
    with another(tmp_path, "backup") as pid:
        told = rf"Another task \(pid {pid} on {socket.gethostname()} since 20.*Z, backup\) works on the backups of VM 'web01'\."
        with pytest.raises(InvalidChange, match=told), vm(tmp_path).lock("prune"):
            pass
        with pytest.raises(InvalidChange, match=f"pid {pid}"), vm(tmp_path).lock("verify", shared=True):
            pass
    with vm(tmp_path).lock("prune"):
        pass


def test_the_lock_of_a_killed_task_is_free_at_once(tmp_path: Path) -> None:
    with another(tmp_path, "backup") as pid:
        os.kill(pid, signal.SIGKILL)
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is None:
            pass
        with vm(tmp_path).lock("prune"):
            pass


def test_readers_read_beside_each_other_and_nobody_changes_anything_meanwhile(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    with another(tmp_path, "restore", shared=True) as pid:
        with vm(tmp_path).lock("verify", shared=True):
            pass
        with pytest.raises(InvalidChange, match=rf"pid {pid} on .*, restore\)"), vm(tmp_path).lock("backup"):
            pass
    with vm(tmp_path).lock("backup"):
        pass


def test_other_things_are_not_locked_with_it(tmp_path: Path) -> None:
    other = Repository(tmp_path).subject("host", vm(tmp_path).pool, VM)
    with another(tmp_path, "backup"), other.lock("backup"):
        assert add(other, form="archive", disks=()).usable()


def test_what_the_lock_holds_is_no_more_than_a_note(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    (vm(tmp_path).path / ".lock").write_bytes(b"\xff{]" * 10_000)
    with another(tmp_path, "restore", shared=True), pytest.raises(InvalidChange, match="Another task"), vm(tmp_path).lock("backup"):
        pass
    assert len((vm(tmp_path).path / ".lock").read_bytes()) < 70_000


def test_nobody_reads_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There are no backups of VM 'web01'"), vm(tmp_path).lock("restore", shared=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_first_backups_at_once_agree_on_the_id_of_the_repository(tmp_path: Path) -> None:
    code = (
        "import sys; from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository;"
        "sys.stdin.read(); print(Repository(sys.argv[1]).establish())"
    )
    folder = str(Path(sys.modules["ansible_collections.domzero"].__path__[0]).parents[1])
    run = [sys.executable, "-c", code, str(tmp_path)]
    many = [subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": folder}) for _n in range(4)]
    for one in many:  # all wait for this
        t.cast("t.IO[str]", one.stdin).close()
    assert {t.cast("t.IO[str]", one.stdout).read() for one in many} == {f"{Repository(tmp_path).id}\n"}
    for one in many:
        t.cast("t.IO[str]", one.stdout).close()
        assert one.wait() == 0


def test_who_reads_while_backups_come_and_go_sees_sound_ones_only(tmp_path: Path) -> None:
    """Without the lock, as xen_backup_info does."""
    chain(vm(tmp_path), 2)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            subject = vm(tmp_path)
            while True:
                with subject.lock("backup"):
                    for _number in range(3):
                        add(subject, parent=subject.newest())
                    for backup in reversed(subject.backups()[2:]):
                        backup.remove()
        os._exit(0)
    try:
        counts: set[int] = set()
        begin = time.monotonic()
        while time.monotonic() < begin + 0.8 or (not counts > {2, 3} and time.monotonic() < begin + 30):
            seen = vm(tmp_path).backups()
            assert [b.problem for b in seen] == [""] * len(seen)
            counts.add(len(seen))
        assert counts > {2, 3}
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    with lock.turn(tmp_path), pytest.raises(XenError, match=r"Something holds .*\.lock"), lock.turn(tmp_path, patience=0.1):
        pass
