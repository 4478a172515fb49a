# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: simulated hosts become a pool, VMs are made on it, its hosts are upgraded, it is saved; then it is restored on other hosts.

Each playbook is run a second time, which changes nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.domzero.xen.tests.simulator.running import Simulator
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

PLAYBOOKS = ("pool_build", "vms", "pool_upgrade", "pool_backup")
LOST = ("pool_restore",)  # on other hosts
INVENTORY = CHECKOUT / "playbooks/inventories/homogeneous"
REPORTED = re.compile(r'^\s+"((?:Upgraded|Moved|Planned to take|Stopped meanwhile|Backed up|Restored|Without a backup): .*?)",?$')
SITE = CHECKOUT / "tests/simulator/sites/homogeneous.yml"


def variables(simulator: Simulator, backups: Path) -> Path:
    """What the inventory cannot know: where the hosts answer, and an image in the place of one that was downloaded."""
    image = simulator.state / "cloud.raw"
    image.write_bytes(bytes(1 << 20))
    pins = [host.fingerprint_sha256 for host in simulator.hosts]
    known = {"simulator_port": simulator.hosts[0].port, "pool_build_fingerprint": pins, "template_build_image": str(image)}
    known["backup_folder"] = str(backups)
    (simulator.state / "variables.json").write_text(json.dumps(known))
    return simulator.state / "variables.json"


def run(simulator: Simulator, playbook: str, backups: Path) -> tuple[str, list[str]]:
    """Run the playbook once. Exits if it fails; returns what it did in a sentence, and what it reports itself."""
    mark, start = len(simulator.calls()), time.monotonic()
    more = f"@{variables(simulator, backups)}"
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", more, str(CHECKOUT / f"playbooks/{playbook}.yml")]
    reported = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            reported += REPORTED.findall(line)
    if process.returncode:
        sys.exit("The demo failed. The output above says where.")
    calls = [call["method"] for call in simulator.calls(mark)]
    did = f"{len(calls)} changing calls in {time.monotonic() - start:.1f} seconds" + (f" ({', '.join(calls[:8])} ...)" if calls else "")
    return did, reported


def twice(simulator: Simulator, playbook: str, backups: Path) -> list[str]:
    """Run the playbook, and again. Exits if the second run changes something; returns what both did."""
    told: list[str] = []
    for which in ("First", "Second"):
        print(f"{which} run of playbooks/{playbook}.yml:", flush=True)
        did, reported = run(simulator, playbook, backups)
        told += [f"{which} run of {playbook}: {did}.", *(f"  {line}." for line in reported)]
        if which == "Second" and not did.startswith("0 changing"):
            sys.exit(f"{told[-1]} It should have changed nothing.")
    return told


def main() -> None:
    told: list[str] = []
    with tempfile.TemporaryDirectory(prefix="xen-backups-") as folder:
        for playbooks in (PLAYBOOKS, LOST):
            with Simulator("--site", str(SITE), "--speed", "0") as simulator:
                names = ", ".join(f"{host.name} on {host.url}" for host in simulator.hosts)
                print(f"Simulated hosts: {names}")
                print(f"The pool they become, and its VMs: {INVENTORY.relative_to(CHECKOUT)}/host_vars/lab.yml\n")
                for playbook in playbooks:
                    told += twice(simulator, playbook, Path(folder))
                simulator.ctl("check")
    print("\n".join(told))


if __name__ == "__main__":
    main()
