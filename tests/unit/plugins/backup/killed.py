# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that dies between any two calls of the system that change something."""

from __future__ import annotations

import os
import signal
import sys
import typing as t

CHANGING = {"open", "mkdir", "rename", "replace", "unlink", "remove", "rmdir", "fsync", "pwrite", "write", "ftruncate", "link", "utime"}


def dies_at(step: int, work: t.Callable[[], object]) -> bool:
    """Does the work in a process of its own that is killed before the step-th changing call; False if it was done before."""
    pid = os.fork()
    if pid == 0:
        _count_down(step)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _pid, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "it failed by itself"
    return False


def _count_down(step: int) -> None:
    left = [step]

    def look(_frame: object, event: str, called: t.Any) -> None:
        if event == "c_call" and getattr(called, "__module__", "") == "posix" and called.__name__ in CHANGING:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)
