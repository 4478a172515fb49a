# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM of a backup is started beside what runs, and nothing of it is left, whatever happens."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup_verify import stale

from ..backup.verify_lab import flipped
from ..conftest import Result, Run
from ..meanwhile import meanwhile
from .backup_lab import Backups
from .transfer_lab import MIB

Start = t.Callable[..., t.Any]
slow = pytest.mark.slow  # the same in another way: make slow
SR = "Local storage"
RESTORED = [
    "http/put_import", "VM.add_to_other_config", "task.destroy", *["VDI.remove_from_other_config"] * 2, "VM.remove_from_other_config",
]  # fmt: skip
REMOVED = ["VM.hard_shutdown", "VDI.destroy", "VDI.destroy", "VM.destroy"]


class Booting(Backups):
    def verify(self, *, check: bool = False, **boot: t.Any) -> Result:
        given = {"repository": str(self.folder), "kind": "vm", "name": "web01", "level": "checksum"}
        return self._run("xen_backup_verify", check=check, **given, boot_test={"sr": SR, **boot})

    def guests(self) -> list[str]:
        return sorted(r["name_label"] for r in self.db.all("VM").values() if not r["is_a_template"] and not r["is_control_domain"])

    def left(self) -> tuple[t.Any, ...]:
        """Everything that a boot test could leave."""
        names = [sorted(row["name_label"] for row in self.db.all(cls).values()) for cls in ("VM", "VDI", "network", "task")]
        return (*names, len(self.db.all("VBD")), len(self.db.all("VIF")))

    def settings(self, **xenstore: str) -> None:
        data = {f"vm-data/{key.replace('_', '-')}": value for key, value in xenstore.items()}
        self.call("VM.set_xenstore_data", self.web01, {**self.record(self.web01)["xenstore_data"], **data})


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> Booting:
    sim = simulator(1)
    return Booting(sim, session_to(sim), run, tmp_path / "backups")


@pytest.mark.parametrize("form", [{}, pytest.param({"mode": "full", "compression": "zstd"}, marks=slow)], ids=["vhd", "xva"])
def test_the_vm_of_a_backup_is_started_and_removed(lab: Booting, form: dict[str, t.Any]) -> None:
    lab.run(**form)
    there, mark = lab.left(), lab.sim.mark()
    predicted = lab.verify(check=True)
    assert lab.sim.calls(mark) == []
    done = lab.verify()
    assert predicted["operations"] == done["operations"] == [*RESTORED, "VM.start", *REMOVED]
    assert lab.left() == there
    assert [(row["level"], row["ok"], row["verified"]["level"]) for row in done["backups"]] == [("boot", True, "boot")]
    starts = [call for call in lab.sim.calls(mark) if call["method"].endswith("VM.start")]
    assert len(starts) == 1
    assert not [call for call in lab.sim.calls(mark) if "VIF" in call["method"]]


@slow
def test_a_vm_that_was_saved_with_its_memory_starts_anew(lab: Booting) -> None:
    lab.start()
    lab.wait_for_tools("web01")
    lab.run(mode="full", consistency="memory")
    there = lab.left()
    assert lab.verify()["operations"] == [*RESTORED, "VM.start", *REMOVED]
    assert lab.left() == there


def test_it_has_no_network_while_it_runs(lab: Booting) -> None:
    lab.run()
    lab.sim.faults.fail("VM.hard_shutdown", error=["INTERNAL_ERROR", "stays"])
    lab.sim.faults.fail("VM.hard_shutdown", error=["INTERNAL_ERROR", "stays"], nth=2)
    with pytest.raises(XenError, match="in the pool, which the next boot test of VM 'web01' removes"):
        lab.verify()
    (copy,) = [row for row in lab.db.all("VM").values() if row["name_label"].startswith(stale.PREFIX)]
    assert (copy["power_state"], copy["VIFs"]) == ("Running", [])
    lab.verify()
    assert not [name for name in lab.guests() if name.startswith(stale.PREFIX)]


def test_an_address_is_told_on_a_network_that_leads_nowhere(lab: Booting) -> None:
    lab.run()
    there = lab.left()
    done = lab.verify(wait_for="address")
    assert done["operations"] == [*RESTORED, "network.create", "VIF.create", "VM.start", *REMOVED, "network.destroy"]
    assert lab.left() == there


@slow
def test_it_starts_on_the_host_that_is_named(lab: Booting) -> None:
    lab.run()
    mark = lab.sim.mark()
    lab.verify(host="xcp00", wait_for="none")
    assert next(call["method"] for call in lab.sim.calls(mark) if "start" in call["method"]).endswith("VM.start_on")


@pytest.mark.slow(whole=True)
def test_a_guest_that_does_not_come_up_makes_its_backup_a_bad_one(lab: Booting) -> None:
    lab.settings(sim_agent="none")
    lab.run()
    there = lab.left()
    with pytest.raises(
        Damaged, match=r"boot test: Waited 1 seconds for VM 'domzero.* tools; last seen: it runs, and its tools have not"
    ) as caught:
        lab.verify(timeout=1)
    assert lab.left() == there
    assert [row["state"] for row in caught.value.facts["backups"]] == ["bad"]
    assert lab.run()["reason"], "the next one is whole, and says why"
    assert lab.backups()[-1].manifest.parent == ""
    with pytest.raises(Damaged):
        lab.verify(timeout=1)
    lab.verify(wait_for="none")


def test_a_guest_that_ends_by_itself_is_told_so(lab: Booting) -> None:
    lab.settings(sim_agent="none", sim_poweroff="0")
    lab.run()
    there = lab.left()
    with pytest.raises(Damaged, match="was started, and is halted since"):
        lab.verify(timeout=20)
    assert lab.left() == there


@pytest.mark.parametrize(
    ("method", "code", "bad"),
    [
        ("VM.start", "HOST_NOT_ENOUGH_FREE_MEMORY", False),
        pytest.param("VM.start", "BOOTLOADER_FAILED", True, marks=slow),
        pytest.param("VM.destroy", "INTERNAL_ERROR", False, marks=slow),
        pytest.param("VM.add_to_other_config", "INTERNAL_ERROR", False, marks=slow),
    ],
)  # fmt: skip
def test_what_fails_for_the_pool_is_no_word_about_the_backup(lab: Booting, method: str, code: str, bad: bool) -> None:
    lab.run()
    there = lab.left()
    lab.sim.faults.fail(method, error=[code, "x", "y"])
    with pytest.raises(XenError, match=code) as caught:
        lab.verify()
    assert isinstance(caught.value, Damaged) is bad
    assert lab.left() == there
    assert [backup.state for backup in lab.backups()] == ["bad" if bad else "good"]


def test_what_cannot_be_read_for_a_boot_test_is_no_word_about_the_backup(lab: Booting) -> None:
    """Such as too many open files; here a link that leads to itself, in the place of the file that was good when it was checked."""
    lab.run()
    path, there = lab.newest().path / "disk0.vhd", lab.left()

    def looped() -> None:
        path.rename(path.with_name("aside"))
        path.symlink_to(path.name)

    with pytest.raises(XenError, match="Too many levels of symbolic links"), meanwhile("refuse_broken", looped):
        lab.verify()
    path.with_name("aside").replace(path)
    assert lab.left() == there
    assert [backup.state for backup in lab.backups()] == ["good"]


def test_files_that_are_damaged_are_not_restored(lab: Booting) -> None:
    lab.run()
    mark = lab.sim.mark()
    with flipped(lab.newest().path / "disk0.vhd", 5000), pytest.raises(Damaged, match="disk0"):
        lab.verify()
    assert lab.sim.calls(mark) == []


@slow
def test_what_runs_for_another_repository_is_left_alone(lab: Booting, tmp_path: Path) -> None:
    lab.run()
    other = Booting(lab.sim, lab.session, lab._run, tmp_path / "other", like=lab)
    other.run()
    lab.sim.faults.fail("VM.hard_shutdown", error=["INTERNAL_ERROR", "stays"])
    lab.sim.faults.fail("VM.hard_shutdown", error=["INTERNAL_ERROR", "stays"], nth=2)
    with pytest.raises(XenError, match="which the next boot test"):
        lab.verify()
    there = [name for name in lab.guests() if name.startswith(stale.PREFIX)]
    other.verify()
    assert [name for name in lab.guests() if name.startswith(stale.PREFIX)] == there != []
    lab.verify()
    assert [name for name in lab.guests() if name.startswith(stale.PREFIX)] == []


def test_one_boot_test_of_a_vm_at_a_time(lab: Booting) -> None:
    lab.run()
    with stale.alone(lab.subject()), pytest.raises(InvalidChange, match="Another task runs a boot test of VM 'web01'"):
        lab.verify()
    with pytest.raises(InvalidChange, match="A backup of kind pool cannot be started"):
        lab._run("xen_backup_verify", repository=str(lab.folder), kind="pool", boot_test={"sr": SR})
    with pytest.raises(InvalidChange, match="timeout is 0"):
        lab.verify(timeout=0)


@slow
def test_a_protected_vm_is_removed_like_any_other(lab: Booting) -> None:
    lab.call("VM.set_blocked_operations", lab.web01, {"start": "no", "destroy": "no", "hard_shutdown": "no"})
    lab.call("VM.add_to_other_config", lab.web01, "auto_poweron", "true")
    lab.run()
    there = lab.left()
    done = lab.verify()
    assert done["operations"] == [*RESTORED, "VM.set_blocked_operations", "VM.remove_from_other_config", "VM.start", *REMOVED]
    assert lab.left() == there


def left_behind(lab: Booting) -> str:
    """A copy that the pool did not let go."""
    lab.run()
    lab.sim.faults.fail("VM.hard_shutdown", error=["INTERNAL_ERROR", "stays"])
    lab.sim.faults.fail("VM.hard_shutdown", error=["INTERNAL_ERROR", "stays"], nth=2)
    with pytest.raises(XenError, match="which the next boot test"):
        lab.verify()
    (copy,) = [ref for ref, row in lab.db.all("VM").items() if row["name_label"].startswith(stale.PREFIX)]
    return str(copy)


def test_a_disk_of_another_vm_that_a_left_copy_has_too_stays(lab: Booting) -> None:
    copy, payroll, mine = left_behind(lab), lab.vm("payroll"), lab.vdi("payroll data", size=8 * MIB)
    lab.attach(payroll, mine, 0)
    lab.attach(copy, mine, 5)
    there = lab.disk_uuids(payroll)
    lab.verify()
    assert lab.guests() == ["payroll", "web01"]
    assert lab.disk_uuids(payroll) == there


def test_a_clone_of_a_left_copy_is_somebody_elses(lab: Booting) -> None:
    copy = left_behind(lab)
    lab.call("VM.hard_shutdown", copy)
    clone = lab.call("VM.clone", copy, "rescued")
    held = lab.contents(clone)
    lab.verify()
    assert lab.guests() == ["rescued", "web01"]
    assert lab.contents(clone) == held
