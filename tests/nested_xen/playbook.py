# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that are run on guests, and what became of their tasks."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen.ssh import Ssh

CHECKOUT = Path(__file__).resolve().parents[2]
Task = dict[str, t.Any]
Result = dict[str, t.Any]  # what a task returned, and _task (its name), _action, _outcome: ok, failed, ignored, skipped, unreachable
LIMIT = 900.0  # seconds for one playbook


class TaskFailed(AssertionError):
    """A task that failed; `result` is its result, `msg` its message, `results` those of the tasks before it and its own."""

    def __init__(self, results: list[Result], output: str):
        self.results, self.output = results, output
        self.result = next((r for r in results if r["_outcome"] in ("failed", "unreachable")), {"_task": "(none)", "msg": output[-3000:]})
        self.msg = str(self.result.get("msg", ""))
        super().__init__(f"{self.result['_task']}: {json.dumps(self.result, indent=1)}")


def environment(results: Path) -> dict[str, str]:
    """Of ansible-playbook: the checkout as the collection, results into a file, nothing of the user's own.

    A domU on a busy emulated machine may take longer to greet than the 10 s that Ansible gives it.
    """
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "tests/ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "nested_xen_results",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_TIMEOUT": "120",
        "NESTED_XEN_RESULTS": str(results),
        "LC_ALL": "C.UTF-8",
    }


def run(hosts: dict[str, Ssh], plays: list[dict[str, t.Any]]) -> list[Result]:
    """Run plays in one ansible-playbook; the results of all tasks, in order. Raises TaskFailed."""
    with tempfile.TemporaryDirectory(prefix="nested-xen-play-") as folder:
        inventory, playbook, results = (Path(folder) / name for name in ("inventory.json", "play.json", "results"))
        inventory.write_text(json.dumps({"all": {"hosts": {name: ssh.host_vars() for name, ssh in hosts.items()}}}))
        playbook.write_text(json.dumps(plays))
        done = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), str(playbook)],
            env=environment(results),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if done.returncode:
        raise TaskFailed(found, done.stdout)
    return found
