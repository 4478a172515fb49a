# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to snapshots are run; the second time they change nothing, but for the way back."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_snapshots"
PREPARED = """
- hosts: localhost
  gather_facts: false
  tasks:
    - domzero.xen.xen_vm:
        name: "{{ item }}"
        template: Other install media
        xenstore_data: {vm-data/sim-agent: 10.40.0.9}
        power_state: running
      loop: [web, db]
    - domzero.xen.xen_snapshot: {vm: db, name: "nightly-2026-01-0{{ item }}", tags: [nightly]}
      loop: [1, 2, 3, 4, 5, 6, 7, 8]
"""
# as an administrator would, each again but for the way back, which is an action
ORDER = ["before", "before", "wrong", "well", "well", "nightly", "nightly", "schedule", "schedule", "template", "template", "list"]


@pytest.mark.slow
def test_the_playbooks_of_the_guide_run_and_change_nothing_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    (tmp_path / "prepare.yml").write_text(PREPARED)
    assert {f"{name}.yml" for name in ORDER} == {block.name for block in blocks(PAGE) if block.name.endswith(".yml")}
    with Simulator("--hosts", "1", "--speed", "0") as simulator:
        host = simulator.ready["hosts"][0]
        reached = {"XEN_HOST": host["url"], "XEN_PASSWORD": simulator.ready["password"], "XEN_FINGERPRINT": host["fingerprint_sha256"]}
        for name, value in reached.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        terminal = Terminal(tmp_path)
        said = terminal.run(" ".join(["ansible-playbook", "prepare.yml", *(f"{name}.yml" for name in ORDER)]))
    counts = [int(count) for count in re.findall(r"changed=(\d+)", said)]  # each recap counts from the first playbook on
    changed = [after > before for before, after in itertools.pairwise(counts)]
    assert changed == [*(name != "list" and name not in ORDER[:place] for place, name in enumerate(ORDER))]
    assert "db: nightly-2026-01-03 >" in said
