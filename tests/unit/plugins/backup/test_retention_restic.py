# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same backups and rules are given to restic itself: it keeps the same ones."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import subprocess
import typing as t
import zoneinfo
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.retention import Point, Rules, Within, plan

ZONE = "America/New_York"
NOW = dt.datetime(2022, 6, 1, tzinfo=dt.UTC)  # snapshots from the future are another matter
POLICIES: list[dict[str, t.Any]] = [
    {"last": 3},
    {"hourly": 4},
    {"daily": 3},
    {"weekly": 4},
    {"monthly": 5},
    {"yearly": 9},
    {"within": "40d"},
    {"within": "1m3h"},
    {"last": 1, "daily": 7, "weekly": 5, "monthly": 12, "yearly": 75},
    {"hourly": 2, "weekly": 2, "within": "2d"},
]


class Restic:
    """A repository of snapshots of nothing, of these moments."""

    def __init__(self, folder: Path, moments: list[dt.datetime]):
        self._environment = {**os.environ, "RESTIC_REPOSITORY": str(folder / "repository"), "RESTIC_PASSWORD": "x", "TZ": ZONE}
        self._environment["RESTIC_CACHE_DIR"] = str(folder / "cache")
        (folder / "data").mkdir()
        self._run("init")
        for moment in moments:
            local = moment.astimezone(zoneinfo.ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M:%S")
            self._run("backup", "--time", local, "--host", "web01", str(folder / "data"))

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(["restic", *arguments], env=self._environment, check=True, capture_output=True, text=True)
        return done.stdout

    def keeps(self, policy: dict[str, t.Any]) -> set[dt.datetime]:
        options = [part for name, value in policy.items() for part in (f"--keep-{name}", str(value))]
        (group,) = json.loads(self._run("forget", "--dry-run", "--json", *options))
        return {dt.datetime.fromisoformat(row["time"]).astimezone(dt.UTC) for row in group["keep"]}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("restic"), reason="restic is missing (Debian: restic)")
def test_restic_keeps_the_same(tmp_path: Path) -> None:
    chosen = random.Random(5)
    minutes = sorted(chosen.choices([7, 50, 200, 1500, 9000, 40000], k=18))
    chosen.shuffle(minutes)
    moment, moments = dt.datetime(2022, 5, 20, 3, 59, tzinfo=dt.UTC), []
    for step in minutes:
        moments.append(moment)
        moment -= dt.timedelta(minutes=step)
    moments.reverse()
    restic = Restic(tmp_path, moments)
    for policy in POLICIES:
        rules = Rules(**{name: Within.parse(value) if name == "within" else value for name, value in policy.items()})
        choices = plan([Point(f"{n:03}", when) for n, when in enumerate(moments)], rules, NOW, zoneinfo.ZoneInfo(ZONE))
        ours, theirs = {moments[int(choice.stamp)] for choice in choices if choice.keep}, restic.keeps(policy)
        # that the oldest stays where a rule is not filled, is newer than the restic of Debian 12
        assert theirs <= ours <= theirs | {moments[0]}, policy
