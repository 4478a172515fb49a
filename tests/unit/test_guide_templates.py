# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to templates are run; the second time they change nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_templates"
PREPARED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_vm: {name: "{{ item }}", template: Other install media}
      loop: [web-golden, app-golden]
    - domzero.xen.xen_snapshot: {vm: app-golden, name: ready}
    # the guest does what cloud-init does in the end
    - domzero.xen.xen_template: {name: Debian Bookworm 12, xenstore_data: {vm-data/sim-poweroff: "5"}, allow_default: true}
"""


@pytest.mark.slow
def test_the_playbooks_of_the_guide_run_and_change_nothing_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    (tmp_path / "prepare.yml").write_text(PREPARED)
    image = tmp_path / "debian-12-genericcloud-amd64.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"], check=True)
    with Simulator("--hosts", "1", "--speed", "0") as simulator:
        host = simulator.ready["hosts"][0]
        reached = {"XEN_HOST": host["url"], "XEN_PASSWORD": simulator.ready["password"], "XEN_FINGERPRINT": host["fingerprint_sha256"]}
        for name, value in reached.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        terminal = Terminal(tmp_path)
        terminal.run("ansible-playbook prepare.yml")
        shown = [block.name for block in blocks(PAGE) if block.name.endswith(".yml")]
        assert len(shown) == 6
        for name in shown:
            assert name == "list.yml" or "changed=0" not in terminal.run(f"ansible-playbook {name}")
            assert "changed=0" in terminal.run(f"ansible-playbook {name}")
