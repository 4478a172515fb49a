# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM comes back as it was in its backup, on its pool or on another."""

from __future__ import annotations

import random
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore import content
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore.checking import Checks
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore.source import BackupSource

from ..backup.keys import age_key, needs_age
from ..conftest import Result, Run, Start
from .restore_lab import MARKED, MIB, RESTORED, Restores

UNMARKED = ["VDI.remove_from_other_config", "VDI.remove_from_other_config", "VM.remove_from_other_config"]


@pytest.fixture
def estate(simulator: Start, session_to: t.Callable[[t.Any], t.Any], run: Run, tmp_path: Path) -> Restores:
    sim = simulator(1)
    return Restores(sim, session_to(sim), run, tmp_path / "backups")


USUAL = [("vhd", "before"), ("vhd", "during"), ("xva", "during"), ("packed", "before")]
VHD: dict[str, t.Any] = {}
XVA: dict[str, t.Any] = {"mode": "full"}
PACKED: dict[str, t.Any] = {"mode": "full", "compression": "zstd"}
FORMS = [pytest.param(VHD, id="vhd"), pytest.param(XVA, id="xva"), pytest.param(PACKED, id="packed", marks=pytest.mark.slow)]
ALL = [
    pytest.param(form, verify, id=f"{name}-{verify}", marks=() if (name, verify) in USUAL else pytest.mark.slow)
    for name, form in (("vhd", VHD), ("xva", XVA), ("packed", PACKED))
    for verify in ("before", "during", "never")
]


@pytest.mark.parametrize(("form", "verify"), ALL)
def test_a_backup_becomes_a_vm_once(estate: Restores, converges: Run, form: dict[str, t.Any], verify: str) -> None:
    estate.run(**form)
    given = {"repository": str(estate.folder), "name": "web01", "new_name": "web02", "verify": verify}
    done = converges("xen_restore", **given)
    assert done["operations"] == [*MARKED, *UNMARKED]
    made = estate.record(estate.one("web02"))
    assert done["vm"] == {
        "name": "web02", "uuid": made["uuid"], "power_state": "Halted", "networks": {"0": estate.nics("web01")["0"][0]},
        "disks": {"0": "disk 0", "1": "disk 1"},
    }  # fmt: skip
    assert estate.contents(estate.one("web02")) == estate.contents(estate.web01)
    assert estate.nics("web02")["0"][1] != estate.nics("web01")["0"][1], "it has MAC addresses of its own"
    assert done["backup"]["stamp"] == estate.newest().stamp
    assert estate.marks() == []
    assert made["other_config"][RESTORED].endswith(made["uuid"])
    estate.is_clean()


def given(estate: Restores, **params: t.Any) -> Result:
    return {"repository": str(estate.folder), "name": "web01", **params}


@pytest.mark.parametrize("form", FORMS)
def test_a_lost_vm_comes_back_as_it_was(estate: Restores, converges: Run, form: dict[str, t.Any]) -> None:
    """It ran when it was backed up: what was exported is a snapshot."""
    estate.call("VM.set_tags", estate.web01, ["web"])
    estate.call("VM.set_order", estate.web01, 3)
    estate.start()
    uuid, contents, nics = estate.named("web01")["uuid"], estate.contents(estate.web01), estate.nics("web01")
    estate.run(**form)
    estate.call("VM.hard_shutdown", estate.web01)
    estate.loses()
    done = converges("xen_restore", **given(estate, preserve=True))
    made = estate.record(estate.one("web01"))
    assert (made["uuid"], made["is_a_snapshot"], made["is_a_template"]) == (uuid, False, False)
    assert (made["snapshot_of"], made["power_state"]) == ("OpaqueRef:NULL", "Halted")
    assert (made["tags"], made["order"]) == (["web"], 3)
    assert estate.nics("web01") == nics
    assert estate.contents(estate.one("web01")) == contents
    assert done["vm"]["uuid"] == uuid
    assert not [key for key in made["other_config"] if key.startswith("domzero.xen:") and key != RESTORED]


@pytest.mark.slow
def test_every_backup_of_a_chain_is_what_the_disks_were_then(estate: Restores, run: Run) -> None:
    stamps, held = [], []
    for seed in range(4):
        estate.write(seed)
        stamps.append(estate.run()["backup"]["stamp"])
        held.append(estate.contents(estate.web01))
    assert estate.newest().manifest.parent, "they build on each other"  # type: ignore[union-attr]
    for stamp, contents in zip(stamps, held, strict=True):
        run("xen_restore", **given(estate, backup=stamp, new_name=stamp))
        assert estate.contents(estate.one(stamp)) == contents


def test_what_was_restored_is_backed_up_and_restored_again(estate: Restores, run: Run) -> None:
    estate.run()
    estate.loses()
    run("xen_restore", **given(estate, preserve=True))
    estate.web01 = estate.one("web01")
    estate.write(5)
    contents = estate.contents(estate.web01)
    estate.run()
    estate.loses()
    assert run("xen_restore", **given(estate, preserve=True))["changed"]
    assert estate.contents(estate.one("web01")) == contents


def test_the_memory_comes_back_too(estate: Restores, converges: Run) -> None:
    estate.start()
    estate.wait_for_tools("web01")
    estate.run(mode="full", consistency="memory")
    contents = estate.contents(estate.web01)
    estate.call("VM.hard_shutdown", estate.web01)
    estate.loses()
    done = converges("xen_restore", **given(estate, preserve=True, start=True))
    assert done["operations"][-2:] == ["VM.resume", "VM.remove_from_other_config"]
    assert done["vm"]["power_state"] == "Running"
    assert estate.contents(estate.one("web01")) == contents
    assert estate.marks() == []


@pytest.mark.parametrize(
    ("form", "state"), [pytest.param(VHD, "Halted", id="vhd", marks=pytest.mark.slow), pytest.param(XVA, "Suspended", id="xva")]
)
def test_a_suspended_vm_comes_back_with_its_memory_if_that_was_saved(
    estate: Restores, converges: Run, form: dict[str, t.Any], state: str
) -> None:
    estate.start()
    estate.wait_for_tools("web01")
    estate.call("VM.suspend", estate.web01)
    estate.run(**form)
    done = converges("xen_restore", **given(estate, new_name="web02"))
    made = estate.record(estate.one("web02"))
    assert (done["vm"]["power_state"], made["power_state"]) == (state, state)
    assert (made["suspend_VDI"] in estate.db.all("VDI")) == (state == "Suspended")
    assert estate.contents(estate.one("web02")) == estate.contents(estate.web01)
    assert estate.marks() == []
    done = converges("xen_restore", **given(estate, new_name="web03", disks=["0"]))
    assert done["vm"]["power_state"] == "Halted", "with other disks its memory would be wrong"


def test_a_vm_without_disks_and_one_with_a_disc_and_a_tpm_come_back(estate: Restores, converges: Run) -> None:
    estate.vm("empty")
    plain = {"bootable": False, "mode": "RO", "unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    disc = {"VM": estate.web01, "VDI": estate.db.one("VDI", name_label="guest-tools.iso"), "userdevice": "3", "type": "CD", "empty": False}
    estate.call("VBD.create", {**disc, **plain})
    estate.call("VM.set_HVM_boot_params", estate.web01, {"firmware": "uefi"})
    estate.call("VTPM.create", estate.web01, False)
    for name in ("empty", "web01"):
        estate.run(name=name)
        done = converges("xen_restore", **given(estate, name=name, new_name=f"{name}-again"))
        made = estate.record(estate.one(f"{name}-again"))
        assert (len(made["VTPMs"]), len(done["vm"]["disks"])) == ((1, 2) if name == "web01" else (0, 0))
    drives = [estate.record(ref, "VBD") for ref in made["VBDs"]]
    assert [(vbd["userdevice"], vbd["VDI"] == disc["VDI"]) for vbd in drives if vbd["type"] == "CD"] == [("3", True)]


def test_backups_by_changed_blocks_are_restored(estate: Restores, run: Run) -> None:
    estate.track()
    estate.run()
    estate.write(1)
    estate.run()
    contents = estate.contents(estate.web01)
    assert estate.newest().manifest.disks[0].how == "cbt"  # type: ignore[union-attr]
    run("xen_restore", **given(estate, new_name="web02"))
    assert estate.contents(estate.one("web02")) == contents


def test_it_is_started_once(estate: Restores, converges: Run, run: Run) -> None:
    estate.run()
    done = converges("xen_restore", **given(estate, new_name="web02", start=True))
    assert done["operations"][-2:] == ["VM.start", "VM.remove_from_other_config"]
    assert done["vm"]["power_state"] == "Running"
    estate.call("VM.hard_shutdown", estate.one("web02"))
    assert not run("xen_restore", **given(estate, new_name="web02", start=True))["changed"], "it was restored, and is its owner's"


@pytest.mark.parametrize("form", FORMS)
def test_some_of_its_disks_only(estate: Restores, converges: Run, form: dict[str, t.Any]) -> None:
    estate.run(**form)
    before = len(estate.everything()[1])
    done = converges("xen_restore", **given(estate, new_name="web02", disks=["1"]))
    assert done["vm"]["disks"] == {"1": "disk 1"}
    assert estate.contents(estate.one("web02")) == estate.contents(estate.web01)[1:]
    assert len(estate.everything()[1]) == before + 1, "no other disk was made"


@pytest.mark.parametrize("form", FORMS)
def test_disks_that_were_left_out_are_not_there(estate: Restores, converges: Run, run: Run, form: dict[str, t.Any]) -> None:
    estate.call("VDI.set_name_label", estate.db.one("VDI", name_label="disk 0"), "scratch [NOBAK]")
    estate.run(**form)
    done = converges("xen_restore", **given(estate, new_name="web02"))
    assert done["vm"]["disks"] == {"1": "disk 1"}
    assert estate.contents(estate.one("web02")) == estate.contents(estate.web01)[1:]
    with pytest.raises(InvalidChange, match=r"has no disk 0: it was left out \(its name has \[NOBAK\]\)"):
        run("xen_restore", **given(estate, new_name="web03", disks=["0"]))


def test_it_goes_to_the_chosen_sr_and_networks(estate: Restores, converges: Run) -> None:
    estate.call("VM.add_to_other_config", estate.web01, "auto_poweron", "true")
    estate.call("network.create", {"name_label": "DMZ", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    estate.run()
    old = estate.nics("web01")["0"][0]
    done = converges("xen_restore", **given(estate, new_name="web02", sr="Local storage", networks={old: "DMZ"}))
    assert done["operations"] == [*MARKED, "VIF.move", *UNMARKED]
    assert done["vm"]["networks"] == {"0": "DMZ"}
    assert done["warnings"] == ["VM 'web02' starts with its host (auto_poweron), as the one that was backed up."]
    made = estate.record(estate.named("web02")["VBDs"][0], "VBD")["VDI"]
    assert estate.record(estate.record(made, "VDI")["SR"], "SR")["name_label"] == "Local storage"


@needs_age
@pytest.mark.parametrize("form", [pytest.param(VHD, id="vhd"), pytest.param(XVA, id="xva", marks=pytest.mark.slow)])
def test_what_is_encrypted_is_opened_with_the_identity(estate: Restores, converges: Run, run: Run, tmp_path: Path, form: t.Any) -> None:
    encryption, identity = age_key(tmp_path)
    estate.run(encryption=encryption, **form)
    for params in ({}, {"identity": age_key(tmp_path, "other.txt")[1]}):
        with pytest.raises(InvalidChange):
            run("xen_restore", **given(estate, new_name="web02", **params))
    converges("xen_restore", **given(estate, new_name="web02", identity=identity))
    assert estate.contents(estate.one("web02")) == estate.contents(estate.web01)
    converges("xen_restore", **given(estate, onto="web02", disks=["0"], identity=identity))
    assert estate.contents(estate.one("web02"))[2] == estate.contents(estate.web01)[0]


# refusals -------------------------------------------------------------------------------
BAD: list[tuple[Result, type[XenError], str]] = [
    ({}, InvalidChange, r"There is a VM named 'web01' already .*does not come from this backup\. Give new_name, or"),
    ({"preserve": True, "new_name": "x"}, InvalidChange, r"preserve would replace 'web01', which has the uuid .*Remove that VM first"),
    ({"new_name": "x", "sr": "nowhere"}, NotFound, "No SR is named 'nowhere'"),
    ({"new_name": "x", "sr": "XCP-ng Tools"}, InvalidChange, "cannot hold disks of VMs"),
    ({"new_name": "x", "networks": {"nonsense": "x"}}, NotFound, "No network is named 'x'"),
    ({"new_name": "x", "disks": ["5"]}, InvalidChange, r"The backup \w+ of VM 'web01' has no disk 5\. It has: 0 \(disk 0\)"),
    ({"new_name": "x", "replace": True}, InvalidChange, "replace is of no use here"),
    ({"new_name": "x", "backup": "nonsense"}, NotFound, "There is no backup 'nonsense' of VM 'web01'"),
    ({"name": "web99"}, NotFound, "no backups of VM 'web99'"),
    ({"pool": "elsewhere"}, NotFound, "no backups of VM 'web01' of pool 'elsewhere'"),
    ({"repository": "/nowhere"}, InvalidChange, "The repository /nowhere is not there"),
]  # fmt: skip


def test_bad_input_is_told_before_anything_is_done(estate: Restores, run: Run) -> None:
    estate.run()
    before, mark = estate.everything(), estate.sim.mark()
    for params, error, told in BAD:
        for check in (True, False):
            with pytest.raises(error, match=told):
                run("xen_restore", check=check, **given(estate, **params))
    assert estate.sim.calls(mark) == []
    assert estate.everything() == before


def test_the_mac_addresses_of_another_vm_are_not_taken(estate: Restores, run: Run) -> None:
    estate.run()
    seed = estate.named("web01")["other_config"]["mac_seed"]
    estate.loses()
    other = estate.vm("other")
    estate.call("VM.remove_from_other_config", other, "mac_seed")
    estate.call("VM.add_to_other_config", other, "mac_seed", seed)
    with pytest.raises(InvalidChange, match="a second VM with the MAC addresses of 'other'"):
        run("xen_restore", **given(estate, preserve=True))
    assert run("xen_restore", **given(estate))["changed"]


def test_a_clone_of_a_restored_vm_is_not_taken_for_it(estate: Restores, run: Run) -> None:
    estate.run()
    run("xen_restore", **given(estate, new_name="web02"))
    estate.call("VM.clone", estate.one("web02"), "clone")
    estate.loses(estate.one("web02"))
    assert run("xen_restore", **given(estate, new_name="web02"))["changed"]


def test_a_start_that_failed_is_made_up_for_and_a_clone_made_meanwhile_is_safe(estate: Restores, run: Run) -> None:
    estate.run()
    estate.sim.faults.fail("VM.start", error=["NO_HOSTS_AVAILABLE"])
    with pytest.raises(ApiError, match=r"Could not start VM 'web02': .*NO_HOSTS_AVAILABLE"):
        run("xen_restore", **given(estate, new_name="web02", start=True))
    estate.call("VM.clone", estate.one("web02"), "clone")
    done = run("xen_restore", **given(estate, new_name="web02", start=True))
    assert done["operations"] == ["VM.start", "VM.remove_from_other_config"]
    estate.call("VM.hard_shutdown", estate.one("web02"))
    estate.loses(estate.one("web02"))
    run("xen_restore", **given(estate, new_name="web02"))
    assert estate.contents(estate.one("clone")) == estate.contents(estate.one("web02")) == estate.contents(estate.web01)


def test_a_vm_that_lost_a_nic_before_its_restore_was_finished_is_not_called_done(estate: Restores, run: Run) -> None:
    estate.run()
    estate.sim.faults.fail("VM.start", error=["NO_HOSTS_AVAILABLE"])
    with pytest.raises(ApiError):
        run("xen_restore", **given(estate, new_name="web02", start=True))
    estate.call("VIF.destroy", estate.named("web02")["VIFs"][0])
    mark = estate.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"VM 'web02' has lost its NIC 0 in a restore that was broken off\. Remove it"):
            run("xen_restore", check=check, **given(estate, new_name="web02", start=True))
    assert estate.sim.calls(mark) == []


def test_a_network_the_pool_does_not_have_is_named_or_mapped(estate: Restores, run: Run, converges: Run) -> None:
    lan = estate.call("network.create", {"name_label": "LAN", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    vif = estate.nic(estate.web01, lan, "1")
    estate.run()
    estate.call("VIF.destroy", vif)
    estate.call("network.destroy", lan)
    mark = estate.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"is on 'LAN', which this pool does not have\. Say .*networks: {LAN: another}"):
            run("xen_restore", check=check, **given(estate, new_name="web02"))
    assert estate.sim.calls(mark) == []
    here = estate.nics("web01")["0"][0]
    done = converges("xen_restore", **given(estate, new_name="web02", networks={"LAN": here}))
    assert done["operations"] == ["network.create", *MARKED, "VIF.move", "network.destroy", *UNMARKED]
    assert not estate.db.find("network", name_label="LAN")


def test_a_full_sr_is_told_before(estate: Restores, run: Run) -> None:
    estate.run()
    sr = estate.sr()
    with estate.sim.world.lock:
        estate.db.set("SR", sr, physical_utilisation=int(estate.record(sr, "SR")["physical_size"]) - MIB)
    mark = estate.sim.mark()
    with pytest.raises(InvalidChange, match=r"(The data of|are wanted in)"):
        run("xen_restore", **given(estate, new_name="web02"))
    assert estate.sim.calls(mark) == []


# damage ---------------------------------------------------------------------------------
def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["disk0.vhd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("disk1.vhd", "metadata.xva"))])
def test_a_damaged_backup_is_refused_and_the_newest_sound_one_is_named(estate: Restores, run: Run, file: str) -> None:
    sound = estate.run(mode="full")["backup"]["stamp"]
    whole = estate.run()["backup"]["stamp"]
    stamp = estate.run()["backup"]["stamp"]
    bad = estate.subject().get(whole if file.endswith("vhd") else stamp)  # type: ignore[union-attr]
    flip(bad.path / file)
    before, mark = estate.everything(), estate.sim.mark()
    told = rf"The backup {stamp} of VM 'web01' is damaged: {bad.path}/{file}: its SHA-256 is \w+, not \w+\."
    for check in (True, False):
        with pytest.raises(Damaged, match=rf"{told} The newest good one is {whole if bad.stamp == stamp else sound}\.$"):
            run("xen_restore", check=check, **given(estate, new_name="web02"))
    assert estate.sim.calls(mark) == []
    assert estate.everything() == before
    assert run("xen_restore", **given(estate, new_name="web02", backup=sound))["changed"]


@pytest.mark.parametrize("form", FORMS[:2])
def test_damage_that_is_found_while_it_is_sent_leaves_nothing(estate: Restores, run: Run, form: dict[str, t.Any]) -> None:
    estate.run(**form)
    flip(estate.newest().path / ("vm.xva" if form else "disk0.vhd"))
    before = estate.everything()
    with pytest.raises(XenError):
        run("xen_restore", **given(estate, new_name="web02", verify="during"))
    assert estate.everything() == before


@pytest.mark.parametrize("form", FORMS[:2])
def test_a_disk_the_backup_should_hold_and_does_not_is_no_disk_of_zeros(estate: Restores, form: dict[str, t.Any]) -> None:
    estate.run(**form)
    backup, subject = estate.newest(), estate.subject()
    assert backup.manifest
    assert subject
    lost = replace(backup.manifest.disks[0], device="9")
    given = {"mark": "m", "name": "", "bare": False, "identity": "", "verify": "never", "checks": Checks(subject, backup)}
    opened = content.opened(backup, lost, "") if form else BackupSource(backup, "it", [lost], **given).opened()
    with pytest.raises(Damaged, match=r"does not hold disk 9 \('disk 0'\)"), opened:
        pass


@pytest.mark.parametrize(("file", "place"), [("disk0.vhd", -100), ("disk0.vhd", 1540), ("metadata.xva", 5)])
def test_what_is_broken_at_first_sight_is_refused_before_anything_is_done(estate: Restores, run: Run, file: str, place: int) -> None:
    """verify says never: nobody reads the files, but what tells where the data is has to make sense."""
    estate.run()
    path = estate.newest().path / file
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)
    mark = estate.sim.mark()
    for params in ({"new_name": "web02"}, {"onto": "web01"}):
        with pytest.raises(Damaged):
            run("xen_restore", **given(estate, verify="never", **params))
    assert estate.sim.calls(mark) == []


def test_one_that_is_known_to_be_bad_is_passed_over_or_refused(estate: Restores, run: Run) -> None:
    good = estate.run(mode="full")["backup"]["stamp"]
    bad = estate.run(mode="full")["backup"]["stamp"]
    (estate.newest().path / "vm.xva").unlink()
    with pytest.raises(Damaged, match=rf"The backup {bad} of VM 'web01' cannot be restored: .* The newest good one is {good}\."):
        run("xen_restore", **given(estate, new_name="web02", backup=bad))
    done = run("xen_restore", **given(estate, new_name="web02"))
    assert done["backup"]["stamp"] == good
    assert any(f"The backup {bad} of VM 'web01' is newer than {good}, but cannot be used" in told for told in done["warnings"])


def test_backups_that_are_being_changed_are_left_alone(estate: Restores, run: Run) -> None:
    estate.run()
    subject = estate.subject()
    assert subject
    with subject.lock("prune"), pytest.raises(InvalidChange, match=r"Another task .*prune.* works on the backups of VM 'web01'"):
        run("xen_restore", **given(estate, new_name="web02"))
    with subject.lock("verify", shared=True):
        assert run("xen_restore", **given(estate, new_name="web02"))["changed"]


# whatever happened to the VM ------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happened_between_the_backups_each_comes_back_as_it_was(estate: Restores, run: Run, seed: int) -> None:
    """Disks are written, come, go, grow, are reverted; the VM is halted or runs; backups are increments, with or without CBT, or whole."""
    chance, held = random.Random(seed), dict[str, dict[str, str]]()
    if seed % 2:
        estate.track()
    for turn in range(7):
        happen(estate, chance, turn)
        mode = "full" if chance.random() < 0.2 else "incremental"
        stamp = estate.run(mode=mode, compression=chance.choice(["none", "gzip"]) if mode == "full" else "none")["backup"]["stamp"]
        held[stamp] = digests(estate, "web01")
    other = estate.vm("other")
    for stamp, contents in held.items():
        run("xen_restore", **given(estate, backup=stamp, new_name=stamp, verify=chance.choice(["before", "during", "never"])))
        assert digests(estate, stamp) == contents
        device = chance.choice(sorted(contents))
        done = run("xen_restore", **given(estate, backup=stamp, onto="other", disks=[device]))
        assert digests(estate, "other")[done["vm"]["restored"][device]] == contents[device]
    assert estate.disk_uuids(other)
    assert estate.marks() == []


def digests(estate: Restores, name: str) -> dict[str, str]:
    """SHA-256 of the disks by place."""
    return {place: estate.sim.disks.digest(uuid) for place, uuid in estate.disk_uuids(estate.one(name)).items()}


def happen(estate: Restores, chance: random.Random, turn: int) -> None:
    disks = estate.disk_uuids(estate.web01)
    for uuid in disks.values():
        if chance.random() < 0.8:
            size = int(estate.record(estate.db.one("VDI", uuid=uuid), "VDI")["virtual_size"])
            at, length = chance.randrange(size), chance.randrange(1, 2 * MIB)
            if chance.random() < 0.3:
                estate.sim.disks.write(uuid, at, bytes(min(length, size - at)))
            else:
                estate.sim.disks.fill(uuid, at, min(length, size - at), turn)
    what = chance.choice(["start", "add", "remove", "grow", "nothing"])
    if estate.record(estate.web01)["power_state"] == "Running":
        estate.call("VM.hard_shutdown", estate.web01)
    if what == "start":
        estate.start()
    elif what == "add" and len(disks) < 5:
        place = next(place for place in range(9) if str(place) not in disks)
        estate.attach(estate.web01, estate.vdi(f"more {turn}", size=chance.randrange(1, 5) * 2 * MIB), place)
    elif what == "remove" and len(disks) > 1:
        estate.call("VDI.destroy", estate.db.one("VDI", uuid=disks[chance.choice(sorted(disks))]))
    elif what == "grow":
        ref = estate.db.one("VDI", uuid=disks[chance.choice(sorted(disks))])
        if not estate.record(ref, "VDI")["cbt_enabled"]:
            estate.call("VDI.resize", ref, int(estate.record(ref, "VDI")["virtual_size"]) + 2 * MIB)
