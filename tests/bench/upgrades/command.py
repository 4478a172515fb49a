# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line plan-upgrade: reads an instance, prints a plan."""

from __future__ import annotations

import argparse
import json
import sys
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.planner.model import MIGRATE, NoPlan, Pool
from ansible_collections.domzero.xen.plugins.module_utils.planner.stages import stages
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan

from .formats import HOMES, policy_of, pool_of, written

HELP = """\
A plan for the rolling upgrade of a pool, as JSON on standard output:
  {"actions": [{"op": "migrate", "vm", "src", "dst"}, {"op": "upgrade", "host"}, {"op": "stop", "vm"}, {"op": "start", "vm", "host"}],
   "error": null}
The actions are valid one by one in this order. Where there is no plan, "actions" is empty and "error" says why, in words.
"""
STATUS = """\
Exit status: 0 if the question was answered, also where the answer is that there is no plan (look at "error");
2 if INSTANCE.json is no instance, with a line on standard error and nothing on standard output.
"""
GOAL = "moves (the default): as little memory is moved as may be; home: VMs end where they were; affinity: those with one end there"
STAGES = """\
which actions may run at once. waves (the default): each has the number of its stage, which begins when the one before has ended; all hosts
of a wave are upgraded in one. overlap: VMs leave the next hosts meanwhile. none: no numbers, the executor finds out from the order"""


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser("plan-upgrade", description=HELP, epilog=STATUS, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instance", metavar="INSTANCE.json", type=Path, help="the pool, where its VMs are, and the policy")
    parser.add_argument("--goal", choices=sorted(HOMES), default="moves", help=GOAL)
    parser.add_argument(
        "--max-hosts-down", type=int, default=1, metavar="K", help="hosts upgraded at once, after the coordinator; default 1"
    )
    parser.add_argument("--stages", choices=("none", "waves", "overlap"), default="waves", help=STAGES)
    options = parser.parse_args()
    try:
        instance = json.loads(options.instance.read_text())
        pool = pool_of(instance)
        known(pool, options.max_hosts_down)
        policy = policy_of(instance, options.goal, options.max_hosts_down)
    except OSError as e:
        return wrong(f"{options.instance}: {e.strerror}")
    except KeyError as e:
        return wrong(f"{options.instance}: {e} is missing or not known")
    except (ValueError, TypeError, AttributeError) as e:
        return wrong(f"{options.instance}: {e}")
    try:
        actions = plan(pool, policy).actions
    except NoPlan as e:
        answer: dict[str, t.Any] = {"actions": [], "error": str(e)}
    else:
        apart = [actions] if options.stages == "none" else stages(pool, actions, policy.max_hosts_down, overlap=options.stages == "overlap")
        most = policy.max_parallel_migrations
        limits = {number: most for number, stage in enumerate(apart) if most and any(action.op == MIGRATE for action in stage)}
        answer = written(apart, limits)
    json.dump(answer, sys.stdout, indent=1)
    print()
    return 0


def known(pool: Pool, hosts_down: int) -> None:
    """Raises ValueError for an instance that does not hold together."""
    hosts = {host.id for host in pool.hosts}
    if len(hosts) < len(pool.hosts) or len({vm.id for vm in pool.vms}) < len(pool.vms):
        raise ValueError("two hosts, or two VMs, have the same id")
    if pool.coordinator not in hosts:
        raise ValueError(f"the coordinator {pool.coordinator} is none of the hosts")
    lost = next((vm for vm in pool.vms if vm.host not in hosts), None)
    if lost:
        raise ValueError(f"VM {lost.id} is on host {lost.host}, which is none of the hosts")
    if hosts_down < 1:
        raise ValueError("--max-hosts-down has to be at least 1")


def wrong(text: str) -> int:
    print(f"plan-upgrade: {text}", file=sys.stderr)
    return 2
