# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of 1,000 backups of a VM stay: their manifests read from a folder, and the rules applied; and how much of it is the rules."""

from __future__ import annotations

import datetime as dt
import hashlib
import statistics
import tempfile
import time
import typing as t
import uuid
import zoneinfo
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup import manifest as manifests
from ansible_collections.domzero.xen.plugins.module_utils.backup import names, retention
from ansible_collections.domzero.xen.plugins.module_utils.backup.info import point
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Disk, Manifest, Stored, Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository

BACKUPS = 1000
CHAIN = 30  # so many build on each other
ROUNDS = 5
EVERY = 6 * 3600  # seconds
BEGIN = 1_700_000_000
RULES = retention.Rules(last=3, hourly=24, daily=7, weekly=5, monthly=12, yearly=10, within=retention.Within.parse("3d"))
POOL, VM, SR = (Who(str(uuid.UUID(int=number)), name) for number, name in enumerate(("lab", "web01", "Local storage"), start=1))


def measure() -> t.Iterator[dict[str, t.Any]]:
    with tempfile.TemporaryDirectory() as folder:
        subject = Path(folder) / names.pool_folder(POOL.name, POOL.uuid) / names.subject_folder("vm", VM.name, VM.uuid)
        for number in range(BACKUPS):
            _make(subject, number)
        rounds = [_once(Path(folder)) for _round in range(ROUNDS)]
    if {kept for _all, _rules, kept in rounds} != {rounds[0][2]}:
        raise RuntimeError("the same backups and rules gave other answers")
    whole, rules = (statistics.median(one[column] for one in rounds) for column in (0, 1))
    yield {"backups": BACKUPS, "kept": rounds[0][2], "seconds": round(whole, 3), "rules_seconds": round(rules, 4)}


def _make(subject: Path, number: int) -> None:
    """What xen_backup leaves, but for the data of its two disks."""
    stamp, above = (names.stamp_of(BEGIN + n * EVERY) for n in (number, number - 1))
    folder, parent = subject / stamp, above if number % CHAIN else ""
    folder.mkdir(parents=True)
    disks, files = [], []
    for device in "01":
        name = f"disk{device}.vhd"
        (folder / name).write_bytes(b"data")
        files.append(Stored(name, 4, hashlib.sha256(b"data").hexdigest()))
        own, below = (str(uuid.UUID(int=1000 + 2 * n + int(device))) for n in (number, number - 1))
        how = "delta" if parent else "full"
        disks.append(Disk(device, VM.uuid, f"web01 {device}", SR, 1 << 30, name, own, below if parent else "", 4, how, ""))
    created = names.iso(BEGIN + number * EVERY)
    made = Manifest(
        "vm", str(uuid.UUID(int=number)), number + 1, stamp, created, created, POOL, VM, {"product_version": "8.3.0"}, "vhd", parent,
        tuple(files), tuple(disks),
    )  # fmt: skip
    (folder / names.MANIFEST).write_bytes(manifests.dump(made))


def _once(root: Path) -> tuple[float, float, int]:
    """Seconds for all of it, seconds for the rules alone, how many stay."""
    began = time.perf_counter()
    (subject,) = Repository(root).subjects("vm", name="web01")
    points = [point(backup) for backup in subject.backups()]
    read = time.perf_counter()
    now = dt.datetime.fromtimestamp(BEGIN + BACKUPS * EVERY, retention.UTC)
    choices = retention.plan(points, RULES, now, zoneinfo.ZoneInfo("Europe/Berlin"))
    ended = time.perf_counter()
    if len(points) != BACKUPS or not all(one.usable for one in points):
        raise RuntimeError("not all of the backups can be used")
    return ended - began, ended - read, sum(choice.keep for choice in choices)
