# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole playbook runs of the roles, on the sites and inventories that come with the collection."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

Variables = dict[str, t.Any]
# what tells objects apart whatever their references and uuids are, and what is to be equal
COMPARED: dict[str, tuple[str, ...]] = {
    "pool": ("name_label", "name_description", "tags", "default_SR", "master"),
    "host": ("name_label", "name_description", "tags", "enabled", "address", "iscsi_iqn", "multipathing"),
    "network": ("name_label", "name_description", "MTU", "tags", "PIFs"),
    "PIF": ("host", "device", "VLAN", "network", "ip_configuration_mode", "IP", "netmask", "currently_attached", "management"),
    "VLAN": ("tag", "tagged_PIF", "untagged_PIF"),
    "Bond": ("master", "slaves", "mode"),
    "tunnel": ("access_PIF", "transport_PIF"),
    "SR": ("name_label", "name_description", "type", "shared", "PBDs"),
    "PBD": ("SR", "host", "currently_attached"),
}


class Ran(t.NamedTuple):
    code: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks say that they changed something."""
        return int(self.output.rpartition("changed=")[2].split()[0])


class Site:
    """A shipped site with its inventory; run() runs a playbook of the collection on it."""

    def __init__(self, name: str, folder: Path, variables: Variables | None = None):
        self.sim = self.simulated(name)
        self.name, self.folder = name, folder
        self.variables = variables or {}

    def simulated(self, name: str) -> InProcess:
        return InProcess(site.build(site.load(name), speed=0)).start()

    def known(self) -> Variables:
        """What the inventory cannot know."""
        return {"pool_build_fingerprint": [host.fingerprint_sha256 for host in self.sim.hosts], "simulator_port": self.sim.hosts[0].port}

    def inventory(self) -> Path:
        return CHECKOUT / "playbooks/inventories" / self.name

    def start(self, playbook: str, *arguments: str, **variables: t.Any) -> subprocess.Popen[str]:
        (self.folder / "variables.json").write_text(json.dumps({**self.known(), **self.variables, **variables}))
        program = Path(sys.executable).with_name("ansible-playbook")
        more = ["-e", f"@{self.folder}/variables.json", *arguments]
        command = [program, "-i", self.inventory(), *more, CHECKOUT / "playbooks" / f"{playbook}.yml"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run(self, playbook: str, *arguments: str, **variables: t.Any) -> Ran:
        process = self.start(playbook, *arguments, **variables)
        try:
            output, _errors = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ran(process.returncode, output)

    def state(self) -> dict[str, list[t.Any]]:
        """The pool without what differs from one pool to the next: references, uuids, times."""
        with self.sim.world.lock:
            pools = self.sim.world.pools
            db = max(pools, key=lambda pool: len(pool.machines)).db
            names = {ref: _name(cls, row) for cls in COMPARED for ref, row in db.all(cls).items()}
            seen: dict[str, list[t.Any]] = {"secret": [len(db.all("secret"))], "pools": [len(pools)]}
            for cls, fields in COMPARED.items():
                seen[cls] = sorted(str([_plain(row[f], names) for f in fields]) for row in db.all(cls).values())
            return seen


def _name(cls: str, row: Variables) -> str:
    return f"{cls} {row.get('name_label') or row.get('device') or row.get('tag') or ''}"


def _plain(value: t.Any, names: dict[str, str]) -> t.Any:
    if isinstance(value, list):
        return sorted(names.get(v, v) for v in value)
    return names.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def shipped(tmp_path: Path) -> t.Iterator[t.Callable[..., Site]]:
    started: list[Site] = []

    def start(name: str, **variables: t.Any) -> Site:
        started.append(Site(name, tmp_path, variables))
        return started[-1]

    yield start
    for one in started:
        one.sim.stop()
