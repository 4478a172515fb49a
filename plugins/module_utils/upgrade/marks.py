# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the live pool does not tell by itself, noted at the objects it is about (other_config), before that is done.

Each mark is written and taken off by one call, so whoever is interrupted leaves either the old state or the new one.
"""

from __future__ import annotations

import typing as t

from ..plan import Plan
from ..refs import Record

HOME = "domzero.xen:home"  # VM: uuid of the host it is to be brought back to
STOPPED = "domzero.xen:stopped"  # VM: "shutdown" or "suspend" and the uuid of the host it ran on
DISC = "domzero.xen:disc"  # VBD: uuid of the VDI that was ejected
UPGRADED = "domzero.xen:upgraded"  # host: id of the run that finished it

SHUTDOWN, SUSPEND = "shutdown", "suspend"


class Stopped(t.NamedTuple):
    """How a VM was stopped (shutdown or suspend), and the uuid of the host it ran on."""

    how: str
    host: str


def home(vm: Record) -> str:
    """The uuid of the host a VM is to be brought back to; "" for none."""
    return str(vm["other_config"].get(HOME, ""))


def stopped(vm: Record) -> Stopped | None:
    """How a VM was stopped by us, if it was."""
    how, _space, host = str(vm["other_config"].get(STOPPED, "")).partition(" ")
    return Stopped(how, host) if how in (SHUTDOWN, SUSPEND) and host else None


def disc(vbd: Record) -> str:
    """The uuid of the VDI that was ejected from a drive; "" for none."""
    return str(vbd["other_config"].get(DISC, ""))


def upgraded(host: Record) -> str:
    """The id of the run that finished a host; "" for none."""
    return str(host["other_config"].get(UPGRADED, ""))


# planning ----------------------------------------------------------------------------------------------------------
def write(plan: Plan, cls: str, ref: str, record: Record, key: str, value: str, *, label: str) -> None:
    """The mark is set to the value. One with another value is taken off first."""
    have = record["other_config"].get(key)
    if have == value:
        return
    if have is not None:
        plan.add(f"{cls}.remove_from_other_config", ref, key, what=f"remove {key} from other_config of {label}")
    plan.add(f"{cls}.add_to_other_config", ref, key, value, what=f"note {key} in other_config of {label}")


def take_off(plan: Plan, cls: str, ref: str, record: Record, key: str, *, label: str) -> None:
    """The mark goes, if it is there."""
    if key in record["other_config"]:
        plan.add(f"{cls}.remove_from_other_config", ref, key, what=f"remove {key} from other_config of {label}")
