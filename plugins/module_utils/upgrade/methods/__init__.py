# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways to upgrade a host: which hosts need it, and what is to be done on one."""

from __future__ import annotations

import typing as t

from ...client import Session
from ...errors import InvalidChange
from ...refs import Objects, Record
from .command import Command
from .installer import Installer
from .method import ALWAYS, NEVER, REQUIRED, Due, Method, Nothing
from .packages import Packages
from .pool_update import PoolUpdate
from .reboot import Reboot
from .repository import Repository

METHODS: dict[str, type[Method]] = {
    one.name: one for one in (Packages, Repository, PoolUpdate, Installer, Reboot, Command, Nothing)
}  # fmt: skip
REBOOT, RESTART = "reboot", "restart"
SYNC = ("never", "required", "always")
# the options of all methods; a method looks at its own
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "method": {"type": "str", "required": True, "choices": list(METHODS)},
    "packages": {"type": "list", "elements": "str"},
    "repos": {"type": "list", "elements": "str"},
    "sync": {"type": "str", "choices": list(SYNC), "default": "required"},
    "updates": {"type": "list", "elements": "str"},
    "install_url": {"type": "str"},
    "since": {"type": "str"},
    "reboot": {"type": "str", "choices": [REQUIRED, ALWAYS, NEVER], "default": REQUIRED},
}
RULES: dict[str, t.Any] = {"required_if": [["method", "pool_update", ["updates"]], ["method", "installer", ["install_url"]]]}

__all__ = ["ARGUMENTS", "METHODS", "REBOOT", "RESTART", "RULES", "Due", "Method", "of"]


def of(name: str, options: Record, session: Session, objects: Objects, run: str = "") -> Method:
    """The method of that name. options: those of ARGUMENTS; run: the id of the run, where there is one. Raises InvalidChange."""
    if name not in METHODS:
        raise InvalidChange(f"There is no method {name!r}.", hint=f"There are: {', '.join(METHODS)}.")
    return METHODS[name](options, session, objects, run)
