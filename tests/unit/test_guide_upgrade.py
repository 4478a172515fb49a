# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the guide to upgrades are run, and its plan is the one that check mode tells."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_upgrade"


@pytest.mark.slow
def test_the_playbooks_of_the_guide_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(PAGE, tmp_path)
    (shown,) = [block.text for block in blocks(PAGE) if block.language == "text"]
    with Simulator("--site", "upgrade-lab", "--speed", "0") as simulator:
        coordinator, *_members = simulator.ready["hosts"]
        pins = ",".join(host["fingerprint_sha256"] for host in simulator.ready["hosts"])
        reached = {"HOST": coordinator["url"], "PASSWORD": simulator.ready["password"], "FINGERPRINT": pins}
        for name, value in reached.items():
            monkeypatch.setitem(ENVIRONMENT, f"XEN_{name}", value)
        terminal = Terminal(tmp_path)
        assert table(terminal.run("ansible-playbook upgrade.yml --check")) == shown.strip().splitlines()
        assert simulator.calls() == []
        assert "Upgraded: lab0" in terminal.run("ansible-playbook upgrade.yml -v")
        mark = len(simulator.calls())
        assert "No host is due." in terminal.run("ansible-playbook upgrade.yml")
        assert simulator.calls()[mark:] == []
        assert "Upgraded: lab0" in terminal.run("ansible-playbook reboot.yml")
        assert "changed=2" in terminal.run("ansible-playbook maintenance.yml")
        simulator.ctl("check")


def table(output: str) -> list[str]:
    """The plan in the output of a run."""
    (shown,) = re.findall(r"TASK \[.*Show the plan\] \*+\n\w+: \[localhost\] => (\{.*?\n\})", output, re.DOTALL)
    return [line.rstrip() for line in json.loads(shown)["msg"]]
