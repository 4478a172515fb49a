# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to VMs are run; the second time they change nothing, but for the one that goes through all power states."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_vms"
PREPARED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_network: {name: VM traffic, nic: eth1}
    - domzero.xen.xen_network: {name: Internal}
    - domzero.xen.xen_sr: {name: NFS, type: nfs, server: 127.40.0.10, path: /export/vms, default: true}
    - domzero.xen.xen_sr: {name: Fast, type: nfs, server: 127.40.0.10, path: /export/more}
    - domzero.xen.xen_sr: {name: ISOs, type: iso, location: "127.40.0.10:/export/iso", scan: true}
    - ansible.builtin.command: truncate -s 64M {{ playbook_dir }}/cloud.raw
    - domzero.xen.xen_template: {name: Debian 12 cloud, image: "{{ playbook_dir }}/cloud.raw"}
    - domzero.xen.xen_vdi: {name: "{{ item }}", size: 1 GiB, sr: NFS}
      loop: [reference data, older data]
    - domzero.xen.xen_vms:
        vms:
          - {name: db01, template: Debian 12 cloud, memory: 4 GiB, disks: [{name: db01 system}], power_state: running, wait_for: tools}
          - {name: db02, template: Debian 12 cloud, memory: 4 GiB, vcpus: 2, vcpus_max: 4, power_state: running, wait_for: tools}
          - {name: win01, template: Windows 11, cd: {}}
          - {name: win02, template: Other install media, cd: {}}
          - {name: win03, template: Other install media, cd: {}}
          - {name: app02, template: Debian 12 cloud, cloud_init: {user_data: {packages: [nginx]}}}
          - {name: app03, template: Debian 12 cloud}
          - {name: legacy01, template: Debian 12 cloud, domain_type: pv, pv_bootloader: pygrub}
          - {name: legacy02, template: Debian 12 cloud}
          - {name: worker0, template: Debian 12 cloud}
          - {name: old01, template: Debian 12 cloud, power_state: running, wait_for: tools}
    - domzero.xen.xen_vm:
        name: files02
        template: Debian 12 cloud
        disks:
          - {name: files02 system}
          - {name: files02 data, size: 100 GiB, keep: true}
          - {name: files02 scratch, size: 10 GiB}
          - {vdi: older data, mode: ro}
    - domzero.xen.xen_snapshot: {vm: "{{ item }}", name: before upgrade}
      loop: [db01, old01]
"""
CHANGING = "power.yml"  # every time


@pytest.mark.slow
def test_the_playbooks_of_the_guide_run_and_change_nothing_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    (tmp_path / "prepare.yml").write_text(PREPARED)
    shown = [block.name for block in blocks(PAGE) if block.name.endswith(".yml")]
    assert len(shown) == 16
    with Simulator("--site", "examples", "--speed", "0") as simulator:
        host = simulator.ready["hosts"][0]
        reached = {"XEN_HOST": host["url"], "XEN_PASSWORD": simulator.ready["password"], "XEN_FINGERPRINT": host["fingerprint_sha256"]}
        for name, value in reached.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        terminal = Terminal(tmp_path)
        twice = [name for name in shown for _again in range(2)]
        said = terminal.run(" ".join(["ansible-playbook", "prepare.yml", *twice]))
        simulator.ctl("check")
    counts = [int(count) for count in re.findall(r"changed=(\d+)", said)]  # each recap counts from the first playbook on
    changed = [after > before for before, after in itertools.pairwise(counts)]
    assert dict(zip([f"{name} {n % 2 + 1}" for n, name in enumerate(twice)], changed, strict=True)) == {
        f"{name} {time}": time == 1 or name == CHANGING for name in shown for time in (1, 2)
    }
