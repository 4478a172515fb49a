# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates from exported files."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

from ..conftest import Run, Start
from .transfer_lab import Estate

STORY = {"description": "From a file", "tags": ["web"], "memory": "1 GiB", "vcpus": 2}


@pytest.fixture
def estate(simulator: Start, session_to: t.Callable[[t.Any], t.Any]) -> Estate:
    sim = simulator(1)
    return Estate(sim, session_to(sim))


@pytest.fixture
def xva(estate: Estate, run: Run, tmp_path: Path) -> str:
    """web01, exported."""
    path = tmp_path / "web01.xva"
    run("xen_vm_export", name="web01", dest=str(path))
    return str(path)


def names(estate: Estate) -> list[str]:
    rows = estate.db.all("VM").values()
    return sorted(r["name_label"] for r in rows if r["is_a_template"] and r["other_config"].get("default_template") != "true")


def test_a_file_becomes_a_template(estate: Estate, xva: str, converges: Run) -> None:
    done = converges("xen_template", name="Web", xva=xva, **STORY)
    assert done["operations"][0] == "http/put_import"
    assert done["operations"][-3:] == ["VM.set_is_a_template", "VM.set_name_label", "VM.remove_from_other_config"]
    assert (names(estate), done["xva"]["src"]) == (["Web"], xva)
    assert estate.contents(estate.db.one("VM", name_label="Web")) == estate.contents(estate.web01)
    assert done["template"]["tags"] == ["web"]


def test_the_file_of_a_template_becomes_one_again(estate: Estate, xva: str, run: Run, converges: Run, tmp_path: Path) -> None:
    uuid = run("xen_template", name="Web", xva=xva, limits={"vcpus_max": 4})["template"]["uuid"]
    file = str(tmp_path / "template.xva")
    run("xen_vm_export", uuid=uuid, dest=file)
    done = converges("xen_template", name="Web again", xva=file)
    assert "VM.set_is_a_template" not in done["operations"]
    assert done["template"]["limits"]["vcpus_max"] == 4


def test_its_nics_go_to_the_networks_of_the_task(estate: Estate, xva: str, run: Run, converges: Run) -> None:
    run("xen_network", name="Internal")
    done = converges("xen_template", name="Web", xva=xva, networks={estate.record(estate.network, "network")["name_label"]: "Internal"})
    facts = run("xen_template_info", name="Web")["facts"][done["template"]["uuid"]]
    assert [nic["network"] for nic in facts["nics"]] == ["Internal"]


def test_a_vm_of_an_imported_template_is_not_taken_for_the_next_import(estate: Estate, xva: str, run: Run) -> None:
    run("xen_template", name="Web", xva=xva)
    run("xen_vm", name="web7", template="Web")
    run("xen_template", name="Web", state="absent")
    run("xen_template", name="Web", xva=xva)
    assert names(estate) == ["Web"]
    assert not estate.named("web7")["is_a_template"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"xva": "/nowhere.xva"}, "cannot be read"),
        ({"sr": "nowhere"}, "No SR is named"),
        ({"networks": {"elsewhere": "x"}}, "No network is named 'x'"),
        ({"name": "web01"}, "A VM is named 'web01' already"),
    ],
)
def test_what_cannot_be_imported_is_refused(estate: Estate, xva: str, run: Run, options: dict[str, t.Any], told: str) -> None:
    before = estate.everything()
    with pytest.raises((InvalidChange, NotFound, XenError), match=told):
        run("xen_template", **{"name": "Web", "xva": xva, **options})
    assert estate.everything() == before


def test_a_damaged_file_is_refused(estate: Estate, xva: str, run: Run) -> None:
    data = bytearray(Path(xva).read_bytes())
    data[len(data) // 2] ^= 1
    Path(xva).write_bytes(data)
    before = estate.everything()
    with pytest.raises(XenError, match="no sound export"):
        run("xen_template", name="Web", xva=xva)
    assert estate.everything() == before


CALLS = 10  # that change something, without the upload


@pytest.mark.parametrize("kind", [*(pytest.param(cut, marks=pytest.mark.slow) for cut in ("cut-before", "cut-after")), "fail"])
@pytest.mark.parametrize("nth", range(1, CALLS + 1))
def test_a_task_that_is_cut_off_is_finished_by_itself_or_the_next(estate: Estate, xva: str, run: Run, nth: int, kind: str) -> None:
    before = estate.everything()
    estate.sim.faults.add(kind, None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    try:
        run("xen_template", name="Web", xva=xva, **STORY)
    except XenError:
        run("xen_template", name="Web", xva=xva, **STORY)
    assert estate.sim.faults.triggers == [], "it was not cut off"
    again = run("xen_template", name="Web", xva=xva, **STORY)
    assert (again["changed"], again["template"]["description"]) == (False, "From a file")
    vms, disks, tasks = estate.everything()
    assert (vms, tasks) == (sorted([*before[0], "Web"]), before[2])
    assert len(disks) == len(before[1]) + 2


def test_an_upload_that_breaks_leaves_nothing(estate: Estate, xva: str, run: Run) -> None:
    before = estate.everything()
    estate.sim.faults.cut_transfer("/import", 3 << 20)
    with pytest.raises(XenError):
        run("xen_template", name="Web", xva=xva)
    assert estate.everything() == before
    assert run("xen_template", name="Web", xva=xva)["changed"] is True


def test_the_file_of_a_vm_that_ran_becomes_a_template(estate: Estate, run: Run, converges: Run, tmp_path: Path) -> None:
    estate.start()
    file = str(tmp_path / "live.xva")
    run("xen_vm_export", name="web01", dest=file)
    converges("xen_template", name="Web", xva=file)
    assert names(estate) == ["Web"]
    assert run("xen_vm", name="web7", template="Web")["changed"]
    assert estate.contents(estate.db.one("VM", name_label="web7")) == estate.contents(estate.web01)


@pytest.mark.parametrize("state", ["Suspended", "checkpoint"])
def test_a_file_with_memory_becomes_no_template(estate: Estate, run: Run, tmp_path: Path, state: str) -> None:
    estate.call("VM.set_xenstore_data", estate.web01, {"vm-data/sim-agent": "192.0.2.7"})
    estate.start()
    if state == "Suspended":
        estate.call("VM.suspend", estate.web01)
        uuid = estate.record(estate.web01)["uuid"]
    else:
        run("xen_snapshot", vm="web01", name="s", kind="memory")
        uuid = estate.named("s")["uuid"]
    file = str(tmp_path / "live.xva")
    run("xen_vm_export", uuid=uuid, dest=file)
    with pytest.raises(InvalidChange, match="a VM that was suspended, with its memory: that cannot become a template"):
        run("xen_template", name="Web", xva=file)
