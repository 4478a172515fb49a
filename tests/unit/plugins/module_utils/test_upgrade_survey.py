# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a live pool is what the planner was told on paper; and the plan for it keeps the rules of one who knows neither."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import Policy, Pool, Vm
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.places import Places, told_by_xapi
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.survey import Survey, survey
from ansible_collections.domzero.xen.plugins.module_utils.vms import guests
from ansible_collections.domzero.xen.tests.bench.upgrades.checker import check
from ansible_collections.domzero.xen.tests.bench.upgrades.formats import pool_of, written
from ansible_collections.domzero.xen.tests.bench.upgrades.instances import FAMILIES, Instance, instance
from ansible_collections.domzero.xen.tests.simulator import instances, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import Start


@dataclass(frozen=True)
class Due:
    evacuate: bool = True


def seen(sim: InProcess, session: Session, given: Instance) -> Survey:
    """Due are the hosts that are older than the target."""
    old = {host["id"] for host in given["hosts"] if host["version"] != given["target"]}
    return survey(Objects(session), {sim.world.machines[host].host_ref: Due() for host in old}, ordered=True)


def alike(pool: Pool) -> dict[str, t.Any]:
    """What counts: numbers of groups, not their names."""
    groups: dict[str, list[str]] = {}
    for vm in pool.vms:
        groups.setdefault(vm.group or "", []).append(vm.id)
    every = frozenset(host.id for host in pool.hosts)

    def plain(vm: Vm) -> t.Any:
        allowed = every if vm.allowed is None else vm.allowed | {vm.host}
        return vm.id, vm.host, vm.size, vm.movable, vm.affinity, sorted(allowed)

    groups.pop("", None)
    return {
        "hosts": {host.id: (host.memory, host.version < pool.target) for host in pool.hosts},
        "vms": sorted(plain(vm) for vm in pool.vms),
        "groups": sorted(sorted(group) for group in groups.values()),
        "coordinator": pool.coordinator,
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pool_is_seen_as_it_is(simulator: Start, session_to: t.Callable[[InProcess], Session], family: str) -> None:
    given = instance(family, 5, 10, 0.6, 1)
    for number, vm in enumerate(given["vms"]):
        names = sorted(host["id"] for host in given["hosts"])
        if not number % 7:
            vm |= {"allowed": sorted({vm["host"], names[number % len(names)]}), "affinity": names[0]}
    for host in given["hosts"]:
        if host["id"] == given["coordinator"]:
            host["version"] = given["target"]
    sim = simulator(instances.build(given))
    found = seen(sim, session_to(sim), given)
    told = pool_of(given)
    bound = {vm.id: vm.allowed is None or vm.allowed != {vm.host} for vm in told.vms}
    told = replace(told, vms=tuple(replace(vm, movable=vm.movable and bound[vm.id]) for vm in told.vms))
    assert alike(found.pool) == alike(told)
    fixed = {vm.id for vm in told.vms if not vm.movable and vm.host != given["coordinator"]}
    assert {blocker.vm for blocker in found.blockers} == fixed, "those on hosts that are to be emptied"
    given |= {"vms": [{**vm, "movable": next(one.movable for one in told.vms if one.id == vm["id"])} for vm in given["vms"]]}
    way = plan(found.pool, Policy(unmovable="shutdown"))
    assert check({**given, "policy": {"unmovable": "shutdown"}}, written([way.actions])).moved == way.moved


def test_xapi_tells_why_a_vm_does_not_move(simulator: Start, session_to: t.Callable[[InProcess], Session]) -> None:
    sim = simulator(upgrade_lab.build())
    objects = Objects(session_to(sim))
    vms = {vm["name_label"]: ref for ref, vm in objects.all("VM").items()}
    host = sim.world.machines["lab3"].host_ref
    found = told_by_xapi(objects, {host: [vms["special-pci"], vms["slow"]]})
    assert {ref: (reason.code, reason.text) for ref, reason in found.items()} == {
        vms["special-pci"]: ("VM_HAS_PCI_ATTACHED", "VM 'special-pci' cannot be moved: VM_HAS_PCI_ATTACHED.")
    }


def test_a_vm_may_go_where_xapi_lets_it(simulator: Start, session_to: t.Callable[[InProcess], Session]) -> None:
    """Every VM and every host of a pool in which hosts lack storage, networks and features of the CPU."""
    sim = simulator(upgrade_lab.build())
    session = session_to(sim)
    db, hosts = sim.world.pools[0].db, {name: machine.host_ref for name, machine in sim.world.machines.items()}
    isos = db.one("SR", name_label="isos")
    session.call("PBD.unplug", next(ref for ref, pbd in db.all("PBD").items() if (pbd["SR"], pbd["host"]) == (isos, hosts["lab2"])))
    db.set("host", hosts["lab3"], cpu_info={**db.get("host", hosts["lab3"])["cpu_info"], "features_hvm": "00000000-00000000"})
    db.set("VM", db.one("VM", name_label="db"), last_boot_CPU_flags={"vendor": "GenuineIntel", "features": "ffffffff-00000001"})
    db.set("VM", db.one("VM", name_label="slow"), VCPUs_at_startup=17, VCPUs_max=17)
    objects = Objects(session)
    for eject in (True, False):
        places = Places(objects, hosts, eject=eject)
        for ref, vm in guests(objects).items():
            if vm["power_state"] != "Running":
                continue
            for name, host in hosts.items():
                if vm["resident_on"] != host:
                    refusal = _refusal(session, ref, host)
                    drive = refusal == "VM_REQUIRES_SR" and vm["name_label"] == "special-disc" and eject
                    assert (name in places.of(ref)) == (not refusal or drive), (vm["name_label"], name, refusal)


def _refusal(session: Session, vm: str, host: str) -> str:
    """What xapi has against it, memory left out."""
    try:
        session.call("VM.assert_can_boot_here", vm, host)
    except ApiError as e:
        return "" if e.code == "HOST_NOT_ENOUGH_FREE_MEMORY" else e.code
    return ""
