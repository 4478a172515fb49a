# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which software a host runs, and which it will run after its next start; what a pool of different versions does.

Rules: xen-api ocaml/xapi/create_misc.ml, xapi.ml (the coordinator's version), xapi_ha/db_gc.ml (rolling_upgrade_in_progress).
"""

from __future__ import annotations

import typing as t

from . import evacuation, hosts, operations, releases, schema, updates, vm_running

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, Pool, World

WITH_THE_AGENT = ("xapi", "xapi_build", "git_id", "db_schema")  # the rest changes with a boot
NEXT = "next_software"  # in Machine.state: keys of software_version that are on the disk already
MEDIUM = "install_from"  # in Machine.state: the address of the installer the next boot starts
NEW_RELEASE = "new_release"  # in Machine.state: installed, and the pool has not heard of it
INSTALLATION = 900.0  # virtual seconds an installer takes
KEY = "rolling_upgrade_in_progress"
BLOCKED = "XAPI_STARTUP_BLOCKED_AS_VERSION_HIGHER_THAN_COORDINATOR"


def put_on_disk(machine: Machine, software: t.Mapping[str, str]) -> None:
    """Takes effect with the next start of the toolstack or of the host."""
    machine.state[NEXT] = {**machine.state.get(NEXT, {}), **software}


def boot_takes(machine: Machine) -> float:
    """Virtual seconds more than a plain boot."""
    late = machine.world.faults.slow_boots.pop(machine.name, 0.0)
    return late + (INSTALLATION if machine.state.get(MEDIUM) else 0.0)


def started(machine: Machine, *, rebooted: bool) -> None:
    """What was put on the disk runs now; an installer has put a whole release there."""
    if rebooted:
        machine.state.pop(updates.BUSY, None)
    if rebooted and MEDIUM in machine.state:
        _install(machine, machine.state.pop(MEDIUM))
    waiting: dict[str, str] = machine.state.pop(NEXT, {})
    now = {key: value for key, value in waiting.items() if rebooted or key in WITH_THE_AGENT}
    if later := {key: value for key, value in waiting.items() if key not in now}:
        machine.state[NEXT] = later
    if now:
        machine.product = {**machine.product, "software_version": {**machine.product["software_version"], **now}}


def _install(machine: Machine, url: str) -> None:
    """The medium's release instead of what was there; the settings of the host survive."""
    medium = machine.world.updates.installer(url)
    if medium is None:
        return
    release, kept = releases.release(medium.release), ("drivers", "templates", "edition")
    machine.product = {**release, **{key: machine.product[key] for key in kept if key in machine.product}}
    machine.product["software_version"] = {**release["software_version"], **medium.software}
    for key in (NEXT, updates.INSTALLED, updates.APPLIED):
        machine.state.pop(key, None)
    machine.state[NEW_RELEASE] = True
    db = machine.pool.db
    if db.exists("host", machine.host_ref):
        db.set("host", machine.host_ref, updates=[], updates_requiring_reboot=[])


def show(machine: Machine) -> None:
    """The host's record tells what it runs; with the coordinator's release the pool gets its data model."""
    db, product = machine.pool.db, machine.product
    told = db.get("host", machine.host_ref)["software_version"]
    software = {**product["software_version"], **{key: told[key] for key in ("hostname",) if key in told}}
    major, minor = product["api_version"]
    changes = {"software_version": software, "API_version_major": major, "API_version_minor": minor}
    if any(db.get("host", machine.host_ref)[field] != value for field, value in changes.items()):
        db.set("host", machine.host_ref, **changes)
    if machine.state.pop(NEW_RELEASE, False) and machine.is_coordinator and machine.world.release is not None:
        _show_model(machine.world, machine.product.get("model"))


def _show_model(world: World, model: str | None) -> None:
    """The data model of the release, if it is newer."""
    if model is None or schema.release_index(model, world.schema.releases) > world.schema.release:
        world.show_release(model)


def too_new(machine: Machine) -> bool:
    """Whether a member's toolstack is newer than its coordinator's, so that it may not start."""
    if machine.is_coordinator:
        return False
    versions = (one.product["software_version"].get("xapi_build", "") for one in (machine, machine.pool.coordinator))
    mine, its = map(evacuation.as_numbers, versions)
    return mine > its


def complain(machine: Machine) -> None:
    """A member that may not start leaves a message."""
    db, version = machine.pool.db, machine.product["software_version"].get("xapi_build", "")
    name = db.get("host", machine.host_ref)["name_label"]
    text = f"Xapi startup in pool member {name} is blocked as its xapi version ({version}) is higher than xapi version in pool coordinator."
    hosts.alert(db, machine.world.clock.iso(), BLOCKED, "Host", db.get("host", machine.host_ref)["uuid"], text, priority=2)


def note_upgrade(pool: Pool) -> None:
    """pool.other_config tells while the hosts' platforms differ; VMs allow other operations then."""
    db, ref = pool.db, pool.pool_ref
    differ = len({host["software_version"].get("platform_version", "") for host in db.all("host").values()}) > 1
    if differ == operations.upgrading(db):
        return
    if differ:
        db.add_to_map("pool", ref, "other_config", KEY, "true")
    else:
        db.remove_from_map("pool", ref, "other_config", KEY)
    _refresh(db)


def _refresh(db: Database) -> None:
    for vm, record in list(db.all("VM").items()):
        if not record["is_a_template"]:
            vm_running.refresh_vm(db, vm)
    operations.refresh_pool(db)
