# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was backed up by changed blocks is checked, thinned, and restored byte for byte, encrypted or not."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import sealing
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_read import Vhd

from ..backup.keys import age_key, needs_age
from ..conftest import Start
from .restore_lab import MIB, Restores

PART = 64 << 10


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path) -> Restores:
    sim = simulator(1)
    return Restores(sim, session_to(sim), run, tmp_path / "repository")


@needs_age
@pytest.mark.parametrize("encrypted", [pytest.param(False, id="plain"), pytest.param(True, id="encrypted", marks=pytest.mark.slow)])
def test_a_chain_of_changed_blocks_is_restored_byte_for_byte(lab: Restores, tmp_path: Path, encrypted: bool) -> None:
    encryption, key = age_key(tmp_path) if encrypted else ({}, "")
    options: dict[str, t.Any] = {"encryption": encryption} if encrypted else {}
    identity: dict[str, t.Any] = {"identity": key} if encrypted else {}
    uuids = lab.disk_uuids(lab.web01)
    lab.track()
    lab.start()
    held: dict[str, list[str]] = {}
    for turn in range(5):
        lab.sim.disks.fill(uuids["0"], turn * MIB + 300, 70_000, f"first {turn}")
        lab.sim.disks.fill(uuids["1"], 9 * MIB - turn * 3 * PART, 1000, f"second {turn}")
        done = lab.backs_up(**options)
        assert "warnings" not in done
        held[done["backup"]["stamp"]] = lab.contents(lab.web01)
    assert lab.hows() == {"0": "cbt", "1": "cbt"}
    check = {"repository": str(lab.folder), "backup": "all", "level": "structure"}
    assert all(told["ok"] for told in lab._run("xen_backup_verify", **check, **identity)["backups"])
    pruned = lab._run("xen_backup_prune", repository=str(lab.folder), keep_last=2, **identity)
    assert (len(pruned["removed"]), pruned["failed"]) == (3, [])
    assert all(told["ok"] for told in lab._run("xen_backup_verify", **check, **identity)["backups"])
    for backup in lab.backups():
        made = lab.restores(backup=backup.stamp, new_name=f"of {backup.stamp}", **identity)
        assert made["changed"]
        assert lab.contents(lab.one(f"of {backup.stamp}")) == held[backup.stamp]
    lab.sim.disks.fill(uuids["1"], 0, 512, "after all that")
    lab.backs_up(**options)
    assert lab.hows() == {"0": "cbt", "1": "cbt"}


@needs_age
def test_of_what_is_encrypted_only_what_changed_is_written(lab: Restores, tmp_path: Path) -> None:
    """What the disk was before cannot be read where the backup is made."""
    encryption, key = age_key(tmp_path)
    lab.track()
    lab.backs_up(encryption=encryption)
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["1"], 3 * MIB, 100, "one part")
    lab.backs_up(encryption=encryption)
    newest = lab.newest()
    assert newest.manifest
    (stored,) = [file for file in newest.manifest.files if file.name.startswith("disk1.vhd")]
    with sealing.unsealed(newest, stored, key) as path, Vhd(path) as file:
        assert list(file.extents()) == [(3 * MIB, PART)]


def test_what_a_backup_would_build_on_is_looked_at_while_it_is_made(lab: Restores) -> None:
    lab.track()
    first = lab.backs_up()["backup"]["stamp"]
    newest = lab.newest()
    file = newest.path / "disk1.vhd"
    data = bytearray(file.read_bytes())
    data[530] ^= 4
    file.write_bytes(data)
    with pytest.raises(Damaged, match=rf"header is not what its checksum says.*Backup {first}.* the next one will be a whole one"):
        lab.run()
    assert lab.backs_up()["reason"].startswith(f"backup {first}, the one before, cannot be used")
    assert lab.read_back() == lab.contents(lab.web01)


def test_disks_that_bear_the_mark_of_a_base_hand_nothing_on(lab: Restores) -> None:
    """As those made of a base that still had its data: snapshots of them are nobody's leftovers."""
    lab.track()
    lab.backs_up()
    (mark, *_more) = [v["other_config"]["domzero.xen:backup"] for v in lab.db.all("VDI").values() if v["type"] == "cbt_metadata"]
    disks = [lab.db.one("VDI", uuid=uuid) for uuid in lab.disk_uuids(lab.web01).values()]
    lab.call("VDI.add_to_other_config", disks[0], "domzero.xen:backup", mark)
    kept = lab.call("VDI.snapshot", disks[0])
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["0"], 0, 512, "more")
    predicted, done = lab.run(check=True), lab.run()
    assert predicted["operations"] == done["operations"]
    assert (done["reason"], done["operations"].count("VDI.remove_from_other_config")) == ("", 1)
    assert lab.record(kept, "VDI")["snapshot_of"] == disks[0]
    lab.call("VDI.destroy", kept)
    assert lab.backs_up()["reason"] == ""


def test_where_disks_are_reverted_in_place_the_base_keeps_its_data(lab: Restores) -> None:
    """The disk stays the same one then, and what changed since is not what the host noted."""
    for ref, driver in lab.db.all("SM").items():
        lab.db.set("SM", ref, features={**driver["features"], "VDI_REVERT": 1})
    lab.track()
    assert "VDI.data_destroy" not in lab.backs_up()["operations"]
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["0"], MIB, 1000, "more")
    done = lab.backs_up()
    assert (done["reason"], lab.hows()["0"]) == ("", "delta")
    assert "its SR reverts disks in place" in done["warnings"][0]
