# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: simulated hosts, a playbook run on them, the same playbook run again."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from ansible_collections.domzero.xen.tests.simulator.running import Simulator
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

PLAYBOOK = CHECKOUT / "playbooks/pool_build.yml"
INVENTORY = CHECKOUT / "playbooks/inventories/homogeneous"
SITE = CHECKOUT / "tests/simulator/sites/homogeneous.yml"


def run(simulator: Simulator) -> str:
    """Run the playbook once. Exits if it fails; returns what it did in a sentence."""
    mark = len(simulator.calls())
    start = time.monotonic()
    variables = simulator.state / "variables.json"
    pins = [host.fingerprint_sha256 for host in simulator.hosts]
    variables.write_text(json.dumps({"simulator_port": simulator.hosts[0].port, "pool_build_fingerprint": pins}))
    command = ["ansible-playbook", "--inventory", str(INVENTORY), "--extra-vars", f"@{variables}", str(PLAYBOOK)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit("The demo failed. The output above says where.")
    calls = [call["method"] for call in simulator.calls(mark)]
    return f"{len(calls)} changing calls in {time.monotonic() - start:.1f} seconds" + (f" ({', '.join(calls[:8])} ...)" if calls else "")


def main() -> None:
    with Simulator("--site", str(SITE), "--speed", "0") as simulator:
        names = ", ".join(f"{host.name} on {host.url}" for host in simulator.hosts)
        print(f"Simulated hosts: {names}")
        print(f"The pool they become: {INVENTORY.relative_to(CHECKOUT)}/host_vars/lab.yml\n")
        print(f"First run of {PLAYBOOK.relative_to(CHECKOUT)}:", flush=True)
        first = run(simulator)
        print("Second run:", flush=True)
        second = run(simulator)
        simulator.ctl("check")
    print(f"First run:  {first}.\nSecond run: {second}.")
    if not second.startswith("0 changing"):
        sys.exit("The second run should have changed nothing.")


if __name__ == "__main__":
    main()
