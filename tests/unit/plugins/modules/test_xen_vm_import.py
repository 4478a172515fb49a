# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from ..conftest import Result, Run, Start
from .transfer_lab import MIB, Estate

MARKED = ["http/put_import", "VM.add_to_other_config", "task.destroy"]
NAMED = [*MARKED, "VM.set_name_label"]
FILES: dict[str, bytes] = {}


@pytest.fixture
def estate(simulator: Start, session_to: t.Callable[[t.Any], t.Any]) -> Estate:
    sim = simulator(1)
    return Estate(sim, session_to(sim))


@pytest.fixture
def src(estate: Estate, run: Run, tmp_path: Path) -> Path:
    """web01, exported."""
    path = tmp_path / "web01.xva"
    run("xen_vm_export", name="web01", dest=str(path))
    return path


def vms(estate: Estate, name: str) -> list[dict[str, t.Any]]:
    return [estate.record(ref) for ref in estate.db.find("VM", name_label=name)]


def nics(estate: Estate, name: str) -> dict[str, tuple[str, str]]:
    """Network and MAC by device."""
    rows = [estate.record(ref, "VIF") for ref in estate.named(name)["VIFs"]]
    return {row["device"]: (estate.record(row["network"], "network")["name_label"], row["MAC"]) for row in rows}


@pytest.mark.parametrize("verify", ["before", "during", "never"])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_file_becomes_a_vm_once(estate: Estate, run: Run, converges: Run, tmp_path: Path, compression: str, verify: str) -> None:
    src = tmp_path / "x.xva"
    run("xen_vm_export", name="web01", dest=str(src), compression=compression)
    done = converges("xen_vm_import", src=str(src), name="web02", verify=verify)
    assert done["operations"] == NAMED
    assert (done["vm"]["name"], done["vm"]["uuid"]) == ("web02", estate.named("web02")["uuid"])
    assert estate.named("web02")["power_state"] == "Halted"
    assert estate.contents(estate.db.one("VM", name_label="web02")) == estate.contents(estate.web01)
    assert nics(estate, "web02")["0"][0] == nics(estate, "web01")["0"][0]
    assert nics(estate, "web02")["0"][1] != nics(estate, "web01")["0"][1], "it has MAC addresses of its own"
    assert done["xva"]["sha256"]
    assert not [task for task in estate.db.all("task").values() if task["name_label"].startswith("Import")]


def test_without_a_name_it_has_that_of_the_file(estate: Estate, src: Path, converges: Run) -> None:
    done = converges("xen_vm_import", src=str(src))
    assert done["operations"] == MARKED
    assert len(vms(estate, "web01")) == 2


def test_it_is_known_again_without_its_manifest_and_whatever_was_changed(estate: Estate, src: Path, run: Run) -> None:
    run("xen_vm_import", src=str(src), name="web02")
    (src.parent / "web01.xva.manifest.json").unlink()
    moved = shutil.move(src, src.parent / "elsewhere.xva")
    assert not run("xen_vm_import", src=str(moved), name="web02")["changed"]
    estate.call("VM.set_memory_limits", estate.db.one("VM", name_label="web02"), 1 << 30, 1 << 30, 1 << 30, 1 << 30)
    assert not run("xen_vm_import", src=str(moved), name="web02")["changed"]
    estate.call("VM.set_name_label", estate.db.one("VM", name_label="web02"), "renamed")
    again = run("xen_vm_import", src=str(moved), name="web02")
    assert again["operations"] == ["VM.set_name_label"]
    assert len(vms(estate, "web02")) == 1


def test_another_name_makes_another_vm(estate: Estate, src: Path, converges: Run) -> None:
    converges("xen_vm_import", src=str(src), name="web02")
    converges("xen_vm_import", src=str(src), name="web03")
    assert len(vms(estate, "web02")) == len(vms(estate, "web03")) == 1


def test_a_lost_vm_comes_back_as_it_was(estate: Estate, src: Path, converges: Run) -> None:
    before, contents, addresses = estate.named("web01")["uuid"], estate.contents(estate.web01), nics(estate, "web01")
    for vbd in estate.record(estate.web01)["VBDs"]:
        estate.call("VDI.destroy", estate.record(vbd, "VBD")["VDI"])
    estate.call("VM.destroy", estate.web01)
    converges("xen_vm_import", src=str(src), preserve=True)
    assert estate.named("web01")["uuid"] == before
    assert nics(estate, "web01") == addresses
    assert estate.contents(estate.db.one("VM", name_label="web01")) == contents


def test_a_live_export_comes_back_too(estate: Estate, run: Run, converges: Run, tmp_path: Path) -> None:
    estate.start()
    run("xen_vm_export", name="web01", dest=str(tmp_path / "live.xva"), compression="zstd")
    converges("xen_vm_import", src=str(tmp_path / "live.xva"), name="web02")
    made = estate.named("web02")
    assert not made["is_a_snapshot"]
    assert not made["is_a_template"]
    assert estate.contents(estate.db.one("VM", name_label="web02")) == estate.contents(estate.web01)


def test_it_goes_to_the_chosen_sr_and_network(estate: Estate, src: Path, converges: Run) -> None:
    estate.call("network.create", {"name_label": "DMZ", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    old = nics(estate, "web01")["0"][0]
    done = converges("xen_vm_import", src=str(src), name="web02", sr="Local storage", networks={old: "DMZ"})
    assert done["operations"] == [*NAMED, "VIF.move"]
    assert done["vm"]["networks"] == {"0": "DMZ"}
    assert nics(estate, "web02")["0"][0] == "DMZ"
    made = estate.record(estate.named("web02")["VBDs"][0], "VBD")["VDI"]
    assert estate.record(estate.record(made, "VDI")["SR"], "SR")["name_label"] == "Local storage"


def from_a_pool_with_another_network(estate: Estate, run: Run, path: Path) -> None:
    """web01 was on LAN, which has gone since."""
    lan = estate.call("network.create", {"name_label": "LAN", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    vif = estate.nic(estate.web01, lan, "1")
    run("xen_vm_export", name="web01", dest=str(path))
    estate.call("VIF.destroy", vif)
    estate.call("network.destroy", lan)


def test_a_network_the_pool_does_not_have_is_named_or_mapped(estate: Estate, run: Run, converges: Run, tmp_path: Path) -> None:
    src = tmp_path / "x.xva"
    from_a_pool_with_another_network(estate, run, src)
    mark = estate.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"is on 'LAN', which this pool does not have\. Say .*networks: {LAN: another}"):
            run("xen_vm_import", src=str(src), name="web02", check=check)
    assert estate.sim.calls(mark) == []
    here = nics(estate, "web01")["0"][0]
    done = converges("xen_vm_import", src=str(src), name="web02", networks={"LAN": here})
    assert done["operations"] == ["network.create", *NAMED, "VIF.move", "network.destroy"]
    assert {network for network, _mac in nics(estate, "web02").values()} == {here}
    assert not estate.db.find("network", name_label="LAN")


@pytest.mark.parametrize(
    ("params", "error", "told"),
    [
        ({"src": "/no.xva"}, Damaged, "/no.xva cannot be read: No such file"),
        ({"sr": "nowhere"}, NotFound, "No SR is named 'nowhere'"),
        ({"sr": "XCP-ng Tools"}, InvalidChange, "cannot hold disks of VMs"),
        ({"name": "web01"}, InvalidChange, "a VM named 'web01' already, which does not come from this file"),
        ({"preserve": True}, InvalidChange, "preserve would replace 'web01'"),
        ({"networks": {"nonsense": "x"}}, NotFound, "No network is named 'x'"),
        ({"networks": {"nonsense": "Host internal management network"}}, InvalidChange, "not on the network 'nonsense'"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_anything_is_done(
    estate: Estate, src: Path, run: Run, params: Result, error: type[XenError], told: str
) -> None:
    before, mark = estate.everything(), estate.sim.mark()
    for check in (True, False):
        with pytest.raises(error, match=told):
            run("xen_vm_import", check=check, **{"src": str(src), **params})
    assert estate.sim.calls(mark) == []
    assert estate.everything() == before


def test_the_mac_seed_of_another_vm_is_not_taken(estate: Estate, src: Path, run: Run) -> None:
    seed = estate.named("web01")["other_config"]["mac_seed"]
    estate.call("VM.destroy", estate.web01)
    other = estate.vm("other")
    estate.call("VM.remove_from_other_config", other, "mac_seed")
    estate.call("VM.add_to_other_config", other, "mac_seed", seed)
    with pytest.raises(InvalidChange, match="a second VM with the MAC addresses of 'other'"):
        run("xen_vm_import", src=str(src), preserve=True)


def test_a_full_sr_is_told_before(estate: Estate, src: Path, run: Run) -> None:
    sr = estate.sr()
    with estate.sim.world.lock:
        estate.db.set("SR", sr, physical_utilisation=int(estate.record(sr, "SR")["physical_size"]) - MIB)
    mark = estate.sim.mark()
    with pytest.raises(InvalidChange, match=r"(The data of|are wanted in)"):
        run("xen_vm_import", src=str(src), name="web02")
    assert estate.sim.calls(mark) == []


def test_a_description_alone_is_no_vm(estate: Estate, run: Run, tmp_path: Path) -> None:
    run("xen_vm_export", name="web01", dest=str(tmp_path / "x.xva"), metadata_only=True)
    with pytest.raises(InvalidChange, match="holds the description of a VM only"):
        run("xen_vm_import", src=str(tmp_path / "x.xva"), name="web02", verify="never")


# bad files ------------------------------------------------------------------------------
def spoilt(src: Path, how: str, *, with_manifest: bool) -> None:
    data = bytearray(src.read_bytes())
    if how == "bit":
        data[len(data) // 2] ^= 1
    src.write_bytes(data[: len(data) // 2] if how == "cut" else bytes(data) + b"x" if how == "longer" else data)
    if not with_manifest:
        (src.parent / f"{src.name}.manifest.json").unlink()


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("how", ["bit", "cut", "longer"])
def test_a_bad_file_is_refused_before_the_upload(estate: Estate, src: Path, run: Run, how: str, with_manifest: bool) -> None:
    spoilt(src, how, with_manifest=with_manifest)
    mark = estate.sim.mark()
    for check in (True, False):
        with pytest.raises(Damaged, match=r"web01\.xva is no"):
            run("xen_vm_import", src=str(src), name="web02", check=check)
    assert estate.sim.calls(mark) == []


@pytest.mark.parametrize("how", ["bit", "cut", "longer"])
def test_a_bad_file_that_is_checked_meanwhile_leaves_nothing(estate: Estate, src: Path, run: Run, how: str) -> None:
    spoilt(src, how, with_manifest=False)
    before = estate.everything()
    with pytest.raises(XenError):
        run("xen_vm_import", src=str(src), name="web02", verify="during")
    assert estate.everything() == before


def test_what_the_pool_finds_is_told(estate: Estate, src: Path, run: Run) -> None:
    spoilt(src, "bit", with_manifest=False)
    before = estate.everything()
    with pytest.raises(ApiError, match="IMPORT_ERROR_SOME_CHECKSUMS_FAILED"):
        run("xen_vm_import", src=str(src), name="web02", verify="never")
    assert estate.everything() == before


def test_a_file_that_was_replaced_is_not_what_its_manifest_tells(estate: Estate, src: Path, run: Run) -> None:
    estate.write(7)
    run("xen_vm_export", name="web01", dest=str(src.parent / "new.xva"))
    shutil.copy(src.parent / "new.xva", src)
    with pytest.raises(Damaged, match="is not the file that was exported"):
        run("xen_vm_import", src=str(src), name="web02")


# broken connections -----------------------------------------------------------------------
@pytest.mark.parametrize("verify", ["before", "during"])
@pytest.mark.parametrize("after", [0, 10_000, 3 * MIB])
def test_a_connection_that_breaks_leaves_nothing(estate: Estate, src: Path, run: Run, after: int, verify: str) -> None:
    before = estate.everything()
    estate.sim.faults.cut_transfer("/import", after)
    with pytest.raises((ConnectionFailed, ApiError), match="import VM 'web02'"):
        run("xen_vm_import", src=str(src), name="web02", verify=verify)
    assert estate.everything() == before
    assert run("xen_vm_import", src=str(src), name="web02", verify=verify)["changed"]
    assert estate.contents(estate.db.one("VM", name_label="web02")) == estate.contents(estate.web01)


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, 9))
def test_an_import_that_is_cut_off_at_any_call_comes_to_its_end(estate: Estate, run: Run, tmp_path: Path, kind: str, nth: int) -> None:
    """task.create, network.create, the mark, task.destroy, the name, the move, network.destroy."""
    src = tmp_path / "x.xva"
    from_a_pool_with_another_network(estate, run, src)
    before = estate.everything()
    networks = len(estate.db.all("network"))
    wanted = {"src": str(src), "name": "web02", "networks": {"LAN": nics(estate, "web01")["0"][0]}}
    getattr(estate.sim.faults, f"cut_{kind}_change")(nth)
    try:
        run("xen_vm_import", **wanted)
    except XenError:
        run("xen_vm_import", **wanted)
    estate.sim.faults.clear()
    assert not run("xen_vm_import", **wanted)["changed"]
    names, disks, left = estate.everything()
    assert names == sorted([*before[0], "web02"])
    assert len(disks) == len(before[1]) + 2
    assert [task for task in left if not task.startswith("Async.")] == before[2]
    assert len(estate.db.all("network")) == networks


def test_a_finished_upload_of_a_killed_task_is_taken_over(estate: Estate, src: Path, run: Run, converges: Run) -> None:
    estate.sim.faults.fail("VM.add_to_other_config", error=["INTERNAL_ERROR", "as if killed here"])
    with pytest.raises(ApiError):
        run("xen_vm_import", src=str(src), name="web02")
    done = converges("xen_vm_import", src=str(src), name="web02")
    assert done["operations"] == ["VM.add_to_other_config", "task.destroy", "VM.set_name_label"]
    assert len(vms(estate, "web02")) == 1


def test_storage_of_a_member_is_reached_there(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> None:
    sim = simulator(2)
    estate = Estate(sim, session_to(sim))
    run("xen_vm_export", name="web01", dest=str(tmp_path / "x.xva"))
    sr = estate.record(estate.local_sr(of_a_member=True), "SR")["uuid"]
    run("xen_vm_import", src=str(tmp_path / "x.xva"), name="web02", sr=sr)
    assert estate.contents(estate.db.one("VM", name_label="web02")) == estate.contents(estate.web01)
