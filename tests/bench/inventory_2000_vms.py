# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of 2,000 VMs with all its groups, against fetching and decoding the same JSON with urllib and json."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from . import pools

VMS = 2000
RUNS = 7


def measure() -> t.Iterator[dict[str, t.Any]]:
    """Both are run by a process of their own, in turns."""
    with InProcess(pools.with_vms(VMS)) as simulator, tempfile.TemporaryDirectory() as folder:
        host, file = simulator.hosts[0], Path(folder, "bench.xen.yml")
        login = {"hostname": host.url, "password": simulator.password, "fingerprint": [host.fingerprint_sha256]}
        file.write_text(json.dumps({"plugin": "domzero.xen.xen", **login}))
        call = [sys.executable, str(Path(__file__).with_name("inventory_process.py")), str(file)]
        before = simulator.received
        once = json.loads(subprocess.run([*call, "1"], check=True, capture_output=True).stdout)
        requests = simulator.received - before - once["plain_requests"]
        seen = json.loads(subprocess.run([*call, str(RUNS)], check=True, capture_output=True).stdout)
    if seen["hosts"] != VMS:
        raise RuntimeError(f"the inventory has {seen['hosts']} hosts")
    yield {
        "vms": VMS,
        "requests": requests,
        "seconds": round(seen["inventory"], 3),
        "peer_seconds": round(seen["plain"], 3),
        "ratio": round(seen["inventory"] / seen["plain"], 2),
    }
