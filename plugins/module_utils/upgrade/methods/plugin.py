# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plugins of hosts (host.call_plugin): XCP-ng's updater.py and prepare_host_upgrade.py."""

from __future__ import annotations

import time
import typing as t

from ...client import Session
from ...errors import ApiError, OutcomeUnknown, Timeout

BUSY = ("is busy", "already in progress")  # what updater.py says while somebody else has it at work
PATIENCE = 1800.0  # seconds until it has done that
ATTEMPTS = 3
ANSWER = 600.0  # seconds one answer may take: yum reads all repositories


def is_busy(error: ApiError) -> bool:
    return error.code == "-1" and any(word in param for word in BUSY for param in error.params)


def ask(session: Session, host: str, plugin: str, function: str, args: t.Mapping[str, str], patience: float = PATIENCE) -> str:
    """What a function says that changes nothing: it is asked again where its answer was lost, or it had to wait for another one.

    Raises ApiError, Timeout, OutcomeUnknown.
    """
    end, lost = time.monotonic() + patience, 0
    while True:
        try:
            return str(session.call("host.call_plugin", host, plugin, function, dict(args), timeout=ANSWER))
        except OutcomeUnknown:
            lost += 1
            if lost == ATTEMPTS:
                raise
        except ApiError as e:
            if not is_busy(e):
                raise
            if time.monotonic() > end:
                raise Timeout(f"Waited {patience:g} seconds for {plugin} on a host; last seen: {e.message}") from e
        time.sleep(1.0)
