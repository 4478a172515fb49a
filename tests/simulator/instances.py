# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool as tests/bench/plan-upgrade reads it (hosts, VMs, sizes in MiB), so that a plan for it can be carried out or compared with xapi's.

Guests are PV and have no disks, so they can always move, unless the instance says otherwise: one that may not has ``pool_migrate`` blocked,
one that may be on some hosts only has a card in a network that only these have. The upgrade is a package that changes platform_version.
"""

from __future__ import annotations

import typing as t
import uuid

from . import fresh, memory, site, software, vm_running
from .agent import START_UP
from .modeltypes import NULL
from .traffic import Motion
from .updates import Package

if t.TYPE_CHECKING:
    from .database import Database
    from .world import World

TAKEN = (fresh.DOM0_MEMORY + fresh.HYPERVISOR_MEMORY) // memory.MIB + 12  # MiB of a host that are not for guests
PACKAGE = "upgrade"
Instance = t.Mapping[str, t.Any]


def build(instance: Instance, *, speed: float = 0) -> World:
    """Its world; hosts and VMs are named by their ids, the coordinator is the first host."""
    hosts = sorted(instance["hosts"], key=lambda host: host["id"] != instance["coordinator"])
    sets = _allowed_sets(instance)
    described = [_host(number, host, instance, sets) for number, host in enumerate(hosts)]
    segments = ["management", *(f"set{number}" for number in range(len(sets)))]
    world = site.build(site.parse({"segments": segments, "hosts": described, "joined": True, "guests": {"agent": True}}), speed=speed)
    world.traffic.motion = _motion(instance.get("params", {}))
    _set_versions(world, instance)
    _Guests(world, instance, sets).make()
    software.note_upgrade(world.pools[0])
    return world


def _allowed_sets(instance: Instance) -> list[frozenset[str]]:
    found = (frozenset(map(str, vm["allowed"])) for vm in instance["vms"] if vm.get("allowed") is not None)
    return list(dict.fromkeys(found))


def _host(number: int, host: t.Mapping[str, t.Any], instance: Instance, sets: list[frozenset[str]]) -> dict[str, t.Any]:
    cards = [{"device": "eth0", "segment": "management"}]
    cards += [{"device": f"eth{n + 1}", "segment": f"set{n}"} for n, names in enumerate(sets) if str(host["id"]) in names]
    boot = instance.get("params", {}).get("reboot_min", 2) * 60 - START_UP
    return {
        "name": str(host["id"]), "address": f"127.70.{number // 200}.{10 + number % 200}", "memory": f"{int(host['memory']) + TAKEN}MiB",
        "cpus": {"count": int(host.get("cpus", 64))}, "nics": cards, "boot_seconds": max(1, int(boot)), "power_on": "wake-on-lan",
    }  # fmt: skip


def _motion(params: t.Mapping[str, float]) -> Motion:
    plain = Motion()
    return Motion(
        params.get("nic_gib_min", plain.host), params.get("stream_gib_min", plain.stream), params.get("setup_min", 0) * 60,
        params.get("dirty", plain.dirty), int(params.get("max_in", 0)),
    )  # fmt: skip


def _set_versions(world: World, instance: Instance) -> None:
    """What a host has; those below the target have the package before them."""
    db, target = world.pools[0].db, str(instance["target"])
    lacking = []
    for host in instance["hosts"]:
        machine = world.machines[str(host["id"])]
        version = {"platform_version": str(host["version"])}
        machine.product = {**machine.product, "software_version": {**machine.product["software_version"], **version}}
        db.set("host", machine.host_ref, software_version={**db.get("host", machine.host_ref)["software_version"], **version})
        if str(host["version"]) != target:
            lacking.append(machine.name)
    change = {"platform_version": target}
    world.updates.packages.append(Package(PACKAGE, target, "1", installed="0-1", hosts=lacking or ["none"], software=change))


class _Guests:
    def __init__(self, world: World, instance: Instance, sets: list[frozenset[str]]) -> None:
        self.world, self.instance, self.sets = world, instance, sets
        self.groups: dict[str, str] = {}

    @property
    def db(self) -> Database:
        return self.world.pools[0].db

    def make(self) -> None:
        """All of them, running."""
        for vm in self.instance["vms"]:
            self._make(vm)
        for machine in self.world.machines.values():
            memory.note_free(self.db, machine.host_ref)

    def _ref(self, host: object) -> str:
        return NULL if host is None else self.world.machines[str(host)].host_ref

    def _make(self, vm: t.Mapping[str, t.Any]) -> None:
        db, size = self.db, int(vm["memory"]) * memory.MIB
        limits = ("static_min", "dynamic_min", "dynamic_max", "static_max")
        sizes: dict[str, t.Any] = {f"memory_{name}": size for name in limits}
        cpus = int(vm.get("vcpus", 1))
        blocked = {} if vm.get("movable", True) else {"pool_migrate": str(vm.get("reason") or "unmovable")}
        made = db.create(
            "VM", name_label=str(vm["id"]), power_state="Running", resident_on=self._ref(vm["host"]), domain_type="pv", PV_kernel="vmlinuz",
            memory_overhead=int(vm.get("overhead", 0)) * memory.MIB, memory_target=size, VCPUs_max=cpus, VCPUs_at_startup=cpus,
            HVM_shadow_multiplier=1.0, affinity=self._ref(vm.get("affinity")), blocked_operations=blocked,
            metrics=db.create("VM_metrics", memory_actual=size), groups=self._group(vm.get("group")), actions_after_crash="restart",
            **sizes,
        )  # fmt: skip
        if vm.get("allowed") is not None:
            self._card(made, frozenset(map(str, vm["allowed"])))
        vm_running.refresh(db, made)

    def _group(self, name: object) -> list[str]:
        if name is None:
            return []
        if str(name) not in self.groups:
            self.groups[str(name)] = self.db.create("VM_group", name_label=str(name), placement="anti_affinity")
        return [self.groups[str(name)]]

    def _card(self, vm: str, names: frozenset[str]) -> None:
        """In the network of just these hosts."""
        device = f"eth{self.sets.index(names) + 1}"
        pif = next(iter(self.db.find("PIF", device=device, VLAN=-1)))
        network = self.db.get("PIF", pif)["network"]
        octets = uuid.UUID(self.db.get("VM", vm)["uuid"]).bytes[:4]
        mac = f"02:00:{octets.hex(':')}"
        self.db.create("VIF", VM=vm, network=network, device="0", MAC=mac, MTU=1500, currently_attached=True)
