# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks hold what was written to them, whatever becomes of their chain."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.disks.guest import Disks
from ansible_collections.domzero.xen.tests.simulator.errors import Fault, Refusal
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.running import Simulator
from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.conversation import settle
from ansible_collections.domzero.xen.tests.unit.simulator.storing import NFS, NFS_ISO, Storing

MIB, GIB = 1 << 20, 1 << 30
SIZE = 64 * MIB


class Filled(Storing):
    """With what is on the disks."""

    @property
    def disks(self) -> Disks:
        """All of them."""
        return Disks(self.machine.world)

    def uuid(self, vdi: str) -> str:
        """Of a VDI."""
        return str(self.record("VDI", vdi)["uuid"])

    def digest(self, vdi: str) -> str:
        """Of all its bytes."""
        return self.disks.digest(self.uuid(vdi))

    def fill(self, vdi: str, offset: int, size: int, seed: int | str = 0) -> None:
        """A guest writes."""
        self.disks.fill(self.uuid(vdi), offset, size, seed)

    def filled(self, sr: str, size: int = SIZE) -> str:
        """A disk with something on it."""
        vdi = self.vdi(sr, size)
        self.fill(vdi, MIB, 5 * MIB, "first")
        return vdi

    def layers(self) -> set[str]:
        """Names of all there is on disk."""
        return self.machine.world.shelf.names()


@pytest.fixture
def pool() -> Filled:
    return Filled(storing.pool().machine)


@pytest.fixture
def nfs(pool: Filled) -> str:
    return pool.sr("nfs", NFS)


KINDS: dict[str, t.Callable[[Filled], str]] = {
    "nfs": lambda pool: pool.sr("nfs", NFS),
    "lvmoiscsi": lambda pool: pool.sr("lvmoiscsi", pool.iscsi),
    "ext": lambda pool: next(ref for ref, sr in pool.db.all("SR").items() if sr["type"] == "ext"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_snapshots_clones_and_copies_hold_what_the_disk_held(pool: Filled, kind: str) -> None:
    sr = KINDS[kind](pool)
    disk = pool.filled(sr)
    before = pool.digest(disk)
    snapshot, clone = pool("VDI.snapshot", disk, {}), pool("VDI.clone", disk, {})
    copy = pool("VDI.copy", snapshot, sr, NULL, NULL)
    assert {pool.digest(vdi) for vdi in (disk, snapshot, clone, copy)} == {before}
    pool.fill(disk, 2 * MIB - 9, 3 * MIB, "second")
    pool.fill(clone, 0, 9, "third")
    assert (pool.digest(snapshot), pool.digest(copy)) == (before, before)
    assert len({pool.digest(vdi) for vdi in (disk, snapshot, clone)}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_coalescing_changes_no_byte(pool: Filled, kind: str) -> None:
    sr = KINDS[kind](pool)
    disk = pool.filled(sr)
    snapshots = []
    for number in range(4):
        snapshots.append(pool("VDI.snapshot", disk, {}))
        pool.fill(disk, number * 7 * MIB, 9 * MIB - number, number)
    digests = {vdi: pool.digest(vdi) for vdi in (disk, *snapshots)}
    for gone in (snapshots[1], snapshots[2], snapshots[0]):
        pool("VDI.destroy", gone)
        settle(pool.machine.world)
        del digests[gone]
        assert {vdi: pool.digest(vdi) for vdi in digests} == digests
    assert pool.layers() == {pool.uuid(disk), pool.record("VDI", disk)["sm_config"]["vhd-parent"]}
    pool("VDI.destroy", disk)
    settle(pool.machine.world)
    assert pool.digest(snapshots[3]) == digests[snapshots[3]]
    pool("VDI.destroy", snapshots[3])
    assert pool.layers() == set()


def test_coalescing_takes_its_time(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    snapshot = pool("VDI.snapshot", disk, {})
    pool.machine.world.set_speed(1)
    pool("VDI.destroy", snapshot)
    assert len(pool.layers()) == 1
    assert "vhd-parent" in pool.record("VDI", disk)["sm_config"]
    pool.machine.world.set_speed(0)
    settle(pool.machine.world)
    assert "vhd-parent" not in pool.record("VDI", disk)["sm_config"]


def test_a_disk_that_grew_keeps_its_data(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    before = pool.disks.read(pool.uuid(disk))
    pool("VDI.snapshot", disk, {})
    pool("VDI.resize", disk, 2 * SIZE)
    assert pool.disks.read(pool.uuid(disk)) == before + bytes(SIZE)
    pool.fill(disk, 2 * SIZE - 5, 5)


def test_a_copy_over_a_disk_leaves_nothing_of_what_was_there(nfs: str, pool: Filled) -> None:
    source, target = pool.filled(nfs), pool.vdi(nfs, SIZE)
    pool.fill(target, 0, SIZE, "old")
    pool("VDI.copy", source, NULL, NULL, target)
    assert pool.digest(target) == pool.digest(source)


def test_a_vm_that_goes_back_has_the_disk_of_its_snapshot(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    template = pool.db.one("VM", name_label="Other install media")
    vm = pool("VM.clone", template, "vm")
    pool("VM.provision", vm)
    fields = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}, "empty": False, "unpluggable": True}
    pool("VBD.create", {"VM": vm, "VDI": disk, "userdevice": "0", "bootable": True, "mode": "RW", "type": "Disk", **fields})
    before, snapshot = pool.digest(disk), pool("VM.snapshot", vm, "s")
    pool.fill(disk, 0, 10 * MIB, "a risky change")
    pool("VM.revert", snapshot)
    (now,) = (pool.record("VBD", vbd)["VDI"] for vbd in pool.record("VM", vm)["VBDs"])
    assert pool.digest(now) == before


def test_what_is_taken_follows_what_is_written(nfs: str, pool: Filled) -> None:
    disk = pool.vdi(nfs, 64 * GIB)
    empty = pool.record("VDI", disk)["physical_utilisation"]
    pool.fill(disk, 10 * GIB, 8 * MIB)
    taken = pool.record("VDI", disk)["physical_utilisation"] - empty
    assert 8 * MIB <= taken < 9 * MIB
    assert pool.record("SR", nfs)["physical_utilisation"] == empty + taken
    folder = pool.machine.world.shelf.folder
    assert sum(file.stat().st_blocks * 512 for file in folder.iterdir()) < 9 * MIB
    pool.fill(disk, 10 * GIB, 8 * MIB, "again")
    assert pool.record("VDI", disk)["physical_utilisation"] == empty + taken


def test_a_snapshot_on_thick_storage_costs_what_is_written_and_little_more(pool: Filled) -> None:
    sr = pool.sr("lvmoiscsi", pool.iscsi)
    disk = pool.vdi(sr, GIB)
    pool.fill(disk, 0, 100 * MIB)
    before = pool.record("SR", sr)["physical_utilisation"]
    pool("VDI.snapshot", disk, {})
    cost = pool.record("SR", sr)["physical_utilisation"] - before
    assert 100 * MIB < cost < 130 * MIB


def test_a_full_sr_takes_no_more_bytes(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    server = pool.machine.world.storage.server_at("172.16.0.10")
    assert server
    place = server.place("nfs", NFS["serverpath"])
    assert place
    place.size = place.used + 5 * MIB
    before = pool.digest(disk)
    with pytest.raises(Fault, match="SR_BACKEND_FAILURE_44"):
        pool.fill(disk, 32 * MIB, 20 * MIB)
    pool.fill(disk, 32 * MIB, 20 * MIB - 20 * MIB)
    place.size += GIB
    assert pool.digest(disk) != before
    pool.fill(disk, 32 * MIB, 20 * MIB)


def changed(pool: Filled, start: str, end: str) -> list[int]:
    bits = base64.b64decode(pool("VDI.list_changed_blocks", start, end))
    return [8 * n + bit for n, byte in enumerate(bits) for bit in range(8) if byte & (0x80 >> bit)]


def test_changes_from_one_snapshot_to_a_later_one_are_known(nfs: str, pool: Filled) -> None:
    disk, part = pool.filled(nfs), 64 << 10
    pool("VDI.enable_cbt", disk)
    first = pool("VDI.snapshot", disk, {})
    assert pool.record("VDI", first)["cbt_enabled"]
    pool.fill(disk, 5 * part - 1, 2)
    second = pool("VDI.snapshot", disk, {})
    pool.fill(disk, SIZE - 1, 1)
    third = pool("VDI.snapshot", disk, {})
    pool.fill(disk, 0, 1)
    assert changed(pool, first, second) == [4, 5]
    assert changed(pool, first, third) == [4, 5, SIZE // part - 1]
    assert changed(pool, first, disk) == [0, 4, 5, SIZE // part - 1]
    assert pool.refused("VDI.list_changed_blocks", second, second)[0] == "SR_BACKEND_FAILURE_460"
    assert pool.refused("VDI.list_changed_blocks", third, first)[0] == "SR_BACKEND_FAILURE_460"
    pool("VDI.destroy", second)
    assert changed(pool, first, third) == [4, 5, SIZE // part - 1]
    pool("VDI.disable_cbt", disk)
    assert pool.refused("VDI.list_changed_blocks", third, disk)[0] == "SR_BACKEND_FAILURE_460"
    assert changed(pool, first, third) == [4, 5, SIZE // part - 1]


def test_a_snapshot_without_its_data_still_tells_what_changed(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    pool("VDI.enable_cbt", disk)
    first = pool("VDI.snapshot", disk, {})
    digest = pool.digest(disk)
    pool("VDI.data_destroy", first)
    settle(pool.machine.world)
    assert pool.digest(disk) == digest
    assert pool.record("VDI", first)["physical_utilisation"] == 0
    pool.fill(disk, 0, 1)
    second = pool("VDI.snapshot", disk, {})
    assert changed(pool, first, second) == [0]
    for vdi in (first, second, disk):
        pool("VDI.destroy", vdi)
    settle(pool.machine.world)
    assert pool.layers() == set()


def test_images_made_in_a_library_hold_data(pool: Filled) -> None:
    library = pool.sr("iso", NFS_ISO)
    disk = pool.vdi(library, MIB + 5, sm_config={"path": "config.iso"})
    pool.fill(disk, 1000, MIB - 995)
    digest = pool.digest(disk)
    pool("SR.scan", library)
    assert pool.digest(disk) == digest
    pool("VDI.destroy", disk)
    assert pool.layers() == set()
    image = pool.record("SR", library)["VDIs"][0]
    assert not pool.disks.read(pool.uuid(image), 0, 4096).strip(b"\0")


def test_a_destroyed_sr_leaves_no_data(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    pool("VDI.forget", disk)
    assert pool.layers()
    pool("SR.scan", nfs)
    pool("VDI.destroy", pool.record("SR", nfs)["VDIs"][0])
    pool.detach(nfs)
    assert pool.layers() == set()


def test_writing_outside_of_a_disk_is_refused(nfs: str, pool: Filled) -> None:
    disk = pool.filled(nfs)
    with pytest.raises(Refusal, match="has 67108864 bytes"):
        pool.fill(disk, SIZE - 1, 2)
    with pytest.raises(Refusal, match="no VDI nope"):
        pool.disks.digest("nope")


def test_data_survives_a_killed_process(tmp_path: Path) -> None:
    simulator = Simulator("--hosts", "1", "--speed", "0", state=tmp_path)
    with simulator:
        from XenAPI import Session

        session = Session(simulator.hosts[0].url, ignore_ssl=True)
        session.xenapi.login_with_password("root", "xapi-test")
        sr = session.xenapi.pool.get_default_SR(session.xenapi.pool.get_all()[0])
        fields = {"type": "user", "sharable": False, "read_only": False, "other_config": {}, "name_label": "d", "name_description": ""}
        vdi = session.xenapi.VDI.create({**fields, "SR": sr, "virtual_size": str(SIZE)})
        uuid = session.xenapi.VDI.get_uuid(vdi)
        simulator.ctl("write", uuid, str(3 * MIB), str(5 * MIB), "seed")
        session.xenapi.VDI.snapshot(vdi)
        simulator.ctl("write", uuid, "0", "10", "seed")
        digest = simulator.ctl("digest", uuid)
        simulator.stop(kill=True, remove=False)
        simulator.start()
        assert simulator.ctl("digest", uuid) == digest
        with pytest.raises(RuntimeError, match="no VDI nope"):
            simulator.ctl("digest", "nope")
        simulator.ctl("fault", "cut-transfer", "/export", "5")
        assert simulator.ctl("fault", "list") == "the next transfer on /export ends after 5 bytes\n"
        simulator.ctl("reset")
        assert not list((tmp_path / "disks").glob("*"))
