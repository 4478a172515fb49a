# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a pool's database and of a host's control domain."""

from __future__ import annotations

import random
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.verify import check
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import db_dump
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup import Backup as Backups
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup import PoolBackup
from ansible_collections.domzero.xen.tests.simulator import dump_db, host_archive, load_db
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import Result, Run, Start

DUMP, ARCHIVE = "/pool/xmldbdump", "/host_backup"


class Lab:
    """A pool of two hosts that is backed up."""

    def __init__(self, sim: InProcess, run: Run, folder: Path):
        self.sim, self._run, self.folder = sim, run, folder
        folder.mkdir()
        (self.pool,) = sim.world.pools

    def run(self, kind: str = "pool", *, check: bool = False, **params: t.Any) -> Result:
        return self._run("xen_backup", check=check, repository=str(self.folder), kind=kind, **params)

    def backs_up(self, kind: str = "pool", **params: t.Any) -> Backup:
        predicted = self.run(kind, check=True, **params)
        assert not list(self.folder.iterdir()) or self.backups(kind) is not None
        done = self.run(kind, **params)
        assert (predicted["changed"], predicted["operations"]) == (True, done["operations"])
        assert done["operations"][-1] == "repository/commit"
        backup = self.backups(kind)[-1]
        assert done["backup"]["stamp"] == backup.stamp
        assert check(backup, "structure", {}).ok
        return backup

    def backups(self, kind: str) -> list[Backup]:
        return [backup for subject in Repository(self.folder).subjects(kind) for backup in subject.backups()]

    def is_untouched(self, kind: str, count: int = 0) -> None:
        """As many backups as before, nothing half done, no task left."""
        assert len(self.backups(kind)) == count
        assert not [path for subject in Repository(self.folder).subjects(kind) for path in subject.leftovers()]
        assert not self.pool.db.all("task")


@pytest.fixture
def lab(simulator: Start, run: Run, tmp_path: Path) -> Lab:
    return Lab(simulator(2), run, tmp_path / "repository")


# the pool --------------------------------------------------------------------------------
def test_the_database_is_kept_with_what_it_is(lab: Lab) -> None:
    backup = lab.backs_up(verify=True)
    assert backup.manifest
    details = backup.manifest.details
    hosts = {h["uuid"]: h["name_label"] for h in lab.pool.db.all("host").values()}
    assert {h["uuid"]: h["name"] for h in details["hosts"]} == hosts
    assert [h["name"] for h in details["hosts"] if h["coordinator"]] == [lab.pool.coordinator.host_record()["name_label"]]
    assert (details["schema"], details["networks"]) == ("5.909", len(lab.pool.db.all("network")))
    assert backup.manifest.subject.uuid == backup.manifest.pool.uuid == lab.pool.pool["uuid"]
    assert backup.manifest.release["xapi"]
    dump = load_db.parse((backup.path / "pool.xml").read_bytes())
    assert set(dump.tables["VM"]) == set(lab.pool.db.all("VM"))


def test_each_run_adds_one_unless_the_newest_is_young(lab: Lab) -> None:
    lab.backs_up()
    lab.backs_up()
    again = lab.run(if_older_than="1h")
    assert (again["changed"], again["backup"]["number"]) == (False, 2)


def test_another_pool_is_not_taken_for_this_one(lab: Lab) -> None:
    for wanted in ({"name": "other"}, {"uuid": "0000"}):
        with pytest.raises(InvalidChange, match=r"not '(other|0000)'"):
            lab.run(**wanted)
    assert lab.run(uuid=lab.pool.pool["uuid"])["changed"]


# hosts -----------------------------------------------------------------------------------
def test_a_member_sends_its_own_control_domain(lab: Lab) -> None:
    member = next(m for m in lab.sim.world.machines.values() if not m.is_coordinator)
    backup = lab.backs_up("host", name=member.name)
    assert backup.manifest
    assert backup.manifest.details == {"address": member.address, "packing": "none", "coordinator": False}
    with tarfile.open(backup.path / "host.tar") as tar:
        told = tar.extractfile("./etc/hostname")
        assert told
        assert told.read().decode().strip() == member.name


def test_an_archive_is_called_what_it_is(lab: Lab) -> None:
    name = lab.pool.coordinator.name
    lab.pool.coordinator.state[host_archive.PACKING] = "gzip"
    backup = lab.backs_up("host", name=name)
    assert sorted(path.name for path in backup.path.iterdir()) == ["host.tar.gz", "manifest.json"]
    with tarfile.open(backup.path / "host.tar.gz", "r:gz") as tar:
        assert tar.getnames()
    lab.pool.coordinator.state[host_archive.PACKING] = "zstd"
    assert (lab.backs_up("host", name=name).path / "host.tar.zst").exists()


def test_a_host_is_named_where_there_are_several(lab: Lab) -> None:
    with pytest.raises(InvalidChange, match="has 2 hosts"):
        lab.run("host")
    with pytest.raises(NotFound):
        lab.run("host", name="nobody")


def test_a_host_that_is_away_is_refused(lab: Lab) -> None:
    member = next(m for m in lab.sim.world.machines.values() if not m.is_coordinator)
    metrics = member.host_record()["metrics"]
    lab.pool.db.set("host_metrics", metrics, live=False)
    with pytest.raises(InvalidChange, match="does not answer"):
        lab.run("host", name=member.name)


def test_the_reason_of_a_host_that_fails_is_told_and_nothing_is_left(lab: Lab) -> None:
    name = lab.pool.coordinator.name
    lab.sim.faults.fail_transfer(ARCHIVE, "BACKUP_SCRIPT_FAILED", "tar: /: disk error")
    with pytest.raises(ApiError, match="disk error"):
        lab.run("host", name=name)
    lab.is_untouched("host")
    lab.backs_up("host", name=name)


@pytest.mark.slow
def test_a_large_archive_needs_no_more_memory_than_a_small_one(lab: Lab) -> None:
    import resource

    lab.pool.coordinator.state[host_archive.SIZE] = 4 << 20
    lab.backs_up("host", name=lab.pool.coordinator.name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lab.pool.coordinator.state[host_archive.SIZE] = 96 << 20
    backup = lab.run("host", name=lab.pool.coordinator.name)["backup"]
    assert backup["size"] > 96 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10, "KiB, the simulator's own buffers included"


# faults ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "path"), [("pool", DUMP), ("host", ARCHIVE)])
def test_a_transfer_that_is_cut_is_no_backup(lab: Lab, kind: str, path: str) -> None:
    name = {"name": lab.pool.coordinator.name} if kind == "host" else {}
    whole = lab.backs_up(kind, **name)
    for size in (0, 1, whole.manifest.size // 2 if whole.manifest else 0):
        lab.sim.faults.cut_transfer(path, size)
        with pytest.raises((ApiError, ConnectionFailed)):
            lab.run(kind, **name)
        lab.is_untouched(kind, 1)
    lab.backs_up(kind, **name)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "path"), [("pool", DUMP), ("host", ARCHIVE)])
def test_wherever_a_transfer_is_cut_nothing_bad_is_called_good(lab: Lab, kind: str, path: str) -> None:
    """60 places: every boundary that matters, the rest from a seed."""
    lab.pool.coordinator.state[host_archive.SIZE] = 1 << 20
    name = {"name": lab.pool.coordinator.name} if kind == "host" else {}
    first = lab.backs_up(kind, **name)
    size = first.manifest.size if first.manifest else 0
    edges = [0, 1, 511, 512, 513, 1023, 1024, 65535, 65536, 65537, size - 1025, size - 1024, size - 512, size - 2, size - 1]
    for place in edges + random.Random(kind).sample(range(size), 45):
        lab.sim.faults.cut_transfer(path, place)
        with pytest.raises((ApiError, ConnectionFailed)):
            lab.run(kind, **name)
        lab.is_untouched(kind, 1)
        assert check(lab.backups(kind)[0], "structure", {}).ok


def test_a_disk_that_is_full_is_told(lab: Lab) -> None:
    import resource

    lab.pool.coordinator.state[host_archive.SIZE] = 8 << 20
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, limits[1]))
    try:
        with pytest.raises(XenError, match=r"host\.tar"):
            lab.run("host", name=lab.pool.coordinator.name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    lab.is_untouched("host")


def test_a_dump_of_another_pool_or_without_a_host_does_not_count(lab: Lab, session: t.Any) -> None:
    """As no toolstack is known to send it, the dump is put into the hands of the one who compares."""
    text = dump_db.dump(lab.pool.db)
    work = PoolBackup(session, {**dict.fromkeys(Backups.options), "repository": str(lab.folder), "kind": "pool"})
    known = {record["uuid"]: record["name_label"] for record in lab.pool.db.all("host").values()}
    member = next(h for ref, h in lab.pool.db.all("host").items() if ref != lab.pool.pool["master"])
    for old, new, told in (
        (lab.pool.pool["uuid"], "0000", "of pool 0000"),
        (member["uuid"], "0000", f"lacks the host {member['name_label']}"),
    ):
        reading = db_dump.Reading()
        reading.feed(text.replace(old, new).encode())
        with pytest.raises(Damaged, match=told):
            work.compare(reading.finish(), known)
    reading = db_dump.Reading()
    reading.feed(text.encode())
    work.compare(reading.finish(), {**known, "gone meanwhile": "xcp99"})
