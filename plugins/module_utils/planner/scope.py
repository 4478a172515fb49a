# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade is about: the hosts that are emptied, those that are not, and those that are left out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .model import Host, NoPlan, Policy, Pool


@dataclass
class Scope:
    """Hosts by id, in the order of the pool. evacuated: upgraded once empty; in_place: upgraded as they are; skipped: with the reason."""

    evacuated: list[str]
    in_place: list[str]
    skipped: dict[str, str] = field(default_factory=dict)


def scope(pool: Pool, policy: Policy) -> Scope:
    """Raises NoPlan where the policy has no answer to VMs that cannot be moved, or the coordinator would not be first."""
    due = [host for host in pool.hosts if _due(pool, host)]
    held = _held(pool, {host.id for host in due if host.evacuate})
    if policy.unmovable == "fail" and held:
        each = "; ".join(f"on host {host}: {', '.join(names)}" for host, names in sorted(held.items()))
        raise NoPlan(f"VMs cannot be moved: {each}. Shut them down first, or let unmovable be shutdown, suspend or skip_host.")
    out = Scope([host.id for host in due if host.evacuate], [host.id for host in due if not host.evacuate])
    if policy.unmovable == "skip_host":
        out.skipped = {host: f"VMs on it cannot be moved: {', '.join(names)}" for host, names in held.items()}
        out.evacuated = [host for host in out.evacuated if host not in held]
    _coordinator_first(pool, out, held)
    out.in_place.sort(key=lambda host: host != pool.coordinator)
    return out


def _due(pool: Pool, host: Host) -> bool:
    due = host.version < pool.target if host.due is None else host.due
    return due and (pool.only is None or host.id in pool.only)


def _held(pool: Pool, hosts: t.Container[str]) -> dict[str, list[str]]:
    """VMs that cannot be moved, by host."""
    held: dict[str, list[str]] = {}
    for vm in pool.vms:
        if not vm.movable and vm.host in hosts:
            held.setdefault(vm.host, []).append(f"{vm.id} ({vm.reason})" if vm.reason else vm.id)
    return held


def _coordinator_first(pool: Pool, found: Scope, held: dict[str, list[str]]) -> None:
    """No member may be newer than the coordinator."""
    hosts = {host.id: host for host in pool.hosts}
    upgraded = [*found.evacuated, *found.in_place]
    newer = [name for name in upgraded if hosts[name].version < pool.target]
    if not newer or pool.coordinator in upgraded or hosts[pool.coordinator].version >= pool.target:
        return
    if pool.coordinator in found.skipped:
        why = (
            f"VMs on it cannot be moved: {', '.join(held[pool.coordinator])}. Shut them down first, or let unmovable be shutdown or suspend"
        )
    else:
        why = f"it is not among the hosts to upgrade. Upgrade it as well as {newer[0]}"
    raise NoPlan(f"The coordinator {pool.coordinator} has to be upgraded before any other host, and {why}.")
