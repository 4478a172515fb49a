# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by inventory_2000_vms: python inventory_process.py FILE RUNS. A script, since Ansible has to find the collection by itself."""

from __future__ import annotations

import json
import ssl
import sys
import time
import typing as t
import urllib.request
from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader

CLASSES = ("pool", "host", "VM", "VM_guest_metrics", "VIF", "network", "VBD", "VDI", "SR")


class Plain:
    """urllib and json, and nothing else."""

    def __init__(self, url: str, password: str):
        self.url, self.requests = url, 0
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname, self._trusting.verify_mode = False, ssl.CERT_NONE
        self._session = self.call("session.login_with_password", "root", password, "1.0", "bench")

    def call(self, method: str, *params: str) -> t.Any:
        self.requests += 1
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
        request = urllib.request.Request(f"{self.url}/jsonrpc", body, {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request, context=self._trusting).read())["result"]

    def fetch(self) -> t.Any:
        return [self.call(f"{cls}.get_all_records", self._session) for cls in CLASSES]


def main(file: str, runs: int) -> None:
    init_plugin_loader()
    config = json.loads(Path(file).read_text())
    plain, hosts = Plain(config["hostname"], config["password"]), 0
    seconds: dict[str, list[float]] = {"plain": [], "inventory": []}
    for _run in range(runs):
        started = time.perf_counter()
        plain.fetch()
        between = time.perf_counter()
        hosts = len(InventoryManager(DataLoader(), sources=[file]).hosts)
        seconds["plain"].append(between - started)
        seconds["inventory"].append(time.perf_counter() - between)
    # the machine is shared: what it takes at least
    print(json.dumps({"hosts": hosts, "plain_requests": plain.requests, **{name: min(taken) for name, taken in seconds.items()}}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
