# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to changed block tracking are run: once turned on, only what changed is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_backup_cbt"
PREPARED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_network: {name: Management, nic: eth0}
    - domzero.xen.xen_vm:
        name: shop
        template: Other install media
        disks: [{name: shop system, size: 16 MiB}, {name: shop data, size: 32 MiB}]
        power_state: running
"""


@pytest.mark.slow
def test_the_playbooks_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    assert {block.name for block in blocks(PAGE) if block.name.endswith(".yml")} == {"tracking.yml", "backup.yml"}
    (tmp_path / "prepare.yml").write_text(PREPARED)
    (tmp_path / "repository").mkdir()
    shown = tmp_path / "backup.yml"
    shown.write_text(shown.read_text().replace(" /backup", f" {tmp_path}/repository"))
    with Simulator("--hosts", "1", "--speed", "0") as simulator:
        host = simulator.ready["hosts"][0]
        reached = {"XEN_HOST": host["url"], "XEN_PASSWORD": simulator.ready["password"], "XEN_FINGERPRINT": host["fingerprint_sha256"]}
        for name, value in reached.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        said = Terminal(tmp_path).run("ansible-playbook prepare.yml tracking.yml tracking.yml backup.yml backup.yml")
    assert said.count("http/get_export_raw_vdi") == said.count("nbd/read") == 2
    assert "WARNING" not in said
