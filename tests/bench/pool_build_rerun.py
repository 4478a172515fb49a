# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second, unchanged run of the role pool_build on pools of 3, 8 and 16 hosts: calls and CPU seconds for each host."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .playbooks import Cost, Playbooks, Task, best

SIZES = (3, 8, 16)
FILER = "172.16.0.10"


def measure() -> t.Iterator[dict[str, t.Any]]:
    for size in SIZES:
        with InProcess(site.build(site.of_hosts(size), speed=0)) as simulator:
            playbooks = Playbooks(simulator)
            play = {"hosts": "localhost", "gather_facts": False, "roles": ["domzero.xen.pool_build"], "vars": variables(simulator)}
            playbooks.run_plays([play])
            mark = simulator.mark()
            again = best([playbooks.run_plays([play]) for _run in range(2)]) - best([playbooks.run() for _run in range(2)])
            if simulator.calls(mark):
                raise RuntimeError(f"the second run made changing calls: {[call['method'] for call in simulator.calls(mark)]}")
        yield {"hosts": size, "requests": again.requests, "cpu_seconds": round(again.cpu, 2), **per_host(again, size)}


def per_host(cost: Cost, size: int) -> dict[str, float]:
    return {"requests_per_host": round(cost.requests / size, 1), "cpu_seconds_per_host": round(cost.cpu / size, 3)}


def variables(simulator: InProcess) -> Task:
    """Three networks, an address for each host on the storage side, a filer and an ISO library."""
    storage = [{"network": "Storage", "mode": "static", "netmask": "255.255.255.0"}]
    hosts = [
        {"name": h.name, "address": f"{h.address}:{h.port}", "addresses": [{**storage[0], "ip": f"172.16.0.{100 + n}"}]}
        for n, h in enumerate(simulator.hosts)
    ]
    return {
        "pool_build_password": simulator.password,
        "pool_build_fingerprint": [h.fingerprint_sha256 for h in simulator.hosts],
        "pool_build_pool": {"name": "Bench", "default_sr": "VM disks"},
        "pool_build_hosts": hosts,
        "pool_build_networks": [
            {"name": "Management", "nic": "eth0"},
            {"name": "Storage", "nic": "eth1", "mtu": 9000},
            {"name": "Guests", "vlan": {"tag": 100, "network": "Management"}},
        ],
        "pool_build_storage": [
            {"name": "VM disks", "type": "nfs", "server": FILER, "path": "/export/vms"},
            {"name": "ISO library", "type": "iso", "location": f"{FILER}:/export/iso"},
        ],
    }
