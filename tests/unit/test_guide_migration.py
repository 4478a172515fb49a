# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to moving VMs are run; the second time they change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_migration"
PREPARED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_sr: {name: "{{ item.name }}", type: nfs, server: 127.50.0.5, path: "{{ item.path }}"}
      loop: [{name: NFS vms, path: /export/east}, {name: NFS fast, path: /export/east2}]
    - domzero.xen.xen_network: {name: Storage, nic: eth1}
    - domzero.xen.xen_pif: {host: east1, network: Storage, mode: static, ip: 127.51.0.11/24}
    - domzero.xen.xen_vm:
        name: "{{ item }}"
        template: Other install media
        memory: 4 GiB
        xenstore_data: {vm-data/sim-agent: 10.40.0.9}
      loop: [web1, db1, mail, app1, app2]
    - domzero.xen.xen_vm: {name: legacy, template: Other install media, power_state: running, host: east0}
    - domzero.xen.xen_vdi:
        name: "{{ item[0] }}-{{ item[1] }}"
        size: 1 GiB
        sr: NFS vms
        attached_to: [{vm: "{{ item[0] }}", position: "{{ item[2] }}"}]
      loop: [[web1, root, 0], [db1, root, 0], [db1, data, 1], [mail, root, 0]]
    - domzero.xen.xen_vm: {name: "{{ item }}", power_state: running, host: east0}
      loop: [web1, db1, app1, app2]
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_sr:
        name: NFS west
        type: nfs
        server: 127.50.0.5
        path: /export/west
        hostname: "{{ lookup('ansible.builtin.env', 'WEST_HOST') }}"
        fingerprint: "{{ lookup('ansible.builtin.env', 'WEST_FINGERPRINT') }}"
"""


@pytest.mark.slow
def test_the_playbooks_of_the_guide_run_and_change_nothing_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    (tmp_path / "prepare.yml").write_text(PREPARED)
    with Simulator("--site", "two-pools", "--speed", "0") as simulator:
        east, _member, west = simulator.ready["hosts"]
        password = simulator.ready["password"]
        for pool, host in (("XEN", east), ("WEST", west)):
            reached = {"HOST": host["url"], "PASSWORD": password, "FINGERPRINT": host["fingerprint_sha256"]}
            for name, value in reached.items():
                monkeypatch.setitem(ENVIRONMENT, f"{pool}_{name}", value)
        terminal = Terminal(tmp_path)
        terminal.run("ansible-playbook prepare.yml")
        shown = [block.name for block in blocks(PAGE) if block.name.endswith(".yml")]
        assert shown == ["move.yml", "ask.yml", "storage.yml", "other_pool.yml", "balance.yml"]
        for name in shown:
            first = terminal.run(f"ansible-playbook {name}")
            if name == "ask.yml":  # it only asks, again and again
                assert "VM_LACKS_FEATURE" in first
                continue
            assert "changed=0" not in first
            assert "changed=0" in terminal.run(f"ansible-playbook {name}"), name
        simulator.ctl("check")
