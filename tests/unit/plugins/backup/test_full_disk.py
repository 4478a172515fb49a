# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

import ansible_collections.domzero.xen

COLLECTIONS = Path(ansible_collections.domzero.xen.__path__[0]).parents[2]
SCRIPT = "ansible_collections.domzero.xen.tests.unit.plugins.backup.full_disk"


def in_a_namespace(scenario: str, folder: Path) -> list[dict[str, t.Any]]:
    probe = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no mount namespace for a small disk here: {probe.stderr.strip()}")
    command = ["unshare", "--mount", sys.executable, "-m", SCRIPT, scenario, str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(COLLECTIONS)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("scenario", "sentence"), [("no_room", "the disk is full"), ("no_more_files", "No space left")])
def test_on_a_full_disk_nothing_good_is_lost_and_nothing_is_left(tmp_path: Path, scenario: str, sentence: str) -> None:
    rows = in_a_namespace(scenario, tmp_path)
    failed = [row for row in rows if row["said"]]
    assert any(sentence in row["said"] for row in failed)
    assert {place for row in failed for place in ("repository.json", "disk0.vhd", "manifest.json") if place in row["said"]} >= {
        "disk0.vhd",
        "manifest.json",
    }
    for row in rows:
        assert row["leftovers"] == []
        assert set(row["states"]) == {"good"}
    for row, then in zip(rows[::2], rows[1::2]):
        assert len(row["states"]) == (2 if row["said"] else 3), row
        assert (len(then["states"]), then["said"]) == (len(row["states"]) + 1, ""), then


def test_on_a_full_disk_room_can_be_made(tmp_path: Path) -> None:
    (row,) = in_a_namespace("removal", tmp_path)
    assert (row["states"], row["leftovers"]) == (["good", "good"], [])


def test_backups_on_a_disk_that_nobody_can_write_to_can_be_read(tmp_path: Path) -> None:
    refused, restored = in_a_namespace("read_only", tmp_path)
    assert "is not writable" in refused["said"]
    assert restored["states"] == ["good", "good"]
