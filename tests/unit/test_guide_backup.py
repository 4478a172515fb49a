# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide to backups is gone through: a pool is built, saved, lost with its storage, built again on new hosts, and has its VMs back."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from .test_guides import ENVIRONMENT, Terminal, blocks, written

PAGE = "guide_backup"
SHOWN = ["pool.yml", "build.yml", "vms.yml", "backup.yml", "boot.yml", "restore.yml", "single.yml", "verify.yml", "sealed.yml"]
HOSTS = {"192.0.2.10": "127.20.0.200", "192.0.2.11": "127.20.0.201"}
SAVED = ("build01", "db01", "web01")
# what a pool tells of itself and its VMs, in the words one describes them with
LOOK = """
- hosts: localhost
  gather_facts: false
  vars_files: [pool.yml]
  module_defaults:
    group/domzero.xen.xen:
      hostname: "{{ pool_build_hosts[0].address }}"
      fingerprint: "{{ pool_build_fingerprint }}"
  tasks:
    - domzero.xen.xen_pool_describe:
      register: pool
    - domzero.xen.xen_vm_info:
      register: vms
    - ansible.builtin.copy:
        content: "{{ {'pool': pool.pool_build, 'vms': vms.vms, 'facts': vms.facts} | to_json }}"
        dest: "{{ playbook_dir }}/seen.json"
        mode: "0600"
"""


class Site:
    """Simulated hosts that were installed a moment ago, and the guide's files for them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder, self._environment = folder, monkeypatch
        self.terminal = Terminal(folder)
        (folder / "backup").mkdir()
        (folder / "backup-sealed").mkdir()

    def begin(self, simulator: Simulator) -> None:
        self.simulator = simulator
        written(PAGE, self.folder)
        (self.folder / "look.yml").write_text(LOOK)
        port = simulator.ready["hosts"][0]["port"]
        changed = {**{there: f"{here}:{port}" for there, here in HOSTS.items()}, " /backup": f" {self.folder}/backup"}
        changed[" /keys"] = f" {self.folder}"
        for name in SHOWN:
            path = self.folder / name
            text = path.read_text()
            for there, here in changed.items():
                text = text.replace(there, here)
            path.write_text(text)
        pins = ",".join(host["fingerprint_sha256"] for host in simulator.ready["hosts"])
        for name, value in {"XEN_PASSWORD": simulator.ready["password"], "XEN_FINGERPRINT": pins}.items():
            self._environment.setitem(ENVIRONMENT, name, value)

    def run(self, *names: str, more: str = "") -> str:
        return self.terminal.run(f"ansible-playbook {' '.join(names)} {more}")

    def seen(self) -> dict[str, t.Any]:
        """The pool and its VMs, without what a new pool cannot have again: uuids of disks and hosts, ports, times."""
        self.run("look.yml")
        told = json.loads((self.folder / "seen.json").read_text())
        hosts = told["pool"]["pool_build_hosts"]
        for host in hosts:
            host["address"] = host["address"].partition(":")[0]
        for one in (*hosts, told["pool"]["pool_build_pool"]):
            for option in ("suspend_image_sr", "crash_dump_sr"):  # a host's own disk, which is another one
                one.pop(option, None)
        vms = {vm["name"]: vm for vm in told["vms"]}
        sizes = {vm["name"]: [disk["size"] for disk in told["facts"][vm["uuid"]]["disks"]] for vm in told["vms"]}
        for vm in vms.values():
            vm["other_config"] = {key: value for key, value in vm["other_config"].items() if not key.startswith("domzero.xen:")}
        return {"pool": told["pool"], "vms": vms, "sizes": sizes, "facts": told["facts"]}

    def disks(self, seen: dict[str, t.Any]) -> dict[str, list[str]]:
        """uuids of the disks of each VM, in order."""
        return {name: [disk["vdi"] for disk in seen["facts"][vm["uuid"]]["disks"]] for name, vm in seen["vms"].items()}

    def digests(self, seen: dict[str, t.Any]) -> dict[str, list[str]]:
        return {name: [self.simulator.ctl("digest", vdi).strip() for vdi in vdis] for name, vdis in self.disks(seen).items()}

    def write(self, seen: dict[str, t.Any], offset: int, seed: int) -> None:
        for vdis in self.disks(seen).values():
            for n, vdi in enumerate(vdis):
                self.simulator.ctl("write", vdi, str(offset), str(1 << 20), str(seed + n))


@pytest.mark.slow
def test_a_pool_that_is_lost_with_its_storage_comes_back_from_a_file_and_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [block.name for block in blocks(PAGE) if block.name.endswith(".yml")] == SHOWN
    site = Site(tmp_path, monkeypatch)
    if shutil.which("age"):
        key = subprocess.run(["age-keygen", "--output", str(tmp_path / "backup.txt")], capture_output=True, text=True, check=True)
        monkeypatch.setitem(ENVIRONMENT, "BACKUP_RECIPIENT", key.stderr.rpartition(" ")[2].strip())
    with Simulator("--site", "homogeneous", "--speed", "0") as simulator:
        site.begin(simulator)
        site.run("build.yml", "vms.yml")
        made = site.seen()
        site.write(made, 0, 1)
        assert "changed=0" not in site.run("backup.yml", more="--check")
        assert list((tmp_path / "backup").iterdir()) == []
        site.run("backup.yml")
        site.write(made, 4 << 20, 50)  # guests go on working
        site.run("backup.yml")
        before = site.seen()
        bytes_of = site.digests(before)
        simulator.ctl("check")
    subjects = Repository(tmp_path / "backup").subjects()
    assert [(s.kind, s.who.name, [bool(b.manifest and b.manifest.parent) for b in s.good()]) for s in subjects] == [
        ("pool", "Lab", [False, False]),
        ("vm", "build01", [False, True]),
        ("vm", "db01", [False, True]),
        ("vm", "web01", [False, True]),
    ]
    with Simulator("--site", "homogeneous", "--speed", "0") as simulator:  # other hosts, an empty filer
        site.begin(simulator)
        told = site.run("restore.yml")
        assert "Restored: build01, db01, web01" in told
        assert "Without a backup: scratch01" in told
        after = site.seen()
        assert after["pool"] == before["pool"]
        assert after["vms"] == {name: before["vms"][name] for name in SAVED}
        assert after["sizes"] == {name: before["sizes"][name] for name in SAVED}
        assert site.digests(after) == {name: bytes_of[name] for name in SAVED}
        mark = len(simulator.calls())
        assert "changed=0" in site.run("restore.yml")
        assert simulator.calls()[mark:] == []
        site.run("verify.yml", "single.yml")
        assert "VM.start" not in [call["method"] for call in simulator.calls()[mark:]]
        site.run("boot.yml")
        assert sum(call["method"].endswith("VM.start") for call in simulator.calls()[mark:]) == 2
        if shutil.which("age"):
            site.run("sealed.yml")
            sealed = [b for s in Repository(tmp_path / "backup-sealed").subjects() for b in s.backups()]
            assert sealed
            assert all(b.usable() and b.manifest and b.manifest.encryption for b in sealed)
        simulator.ctl("check")
