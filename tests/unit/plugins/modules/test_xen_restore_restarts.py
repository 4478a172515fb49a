# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool's toolstack dies in the middle of a restore, and forgets what it was doing: what it made by then is left lying there."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.tests.simulator.running import Simulator

from ..conftest import Result, carry_out, validated
from .restore_lab import RESTORING

pytestmark = pytest.mark.slow

MIB = 1 << 20
DATA = 160 * MIB  # takes a while


class Lab:
    """web01 on a pool that is a process of its own, and its backup."""

    def __init__(self, sim: Simulator, folder: Path):
        self.sim, self.folder = sim, folder
        folder.mkdir()
        self.reach = {
            "hostname": sim.hosts[0].url, "username": "root", "password": sim.ready["password"],
            "fingerprint": [sim.hosts[0].fingerprint_sha256],
        }  # fmt: skip
        self("xen_sr", name="Local storage", default=True)
        disks = [{"name": "system", "size": "256 MiB"}, {"name": "data", "size": "8 MiB"}]
        self("xen_vm", name="web01", template="Other install media", disks=disks)
        sim.ctl("write", self.disks("web01")["0"], "0", str(DATA), "seed")
        self("xen_backup", repository=str(folder), kind="vm", name="web01")
        self.mark = int(sim.ctl("mark"))

    def __call__(self, module: str, **options: t.Any) -> Result:
        return carry_out(module, {**self.reach, **options})

    @contextlib.contextmanager
    def session(self) -> t.Iterator[t.Callable[..., t.Any]]:
        session = seam.log_in(validated(seam.Module({}, lambda *_: {}), self.reach))
        try:
            yield session.call
        finally:
            session.log_out()

    def disks(self, vm: str) -> dict[str, str]:
        """Their uuids by place."""
        with self.session() as call:
            (ref,) = call("VM.get_by_name_label", vm)
            vbds = [row for row in call("VBD.get_all_records").values() if row["VM"] == ref and row["type"] == "Disk"]
            return {vbd["userdevice"]: call("VDI.get_uuid", vbd["VDI"]) for vbd in vbds}

    def digests(self, vm: str) -> list[str]:
        return [self.sim.ctl("digest", uuid).strip() for _place, uuid in sorted(self.disks(vm).items())]

    def left(self) -> tuple[list[str], list[str], list[str]]:
        """Names of VMs and disks that are no snapshots, and of those on which something is left to be done."""
        with self.session() as call:
            vms = [row for row in call("VM.get_all_records").values() if not (row["is_a_template"] or row["is_a_snapshot"])]
            vdis = [row for row in call("VDI.get_all_records").values() if not row["is_a_snapshot"] and row["type"] == "user"]
        names = [sorted(row["name_label"] for row in rows if not row.get("is_control_domain")) for rows in (vms, vdis)]
        return (
            names[0],
            [name for name in names[1] if not name.endswith(".iso")],
            [r["name_label"] for r in [*vms, *vdis] if RESTORING in r["other_config"]],
        )

    def methods(self) -> set[str]:
        """Of the calls that were made."""
        return {call["method"].removeprefix("Async.") for call in self.sim.calls(self.mark)}

    def die_when(self, begun: t.Callable[[t.Callable[..., t.Any]], bool]) -> None:
        """kill -9, and a new start."""
        end = time.monotonic() + 60
        with self.session() as call:
            while not begun(call):
                assert time.monotonic() < end, "it did not begin"
                time.sleep(0.01)
        self.sim.stop(kill=True, remove=False)
        self.sim.start()


@pytest.fixture
def lab(tmp_path: Path) -> t.Iterator[Lab]:
    with Simulator("--hosts", "1", "--speed", "0", state=tmp_path / "state") as sim:
        yield Lab(sim, tmp_path / "backups")


def has_vm(call: t.Callable[..., t.Any]) -> bool:
    return bool(call("VM.get_by_name_label", "web02"))


def has_disk(call: t.Callable[..., t.Any]) -> bool:
    """And its content is on the way: before that nothing is lost by a restart."""
    there = any(RESTORING in row["other_config"] for row in call("VDI.get_all_records").values())
    return there and any(row["status"] == "pending" for row in call("task.get_all_records").values())


def test_a_vm_that_the_toolstack_forgot_half_made_goes_and_comes_anew(lab: Lab) -> None:
    wanted = {"repository": str(lab.folder), "name": "web01", "new_name": "web02"}
    told: list[XenError] = []

    def restore() -> None:
        try:
            lab("xen_restore", **wanted)
        except XenError as e:
            told.append(e)

    work = threading.Thread(target=restore)
    work.start()
    lab.die_when(has_vm)
    work.join(120)
    assert not work.is_alive()
    if told:
        lab("xen_restore", **wanted)
    assert lab.left() == (["web01", "web02"], sorted(["data", "system"] * 2), [])
    assert lab.digests("web02") == lab.digests("web01")
    assert not lab("xen_restore", **wanted)["changed"]
    assert {"VM.destroy", "VDI.destroy"} <= lab.methods(), "something was left"
    lab.sim.ctl("check")


def test_a_disk_that_the_toolstack_forgot_half_filled_goes_and_comes_anew(lab: Lab) -> None:
    wanted = {"repository": str(lab.folder), "name": "web01", "onto": "web01", "disks": ["0"]}
    told: list[XenError] = []

    def restore() -> None:
        try:
            lab("xen_restore", **wanted)
        except XenError as e:
            told.append(e)

    work = threading.Thread(target=restore)
    work.start()
    lab.die_when(has_disk)
    work.join(120)
    assert not work.is_alive()
    if told:
        lab("xen_restore", **wanted)
    assert lab.left() == (["web01"], ["data", "system", "system"], [])
    assert "VDI.destroy" in lab.methods(), "something was left"
    held = lab.digests("web01")
    assert held[2] == held[0]
    assert not lab("xen_restore", **wanted)["changed"]
