# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that was backed up on one pool is restored on another."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

from ..conftest import Result, Run, Start, carry_out, reach, validated
from .moving_lab import Lab
from .restore_lab import MIB, RESTORED

MANAGEMENT = "Pool-wide network associated with eth0"
SIZE = 10 * MIB


@pytest.fixture
def east(simulator: Start, session_to: t.Callable[[t.Any], t.Any]) -> Lab:
    sim = simulator("two-pools")
    return Lab(sim, session_to(sim), "east0", "127.50.0.5")


@pytest.fixture
def west(east: Lab) -> t.Iterator[Lab]:
    session = seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(east.sim, "west0")))
    yield Lab(east.sim, session, "west0", "127.50.0.5")
    session.log_out()


def web1(east: Lab, sr: str) -> str:
    """A VM with two small disks, some of which is written, and a card."""
    vm = east.vm("web1", disks=0, sr=sr)
    for place in ("0", "1"):
        east.disk(vm, sr, place, virtual_size=SIZE)
    east.card(vm, east.one("network", MANAGEMENT))
    for seed, uuid in enumerate(uuids(east, vm)):
        east.sim.disks.fill(uuid, (3 + seed) * MIB + 7, 3 * MIB, seed)
    return vm


def uuids(lab: Lab, vm: str) -> list[str]:
    vbds = sorted((lab.db.get("VBD", ref) for ref in lab.db.get("VM", vm)["VBDs"]), key=lambda vbd: str(vbd["userdevice"]))
    return [lab.db.get("VDI", vbd["VDI"])["uuid"] for vbd in vbds if vbd["type"] == "Disk"]


def digests(lab: Lab, vm: str) -> list[str]:
    return [lab.sim.disks.digest(uuid) for uuid in uuids(lab, vm)]


def at(lab: Lab, host: str) -> dict[str, t.Any]:
    return reach(lab.sim, host)


@pytest.mark.parametrize(("form", "preserve"), [({}, True), ({"mode": "full", "compression": "zstd"}, False)], ids=["vhd", "packed"])
def test_it_gets_onto_other_storage_with_its_own_addresses_or_new_ones(
    east: Lab, west: Lab, run: Run, tmp_path: Path, form: dict[str, t.Any], preserve: bool
) -> None:
    """From thin local storage onto an NFS filer; the networks are known by name."""
    vm = web1(east, east.local_sr("east0"))
    before, mac = east.db.get("VM", vm), east.db.get("VIF", east.db.get("VM", vm)["VIFs"][0])["MAC"]
    run("xen_backup", repository=str(tmp_path), kind="vm", name="web1", **form)
    west.shared_sr("West", "/export/west")
    wanted: Result = {**at(east, "west0"), "repository": str(tmp_path), "name": "web1", "sr": "West", "preserve": preserve}
    predicted = carry_out("xen_restore", wanted, check=True)
    done = carry_out("xen_restore", wanted)
    assert predicted["operations"] == done["operations"]
    assert not carry_out("xen_restore", wanted)["changed"]
    (made,) = west("VM.get_by_name_label", "web1")
    assert digests(west, made) == digests(east, vm)
    assert (west.db.get("VM", made)["uuid"] == before["uuid"]) == preserve
    assert (west.db.get("VIF", west.db.get("VM", made)["VIFs"][0])["MAC"] == mac) == preserve
    assert done["vm"]["networks"] == {"0": MANAGEMENT}
    assert RESTORED in west.db.get("VM", made)["other_config"]


def test_without_an_sr_the_pools_default_is_taken_or_missed(east: Lab, west: Lab, run: Run, tmp_path: Path) -> None:
    vm = web1(east, east.local_sr("east0"))
    run("xen_backup", repository=str(tmp_path), kind="vm", name="web1")
    pool = west("pool.get_all")[0]
    default = west("pool.get_default_SR", pool)
    west("SR.set_name_label", default, "Of another name")
    west("pool.set_default_SR", pool, "OpaqueRef:NULL")
    wanted: Result = {**at(east, "west0"), "repository": str(tmp_path), "name": "web1"}
    with pytest.raises(InvalidChange, match=r"The pool has no default SR, and the task names none\. Give sr"):
        carry_out("xen_restore", wanted)
    west("pool.set_default_SR", pool, default)
    carry_out("xen_restore", wanted)
    (made,) = west("VM.get_by_name_label", "web1")
    assert digests(west, made) == digests(east, vm)


def test_a_host_that_alone_has_the_storage_is_sent_to_directly(east: Lab, run: Run, tmp_path: Path) -> None:
    vm = web1(east, east.local_sr("east0"))
    run("xen_backup", repository=str(tmp_path), kind="vm", name="web1")
    member = east.db.get("SR", east.local_sr("east1"))["uuid"]
    run("xen_restore", repository=str(tmp_path), name="web1", new_name="web2", sr=member)
    assert digests(east, east.one("VM", "web2")) == digests(east, vm)
    run("xen_restore", repository=str(tmp_path), name="web1", onto="web2", disks=["1"], sr=member)
    assert digests(east, east.one("VM", "web2"))[2] == digests(east, vm)[1]
