# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs tasks on a host of its own (tests/debian_programs), one playbook for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[4]
WITHIN = CHECKOUT / "tests/debian_programs/within"
Result = dict[str, t.Any]


def why_not() -> str:
    """Why there can be no such host here; "" if there can."""
    if os.geteuid() != 0:
        return "needs root"
    if subprocess.run(
        ["unshare", "--mount", "--net", "ip", "link", "add", "name", "test0", "type", "bridge"], capture_output=True, check=False
    ).returncode:
        return "needs namespaces and bridges"
    return ""


def host(folder: Path, *tasks: Result) -> list[Result]:
    """What each task returned, failed ones as well."""
    if told := why_not():
        pytest.skip(told)
    steps: list[Result] = [{**task, "diff": True, "register": f"r{number}", "ignore_errors": True} for number, task in enumerate(tasks)]
    kept = "{{ [" + ", ".join(f"r{number}" for number in range(len(tasks))) + "] | to_json }}"
    steps.append({"ansible.builtin.copy": {"content": kept, "dest": str(folder / "results.json"), "mode": "0600"}})
    playbook = folder / "playbook.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": steps}]))
    command = [str(WITHIN), str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    return t.cast("list[Result]", json.loads((folder / "results.json").read_text()))


def thrice(task: Result) -> list[Result]:
    """In check mode, for real, and again."""
    return [{**task, "check_mode": True}, task, task]


def converged(predicted: Result, done: Result, again: Result) -> Result:
    """The prediction was right, and the second run changed nothing."""
    for key in ("changed", "commands", "diff"):
        assert predicted.get(key) == done.get(key), (key, predicted, done)
    assert done["changed"] and not done.get("failed"), done
    assert not again["changed"] and again["commands"] == [], again
    return done


def shell(line: str) -> Result:
    return {"ansible.builtin.shell": line}
