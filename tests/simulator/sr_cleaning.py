# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What deleted disks leave of their chains is cleaned up some time later, in the background (xapi-project/sm cleanup.py)."""

from __future__ import annotations

import typing as t

from . import sr_scan, storage_attach
from .agenda import scheduled
from .behaviours.sr_types import driver_of
from .errors import Fault

if t.TYPE_CHECKING:
    from .behaviours.sr_types import Context, Driver
    from .world import World

ACTION = "disks coalesce"
PAUSE = 30.0  # virtual seconds before it begins; a real one waits five minutes
BYTES_PER_SECOND = 200 << 20


def kick(driver: Driver, ctx: Context) -> None:
    """There may be something to do in an SR."""
    world, uuid = ctx.machine.world, ctx.sr_uuid
    waiting = any(entry["action"] == ACTION and entry["args"]["sr"] == uuid for entry in world.agenda)
    if not waiting and driver.garbage(ctx):
        world.after(PAUSE, ACTION, sr=uuid)


@scheduled(ACTION)
def clean(world: World, sr: str) -> None:
    """One step; the next one follows when this one would have been done. An SR nobody has attached waits for its next scan."""
    for pool in world.pools:
        for ref in pool.db.find("SR", uuid=sr):
            try:
                machine, pbd = storage_attach.working_machine(pool.coordinator, ref)
                ctx = storage_attach.context(machine, pbd)
                driver = driver_of(ctx.db, ctx.type)
                moved = driver.coalesce(ctx)
            except Fault:
                continue
            if moved is not None:
                sr_scan.follow(ctx.db, ref, driver, ctx)
                world.after(moved / BYTES_PER_SECOND, ACTION, sr=sr)
                return
