# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that somebody else does between two calls of ours."""

from __future__ import annotations

import contextlib
import sys
import typing as t


@contextlib.contextmanager
def meanwhile(name: str, happens: t.Callable[[], object]) -> t.Iterator[None]:
    """Once, just before this thread calls the function of that name, be it one of the system or of Python."""
    before = sys.getprofile()

    def look(frame: t.Any, event: str, called: t.Any) -> None:
        now = called.__name__ if event == "c_call" else frame.f_code.co_name if event == "call" else ""
        if now == name:
            sys.setprofile(before)
            happens()

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
