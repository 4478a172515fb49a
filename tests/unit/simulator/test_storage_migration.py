# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs move with their disks: to other storage, to other hosts, to another pool."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import host_devices, invariants, site
from ansible_collections.domzero.xen.tests.simulator.disks import access
from ansible_collections.domzero.xen.tests.simulator.faults import Cut
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import until
from .hosting import GIB, Hosting


class Pools(t.NamedTuple):
    """Both coordinators."""

    east: Hosting
    west: Hosting


def _two(speed: float = 0) -> Pools:
    world = site.build(site.load("two-pools"), speed=speed)
    for machine in world.machines.values():
        machine.state[host_devices.DEVICES] = {"gpus": [{"id": "0000:af:00.0", "vendor": "NVIDIA", "name": "A40", "types": []}]}
    world.watch = True
    return Pools(*(Hosting(world.machines[name]) for name in ("east0", "west0")))


@pytest.fixture
def pools() -> t.Iterator[Pools]:
    both = _two()
    yield both
    world = both.east.machine.world
    assert not world.breaches
    assert not invariants.check(world)


def _world(pools: Pools) -> World:
    return pools.east.machine.world


def _nfs(pool: Hosting, path: str) -> str:
    config = {"server": "127.50.0.5", "serverpath": path}
    return str(pool("SR.create", pool.host, config, 0, path, "", "nfs", "user", True, {}))


def _local(pool: Hosting, host: str) -> str:
    return next(sr for sr in pool.db.find("SR", type="ext") if pool.db.find("PBD", SR=sr, host=host))


def _member(pool: Hosting) -> str:
    return next(host for host in pool.db.all("host") if host != pool.host)


def _vm(pool: Hosting, sr: str, name: str = "guest", disks: int = 1, cards: int = 1) -> str:
    vm = pool.vm(name, agent=False)
    for number in range(disks):
        pool.vbd(vm, pool.vdi(SR=sr, name_label=f"disk{number}"), userdevice=str(number))
    for number in range(cards):
        pool.vif(vm, device=str(number))
    return vm


def _dest(pool: Hosting, host: str) -> dict[str, str]:
    network = pool.record("PIF", pool.pif("eth0", host))["network"]
    return dict(pool("host.migrate_receive", host, network, {}))


def _disks(pool: Hosting, vm: str) -> list[str]:
    return [pool.record("VBD", vbd)["VDI"] for vbd in pool.record("VM", vm)["VBDs"]]


def _cards(west: Hosting, pool: Hosting, vm: str) -> dict[str, str]:
    network = west.record("PIF", west.pif("eth1"))["network"]
    return dict.fromkeys(pool.record("VM", vm)["VIFs"], network)


def _crossing(pools: Pools, vm: str, **options: str) -> list[t.Any]:
    """What VM.migrate_send takes on the way from east to west's local storage."""
    east, west = pools
    sr = _local(west, west.host)
    vdis = dict.fromkeys(_disks(east, vm), sr)
    return [vm, _dest(west, west.host), True, vdis, _cards(west, east, vm), options, {}]


# in the pool ---------------------------------------------------------------------------------------------------------
def test_a_running_guest_takes_its_local_disks_to_another_host(pools: Pools) -> None:
    east = pools.east
    member = _member(east)
    vm = _vm(east, _local(east, east.host), disks=2)
    east("VM.start_on", vm, east.host, False, False)
    before, said = _disks(east, vm), east.record("VM_guest_metrics", east.record("VM", vm)["guest_metrics"])["networks"]
    target = _local(east, member)
    assert east("VM.migrate_send", vm, _dest(east, member), True, dict.fromkeys(before, target), {}, {}) == vm
    after = _disks(east, vm)
    assert [east.record("VDI", vdi)["SR"] for vdi in after] == [target, target]
    assert [east.record("VDI", vdi)["name_label"] for vdi in after] == ["disk0", "disk1"]
    assert not any(east.db.exists("VDI", vdi) for vdi in before)
    assert (east.record("VM", vm)["resident_on"], east.state(vm)) == (member, "Running")
    assert east.record("VM_guest_metrics", east.record("VM", vm)["guest_metrics"])["networks"] == said
    assert east.told(vm)[-1] == "VM_MIGRATED"


def test_disks_of_snapshots_go_along(pools: Pools) -> None:
    east = pools.east
    shared = _nfs(east, "/export/east")
    vm = _vm(east, _local(east, east.host))
    snapshot = east("VM.snapshot", vm, "before", [])
    (disk,) = _disks(east, vm)
    east("VM.migrate_send", vm, _dest(east, east.host), True, {disk: shared}, {}, {})
    (new,), (kept,) = _disks(east, vm), _disks(east, snapshot)
    assert [east.record("VDI", vdi)["SR"] for vdi in (new, kept)] == [shared, shared]
    assert (east.record("VDI", kept)["is_a_snapshot"], east.record("VDI", kept)["snapshot_of"]) == (True, new)
    east("SR.scan", shared)
    assert east.record("VDI", kept)["snapshot_of"] == new
    east("VM.revert", snapshot)


def test_one_disk_moves_and_gets_another_name_in_the_pool(pools: Pools) -> None:
    east = pools.east
    shared = _nfs(east, "/export/east")
    vm = _vm(east, _local(east, east.host), disks=2)
    east("VM.start_on", vm, east.host, False, False)
    first, second = _disks(east, vm)
    new = east("VDI.pool_migrate", first, shared, {})
    assert _disks(east, vm) == [new, second]
    assert (east.record("VDI", new)["SR"], east.record("VBD", east.record("VDI", new)["VBDs"][0])["currently_attached"]) == (shared, True)
    assert not east.db.exists("VDI", first)
    loose = east.vdi()
    assert east.refused("VDI.pool_migrate", loose, shared, {}) == ["VDI_NEEDS_VM_FOR_MIGRATE", loose]
    east("VM.clean_shutdown", vm)
    back = east("VDI.pool_migrate", new, _local(east, east.host), {})
    assert _disks(east, vm) == [back, second]


def test_what_keeps_a_disk_from_moving_is_said(pools: Pools) -> None:
    east = pools.east
    member = _member(east)
    here, there = _local(east, east.host), _local(east, member)
    vm = _vm(east, here)
    (disk,) = _disks(east, vm)
    dest = _dest(east, member)

    def refused(disks: dict[str, str], cards: dict[str, str] | None = None, **options: str) -> list[str]:
        asked = east.refused("VM.assert_can_migrate", vm, dest, True, disks, cards or {}, options)
        assert east.refused("VM.migrate_send", vm, dest, True, disks, cards or {}, options) == asked
        return asked

    assert refused({}) == ["VDI_NOT_IN_MAP", disk]
    assert refused({disk: here}) == ["SR_NOT_ATTACHED", here]
    assert refused({disk: there}, {east.record("VM", vm)["VIFs"][0]: NULL})[0] == "OPERATION_NOT_ALLOWED"
    east("VDI.enable_cbt", disk)
    assert refused({disk: there}) == ["VDI_CBT_ENABLED", disk]
    east("VDI.disable_cbt", disk)
    east.db.set("VDI", disk, sm_config={"key_hash": "x"})
    assert refused({disk: there}) == ["VDI_IS_ENCRYPTED", disk]
    east.db.set("VDI", disk, sm_config={}, on_boot="reset")
    assert refused({disk: there}) == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
    east.db.set("VDI", disk, on_boot="persist")
    sm = east.db.one("SM", type="ext")
    features = east.db.get("SM", sm)["features"]
    east.db.set("SM", sm, features={name: number for name, number in features.items() if name != "VDI_MIRROR"})
    assert refused({disk: there}) == ["SR_DOES_NOT_SUPPORT_MIGRATION", here, "VDI_MIRROR"]
    east.db.set("SM", sm, features=features)
    east("host.disable", member)
    assert refused({disk: there}) == ["HOST_DISABLED", member]


def test_a_guest_without_tools_stays_where_it_is(pools: Pools) -> None:
    east = pools.east
    vm = _vm(east, _local(east, east.host))
    east("VM.set_xenstore_data", vm, {"vm-data/sim-agent": "none"})
    east("VM.start_on", vm, east.host, False, False)
    member = _member(east)
    maps = {_disks(east, vm)[0]: _local(east, member)}
    assert east.refused("VM.migrate_send", vm, _dest(east, member), True, maps, {}, {}) == ["VM_LACKS_FEATURE", vm]
    east("VM.migrate_send", vm, _dest(east, member), True, maps, {}, {"force": "true"})
    assert east.record("VM", vm)["resident_on"] == member


def test_a_disc_in_storage_of_the_old_host_is_ejected(pools: Pools) -> None:
    east = pools.east
    member, here = _member(east), _local(east, east.host)
    vm = _vm(east, here)
    disc = east.vdi(SR=here)
    east.drive(vm, disc)
    east("VM.start_on", vm, east.host, False, False)
    assert east.refused("VM.pool_migrate", vm, member, {}) == ["VM_REQUIRES_SR", vm, here]
    east("VM.migrate_send", vm, _dest(east, member), True, {_disks(east, vm)[0]: _local(east, member)}, {}, {})
    drive = east.record("VBD", east.record("VM", vm)["VBDs"][1])
    assert (drive["empty"], drive["VDI"]) == (True, NULL)


def test_a_host_that_takes_a_vm_needs_an_address_on_the_network(pools: Pools) -> None:
    east = pools.east
    eth1 = east.pif("eth1")
    network, lonely = east.record("PIF", eth1)["network"], east.network()
    assert east.refused("host.migrate_receive", east.host, network, {}) == ["PIF_HAS_NO_NETWORK_CONFIGURATION", eth1]
    assert east.refused("host.migrate_receive", east.host, lonely, {}) == ["HOST_CANNOT_ATTACH_NETWORK", east.host, lonely]
    assert east.refused("VM.migrate_send", _vm(east, east.sr), {}, True, {}, {}, {}) == ["INTERNAL_ERROR", "Not_found"]


def test_what_is_on_a_disk_goes_with_it(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host))
    (disk,) = _disks(east, vm)
    with _world(pools).lock, access.writing(east.machine, disk) as writer:
        writer.write(4 << 20, b"hello")
    moved = east("VDI.pool_migrate", disk, _nfs(east, "/export/east"), {})
    arrived = east("VM.migrate_send", *_crossing(pools, vm))
    assert not east.db.exists("VDI", moved)
    with _world(pools).lock:
        assert access.chain(west.machine, _disks(west, arrived)[0]).read(4 << 20, 5) == b"hello"


def test_a_disk_that_goes_where_its_host_has_no_storage_takes_the_guest_along(pools: Pools) -> None:
    east = pools.east
    member, shared = _member(east), _nfs(east, "/export/east")
    vm = _vm(east, shared)
    east("VM.start_on", vm, east.host, False, False)
    east("VDI.pool_migrate", _disks(east, vm)[0], _local(east, member), {})
    assert east.record("VM", vm)["resident_on"] == member
    other = _vm(east, _local(east, east.host), "other", disks=2)
    assert east.refused("VDI.pool_migrate", _disks(east, other)[0], _local(east, member), {}) == ["NO_HOSTS_AVAILABLE"]


def test_old_releases_move_one_snapshot_at_most() -> None:
    world = site.build(site.with_release(site.of_hosts(2, joined=True), "xenserver-6.5"), speed=0)
    pool = Hosting(next(iter(world.machines.values())))
    vm = pool.vm(agent=False, disk=True)
    maps = {_disks(pool, vm)[0]: pool.sr}
    dest = _dest(pool, pool.host)
    pool("VM.snapshot", vm, "first", [])
    pool("VM.assert_can_migrate", vm, dest, True, maps, {}, {})
    pool("VM.snapshot", vm, "second", [])
    assert pool.refused("VM.assert_can_migrate", vm, dest, True, maps, {}, {}) == ["VM_HAS_TOO_MANY_SNAPSHOTS", vm]


# to another pool -----------------------------------------------------------------------------------------------------
def test_a_running_guest_goes_to_another_pool_and_stays_the_same(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host), disks=2, cards=2)
    east("VM.snapshot", vm, "before", [])
    east("VM.start_on", vm, east.host, False, False)
    before = east.record("VM", vm)
    macs = sorted(east.record("VIF", vif)["MAC"] for vif in before["VIFs"])
    free = east("host.compute_free_memory", east.host)
    arrived = east("VM.migrate_send", *_crossing(pools, vm))
    record = west.record("VM", arrived)
    assert (record["uuid"], record["power_state"], record["resident_on"]) == (before["uuid"], "Running", west.host)
    assert sorted(west.record("VIF", vif)["MAC"] for vif in record["VIFs"]) == macs
    assert all(west.record("VBD", vbd)["currently_attached"] for vbd in record["VBDs"])
    assert [west.record("VDI", vdi)["name_label"] for vdi in _disks(west, arrived)] == ["disk0", "disk1"]
    (snapshot,) = record["snapshots"]
    assert west.record("VM", snapshot)["name_label"] == "before"
    assert {west.record("VDI", vdi)["snapshot_of"] for vdi in _disks(west, snapshot)} == set(_disks(west, arrived))
    assert west.record("VM_guest_metrics", record["guest_metrics"])["PV_drivers_detected"]
    assert "clean_shutdown" in west.allowed(arrived)
    assert not east.db.exists("VM", vm)
    assert not [vdi for vdi in east.db.all("VDI").values() if vdi["name_label"].startswith("disk")]
    assert not east.db.find("VM", name_label="before")
    assert "VM_STARTED" in west.told(arrived)
    assert east("host.compute_free_memory", east.host) > free
    west("VM.clean_shutdown", arrived)
    west("VM.revert", snapshot)


def test_a_copy_leaves_the_source_and_has_its_own_identity(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host))
    arrived = east("VM.migrate_send", *_crossing(pools, vm, copy="true"))
    source, record = east.record("VM", vm), west.record("VM", arrived)
    assert source["uuid"] != record["uuid"]
    assert source["other_config"]["mac_seed"] != record["other_config"]["mac_seed"]
    assert east.record("VIF", source["VIFs"][0])["MAC"] != west.record("VIF", record["VIFs"][0])["MAC"]
    west("VM.start", arrived, False, False)
    east("VM.start", vm, False, False)
    assert east.refused("VM.migrate_send", *_crossing(pools, vm, copy="true")) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]


def test_what_belongs_to_a_vm_leaves_with_it(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host))
    east("VTPM.create", vm, False)
    appliance = east("VM_appliance.create", {"name_label": "together", "name_description": ""})
    east("VM.set_appliance", vm, appliance)
    arguments = _crossing(pools, vm)
    for pool in pools:
        host_devices.find_all(pool.machine)
    card = next(iter(east.db.all("GPU_group")))
    vgpu = east("VGPU.create", vm, card, "0", {}, NULL)
    arrived = east("VM.migrate_send", *arguments[:-1], {vgpu: next(iter(west.db.all("GPU_group")))})
    record = west.record("VM", arrived)
    assert (len(record["VTPMs"]), len(record["VGPUs"]), record["appliance"]) == (1, 1, NULL)
    assert not east.db.all("VGPU")
    assert not east.db.all("VTPM")
    assert east.record("VM_appliance", appliance)["VMs"] == []


def test_a_suspended_guest_goes_with_its_image(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host))
    east("VM.start_on", vm, east.host, False, False)
    east("VM.suspend", vm)
    arrived = east("VM.migrate_send", *_crossing(pools, vm))
    assert west.state(arrived) == "Suspended"
    west("VM.resume", arrived, False, False)
    assert west.state(arrived) == "Running"


def test_what_another_pool_does_not_take_is_said(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host))
    east("VM.start_on", vm, east.host, False, False)
    vif = east.record("VM", vm)["VIFs"][0]

    def refused(**options: str) -> list[str]:
        return east.refused("VM.assert_can_migrate", *_crossing(pools, vm, **options))

    arguments = _crossing(pools, vm)
    assert east.refused("VM.migrate_send", *arguments[:4], {}, {}, {}) == ["VIF_NOT_IN_MAP", vif]
    assert east.refused("VM.migrate_send", *arguments[:4], {vif: "OpaqueRef:x"}, {}, {}) == ["HANDLE_INVALID", "network", "OpaqueRef:x"]
    broken = {**arguments[1], "session_id": "OpaqueRef:x"}
    assert east.refused("VM.migrate_send", vm, broken, *arguments[2:]) == ["SESSION_INVALID", "OpaqueRef:x"]
    west("host.disable", west.host)
    assert refused() == ["HOST_DISABLED", west.host]
    west("host.enable", west.host)
    version = west.record("host", west.host)["software_version"]["xen"]
    west.db.add_to_map("host", west.host, "software_version", "xen", "4.0")
    assert refused() == ["VM_HOST_INCOMPATIBLE_VERSION_MIGRATE", vm, west.host]
    west.db.add_to_map("host", west.host, "software_version", "xen", version)
    big = west.vm("big")
    west("VM.set_memory", big, west("host.compute_free_memory", west.host) - GIB)
    west("VM.start", big, False, False)
    east.db.set("VM", vm, memory_dynamic_min=2 * GIB)
    assert refused()[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
    west("VM.hard_shutdown", big)
    seed = east.record("VM", vm)["other_config"]["mac_seed"]
    west.db.add_to_map("VM", big, "other_config", "mac_seed", seed)
    assert refused() == ["DUPLICATE_MAC_SEED", seed]


def test_a_failure_half_way_leaves_nothing_there_and_the_source_untouched(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host), disks=3)
    east("VM.start_on", vm, east.host, False, False)
    record, disks = east.record("VM", vm), len(west.db.all("VDI"))
    arguments = _crossing(pools, vm)
    task = east("Async.VM.migrate_send", *arguments)
    until(_world(pools), lambda: len(west.db.all("VDI")) > disks + 1)
    east("task.cancel", task)
    until(_world(pools), lambda: east.record("task", task)["status"] != "pending")
    assert (east.record("task", task)["status"], east.record("task", task)["error_info"]) == ("cancelled", ["TASK_CANCELLED", task])
    assert len(west.db.all("VDI")) == disks
    assert not west.db.find("VM", uuid=record["uuid"])
    assert east.state(vm) == "Running"
    assert east.record("VM", vm)["current_operations"] == {}
    east("VM.migrate_send", *arguments)


def test_a_target_that_goes_away_ends_it(pools: Pools) -> None:
    east, west = pools
    vm = _vm(east, _local(east, east.host), disks=3)
    arguments, disks = _crossing(pools, vm), len(west.db.all("VDI"))
    task = east("Async.VM.migrate_send", *arguments)
    until(_world(pools), lambda: len(west.db.all("VDI")) > disks)
    with _world(pools).lock:
        west.machine.go_down()
    until(_world(pools), lambda: east.record("task", task)["status"] == "failure")
    assert east.record("task", task)["error_info"][:2] == ["VM_MIGRATE_FAILED", vm]
    assert east.state(vm) == "Halted"
    west.machine.come_up()


def test_it_takes_as_long_as_disks_and_memory_are_big_and_the_wire_is_shared() -> None:
    pools = _two()
    east = pools.east
    clock = _world(pools).clock
    vm = _vm(east, _local(east, east.host))
    (disk,) = _disks(east, vm)
    before = clock.now()
    east("VDI.pool_migrate", disk, _nfs(east, "/export/east"), {})
    small = clock.now() - before
    big = east.vm("big", agent=False)
    east.vbd(big, east.vdi(8 * GIB, SR=_local(east, east.host)))
    before = clock.now()
    east("VM.migrate_send", big, _dest(east, east.host), True, {_disks(east, big)[0]: _nfs(east, "/export/east2")}, {}, {})
    assert clock.now() - before > 4 * small


def test_progress_grows_and_the_fourth_at_a_time_is_refused() -> None:
    pools = _two(speed=20)
    east = pools.east
    shared = _nfs(east, "/export/east")
    vms = [_vm(east, _local(east, east.host), f"guest{number}", cards=0) for number in range(4)]
    tasks = [east("Async.VDI.pool_migrate", _disks(east, vm)[0], shared, {}) for vm in vms[:3]]
    until(_world(pools), lambda: all(0 < east.record("task", task)["progress"] < 1 for task in tasks))
    assert east.refused("VDI.pool_migrate", _disks(east, vms[3])[0], shared, {}) == ["TOO_MANY_STORAGE_MIGRATES", "3"]
    seen: list[float] = []
    while east.record("task", tasks[0])["status"] == "pending":
        seen.append(east.record("task", tasks[0])["progress"])
        threading.Event().wait(0.02)
    assert seen == sorted(seen)
    until(_world(pools), lambda: all(east.record("task", task)["status"] == "success" for task in tasks))


def test_a_migration_fails_or_is_cut_off_on_demand(pools: Pools) -> None:
    east = pools.east
    faults = _world(pools).faults
    vm = _vm(east, _local(east, east.host))
    (disk,) = _disks(east, vm)
    shared = _nfs(east, "/export/east")
    faults.add("fail", "VDI.pool_migrate", error=["MIRROR_FAILED", disk])
    assert east.refused("VDI.pool_migrate", disk, shared, {}) == ["MIRROR_FAILED", disk]
    assert _disks(east, vm) == [disk]
    faults.add("cut-after", "VDI.pool_migrate")
    with pytest.raises(Cut):
        east("VDI.pool_migrate", disk, shared, {})
    (moved,) = _disks(east, vm)
    assert east.record("VDI", moved)["SR"] == shared
