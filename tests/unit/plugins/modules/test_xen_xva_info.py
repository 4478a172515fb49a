# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.modules.xen_xva_info import MODULE

from ..conftest import Result, Run, Start, validated
from ..formats import exports
from .transfer_lab import Estate

DISK = b"data" * 1000


def look(path: Path, **params: object) -> Result:
    """As on a machine from which no host can be reached."""
    known = validated(MODULE, {"src": str(path), **params})
    with (MODULE.session or seam.session_for)(known) as session:
        return MODULE.run(session, known, False)


def test_a_sound_file_is_told_without_asking_a_host(tmp_path: Path) -> None:
    path = tmp_path / "x.xva"
    path.write_bytes(exports.export({"Ref:9": DISK}))
    told = look(path)["xva"]
    assert told["verified"]
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (told["blocks"], told["data"], told["disk_size"], told["metadata_only"]) == (1, len(DISK), len(DISK), False)
    assert told["vms"][0]["disks"][0]["size"] == len(DISK)
    assert told["networks"] == ["LAN"]


def test_the_beginning_alone_says_what_should_be_in_it(tmp_path: Path) -> None:
    path = tmp_path / "x.xva"
    whole = exports.export({"Ref:9": DISK})
    path.write_bytes(whole[: whole.index(DISK) + 100])
    told = look(path, verify=False)["xva"]
    assert not told["verified"]
    assert told["vms"][0]["name"] == "web01"
    with pytest.raises(Damaged, match=r"x\.xva is no sound export: It is cut off"):
        look(path)


def test_its_manifest_has_to_be_its_own(simulator: Start, session_to: object, run: Run, tmp_path: Path) -> None:
    sim = simulator(1)
    estate = Estate(sim, session_to(sim))  # type: ignore[operator]
    path = tmp_path / "x.xva"
    run("xen_vm_export", name="web01", dest=str(path))
    assert look(path)["xva"]["verified"]
    estate.write(5)
    run("xen_vm_export", name="web01", dest=str(tmp_path / "y.xva"))
    path.write_bytes((tmp_path / "y.xva").read_bytes())
    with pytest.raises(Damaged, match="is sound, but not the file its manifest tells of"):
        look(path)
