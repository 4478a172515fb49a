# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about 2,000 VMs: xen_info for all of them against community.general's xenserver_guest_info for a sample."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from . import peer, pools
from .playbooks import Playbooks

VMS = 2000
SAMPLE = 10
# what the peer tells of a VM
QUERY = """[].{
  name: name_label, description: name_description, uuid: uuid, state: power_state, affinity: affinity.name_label,
  folder: other_config.folder,
  cpus: VCPUs_max, memory: memory_dynamic_max, platform: platform, other_config: other_config, xenstore_data: xenstore_data,
  disks: VBDs[?type == 'Disk'].{name: VDI.name_label, description: VDI.name_description, size: VDI.virtual_size, sr: VDI.SR.name_label,
    sr_uuid: VDI.SR.uuid, device: userdevice},
  networks: VIFs[].{name: network.name_label, mac: MAC, device: device, mtu: MTU}, addresses: guest_metrics.networks
}"""


def measure() -> t.Iterator[dict[str, t.Any]]:
    with InProcess(pools.with_vms(VMS)) as simulator:
        playbooks = Playbooks(simulator, collections=[peer.collections()])
        conditions = {"is_a_template": False, "is_control_domain": False}
        ours = {"domzero.xen.xen_info": {"class": "VM", "filter": conditions, "fields": ["uuid"], "query": QUERY}, "register": "ours"}
        all_there = {
            "ansible.builtin.assert": {"that": [f"ours.result | length == {VMS}", "ours.result[0].disks[0].sr == 'Local storage'"]}
        }
        cost = playbooks.cost(ours, all_there)
        login = {"hostname": simulator.hosts[0].url, "password": simulator.password, "validate_certs": False}
        theirs = {
            "community.general.xenserver_guest_info": {**login, "name": "vm-{{ '%04d' | format(item * 199) }}"},
            "loop": list(range(SAMPLE)),
        }
        peers = playbooks.cost(theirs)
    per_vm, peer_per_vm = cost.seconds / VMS, peers.seconds / SAMPLE
    yield {
        "vms": VMS,
        "requests": cost.requests,
        "seconds_per_vm": round(per_vm, 6),
        "peer_requests_per_vm": peers.requests / SAMPLE,
        "peer_seconds_per_vm": round(peer_per_vm, 4),
        "ratio": round(peer_per_vm / per_vm, 1),
    }
