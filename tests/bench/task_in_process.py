# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an unchanged task costs in the Ansible process, as tasks one after another and as items of a loop, against an ordinary module."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .playbooks import Playbooks

TASKS, ITEMS, ORDINARY = 50, 200, 10


def measure() -> t.Iterator[dict[str, t.Any]]:
    task = {"domzero.xen.xen_network": {"name": "storage", "mtu": 9000, "description": "NFS and iSCSI"}}
    with InProcess(site.build(site.of_hosts(1), speed=0)) as simulator:
        playbooks = Playbooks(simulator)
        playbooks.run(task)
        tasks = playbooks.cost(*[task] * TASKS).cpu / TASKS
        items = playbooks.cost({**task, "loop": list(range(ITEMS))}).cpu / ITEMS
        ordinary = playbooks.cost(*[task] * ORDINARY, in_process=False).cpu / ORDINARY
    yield {
        "cpu_ms": round(tasks * 1000, 2),
        "cpu_ms_per_item": round(items * 1000, 2),
        "peer_cpu_ms": round(ordinary * 1000, 1),
        "ratio": round(tasks / ordinary, 4),
        "ratio_per_item": round(items / ordinary, 4),
    }
