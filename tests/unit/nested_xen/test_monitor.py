# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor: what is asked, and what its answers mean."""

from __future__ import annotations

import json
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.nested_xen import monitor

GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n'
EVENT = '{"event": "STOP", "timestamp": {}}\n'


def test_a_request_is_a_line() -> None:
    assert json.loads(monitor.request("stop")) == {"execute": "stop"}
    assert json.loads(monitor.request("x", a=1)) == {"execute": "x", "arguments": {"a": 1}}


def test_greetings_and_events_are_passed_over() -> None:
    assert monitor.reply([GREETING, EVENT, '{"return": {"a": 1}}']) == {"a": 1}


def test_a_refusal_is_an_error() -> None:
    with pytest.raises(monitor.MonitorError, match="no such command"):
        monitor.reply(['{"error": {"class": "CommandNotFound", "desc": "no such command"}}'])


def test_a_conversation_that_ends_is_an_error() -> None:
    with pytest.raises(monitor.MonitorError, match="ended"):
        monitor.reply([GREETING])


@pytest.fixture
def qemu(tmp_path: Path) -> t.Iterator[tuple[Path, list[dict[str, t.Any]], list[str]]]:
    """A socket that answers as QEMU does: its path, what it was asked, what it is to answer after the greeting."""
    path, asked, answers = tmp_path / "qmp", list[dict[str, t.Any]](), ["{}"]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            with server.accept()[0] as peer, peer.makefile("rw") as file:
                file.write(GREETING)
                file.flush()
                for answer in ("{}", *answers):
                    asked.append(json.loads(file.readline()))
                    file.write(EVENT + json.dumps({"return": json.loads(answer)}) + "\n")
                    file.flush()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path, asked, answers
        thread.join(10)


def test_a_command_is_run_after_the_greeting(qemu: tuple[Path, list[dict[str, t.Any]], list[str]]) -> None:
    path, asked, _answers = qemu
    assert monitor.execute(path, "stop") == {}
    assert [one["execute"] for one in asked] == ["qmp_capabilities", "stop"]


def test_a_snapshot_that_is_not_there_is_an_error_though_the_command_succeeds(qemu: tuple[Path, list[dict[str, t.Any]], list[str]]) -> None:
    path, _asked, answers = qemu
    answers[:] = [json.dumps("Error: Snapshot 'xen' does not exist in one or more devices\r\n")]
    with pytest.raises(monitor.MonitorError, match="does not exist"):
        monitor.human(path, "loadvm xen")


def test_without_qemu_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(monitor.MonitorError):
        monitor.execute(tmp_path / "none", "stop")
