# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""200 VMs that are as described, in one play: CPU per VM, against ordinary modules and against community.general's."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .peer import collections
from .playbooks import Playbooks, Task

VMS, ORDINARY = 200, 10
NETWORK, STORAGE = "Pool-wide network associated with eth0", "Local storage"


def ours(names: t.Sequence[str]) -> Task:
    options = {
        "template": "Debian Bookworm 12",
        "memory": "1 GiB",
        "disks": [{"size": "10 GiB", "sr": STORAGE}],
        "nics": [{"network": NETWORK}],
    }
    return {"domzero.xen.xen_vm": {"name": "{{ item }}", **options}, "loop": list(names)}


def theirs(names: t.Sequence[str], connection: Task) -> Task:
    address = {key: connection[key] for key in ("hostname", "password")}
    options = {"hardware": {"num_cpus": 1, "memory_mb": 1024}, "disks": [{"size_gb": 10, "sr": STORAGE}], "networks": [{"name": NETWORK}]}
    return {
        "community.general.xenserver_guest": {"name": "{{ item }}", **options, **address, "validate_certs": False},
        "loop": list(names),
    }


def measure() -> t.Iterator[dict[str, t.Any]]:
    names = [f"web{n:03}" for n in range(VMS)]
    with InProcess(site.build(site.of_hosts(1), speed=0)) as simulator:
        playbooks = Playbooks(simulator, collections=[collections()])
        playbooks.run(ours(names))
        item = playbooks.cost(ours(names))
        ordinary = playbooks.cost(ours(names[:ORDINARY]), in_process=False).cpu / ORDINARY
        peer = playbooks.cost(theirs(names[:ORDINARY], playbooks.connection)).cpu / ORDINARY
    yield {
        "cpu_ms": round(item.cpu / VMS * 1000, 2),
        "requests": round(item.requests / VMS, 2),
        "ordinary_cpu_ms": round(ordinary * 1000, 1),
        "peer_cpu_ms": round(peer * 1000, 1),
        "ratio_ordinary": round(item.cpu / VMS / ordinary, 4),
        "ratio": round(item.cpu / VMS / peer, 4),
    }
