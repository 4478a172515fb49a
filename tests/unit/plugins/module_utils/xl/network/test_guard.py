# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that changes a host's network, run as the host runs it: a program of its own with a journal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.xl.network import guard

PROGRAM = Path(guard.__file__)
OLD = {"interfaces": "the old\n", "left": "stays when it goes back\n"}
NEW = {"interfaces": "the new\n", "added": "only now\n"}


class Host:
    """Files that a change replaces, and what its commands leave behind."""

    def __init__(self, folder: Path):
        self.folder, self.base, self.etc = folder, folder / "state", folder / "etc"
        self.etc.mkdir()
        for name, text in OLD.items():
            (self.etc / name).write_text(text)

    def begin(self, timeout: float = 20.0, start: str = "true", stop: str = "true", **more: t.Any) -> None:
        pending = self.base / "pending"
        names = sorted({*OLD, *NEW})
        for side, texts in (("old", OLD), ("new", NEW)):
            (pending / side).mkdir(parents=True)
            for number, name in enumerate(names):
                if name in texts:
                    (pending / side / str(number)).write_text(texts[name])
        plan = {
            "id": "change-1", "timeout": timeout, "delay": 0, "verify": [], "patience": 0.2, "copies": [],
            "files": [{"path": str(self.etc / name), "mode": 0o644} for name in names],
            "stop": [self.command(stop, False)], "start": [self.command(start, True)],
            "undo_stop": [self.command("echo undone >> undone; true", False)], "undo_start": [self.command("false", False)], **more,
        }  # fmt: skip
        (pending / "plan.json").write_text(json.dumps(plan))
        (pending / f"state.{guard.APPLYING}").write_text("")

    def command(self, script: str, must: bool) -> dict[str, t.Any]:
        return {"argv": ["sh", "-c", f"cd {self.folder}; {script}"], "must": must}

    def run(self, what: str = "apply") -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(PROGRAM), what, str(self.base)])

    def confirm(self) -> dict[str, str]:
        return guard.confirm(str(self.base), "change-1")

    def until(self, outcome: str) -> dict[str, str]:
        end = time.monotonic() + 60
        while self.confirm()["outcome"] != outcome:
            assert time.monotonic() < end, self.confirm()
            time.sleep(0.05)
        return self.confirm()

    @property
    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.etc.iterdir()}

    @property
    def pending(self) -> bool:
        return (self.base / "pending").exists()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_change_that_is_confirmed_stays(host: Host) -> None:
    host.begin()
    job = host.run()
    host.until("confirmed")
    assert job.wait(20) == 0
    assert host.files == NEW and not host.pending
    assert host.confirm() == {"id": "change-1", "outcome": "confirmed", "reason": ""}, "it may be asked again"
    assert (host.base / "changes/change-1/old/1").read_text() == OLD["interfaces"], "the earlier files are kept"


def test_a_change_that_nobody_confirms_is_taken_back(host: Host) -> None:
    host.begin(timeout=0.5)
    assert host.run().wait(20) == 0
    assert host.files == OLD and (host.folder / "undone").read_text() == "undone\n"
    told = host.confirm()
    assert told["outcome"] == "reverted" and "nobody confirmed it over a new connection within 0.5 seconds" in told["reason"]


def test_a_command_that_fails_takes_the_change_back_at_once(host: Host) -> None:
    host.begin(start="echo no such bridge >&2; exit 3")
    assert host.run().wait(20) == 0
    assert host.files == OLD
    assert host.confirm()["reason"].endswith("exit 3 failed: no such bridge")


def test_an_address_that_does_not_come_takes_the_change_back(host: Host) -> None:
    host.begin(verify=[["lo", "10.55.55.55/24"]])
    assert host.run().wait(20) == 0
    assert host.files == OLD and host.confirm()["reason"] == "lo did not get 10.55.55.55/24"


def test_a_command_that_may_fail_does_not_matter(host: Host) -> None:
    host.begin(stop="exit 1", timeout=0)
    assert host.run().wait(20) == 0
    assert host.files == NEW, "without a time to confirm in, nobody is asked"


@pytest.mark.parametrize("moment", ["stop", "start", "waiting"])
def test_a_host_that_starts_anew_has_the_earlier_files(host: Host, moment: str) -> None:
    commands: dict[str, t.Any] = {"start": "touch here"} if moment == "waiting" else {moment: "touch here; sleep 30"}
    host.begin(**commands)
    job = host.run()
    while not (host.folder / "here").exists() or (moment == "waiting" and not (host.base / "pending/state.waiting").exists()):
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert host.run("boot").wait(20) == 0
    assert host.files == OLD and not host.pending
    assert host.confirm()["reason"] == "the host was started anew before anybody confirmed it"
    assert host.run("boot").wait(20) == 0, "and again there is nothing to do"


def test_a_host_that_starts_anew_after_it_was_confirmed_keeps_the_change(host: Host) -> None:
    host.begin()
    job = host.run()
    while not (host.base / "pending/state.waiting").exists():
        time.sleep(0.02)
    job.send_signal(signal.SIGSTOP)
    assert host.confirm()["outcome"] == "confirmed"
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert host.run("boot").wait(20) == 0
    assert host.files == NEW


def test_a_job_that_died_is_begun_again_and_takes_the_change_back(host: Host) -> None:
    host.begin(start="touch here; sleep 30")
    job = host.run()
    while not (host.folder / "here").exists():
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert host.run().wait(20) == 0
    assert host.files == OLD and host.confirm()["reason"] == "what applied it was stopped"


def test_a_change_is_confirmed_or_taken_back_but_not_both(host: Host) -> None:
    host.begin(timeout=0.3)
    job = host.run()
    time.sleep(0.2)
    end = time.monotonic() + 3
    told = host.confirm()
    while told["outcome"] == "pending" and time.monotonic() < end:
        told = host.confirm()
    job.wait(20)
    assert host.confirm()["outcome"] == told["outcome"]
    assert host.files == (NEW if told["outcome"] == "confirmed" else OLD)


def test_a_change_that_is_not_known_is_told(host: Host) -> None:
    assert host.confirm()["outcome"] == "unknown"


def test_a_full_disk_does_not_keep_the_earlier_network_from_coming_back(host: Host) -> None:
    host.begin(start="exit 3", undo_start=[host.command("echo up >> undone", False)])
    (host.base / "pending" / "log").mkdir()  # nothing can be written there
    assert host.run().wait(20) == 0
    assert host.files == OLD and not host.pending
    assert (host.folder / "undone").read_text() == "undone\nup\n"


def test_the_network_comes_back_though_its_files_cannot_be_written_and_the_next_start_tries_again(host: Host) -> None:
    blocked = host.etc / "left.domzero-new"
    host.begin(start=f"mkdir {blocked}; exit 3", undo_start=[host.command("echo up >> undone", False)])
    assert host.run().wait(20) == 0
    assert (host.folder / "undone").read_text() == "undone\nup\n" and host.pending
    blocked.rmdir()
    assert host.run("boot").wait(20) == 0
    assert host.files == OLD and not host.pending
