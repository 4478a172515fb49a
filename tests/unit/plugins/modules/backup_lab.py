# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with a VM that is backed up into a repository."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

from dissect.archive.xva import XVA

from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Manifest
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import is_stamp
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Backup, Subject
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_read import Chain
from ansible_collections.domzero.xen.tests.simulator import invariants

from ..conftest import Result, Run
from .transfer_lab import MIB, Estate


class Backups(Estate):
    """web01 and its backups. folder: the repository."""

    def __init__(self, sim: t.Any, session: t.Any, run: Run, folder: Path, *, like: Backups | None = None):
        if like is None:
            super().__init__(sim, session)
        else:  # another repository for the same VM
            self.sim, self.session, self.web01 = sim, session, like.web01
        self._run, self.folder = run, folder
        folder.mkdir(exist_ok=True)

    @property
    def repository_id(self) -> str:
        return Repository(self.folder).id

    def run(self, *, check: bool = False, **params: t.Any) -> Result:
        return self._run("xen_backup", check=check, **{"repository": str(self.folder), "kind": "vm", "name": "web01", **params})

    def backs_up(self, **params: t.Any) -> Result:
        """Predict, and do the same; nothing is left but what has to be."""
        mark, files = self.sim.mark(), self.files()
        predicted = self.run(check=True, **params)
        assert self.sim.calls(mark) == []
        assert self.files() == files, "check mode changed the repository"
        done = self.run(**params)
        keys = ("changed", "operations", "reason", "left_out", "cost")
        assert {k: predicted.get(k) for k in keys} == {k: done.get(k) for k in keys}
        assert done["changed"]
        self.is_clean()
        return done

    def files(self) -> list[str]:
        """Files, and folders of backups; without what is there before the first backup, too."""
        found = [path for path in self.folder.rglob("*") if path.is_file() or is_stamp(path.name)]
        return sorted(str(path.relative_to(self.folder)) for path in found if path.name not in (".lock", "repository.json"))

    def is_clean(self, *, tasks: bool = True) -> None:
        """No draft, no disk of a snapshot that is gone, no task (of a killed run one may stay until the pool removes it)."""
        with self.sim.world.lock:
            assert invariants.check(self.sim.world) == []
            left = [task["name_label"] for task in self.db.all("task").values()] if tasks else []
            held = {vbd["VDI"] for vbd in self.db.all("VBD").values()}
            suspended = {vm["suspend_VDI"] for vm in self.db.all("VM").values()}
            orphans = [
                v["name_label"]
                for ref, v in self.db.all("VDI").items()
                if v["is_a_snapshot"] and ref not in held and ref not in suspended and not self.is_base(v)
            ]
        assert (left, orphans) == ([], [])
        if (subject := self.subject(strict=False)) is not None:
            assert subject.leftovers() == []

    def is_base(self, vdi: t.Mapping[str, t.Any]) -> bool:
        """Whether it is what remains of the snapshot that the next increment builds on, by changed blocks."""
        words = vdi["other_config"].get("domzero.xen:backup", "").split()
        made = [backup.manifest for backup in self.backups() if backup.manifest and backup.manifest.form == "vhd"]
        snapshots = [disk.snapshot for disk in made[-1].disks] if made else []
        return words[2:] == [self.record(self.web01)["uuid"], vdi["uuid"]] and vdi["type"] == "cbt_metadata" and vdi["uuid"] in snapshots

    def track(self, purpose: str = "nbd") -> None:
        """The host keeps account of what changes on web01's disks, and serves them over NBD."""
        for uuid in self.disk_uuids(self.web01).values():
            self.call("VDI.enable_cbt", self.db.one("VDI", uuid=uuid))
        if purpose:
            self.call("network.add_purpose", self.network, purpose)

    def subject(self, name: str = "web01", *, strict: bool = True) -> Subject | None:
        found = Repository(self.folder).subjects("vm", "", name)
        assert found or not strict, "there are no backups"
        return found[0] if found else None

    def backups(self, name: str = "web01") -> list[Backup]:
        subject = self.subject(name, strict=False)
        return subject.backups() if subject else []

    def manifest(self) -> Manifest:
        """Of the newest."""
        return t.cast("Manifest", self.newest().manifest)

    def hows(self) -> dict[str, str]:
        """How the disks of the newest came, by device."""
        return {disk.device: disk.how for disk in self.manifest().disks}

    def mac(self) -> str:
        """Of the VM's card."""
        return str(self.record(self.record(self.web01)["VIFs"][0], "VIF")["MAC"])

    def newest(self, name: str = "web01") -> Backup:
        found = t.cast("Subject", self.subject(name)).newest()
        assert found, "no backup can be used"
        return found

    def read_back(self, backup: Backup | None = None) -> list[str]:
        """SHA-256 of the disks of a backup, in order, through the files it is made of."""
        return [disk for _device, disk in sorted(self.disks_of(backup or self.newest()).items())]

    def disks_of(self, backup: Backup) -> dict[str, str]:
        """By device."""
        assert backup.manifest
        chain = backup.chain()
        out = {}
        for disk in backup.manifest.disks:
            files, wanted = [backup.path / disk.file], disk.parent_vhd
            for parent in chain[1:]:
                if not wanted:
                    break
                (known,) = [d for d in parent.manifest.disks if d.vhd == wanted]  # type: ignore[union-attr]
                files.append(parent.path / known.file)
                wanted = known.parent_vhd
            with Chain(files) as read:
                digest = hashlib.sha256()
                for at in range(0, disk.virtual_size, MIB):
                    digest.update(read.read(at, min(MIB, disk.virtual_size - at)))
            out[disk.device] = digest.hexdigest()
        return out

    def read_xva(self) -> list[str]:
        """SHA-256 of the disks in the newest backup's .xva, read by a library of others."""
        with (self.newest().path / "vm.xva").open("rb") as file:
            archive = XVA(file)
            return [hashlib.sha256(archive.open(ref).read()).hexdigest() for ref in sorted(archive.disks())]
