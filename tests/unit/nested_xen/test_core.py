# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where time is short, the stories that touch all that a Dom0 is for are told first."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT


def told(*arguments: str) -> list[str]:
    line = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *arguments, "tests/nested_xen"]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_the_core_comes_first_and_each_file_in_its_own_order() -> None:
    core, stories = told("-m", "core"), told()
    assert len(core) > 20
    assert stories[: len(core)] == core
    assert core[0].startswith("tests/nested_xen/test_dom0.py"), "what every other needs"
    for part in (core, stories[len(core) :]):
        files = [story.split("::")[0] for story in part]
        assert len(set(files)) == sum(one != other for one, other in zip(files, ["", *files], strict=False)), "each file's in one piece"
