# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only looks, at devices and pools."""

from __future__ import annotations

from .commands import command, read
from .devices import BLOCK_HEADER, NIC_HEADER, block_line, nic_line, vdev_number
from .errors import Failed
from .life import say
from .listing import some
from .state import Host, domain_named


@command("block-list")
def block_list(host: Host, words: list[str]) -> int:
    print(BLOCK_HEADER)
    with host.locked() as state:
        for word in words:
            domain = domain_named(state, word)
            if domain is None:
                if word not in ("0", "Domain-0"):
                    say(f"{word} is an invalid domain identifier")
                continue
            for place, disk in enumerate(domain["config"].get("disks", [])):
                print(block_line(domain["domid"], vdev_number(disk["vdev"]), place, 4))
    return 0


@command("network-list")
def network_list(host: Host, words: list[str]) -> int:
    print(NIC_HEADER)
    with host.locked() as state:
        for word in words:
            domain = domain_named(state, word)
            if domain is None:
                if word not in ("0", "Domain-0"):
                    raise Failed(1, f"{word} is an invalid domain identifier (rc=-6)")
                continue
            for place, nic in enumerate(domain["config"].get("nics", [])):
                print(nic_line(domain["domid"], nic, place, 4))
    return 0


@command("cpupool-list")
def cpupool_list(host: Host, words: list[str]) -> int:
    options, rest = read(words, "c cpus")
    with host.locked() as state:
        pools, names = state["cpupools"], [d["config"]["c_info"].get("pool_name", "Pool-0") for d in some(state, [])]
    if rest:
        pools = [pool for pool in pools if pool["name"] in rest]
        if not pools:
            raise Failed(1, f"Pool '{rest[0]}' does not exist")
    print(f"{'Name':<19}{'CPU list' if options else 'CPUs   Sched     Active   Domain count'}")
    for pool in pools:
        if options:
            print(f"{pool['name']:<19}{','.join(map(str, pool['cpus']))}")
        else:
            print(f"{pool['name']:<19}{len(pool['cpus']):>3} {pool['sched']:>9}{'y':>8}{names.count(pool['name']):>11}")
    return 0
