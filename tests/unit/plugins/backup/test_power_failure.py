# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order things get to the disk, as strace sees it: what a manifest names is there before it, whenever the power fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

import ansible_collections.domzero.xen

from .shelf import add, chain, vm

COLLECTIONS = Path(ansible_collections.domzero.xen.__path__[0]).parents[2]
CALLS = "write,pwrite64,fsync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir"
LINE = re.compile(r"^\d+ +(?P<call>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+)")


class Step(t.NamedTuple):
    """call: write, fsync, rename, unlink or mkdir; path: of the file it is about; target: its new name."""

    call: str
    path: str
    target: str = ""


SCRIPT = "ansible_collections.domzero.xen.tests.unit.plugins.backup.test_power_failure"


def adds(root: Path) -> None:
    subject = vm(root)
    with subject.lock("backup"):
        add(subject, parent=subject.newest())


def removes(root: Path) -> None:
    subject = vm(root)
    with subject.lock("prune"):
        subject.backups()[-1].remove()


def traced(work: t.Callable[[Path], None], root: Path) -> list[Step]:
    """What it does, in a process of its own; paths below the folder of the VM."""
    if not shutil.which("strace"):
        pytest.skip("strace is not there: install the package of that name")
    log, folder = root.parent / "trace", vm(root).path
    command = ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*command, sys.executable, "-m", SCRIPT, work.__name__, str(root)],
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not look here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return [step for line in log.read_text().splitlines() if (step := step_of(line, str(folder)))]


def step_of(line: str, folder: str) -> Step | None:
    """None for what failed, or is about something else."""
    found = LINE.match(line)
    if not found or found["result"].startswith("-"):
        return None
    call, rest = found["call"], found["rest"]
    if call in ("fsync", "write", "pwrite64"):
        paths = re.findall(r"^\d+<([^>]*)>", rest)
    else:  # names, each after the folder it is in, if it is not a whole path
        places = re.findall(r'(?:(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"([^"]*)"', rest)
        paths = [name if name.startswith("/") else f"{place}/{name}" for place, name in places]
    paths = [os.path.relpath(path, folder) for path in paths if path.startswith(folder)]
    kind = {"pwrite64": "write"}.get(call) or re.sub("at2?$", "", call)
    return Step(kind, *paths[:2]) if paths and not paths[0].endswith(".lock") else None


def where(steps: list[Step], wanted: Step) -> int:
    assert wanted in steps, (wanted, steps)
    return steps.index(wanted)


def test_what_a_manifest_names_is_on_the_disk_before_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    chain(vm(root), 1)
    steps = traced(adds, root)
    stamp = vm(root).backups()[-1].stamp
    part, manifest = f"{stamp}/.disk0.vhd.part", f"{stamp}/.manifest.json.part"
    made, named = where(steps, Step("mkdir", stamp)), where(steps, Step("rename", part, f"{stamp}/disk0.vhd"))
    counts = where(steps, Step("rename", manifest, f"{stamp}/manifest.json"))
    assert Step("fsync", ".") in steps[made:named]
    assert where(steps, Step("write", part)) < where(steps, Step("fsync", part)) < named
    assert Step("fsync", stamp) in steps[named:counts]
    assert where(steps, Step("write", manifest)) < where(steps, Step("fsync", manifest)) < counts
    assert Step("fsync", stamp) in steps[counts:]
    assert not [step for step in steps[counts + 1 :] if step.call != "fsync"]


def test_a_backup_that_goes_is_none_any_more_before_its_files_go(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    stamp = chain(vm(root), 2)[-1].stamp
    steps = traced(removes, root)
    first = where(steps, Step("unlink", f"{stamp}/manifest.json"))
    assert steps[first + 1] == Step("fsync", stamp)
    assert where(steps, Step("unlink", f"{stamp}/disk0.vhd")) > first
    assert steps[-1] == Step("fsync", ".")


if __name__ == "__main__":
    {"adds": adds, "removes": removes}[sys.argv[1]](Path(sys.argv[2]))
