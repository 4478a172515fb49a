# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Increments of a disk of 64 GiB of which a half, one and two hundredths have changed: bytes moved over bytes changed, and seconds.

How: the host compares the disk with the last snapshot (delta), or tells what it noted as changed, which is read over NBD (cbt).
"""

from __future__ import annotations

import statistics
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Manifest
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository

from . import transfers

SIZE = 64 * transfers.GIB
BLOCK = 2 << 20  # the host compares blocks of a VHD
SHARES = (0.005, 0.01, 0.02)


def measure() -> t.Iterator[dict[str, t.Any]]:
    for how in ("delta", "cbt"):
        yield _measured(how)


def _measured(how: str) -> dict[str, t.Any]:
    with transfers.lab() as lab:
        vdi = _disk(lab)
        if how == "cbt":
            _track(lab, vdi)
        (lab.folder / "repository").mkdir()
        _change(lab, vdi, 0.02, "base")
        _backup(lab)
        found: dict[float, list[tuple[transfers.Run, float]]] = {share: [] for share in SHARES}
        for turn in range(transfers.ROUNDS):
            for share in SHARES:
                changed = _change(lab, vdi, share, f"{turn} {share}")
                run = _backup(lab)
                told = _newest(lab)
                assert told.parent, "it was no increment"
                assert [disk.how for disk in told.disks] == [how]
                others = sum(file.size for file in told.files if file.name != told.disks[0].file)
                moved = told.disks[0].data if how == "cbt" else sum(file.size for file in told.files) - others
                found[share].append((run, (others + moved) / changed))
        half, one, two = (statistics.median(run.seconds for run, _ratio in found[share]) for share in SHARES)
        return {
            "how": how,
            "disk_bytes": SIZE,
            "changed_bytes": _blocks(0.01) * BLOCK,
            "bytes_ratio": round(max(ratio for _run, ratio in found[0.01]), 4),
            "seconds": round(one, 2),
            "seconds_half": round(half, 2),
            "seconds_double": round(two, 2),
            "peak_mib": round(max(run.peak for runs in found.values() for run, _ratio in runs), 1),
        }


def _blocks(share: float) -> int:
    return int(SIZE * share) // BLOCK


def _disk(lab: transfers.Lab) -> str:
    """Instead of the disk that is full; its uuid."""
    lab.remove("big")
    db, call = lab.sim.world.pools[0].db, lab.session.call
    vm = call("VM.clone", db.find("VM", name_label="Other install media")[0], "large")
    call("VM.provision", vm)
    plain = {"sharable": False, "read_only": False, "other_config": {}, "type": "user"}
    vdi = call("VDI.create", {"name_label": "large", "SR": lab.sr, "virtual_size": SIZE, **plain})
    drive = {"VM": vm, "VDI": vdi, "userdevice": "0", "bootable": True, "mode": "RW", "type": "Disk", "unpluggable": True}
    qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    call("VBD.create", {**drive, **qos, "empty": False, "other_config": {}})
    return str(call("VDI.get_uuid", vdi))


def _track(lab: transfers.Lab, vdi: str) -> None:
    db, call = lab.sim.world.pools[0].db, lab.session.call
    call("VDI.enable_cbt", db.find("VDI", uuid=vdi)[0])
    call("network.add_purpose", next(pif["network"] for pif in db.all("PIF").values() if pif["management"]), "nbd")


def _change(lab: transfers.Lab, vdi: str, share: float, seed: str) -> int:
    """Blocks all over the disk; how many bytes."""
    count = _blocks(share)
    step = SIZE // BLOCK // count
    for number in range(count):
        lab.sim.disks.fill(vdi, number * step * BLOCK, BLOCK, f"{seed} {number}")
    return count * BLOCK


def _backup(lab: transfers.Lab) -> transfers.Run:
    return lab.module("xen_backup", repository=str(lab.folder / "repository"), kind="vm", name="large")


def _newest(lab: transfers.Lab) -> Manifest:
    (subject,) = Repository(lab.folder / "repository").subjects("vm")
    newest = subject.newest()
    assert newest
    assert newest.manifest
    return newest.manifest
