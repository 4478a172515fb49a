# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in a mount namespace of its own: backups on a disk that gets full, or is read-only. Prints what happened as JSON lines."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError

from .shelf import NOON, add, chain, vm

BLOCK = 4096  # of tmpfs


def mount(root: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(root)], check=True)


def tries(root: Path, what: str) -> None:
    """One more backup; then everything is as it was, or one is there more."""
    subject, said = vm(root), ""
    try:
        Repository(root).establish()
        with subject.lock("backup"):
            subject.tidy()
            add(subject, parent=subject.newest(), now=NOON + 60, data=b"x" * 3 * BLOCK)
    except XenError as e:
        said = str(e)
    print(json.dumps({"what": what, "said": said, **look(root)}), flush=True)


def look(root: Path) -> dict[str, t.Any]:
    subject = vm(root)
    left = [str(path.relative_to(root)) for path in subject.leftovers()]
    return {"states": [b.state for b in subject.backups()], "leftovers": left, "foreign": [str(p) for p in Repository(root).foreign()]}


def filled(root: Path, keep: int) -> Path:
    """Only so many bytes are left."""
    ballast = root / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(BLOCK))
        file.truncate(max(0, file.tell() - keep))
    return ballast


def no_room(root: Path) -> None:
    for blocks in range(8):
        mount(root, "size=160k")
        chain(vm(root), 2)
        ballast = filled(root, blocks * BLOCK)
        tries(root, f"{blocks} blocks left")
        ballast.unlink()
        tries(root, "room again")
        subprocess.run(["umount", str(root)], check=True)


def removal(root: Path) -> None:
    mount(root, "size=160k")
    made = chain(vm(root), 3)
    filled(root, 0)
    with made[0].subject.lock("prune"):
        made[2].remove()
    print(json.dumps({"what": "removal", "said": "", **look(root)}), flush=True)


def no_more_files(root: Path) -> None:
    for spare in range(8):
        mount(root, "size=1m,nr_inodes=40")
        chain(vm(root), 2)
        stuffing = []
        try:
            for number in range(40):
                stuffing.append(root / f"report_{number}")
                stuffing[-1].touch()
        except OSError:
            stuffing.pop()
        for path in stuffing[: spare + 1]:
            path.unlink()
        tries(root, f"{spare} files left")
        for path in stuffing[spare + 1 :]:
            path.unlink()
        tries(root, "room again")
        subprocess.run(["umount", str(root)], check=True)


def read_only(root: Path) -> None:
    mount(root, "size=1m")
    chain(vm(root), 2)
    (vm(root).path / ".lock").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
    tries(root, "read-only")
    with vm(root).lock("restore", shared=True):
        print(json.dumps({"what": "restore", "said": "", **look(root)}), flush=True)


if __name__ == "__main__":
    {"no_room": no_room, "removal": removal, "no_more_files": no_more_files, "read_only": read_only}[sys.argv[1]](Path(sys.argv[2]))
