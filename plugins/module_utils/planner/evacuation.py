# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan to empty one host, such as for its maintenance: other VMs may move where that makes room."""

from __future__ import annotations

from dataclasses import replace

from .model import START, UPGRADE, NoPlan, Plan, Policy, Pool
from .upgrade import plan


def evacuation(pool: Pool, host: str, policy: Policy, *, passing: bool = False) -> Plan:
    """Migrations, and stops of VMs that cannot be moved if the policy lets them be shut down or suspended. Raises NoPlan.

    host: by id. passing: whether VMs of other hosts may come and go again where nothing else makes room, so that the host must not be
    disabled before. What the pool says of targets and of hosts that are due does not matter here.
    """
    this = next(each for each in pool.hosts if each.id == host)
    hosts = tuple(
        replace(each, due=each.id == host, evacuate=True, usable=each.usable and (passing or each.id != host)) for each in pool.hosts
    )
    found = plan(replace(pool, hosts=hosts, target=this.version, only=None), replace(policy, return_home="never", max_hosts_down=1))
    if found.skipped:
        raise NoPlan(f"{found.skipped[host]}. Shut them down first, or let unmovable be shutdown or suspend.")
    return replace(found, actions=[action for action in found.actions if action.op not in (UPGRADE, START)], waves=[])
