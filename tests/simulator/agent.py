# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolstack of a host going away and coming back: restart, reboot, power-off, power-on.

A call that takes a host away is answered first; the host leaves a virtual second later. When it answers again it is still disabled, and
not live in the eyes of a coordinator that has not heard of it; the end of its start-up enables it.
Rules: xen-api ocaml/xapi/xapi_host.ml, xapi_fuse.ml, xapi_pool.ml (hello), xapi_host_helpers.ml (consider_enabling_host).
"""

from __future__ import annotations

import typing as t

from . import db_restore, fresh_pool, guests, hosts, member_start, memory, power_states, software, vm_running
from .modeltypes import NULL
from .operations import refresh_host
from .world import scheduled

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, World

ANSWER_SENT = 1.0  # virtual seconds until a host that was told to leave does
BOOT = 120.0  # from power to a toolstack that answers, where the site says nothing else
BOOT_SECONDS = "boot_seconds"  # in Machine.state
RESTART = 10.0  # the toolstack alone
START_UP = 20.0  # from the first answer to an enabled host
STAYS_DISABLED = "stays_disabled"  # in Machine.state: host.disable without auto_enable
LEAVING = "leaving"  # in Machine.state: told to reboot or shut down
BOOTED = "booted"  # in Machine.state: when, until the start-up is over
BOOT_FULFILS = ("restart_toolstack", "reboot_host", *(f"reboot_host_on_{kind}livepatch_failure" for kind in ("", "kernel_", "xen_")))
AFTER_BOOT = {"disable_on_reboot": "disabled", "enable_on_reboot": "enabled"}  # host.display
STARTING = "starting"  # in Machine.state: answers, but its start-up is not over


def restart(machine: Machine, delay: float = ANSWER_SENT) -> None:
    """The toolstack ends and starts again; what the host has plugged stays."""
    machine.world.after(delay, "agent leaves", machine=machine.name, back=RESTART, rebooted=False)


def reboot(machine: Machine) -> None:
    """The host is away for as long as a boot takes."""
    _leave(machine, boot_seconds(machine))


def boot_seconds(machine: Machine) -> float:
    """From power to a toolstack that answers."""
    return float(machine.state.get(BOOT_SECONDS, BOOT)) + software.boot_takes(machine)


def power_off(machine: Machine) -> None:
    """The host is away until somebody powers it on."""
    _leave(machine, None)


def _leave(machine: Machine, back: float | None) -> None:
    machine.state[LEAVING] = True
    machine.world.after(ANSWER_SENT, "agent leaves", machine=machine.name, back=back, rebooted=True)


def power_on(machine: Machine) -> None:
    """A boot begins, unless the host is on."""
    if machine.power == "off":
        machine.power = "booting"
        machine.world.after(boot_seconds(machine), "agent starts", machine=machine.name, rebooted=True)


@scheduled("agent leaves")
def agent_leaves(world: World, machine: str, back: float | None, rebooted: bool) -> None:
    """The endpoint closes, sessions end, the pool sees the host as not live."""
    leaving = world.machines[machine]
    leaving.go_down()
    leaving.state.pop(STARTING, None)
    db = leaving.pool.db
    if db.exists("host", leaving.host_ref):
        hosts.set_live(db, leaving.host_ref, False, world.clock.iso())
        if rebooted:
            halt_guests(db, leaving.host_ref)
        refresh_host(db, leaving.host_ref)
    if back is not None:
        leaving.power = "booting"
        world.after(back, "agent starts", machine=machine, rebooted=rebooted)


@scheduled("agent starts")
def agent_starts(world: World, machine: str, rebooted: bool) -> None:
    """The endpoint listens again. A member waits for its coordinator; a coordinator wakes the members that waited."""
    starting = world.machines[machine]
    if not world.faults.stays_down(machine):
        db_restore.take_effect(starting, rebooted=rebooted)
    if not starting.pool.db.exists("host", starting.host_ref):
        starting.power = "off"  # removed from its pool while it was away: only a new installation brings it back
        return
    if not world.faults.stays_down(machine):
        software.started(starting, rebooted=rebooted)
    starting.come_up()
    if starting.power != "on":
        return
    starting.state.pop(LEAVING, None)
    if rebooted:
        starting.state.pop(guests.LAST_DOMAIN, None)
        starting.state[BOOTED] = world.clock.now()
    if starting.is_coordinator:
        say_hello(starting)
        for member in starting.pool.machines:
            if member is not starting and member.power == "on" and not hosts.is_live(member.pool.db, member.host_ref):
                _join_in(member)
    elif starting.pool.coordinator.power == "on":
        _join_in(starting)


def _join_in(member: Machine) -> None:
    """A member that is newer than its coordinator has to wait for it."""
    if member.emergency:
        software.complain(member)
    else:
        say_hello(member)


def say_hello(machine: Machine) -> None:
    """The coordinator learns that the host is back: disabled first, then live; its start-up ends later."""
    db = machine.pool.db
    machine.state[STARTING] = True
    db.set("host", machine.host_ref, enabled=False)
    software.show(machine)
    hosts.set_live(db, machine.host_ref, True, machine.world.clock.iso())
    db.set("host_metrics", db.get("host", machine.host_ref)["metrics"], memory_total=machine.memory)
    refresh_host(db, machine.host_ref)
    machine.world.after(START_UP, "agent started", machine=machine.name)


@scheduled("agent started")
def agent_started(world: World, machine: str) -> None:
    """Interfaces and storage are in place; the host takes guests again, unless it was disabled for good."""
    started = world.machines[machine]
    if started.power != "on" or not started.state.pop(STARTING, False):
        return
    booted = started.state.pop(BOOTED, None)
    db, host = started.pool.db, started.host_ref
    member_start.run(started, rebooted=booted is not None)
    fresh_pool.level_cpus(db)
    _note_memory(started)
    db.set("host", host, enabled=not started.state.get(STAYS_DISABLED))
    db.add_to_map("host", host, "other_config", "agent_start_time", f"{world.clock.now():.0f}.")
    if booted is not None:
        db.add_to_map("host", host, "other_config", "boot_time", f"{booted:.0f}.")
        display = db.get("host", host)["display"]
        db.set("host", host, display=AFTER_BOOT.get(display, display), updates_requiring_reboot=[])
    software.note_upgrade(started.pool)
    _fulfil_guidances(db, host, {"restart_toolstack"} if booted is None else BOOT_FULFILS)
    refresh_host(db, host)


def _fulfil_guidances(db: Database, host: str, done: t.Collection[str]) -> None:
    """What updates asked for and has happened now (xen-api: ocaml/xapi/updateinfo.ml, xapi_host.ml)."""
    for field in ("pending_guidances", "pending_guidances_recommended", "pending_guidances_full"):
        if pending := db.get("host", host)[field]:
            db.set("host", host, **{field: [guidance for guidance in pending if guidance not in done]})


def _note_memory(machine: Machine) -> None:
    db, metrics = machine.pool.db, machine.host_record()["metrics"]
    if db.exists("host_metrics", metrics):
        db.set("host_metrics", metrics, memory_total=machine.memory)
        db.set("host_metrics", metrics, memory_free=memory.free(db, machine.host_ref))


def halt_guests(db: Database, host: str) -> None:
    """What ran on a host that is gone runs no more; guests that were on their way to it are not."""
    for ref, vm in list(db.all("VM").items()):
        if vm["is_control_domain"]:
            continue
        if vm["resident_on"] == host:
            power_states.to_halted(db, ref)
            db.set("VM", ref, current_operations={})
            vm_running.refresh(db, ref)
        elif vm["scheduled_to_be_resident_on"] == host:
            db.set("VM", ref, scheduled_to_be_resident_on=NULL)
