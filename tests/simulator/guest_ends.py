# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that end by themselves, as an installer or the first run of cloud-init does (xen-api: ocaml/xapi/xapi_xenops.ml).

A VM's ``xenstore_data`` says so: ``vm-data/sim-poweroff`` or ``vm-data/sim-reboot``, seconds after its start. What becomes of it is
``actions_after_shutdown`` or ``actions_after_reboot``: with ``destroy`` it is halted, otherwise the guest starts again.
"""

from __future__ import annotations

import typing as t

from . import vm_running
from .agenda import scheduled

if t.TYPE_CHECKING:
    from .database import Database
    from .world import World

ENDS = {"vm-data/sim-poweroff": "actions_after_shutdown", "vm-data/sim-reboot": "actions_after_reboot"}


def awaited(world: World, db: Database, vm: str) -> None:
    """The guest's processors turn: its end is due some time later."""
    record = db.get("VM", vm)
    pool = next(pool for pool in world.pools if pool.db is db).name
    for key, field in ENDS.items():
        seconds = record["xenstore_data"].get(key)
        if seconds is not None:
            world.after(float(seconds), "guest ends", pool=pool, vm=vm, domain=record["domid"], field=field)


@scheduled("guest ends")
def ends(world: World, pool: str, vm: str, domain: int, field: str) -> None:
    """Unless it is gone, or another start of it runs."""
    from . import power_states  # which leads back here

    db = next((p.db for p in world.pools if p.name == pool), None)
    if not db or not db.exists("VM", vm):
        return
    record = db.get("VM", vm)
    if (record["domid"], record["power_state"]) == (domain, "Running") and record[field] == "destroy":
        power_states.to_halted(db, vm)
        vm_running.refresh(db, vm)
