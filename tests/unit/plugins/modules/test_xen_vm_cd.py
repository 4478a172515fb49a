# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CD drive of a VM: a CD from any library, the tools, nothing."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound

Run = Start = t.Callable[..., t.Any]
ISO = "debian-12.7.0-amd64-netinst.iso"


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    """A VM without disks, and a library with one CD."""
    started = simulator("examples")
    run("xen_sr", name="ISOs", type="iso", location="127.40.0.10:/export/iso", scan=True)
    run("xen_vm", name="web1", template="Other install media", disks=[], prune_disks=True)
    return started


def has_drive(sim: t.Any) -> bool:
    db = sim.world.pools[0].db
    return any(db.get("VBD", v)["type"] == "CD" for v in db.get("VM", db.one("VM", name_label="web1"))["VBDs"])


def test_a_vm_without_a_drive_gets_one(sim: t.Any, converges: Run) -> None:
    assert not has_drive(sim)
    done = converges("xen_vm", name="web1", cd={"iso": ISO})
    assert done["operations"] == ["VBD.create"]
    assert done["vm"]["cd"] == {"iso": ISO, "sr": "ISOs"}


def test_an_empty_drive_may_be_all_that_is_wanted(sim: t.Any, converges: Run) -> None:
    assert converges("xen_vm", name="web1", cd={})["vm"]["cd"] == {"iso": "", "sr": ""}


def test_cds_are_changed_and_ejected_while_it_runs(sim: t.Any, run: Run, converges: Run) -> None:
    run("xen_vm", name="web1", cd={}, power_state="running")
    assert converges("xen_vm", name="web1", cd={"iso": ISO})["operations"] == ["VBD.insert"]
    assert converges("xen_vm", name="web1", cd={"tools": True})["operations"] == ["VBD.eject", "VBD.insert"]
    assert converges("xen_vm", name="web1", cd={"iso": ""})["operations"] == ["VBD.eject"]


def test_a_running_vm_is_halted_for_a_drive_where_that_is_allowed(sim: t.Any, run: Run) -> None:
    run("xen_vm", name="web1", power_state="running")
    with pytest.raises(InvalidChange, match="get a CD drive"):
        run("xen_vm", name="web1", cd={"iso": ISO}, force=True)
    done = run("xen_vm", name="web1", cd={"iso": ISO}, force=True, allow_disruption=True)
    assert done["vm"]["cd"]["iso"] == ISO and done["vm"]["power_state"] == "running"


def test_a_new_vm_has_the_cd_at_once(sim: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web2", template="Other install media", cd={"iso": ISO}, disks=[{"size": "1 GiB"}])
    assert done["vm"]["cd"]["iso"] == ISO


@pytest.mark.parametrize(
    ("given", "told"),
    [({"iso": "nothing.iso"}, "no CD 'nothing.iso' in any ISO SR"), ({"iso": ISO, "sr": "XenServer Tools"}, "No SR|no CD")],
)
def test_an_unknown_cd_is_told(sim: t.Any, run: Run, given: dict[str, t.Any], told: str) -> None:
    for check in (True, False):
        with pytest.raises(NotFound, match=told):
            run("xen_vm", check=check, name="web1", cd=given)


def test_a_cd_in_two_libraries_needs_the_sr(sim: t.Any, run: Run) -> None:
    db = sim.world.pools[0].db
    sr = db.create("SR", name_label="More ISOs", type="iso", content_type="iso")
    db.create("VDI", name_label=ISO, SR=sr, type="user", managed=True)
    host = db.one("host", name_label="xcp00")
    db.create("PBD", SR=sr, host=host, currently_attached=True)
    with pytest.raises(Ambiguous, match=f"2 CDs '{ISO}', in the SRs 'ISOs', 'More ISOs'"):
        run("xen_vm", name="web1", cd={"iso": ISO})
    assert run("xen_vm", name="web1", cd={"iso": ISO, "sr": "ISOs"})["changed"] is True
    assert run("xen_vm", name="web1", cd={"iso": ISO})["changed"] is False


def test_a_cd_the_host_cannot_reach_is_told(sim: t.Any, run: Run) -> None:
    run("xen_vm", name="web1", cd={}, power_state="running")
    db = sim.world.pools[0].db
    host = db.get("VM", db.one("VM", name_label="web1"))["resident_on"]
    pbd = next(ref for ref, p in db.all("PBD").items() if p["SR"] == db.one("SR", name_label="ISOs") and p["host"] == host)
    db.set("PBD", pbd, currently_attached=False)
    with pytest.raises(InvalidChange, match="which has not attached SR 'ISOs'"):
        run("xen_vm", name="web1", cd={"iso": ISO})


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_interrupted_change_of_cd_is_finished(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    run("xen_vm", name="web1", cd={"iso": ISO})
    getattr(sim.faults, cut)(nth)
    assert run("xen_vm", name="web1", cd={"tools": True})["vm"]["cd"]["iso"] not in ("", ISO)


def test_what_is_listed_changes_nothing(sim: t.Any, run: Run) -> None:
    run("xen_vm", name="web1", cd={"iso": ISO})
    (told,) = run("xen_vm_info", name="web1")["vms"]
    assert run("xen_vm", **told)["changed"] is False
