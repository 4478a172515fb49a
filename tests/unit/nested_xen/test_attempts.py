# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of stories that fails is run once more, from its snapshot, before it counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
import pytest
from ansible_collections.domzero.xen.tests.nested_xen import attempts

def pytest_runtestloop(session):
    attempts.run(session, lambda text: print("SAID", text), again=True)
    return True

@pytest.fixture(scope="module")
def snapshot(request):
    with open("loads", "a") as file:
        file.write(request.path.name + " ")
    counted = len(open("loads").read().split())
    yield counted
"""
FIRST = "def test_one(snapshot): pass\ndef test_two(snapshot): assert snapshot >= {}\ndef test_three(snapshot): pass\n"


@pytest.fixture
def told(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def run(folder: Path) -> tuple[int, str, list[str]]:
    """The status, the last line, and the files for which the snapshot was loaded."""
    line = [
        sys.executable,
        "-m",
        "pytest",
        "-s",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--rootdir",
        str(folder),
        "-c",
        "/dev/null",
    ]
    done = subprocess.run([*line, str(folder)], capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    return done.returncode, done.stdout, (folder / "loads").read_text().split()


def test_a_file_that_fails_once_passes_and_the_failure_is_told(told: Path) -> None:
    (told / "test_a.py").write_text(FIRST.format(2))
    (told / "test_b.py").write_text("def test_other(snapshot): pass\n")
    status, output, loads = run(told)
    assert status == 0 and "4 passed" in output and "failed" not in output.splitlines()[-1]
    assert "SAID FAILED ONCE, in call: test_a.py::test_two" in output
    assert loads == ["test_a.py", "test_a.py", "test_b.py"]


def test_a_file_that_fails_twice_has_failed(told: Path) -> None:
    (told / "test_a.py").write_text(FIRST.format(9))
    status, output, loads = run(told)
    assert status == 1 and "1 failed, 2 passed" in output
    assert loads == ["test_a.py", "test_a.py"]


def test_a_snapshot_that_does_not_load_is_tried_again(told: Path) -> None:
    (told / "conftest.py").write_text(CONFTEST.replace("yield counted", "assert counted > 1\n    yield counted"))
    (told / "test_a.py").write_text(FIRST.format(0))
    status, output, loads = run(told)
    assert status == 0 and "3 passed" in output, output
    assert loads == ["test_a.py", "test_a.py"]


@pytest.mark.slow(whole=True)
def test_when_the_minutes_are_over_no_test_begins_and_a_failure_before_still_counts(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESTED_XEN_MINUTES", "0.02")
    slow = "import time\ndef test_one(snapshot): time.sleep(1.5)\ndef test_two(snapshot): pass\n"
    (told / "test_a.py").write_text(slow)
    (told / "test_b.py").write_text("def test_other(snapshot): pass\n")
    status, output, _loads = run(told)
    assert status == 0 and "1 passed, 2 skipped" in output, output
    (told / "test_a.py").write_text(slow.replace("sleep(1.5)", "sleep(1.5); assert False"))
    status, output, _loads = run(told)
    assert status == 1 and "1 failed" in output, output
