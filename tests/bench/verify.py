# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of four GiB in one VHD is checked, against sha256sum of the same file (and openssl, which uses what the processor has for it).

All of them have to read it from the disk.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Disk, Manifest, Stored, Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import iso
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_write
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import PIECE, Landing

from . import transfers

UUID = "1f7e0a52-0000-4000-8000-00000000000{}"
NOW = 1_795_000_000.0
NOISE = random.Random(1).randbytes(PIECE)


def _landed(path: Path, pieces: t.Iterable[bytes]) -> Stored:
    with Landing(path) as file:
        for piece in pieces:
            file.write(piece)
        file.finish()
        return Stored(path.name, file.size, file.sha256)


def _data(offset: int, length: int) -> bytes:
    """Something else in each piece."""
    return offset.to_bytes(8, "big") + NOISE[: length - 8]


def _backup(root: Path) -> Path:
    """One file, the disk of a VM full of data. Its path."""
    pool, vm = Who(UUID.format(1), "bench"), Who(UUID.format(2), "big")
    subject = Repository(root).subject("vm", pool, vm)
    with subject.lock("bench"), subject.begin(NOW) as draft:
        plan = vhd_write.plan(transfers.SIZE, [(0, transfers.SIZE)])
        files = (_landed(draft.path / "disk0.vhd", plan.pieces(_data)),)
        disk = Disk("0", UUID.format(3), "big", pool, transfers.SIZE, "disk0.vhd", plan.uuid, "", transfers.SIZE, "full", "")
        manifest = Manifest(
            "vm", UUID.format(4), draft.number, draft.stamp, iso(NOW), iso(NOW), pool, vm, {}, "vhd", files=files, disks=(disk,)
        )
        return draft.commit(manifest).file("disk0.vhd")


def _forget(file: Path) -> None:
    """What the system remembers of it; the disk is read again."""
    fd = os.open(file, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def _checked(root: Path) -> transfers.Run:
    """By the module as an ordinary one: a process of its own."""
    arguments = root.parent / "arguments.json"
    arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"repository": str(root), "level": "checksum"}}))
    return transfers.Lab.timed(sys.executable, "-m", "ansible_collections.domzero.xen.plugins.modules.xen_backup_verify", str(arguments))


def measure() -> t.Iterator[dict[str, t.Any]]:
    with tempfile.TemporaryDirectory(prefix="xen-bench-") as folder:
        root = Path(folder) / "backups"
        root.mkdir()
        file = _backup(root)
        ours, theirs, fastest = [], [], []
        for _round in range(transfers.ROUNDS):
            _forget(file)
            theirs.append(transfers.Lab.timed("sha256sum", str(file)))
            _forget(file)
            fastest.append(transfers.Lab.timed("openssl", "dgst", "-sha256", str(file)))
            _forget(file)
            ours.append(_checked(root))
        mine, sums, hardware = (statistics.median(run.seconds for run in runs) for runs in (ours, theirs, fastest))
        rate = file.stat().st_size / PIECE
        peak = max(run.peak for run in ours)
        yield {
            "bytes": file.stat().st_size, "mib_per_s": round(rate / mine, 1), "sha256sum_mib_per_s": round(rate / sums, 1),
            "ratio": round(sums / mine, 3), "ratio_openssl": round(hardware / mine, 3), "peak_mib": round(peak, 1),
        }  # fmt: skip
