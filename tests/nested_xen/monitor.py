# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor: QMP over a Unix socket, a connection for each command."""

from __future__ import annotations

import json
import socket
import typing as t
from pathlib import Path

TIMEOUT = 300.0  # seconds; writing a snapshot may take a while on a busy machine


class MonitorError(RuntimeError):
    """QEMU refused a command, or isn't there."""


def request(command: str, **arguments: t.Any) -> str:
    """A command as one line of the protocol."""
    return json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})}) + "\n"


def reply(lines: t.Iterable[str]) -> t.Any:
    """What the command returned; greetings and events that come before it are passed over. Raises MonitorError."""
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            raise MonitorError(message["error"].get("desc", str(message["error"])))
        if "return" in message:
            return message["return"]
    raise MonitorError("QEMU ended the conversation")


def execute(path: Path, command: str, **arguments: t.Any) -> t.Any:
    """Run a QMP command. Raises MonitorError."""
    try:
        with socket.socket(socket.AF_UNIX) as conversation:
            conversation.settimeout(TIMEOUT)
            conversation.connect(str(path))
            with conversation.makefile("rw", encoding="utf-8") as file:
                answers = []
                for line in (request("qmp_capabilities"), request(command, **arguments)):
                    file.write(line)
                    file.flush()
                    answers.append(reply(file))
                return answers[-1]
    except OSError as error:
        raise MonitorError(f"{path}: {error}") from error


def human(path: Path, line: str) -> str:
    """A command of the monitor for people, such as `savevm TAG`, which says nothing when all is well. Raises MonitorError."""
    said = str(execute(path, "human-monitor-command", **{"command-line": line})).strip()
    if said.startswith("Error") or "does not" in said:
        raise MonitorError(f"{line}: {said}")
    return said
