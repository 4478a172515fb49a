# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running programs of a Dom0: none hangs a task, and xl's own words tell why it failed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import NotFound, Timeout, XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step, carry_out, commands
from ansible_collections.domzero.xen.plugins.module_utils.xl.tool import Done, Tool, reasons, telling

OUTPUTS = Path(__file__).resolve().parents[4] / "data" / "xl" / "outputs"


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_runs_in_english(tmp_path: Path) -> None:
    tool = Tool(program(tmp_path / "xl", 'echo "$LC_ALL $*"; echo warned >&2'))
    assert tool.run("list", "two words") == Done(0, "C list two words\n", "warned\n")
    assert tool.command(["cat"], stdin="given").out == "given"


def test_a_failure_tells_the_status_only_where_nothing_was_said(tmp_path: Path) -> None:
    tool = Tool(program(tmp_path / "xl", "exit 3"))
    with pytest.raises(XenError, match=r"^xl create 'a b\.cfg' failed: it ended with status 3 and said nothing\.$") as caught:
        tool.run("create", "a b.cfg")
    assert caught.value.facts == {"status": 3}
    assert tool.run("create", check=False).status == 3


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="The program no-such-program is not on this host"):
        Tool(str(tmp_path / "xl")).command(["no-such-program"])
    with pytest.raises(NotFound, match="xl is not on this host"):
        Tool(str(tmp_path / "xl")).run("list")


def test_a_command_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    tool = Tool(program(tmp_path / "xl", f"echo 'libxl: error: libxl_x.c:1:f: waiting' >&2; sleep 60 & echo $! > {tmp_path}/child; wait"))
    before = time.monotonic()
    with pytest.raises(
        Timeout, match=r"xl save web did not finish within 0\.5 seconds and was stopped\. Its last words: waiting\. Look at"
    ):
        tool.run("save", "web", timeout=0.5)
    assert time.monotonic() - before < 10
    child = Path("/proc") / (tmp_path / "child").read_text().strip()
    for _attempt in range(50):
        if not child.exists() or " Z " in (child / "stat").read_text():
            return
        time.sleep(0.1)
    pytest.fail("what it started still runs")


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    tool = Tool(program(tmp_path / "xl", "sleep 8 & echo started"))
    before = time.monotonic()
    assert tool.run("create").out == "started\n" and time.monotonic() - before < 5


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "failed to open file '/boot/nosuch': No such file or directory: Internal error"),
        (1, "script: Could not find bridge device nosuchbr"),
        (3, "Disk vdev=xvda failed to stat: /dev/vg0/nosuch: No such file or directory"),
    ],
)
def test_the_telling_lines_of_a_failure_are_kept(number: int, said: str) -> None:
    text = (OUTPUTS / "errors-transcript.out").read_text().split("\n$ ")[number]
    err = "\n".join(line.removeprefix("[stderr] ") for line in text.splitlines() if line.startswith("[stderr]"))
    told = telling(Done(3, "", err))
    assert said in told and not any(word in told for word in ("Parsing config", "libxl", ".c:", "Domain 7", "Non-existant"))


def test_each_reason_is_told_once() -> None:
    assert reasons("a\nb\na\n\n") == ["a", "b"]
    assert telling(Done(1, "said here", "")) == "said here."


def test_steps_are_told_as_one_types_them_and_done_in_order(tmp_path: Path) -> None:
    log: list[str] = []
    steps = [
        Step(("xl", "pause", "two words"), "pause"),
        Step(("write", "/etc/xen/a.cfg"), "write", run=lambda: log.append("written")),
        Step(("false",), "fail"),
        Step(("xl", "unpause", "never"), "never"),
    ]
    assert commands(steps[:2]) == ["xl pause 'two words'", "write /etc/xen/a.cfg"]
    tool = Tool(program(tmp_path / "xl", f'echo "$@" >> {tmp_path}/log'))
    with pytest.raises(XenError, match=r"^false failed") as caught:
        carry_out(steps, tool)
    assert caught.value.done == ["xl pause 'two words'", "write /etc/xen/a.cfg"] and log == ["written"]
    assert (tmp_path / "log").read_text() == "pause two words\n"
    assert carry_out(steps[:1], tool) == ["xl pause 'two words'"]
