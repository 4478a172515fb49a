# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of one host with three VMs and a folder, and the roles that save and restore it."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conftest import Ran

MEDIA = "Other install media"
DISK = [{"size": "8 MiB", "sr": "Local storage"}]
VMS = [
    {"name": "db01", "template": MEDIA, "disks": DISK, "tags": ["production"]},
    {"name": "web01", "template": MEDIA, "disks": DISK, "power_state": "running"},
    {"name": "build01", "template": MEDIA, "disks": DISK, "tags": ["no-backup"]},
]


class Play:
    """The role on a pool of one host with three VMs, and a folder."""

    def __init__(self, folder: Path):
        self.folder, self.root = folder, folder / "backups"
        self.root.mkdir()
        self.sim = self._new()
        assert self.run([{"domzero.xen.xen_vms": {"vms": VMS}}]).code == 0

    def _new(self) -> InProcess:
        return InProcess(site.build(site.of_hosts(1), speed=0)).start()

    def lose(self) -> None:
        """The host with its disk; another one takes its place."""
        self.sim.stop()
        self.sim = self._new()
        assert self.run([{"domzero.xen.xen_sr": {"name": "Local storage", "default": True}}]).code == 0

    def run(self, tasks: list[dict[str, t.Any]], *arguments: str) -> Ran:
        with self.begin(tasks, *arguments) as process:
            output, _errors = process.communicate(timeout=120)
        return Ran(process.returncode, output)

    def begin(self, tasks: list[dict[str, t.Any]], *arguments: str) -> subprocess.Popen[str]:
        host = self.sim.hosts[0]
        reached = {"hostname": host.url, "password": self.sim.password, "fingerprint": [host.fingerprint_sha256]}
        play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks, "module_defaults": {"group/domzero.xen.xen": reached}}
        (self.folder / "play.yml").write_text(json.dumps([play]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, str(self.folder / "play.yml"), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def task(self, role: str, apply: dict[str, t.Any] | None = None, **variables: t.Any) -> dict[str, t.Any]:
        """That includes the role."""
        host = self.sim.hosts[0]
        options = {"hostname": host.url, "password": self.sim.password, "fingerprint": [host.fingerprint_sha256]}
        own = {f"{role}_{key}": value for key, value in {**options, "repository": str(self.root)}.items()}
        included = {"name": f"domzero.xen.{role}", **({"apply": apply} if apply else {})}
        return {"ansible.builtin.include_role": included, "vars": {**own, **variables}}

    def __call__(self, *arguments: str, role: str = "pool_backup", **variables: t.Any) -> Ran:
        return self.run([self.task(role, **variables)], *arguments)

    def states(self) -> dict[str, str]:
        """The power state of each VM."""
        with self.sim.world.lock:
            rows = list(self.sim.world.pools[0].db.all("VM").values())
        return {
            vm["name_label"]: vm["power_state"]
            for vm in rows
            if not (vm["is_a_template"] or vm["is_a_snapshot"] or vm["is_control_domain"])
        }

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))

    def counts(self) -> dict[str, int]:
        """Backups of each thing."""
        return {f"{s.kind} {s.who.name}": len(s.good()) for s in Repository(self.root).subjects()}

    def report(self) -> dict[str, t.Any]:
        (path,) = self.root.glob("report_*.json")
        return t.cast("dict[str, t.Any]", json.loads(path.read_text()))


def flat(text: str) -> str:
    """In one line."""
    return " ".join(text.split())
