# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guide to the format shows is run: backups are listed, checked and restored with jq, sha256sum, tar, qemu-img and curl."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import checked_json
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_write

from ...test_guides import blocks
from ..conftest import Run, Start
from ..modules.backup_lab import Backups
from . import strangers
from .chain_lab import BLOCK, SECTOR, Piece, packed, uuid_of

PAGE = "guide_backup_format"


class Desk:
    """Somebody with the scripts of the guide. home: has them, and ~/.curlrc."""

    def __init__(self, sim: t.Any, home: Path):
        self.home = home
        pool = urlsplit(sim.hosts[0].url)
        (home / ".curlrc").write_text("insecure\nsilent\nshow-error\n")
        login = {"XEN_HOST": pool.netloc, "XEN_USER": sim.username, "XEN_PASSWORD": sim.password}
        self.environment = {**os.environ, "HOME": str(home), **login}
        for block in blocks(PAGE):
            if block.name:
                (home / block.name).write_text(block.text)

    def run(self, script: str, *arguments: Path | str) -> str:
        command = ["bash", str(self.home / script), *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> Backups:
    for command, package in (("jq", "jq"), ("qemu-img", "qemu-utils"), ("curl", "curl")):
        strangers.need(command, package)
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "backups")


@pytest.fixture
def desk(lab: Backups, tmp_path: Path) -> Desk:
    home = tmp_path / "home"
    home.mkdir()
    return Desk(lab.sim, home)


def sr_of(lab: Backups) -> str:
    vdi = lab.db.one("VDI", uuid=lab.disk_uuids(lab.web01)["0"])
    return str(lab.record(lab.record(vdi, "VDI")["SR"], "SR")["uuid"])


def test_a_vm_is_restored_from_vhd_files_by_hand(lab: Backups, desk: Desk) -> None:
    contents = []
    for seed in range(3):
        lab.write(seed)
        lab.run()
        contents.append(lab.contents(lab.web01))
    backups: list[Backup] = lab.backups()
    rows = [line.split("\t") for line in desk.run("list.sh", backups[0].path.parent).splitlines()]
    assert [row[1] for row in rows] == [b.stamp for b in backups]
    assert [row[3] for row in rows] == ["whole", *(b.stamp for b in backups[:-1])]
    for number, device in ((0, 1), (1, 0), (2, 1), (2, 0)):
        assert desk.run("check.sh", backups[number].path).count(": OK") == 4
        image = desk.home / "disk.img"
        desk.run("disk.sh", backups[number].path, str(device), image)
        assert hashlib.sha256(image.read_bytes()).hexdigest() == contents[number][device]
    before = set(lab.db.all("VDI")), set(lab.db.all("VM"))
    desk.run("upload.sh", desk.home / "disk.img", sr_of(lab))
    (made,) = set(lab.db.all("VDI")) - before[0]
    assert lab.sim.disks.digest(lab.record(made, "VDI")["uuid"]) == contents[2][0]
    desk.run("describe.sh", backups[2].path)
    (described,) = set(lab.db.all("VM")) - before[1]
    assert (lab.record(described)["name_label"], len(lab.record(described)["VIFs"])) == ("web01", 1)


def test_nothing_is_written_behind_the_end_of_a_disk(desk: Desk) -> None:
    """The last block of a VHD is as long as the others; a host says of all of it that it is there."""
    size = BLOCK // 2
    parent = vhd_write.Parent(uuid_of(0), "x")
    increment = bytearray(packed(b"b" * size, [Piece(0, size // SECTOR, ord("b"))], 1, parent))
    bitmap = int.from_bytes(increment[1536:1540], "big") * SECTOR
    increment[bitmap : bitmap + SECTOR] = b"\xff" * SECTOR
    (desk.home / "disk0.vhd").write_bytes(increment)
    (desk.home / "disk.img").write_bytes(b"a" * size)
    subprocess.run([sys.executable, str(desk.home / "lay_over.py"), "disk.img", "disk0.vhd"], cwd=desk.home, check=True)
    assert (desk.home / "disk.img").read_bytes() == b"b" * size


def test_what_is_encrypted_is_opened_by_hand(lab: Backups, desk: Desk) -> None:
    for command in ("age", "age-keygen"):
        strangers.need(command, "age")
    key = desk.home / "key.txt"
    made = subprocess.run(["age-keygen", "--output", str(key)], check=True, capture_output=True, text=True)
    for seed in range(2):
        lab.write(seed)
        lab.run(encryption={"tool": "age", "recipients": [made.stderr.split()[-1]]})
    for backup in lab.backups():
        assert desk.run("check.sh", backup.path).count(": OK") == 4
        desk.run("open.sh", backup.path, desk.home / "plain", key)
    image = desk.home / "disk.img"
    desk.run("disk.sh", desk.home / "plain" / lab.newest().stamp, "0", image)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == lab.contents(lab.web01)[0]


def test_a_vm_in_one_file_is_imported_by_hand(lab: Backups, desk: Desk) -> None:
    lab.run(mode="full", compression="gzip")
    backup = lab.newest()
    assert desk.run("check.sh", backup.path).count(": OK") == 3
    before = set(lab.db.all("VM"))
    assert "ova.xml" in desk.run("import.sh", backup.path, sr_of(lab))
    (made,) = set(lab.db.all("VM")) - before
    assert lab.record(made)["name_label"] == "web01"
    assert lab.contents(made) == lab.contents(lab.web01)


def test_whether_the_database_of_a_pool_fits_is_tried_by_hand(lab: Backups, desk: Desk) -> None:
    lab.run(kind="pool", name=None)
    (backup,) = Repository(lab.folder).subjects("pool")[0].backups()
    assert desk.run("check.sh", backup.path).count(": OK") == 2
    assert '"success"' in desk.run("pool.sh", backup.path)
    (backup.path / "pool.xml").write_text("<database/>")
    with pytest.raises(AssertionError, match="failure"):
        desk.run("pool.sh", backup.path)


def test_a_byte_that_is_not_what_it_was_is_found_by_hand(lab: Backups, desk: Desk) -> None:
    lab.run()
    backup = lab.newest()
    # of the manifest one that leaves its form as it is
    for name, was, now in (("disk0.vhd", b"cxsparse", b"cxsparsd"), ("manifest.json", b'"web01"', b'"web00"')):
        path = backup.path / name
        data = path.read_bytes()
        path.write_bytes(data.replace(was, now, 1))
        with pytest.raises(AssertionError, match="FAILED"):
            desk.run("check.sh", backup.path)
        path.write_bytes(data)
    assert "FAILED" not in desk.run("check.sh", backup.path)


def test_the_manifest_that_is_shown_has_the_keys_of_one(lab: Backups) -> None:
    lab.run()
    (shown,) = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    written = json.loads((lab.newest().path / "manifest.json").read_text())
    assert list(shown) == list(written)
    assert shown["disks"][0].keys() == written["disks"][0].keys()
    assert shown["files"][0].keys() == written["files"][0].keys()
    assert checked_json.parse((lab.folder / "repository.json").read_bytes()).keys() == {"id", "created", "schema"}
