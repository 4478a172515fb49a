# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a disk is, wherever it is plugged: what it allows follows from the published tables alone.

The rules are written down a second time here, from data/allowed_operations.json and the order xapi looks at them
(xen-api: ocaml/xapi/xapi_vdi.ml).
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator import vdi_operations
from ansible_collections.domzero.xen.tests.simulator.operations import rules

from .hosting import Hosting, hosting

TABLE = rules("VDI")
FEATURES = sorted({feature for feature in TABLE["sm_feature"].values() if feature})
ALL = sorted(TABLE["sm_feature"])
SHARED: list[tuple[Hosting, str, list[str]]] = []  # a pool, its disk, two drives


@dataclass(frozen=True)
class Disk:
    """All that matters for the tables."""

    modes: tuple[str, ...]  # of the drives it is plugged into
    current: str
    drive_busy: bool
    kind: str
    cbt: bool
    sharable: bool
    reset: bool
    snapshot: bool
    plugged: bool
    features: frozenset[str]
    sr: str
    upgrading: bool


def disks() -> st.SearchStrategy[Disk]:
    some = st.sampled_from([False, False, False, True])
    lacking = st.frozensets(st.sampled_from(FEATURES), max_size=4).map(lambda missing: frozenset(FEATURES) - missing)
    kinds = st.sampled_from(["user", "user", "system", "rrd", "cbt_metadata", "ha_statefile"])
    current = st.sampled_from(["", "", "copy", "mirror", "resize"])
    modes = st.lists(st.sampled_from(["RO", "RW"]), max_size=2).map(tuple)
    return st.builds(
        Disk, modes=modes, current=current, drive_busy=some, kind=kinds, cbt=some, sharable=some, reset=some, snapshot=st.booleans(),
        plugged=st.sampled_from([True, True, True, False]), features=lacking, sr=st.sampled_from(["ext", "ext", "ext", "udev"]),
        upgrading=some,
    )  # fmt: skip


def expected(disk: Disk, operation: str) -> str:
    """The code of the first thing that is in the way, or nothing."""
    feature = TABLE["sm_feature"][operation]
    passes = operation in TABLE["ok_while_attached"] or (operation in TABLE["ok_while_attached_read_only"] and "RW" not in disk.modes)
    newer = operation in ("mirror", "enable_cbt", "disable_cbt", "data_destroy", "list_changed_blocks", "set_on_boot")
    beside = (disk.current, operation) in (("copy", "copy"), ("mirror", "destroy"))
    tracking = operation in ("enable_cbt", "disable_cbt")
    gone = operation == "destroy" and disk.sr == "udev"
    checks = (
        (disk.upgrading and newer, "NOT_SUPPORTED_DURING_UPGRADE"),
        (bool(disk.current) and not beside, "OTHER_OPERATION_IN_PROGRESS"),
        (operation == "resize" and not disk.plugged, "SR_HAS_NO_PBDS"),
        (bool(disk.modes) and not passes, "VDI_IN_USE"),
        (disk.drive_busy and operation != "data_destroy", "OTHER_OPERATION_IN_PROGRESS"),
        (bool(feature) and feature not in disk.features and not gone, "SR_OPERATION_NOT_SUPPORTED"),
        (disk.kind == "cbt_metadata" and operation not in TABLE["cbt_metadata_type_ok"], "VDI_INCOMPATIBLE_TYPE"),
        (disk.cbt and operation in ("mirror", "set_on_boot"), "VDI_CBT_ENABLED"),
        (gone, "VDI_IS_A_PHYSICAL_DEVICE"),
        (operation == "destroy" and disk.kind == "rrd", "VDI_HAS_RRDS"),
        (operation == "data_destroy" and not disk.snapshot, "OPERATION_NOT_ALLOWED"),
        (operation == "data_destroy" and not disk.cbt, "VDI_NO_CBT_METADATA"),
        (operation == "snapshot" and disk.sharable, "VDI_IS_SHARABLE"),
        (operation in ("snapshot", "copy") and disk.reset, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"),
        (operation == "copy" and disk.kind == "ha_statefile", "OPERATION_NOT_ALLOWED"),
        (tracking and disk.snapshot, "OPERATION_NOT_ALLOWED"),
        (tracking and disk.kind not in ("user", "system"), "VDI_INCOMPATIBLE_TYPE"),
        (tracking and disk.reset, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"),
        (operation == "revert_to" and not disk.snapshot, "REVERT_ONLY_ALLOWED_ON_SNAPSHOT"),
    )
    return next((code for wrong, code in checks if wrong), "")


def shared() -> tuple[Hosting, str, list[str]]:
    if not SHARED:
        pool = hosting()
        vdi = pool.vdi()
        drives = [pool.vbd(pool.vm(), vdi) for _name in ("one", "other")]
        pool.machine.world.watch = False  # the records are bent on purpose
        SHARED.append((pool, vdi, drives))
    return SHARED[0]


def bend(disk: Disk) -> tuple[Hosting, str]:
    pool, vdi, drives = shared()
    db, sr = pool.db, pool.sr
    for number, drive in enumerate(drives):
        there = number < len(disk.modes)
        busy = {"OpaqueRef:task": "pause"} if disk.drive_busy and number == 0 else {}
        db.set("VBD", drive, currently_attached=there, mode=disk.modes[number] if there else "RW", current_operations=busy)
    db.set("SR", sr, type=disk.sr)
    for driver in db.find("SM", type=disk.sr):
        db.set("SM", driver, features=dict.fromkeys(sorted(disk.features), 1))
    db.set("PBD", db.get("SR", sr)["PBDs"][0], currently_attached=disk.plugged)
    other = {"rolling_upgrade_in_progress": "true"} if disk.upgrading else {}
    db.set("pool", pool.machine.pool.pool_ref, other_config=other)
    db.set(
        "VDI", vdi, type=disk.kind, cbt_enabled=disk.cbt, sharable=disk.sharable, on_boot="reset" if disk.reset else "persist",
        is_a_snapshot=disk.snapshot, current_operations={"OpaqueRef:task": disk.current} if disk.current else {},
    )  # fmt: skip
    return pool, vdi


@settings(max_examples=150, deadline=None)
@given(disks())
def test_what_a_disk_allows_follows_from_the_tables(disk: Disk) -> None:
    pool, vdi = bend(disk)
    want = {operation: expected(disk, operation) for operation in ALL}
    faults = {operation: vdi_operations.refusal(pool.db, vdi, operation) for operation in ALL}
    assert {operation: fault.code if fault else "" for operation, fault in faults.items()} == want
    vdi_operations.refresh(pool.db, vdi)
    listed = {operation for operation in TABLE["in_allowed_operations"] if not want[operation]}
    assert set(pool.db.get("VDI", vdi)["allowed_operations"]) == listed
    for operation, fault in faults.items():
        if fault and fault.code == "VDI_IN_USE":
            assert fault.params == (vdi, operation)
        elif fault and fault.code in ("SR_OPERATION_NOT_SUPPORTED", "SR_HAS_NO_PBDS"):
            assert fault.params == (pool.sr,)
