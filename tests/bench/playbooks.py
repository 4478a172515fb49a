# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs of ansible-playbook against a simulated pool, and what they cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.domzero.xen.tests.simulator.running import InProcess

Task = dict[str, t.Any]
RUNS = 3


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, seconds of CPU (of all processes of the run), calls that reached the pool."""

    seconds: float
    cpu: float
    requests: int

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.seconds - other.seconds, self.cpu - other.cpu, self.requests - other.requests)


def best(costs: t.Sequence[Cost]) -> Cost:
    """The machine is shared: what a run takes at least."""
    return Cost(min(c.seconds for c in costs), min(c.cpu for c in costs), min(c.requests for c in costs))


class Playbooks:
    """Runs tasks on localhost, the connection in module_defaults."""

    def __init__(self, simulator: InProcess, *, collections: t.Sequence[Path] = ()):
        self.simulator, self.collections = simulator, collections

    @property
    def connection(self) -> Task:
        host = self.simulator.hosts[0]
        return {
            "hostname": host.url,
            "password": self.simulator.password,
            "fingerprint": [h.fingerprint_sha256 for h in self.simulator.hosts],
        }

    def cost(self, *tasks: Task, runs: int = RUNS, in_process: bool = True) -> Cost:
        """Of the tasks alone: the play without any is subtracted."""
        return best([self.run(*tasks, in_process=in_process) for _run in range(runs)]) - best([self.run() for _run in range(runs)])

    def run(self, *tasks: Task, in_process: bool = True) -> Cost:
        """One run. RuntimeError with its output if it fails."""
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/domzero.xen.xen": self.connection},
            "tasks": list(tasks),
        }
        return self.run_plays([play], env={"XEN_IN_PROCESS": str(in_process).lower()})

    def run_plays(self, plays: t.Sequence[Task], *, env: t.Mapping[str, str] | None = None, args: t.Sequence[str] = ()) -> Cost:
        with tempfile.TemporaryDirectory() as folder:
            playbook = Path(folder, "play.yml")
            playbook.write_text(json.dumps(plays))
            paths = [*map(str, self.collections), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")]
            before, started = usage(), time.monotonic()
            received = self.simulator.received
            done = subprocess.run(
                [str(Path(sys.executable).with_name("ansible-playbook")), *args, str(playbook)],
                env={**os.environ, **(env or {}), "ANSIBLE_COLLECTIONS_PATH": ":".join(filter(None, paths))},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            cost = Cost(time.monotonic() - started, usage() - before, self.simulator.received - received)
        if done.returncode:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
        return cost


def usage() -> float:
    """CPU seconds of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
