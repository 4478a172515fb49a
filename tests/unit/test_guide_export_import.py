# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to exports are run; the second time they change nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_export_import"
PREPARED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_sr: {name: "{{ item.name }}", type: nfs, server: 127.50.0.5, path: "{{ item.path }}", default: "{{ item.default }}"}
      loop:
        - {name: NFS vms, path: /export/east, default: true}
        - {name: NFS fast, path: /export/east2, default: false}
    - domzero.xen.xen_network: {name: LAN}
    - domzero.xen.xen_vm: {name: "{{ item }}", template: Other install media, nics: [{network: LAN}]}
      loop: [web, db, mail]
    - domzero.xen.xen_vdi: {name: "{{ item }} system", size: 8 MiB, attached_to: [{vm: "{{ item }}", position: 0}]}
      loop: [web, db]
    - domzero.xen.xen_vdi: {name: archive, size: 8 MiB, attached_to: [{vm: mail, position: 0}]}
    - domzero.xen.xen_vm: {name: "{{ item }}", power_state: running}
      loop: [web, mail]
    - domzero.xen.xen_sr:
        name: NFS west
        type: nfs
        server: 127.50.0.5
        path: /export/west
        hostname: "{{ lookup('ansible.builtin.env', 'WEST_HOST') }}"
        password: "{{ lookup('ansible.builtin.env', 'WEST_PASSWORD') }}"
        fingerprint: "{{ lookup('ansible.builtin.env', 'WEST_FINGERPRINT') }}"
"""
LOST = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_vm: {name: db, state: absent}
"""


@pytest.mark.slow
def test_the_playbooks_of_the_guide_run_and_change_nothing_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    (tmp_path / "prepare.yml").write_text(PREPARED)
    (tmp_path / "lose.yml").write_text(LOST)
    backups = tmp_path / "backups"
    backups.mkdir()
    old = backups / "web-2020-01-01.xva"
    old.write_text("of a time long ago")
    os.utime(old, (time.time() - 9 * 86400,) * 2)
    with Simulator("--site", "two-pools", "--speed", "0") as simulator:
        east, _member, west = simulator.ready["hosts"]
        for pool, host in (("XEN", east), ("WEST", west)):
            reached = {"HOST": host["url"], "PASSWORD": simulator.ready["password"], "FINGERPRINT": host["fingerprint_sha256"]}
            for name, value in reached.items():
                monkeypatch.setitem(ENVIRONMENT, f"{pool}_{name}", value)
        terminal = Terminal(tmp_path)
        terminal.run("ansible-playbook prepare.yml")
        shown = [block.name for block in blocks(PAGE) if block.name.endswith(".yml")]
        assert shown == ["nightly.yml", "verify.yml", "beside.yml", "lost.yml", "elsewhere.yml", "disks.yml", "disks_back.yml"]
        for name in shown:
            if name == "lost.yml":
                terminal.run("ansible-playbook lose.yml")
            command = f"ansible-playbook -e backups=/tmp/backups {name}"
            first = terminal.run(command)
            if name == "verify.yml":  # it only reads
                assert "web: " in first and "db: " in first
                continue
            assert "changed=0" not in first, name
            assert "changed=0" in terminal.run(command), name
        assert not old.exists()
        simulator.ctl("check")
