# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What xen_backup writes is read by programs that are not ours, and compared with the disks it came from."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import typing as t
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dissect.archive.xva import XVA
from dissect.hypervisor.disk.vhd import VHD

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.backup.merge import Merged
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..backup import strangers
from ..conftest import Result, Run, carry_out, reach, validated
from .backup_lab import Backups
from .transfer_lab import MIB, SIZES

Start = t.Callable[..., t.Any]


class Story:
    """A whole backup and two increments of a VM with two disks, and what was on the disks each time."""

    def __init__(self, lab: Backups, how: str):
        self.lab = lab
        if how == "cbt":
            lab.track()
        self.contents: list[list[str]] = []
        for seed in range(3):
            lab.write(seed)
            lab.run()
            self.contents.append(lab.contents(lab.web01))
            assert set(lab.hows().values()) == {how if seed else "full"}
        assert len({tuple(one) for one in self.contents}) == 3
        self.backups: list[Backup] = lab.backups()

    def files(self, number: int, device: int = 0) -> list[Path]:
        """Of a disk at that backup, the whole one first."""
        return [backup.path / f"disk{device}.vhd" for backup in self.backups[: number + 1]]


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> Backups:
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "backups")


@pytest.fixture(scope="module", params=["delta", "cbt"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Increments as the host compares disks, and by changed blocks; nobody changes them."""
    with InProcess(site.build(site.of_hosts(1), speed=0)) as sim:
        session = seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(sim)))

        def run(name: str, /, *, check: bool = False, **params: t.Any) -> Result:
            return carry_out(name, {**reach(sim), **params}, check=check)

        made = Story(Backups(sim, session, run, tmp_path_factory.mktemp("story") / "backups"), request.param)
        session.log_out()
        return made


def test_vhds_are_read_by_others_alone_and_in_chains(story: Story, tmp_path: Path) -> None:
    """By qemu-img, dissect.hypervisor and libvhdi; qemu-img knows no chains and reads what merging makes of them."""
    for device, size in enumerate(SIZES):
        (whole,) = story.files(0, device)
        assert strangers.by_qemu_img(whole, size, tmp_path) == story.contents[0][device]
        with whole.open("rb") as file:
            assert hashlib.sha256(VHD(file).read(size)).hexdigest() == story.contents[0][device], "dissect.hypervisor"
        for number in range(3):
            files = story.files(number, device)
            merged = tmp_path / f"merged{number}.vhd"
            with Merged(list(reversed(files))) as chain:
                merged.write_bytes(b"".join(chain.pieces()))
            assert strangers.by_qemu_img(merged, size, tmp_path) == story.contents[number][device], "merged"
            assert strangers.by_libvhdi(files, size) == story.contents[number][device]


def test_vhdiinfo_tells_who_builds_on_whom(story: Story) -> None:
    strangers.need("vhdiinfo", "libvhdi-utils")
    before = ""
    for file in story.files(2):
        about = dict(line.strip().split(":", 1) for line in strangers.told("vhdiinfo", file).splitlines() if ":" in line)
        told = {key.strip(): value.strip() for key, value in about.items()}
        assert told["Disk type"] == ("Differential" if before else "Dynamic")
        assert told.get("Parent identifier", before) == before
        before = told["Identifier"]


@pytest.mark.slow
def test_xen_orchestra_follows_the_chain(story: Story, tmp_path: Path) -> None:
    """By the names of the parents in the headers, which lead from folder to folder."""
    for device, size in enumerate(SIZES):
        for number in range(3):
            file = story.files(number, device)[-1]
            assert strangers.by_xen_orchestra(file, size, tmp_path) == story.contents[number][device]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pool", "host"])
def test_a_dump_is_xml_and_an_archive_a_tar(lab: Backups, run: Run, kind: str) -> None:
    run("xen_backup", repository=str(lab.folder), kind=kind, **({"name": "xcp00"} if kind == "host" else {}))
    (subject,) = Repository(lab.folder).subjects(kind)
    (backup,) = subject.backups()
    assert backup.manifest
    (file,) = (backup.file(stored) for stored in backup.manifest.files)
    if kind == "host":
        assert "etc/xensource-inventory" in strangers.told("tar", "-tf", file)
    else:
        root = ElementTree.parse(file).getroot()
        rows = {table.get("name"): [row.get("uuid") for row in table] for table in root.iter("table")}
        assert rows["pool"] == [subject.uuid]
        assert lab.record(lab.web01)["uuid"] in rows["VM"]


def test_sha256sum_checks_what_the_manifest_says(story: Story) -> None:
    for backup in story.backups:
        manifest = json.loads((backup.path / "manifest.json").read_text())
        lines = "".join(f"{file['sha256']}  {file['name']}\n" for file in manifest["files"])
        subprocess.run(["sha256sum", "--check", "--strict"], input=lines, text=True, cwd=backup.path, check=True, capture_output=True)
        rest = subprocess.run(["grep", "-v", '^  "checksum"', "manifest.json"], cwd=backup.path, check=True, capture_output=True)
        assert hashlib.sha256(rest.stdout).hexdigest() == manifest["checksum"]


@pytest.mark.parametrize("compression", ["zstd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("none", "gzip"))])
def test_an_xva_is_a_tar_that_others_read(lab: Backups, tmp_path: Path, compression: str) -> None:
    lab.run(mode="full", compression=compression)
    path, plain = lab.newest().path / "vm.xva", tmp_path / "vm.tar"
    command = {"none": ["cat"], "gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}[compression]
    with plain.open("wb") as file:
        subprocess.run([*command, str(path)], stdout=file, check=True)
    with plain.open("rb") as file:
        archive = XVA(file)
        disks = archive.disks()
        found = sorted(hashlib.sha256(archive.open(disk).read()).hexdigest() for disk in disks)
    assert found == sorted(lab.contents(lab.web01)), "dissect.archive"
    names = strangers.told("tar", "-tf", plain).split()
    assert names[0] == "ova.xml"
    with tarfile.open(plain) as entries:
        blocks = [entry for entry in entries if "/" in entry.name and "." not in entry.name]
    assert sum(entry.size for entry in blocks) <= sum(SIZES)
    assert max(entry.size for entry in blocks) == MIB
    assert strangers.told("tar", "-xOf", lab.newest().path / "metadata.xva", "ova.xml").startswith("<value>")
