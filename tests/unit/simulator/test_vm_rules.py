# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a VM is and does: what is listed as allowed, and the error that is told otherwise, follow from the published tables alone.

The rules are written down a second time here, straight from data/allowed_operations.json and the order xapi looks at them
(xen-api: ocaml/xapi/xapi_vm_lifecycle.ml).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.operations import rules

from .hosting import Hosting, hosting

TABLE = rules("VM")
ALL = sorted(operation for operation in TABLE["power_states"] if not operation.startswith("_"))
MOVES = ("suspend", "checkpoint", "pool_migrate", "migrate_send")
SHARED: list[Hosting] = []  # one pool for all examples: to make one takes longer than to ask it


@dataclass(frozen=True)
class Guest:
    """All that matters for the tables."""

    state: str
    kind: str  # vm, template, default, snapshot
    domain: str
    flags: frozenset[str]  # what its tools say
    cannot_suspend: bool
    nomigrate: bool
    pci: bool
    reset_disk: bool
    current: tuple[str, ...]
    blocked: str


def guests() -> st.SearchStrategy[Guest]:
    flags = st.sampled_from(["feature-suspend", "feature-shutdown", "feature-poweroff", "feature-reboot", "feature-vcpu-hotplug"])
    running = st.sampled_from(["clone", "copy", "export", "snapshot", "migrate_send", "hard_shutdown", "hard_reboot", "start"])
    return st.builds(
        Guest, state=st.sampled_from(TABLE["power_states"]["_all"]), kind=st.sampled_from(["vm", "vm", "template", "default", "snapshot"]),
        domain=st.sampled_from(["hvm", "hvm", "pv"]), flags=st.frozensets(flags), cannot_suspend=st.booleans(), nomigrate=st.booleans(),
        pci=st.booleans(), reset_disk=st.booleans(), current=st.lists(running, max_size=2, unique=True).map(tuple),
        blocked=st.sampled_from(["", "", "start", "snapshot", "destroy"]),
    )  # fmt: skip


def needed_states(guest: Guest, operation: str) -> list[str]:
    states = TABLE["power_states"][operation]
    if states == "_all":
        return t.cast("list[str]", TABLE["power_states"]["_all"])
    return [*states, "Suspended"] if operation in ("clone", "copy") and guest.kind == "snapshot" else list(states)


def fits(operation: str, current: tuple[str, ...]) -> bool:
    if operation == "hard_shutdown":
        return "hard_shutdown" not in current
    if operation == "hard_reboot":
        return not {"hard_shutdown", "hard_reboot"} & set(current)
    if current == ("migrate_send",) and operation in ("metadata_export", "clean_shutdown", "clean_reboot"):
        return True
    return set(current) <= set(TABLE["parallel_ok"].get(operation, ()))


def expected(guest: Guest, operation: str) -> str:
    """The code of the first thing that is in the way, or nothing."""
    live = guest.state in ("Running", "Paused")
    is_template = guest.kind in ("template", "default")
    known = TABLE["template_ok"] + (TABLE["template_ok_if_not_default"] if guest.kind == "template" else [])
    needs = TABLE["guest_feature_needed"].get(operation)
    checks = (
        (guest.blocked == operation, "OPERATION_BLOCKED"),
        (guest.state not in needed_states(guest, operation), "VM_BAD_POWER_STATE"),
        (bool(guest.current) and not fits(operation, guest.current), "OTHER_OPERATION_IN_PROGRESS"),
        (is_template and operation not in known, "VM_IS_TEMPLATE"),
        (guest.kind == "snapshot" and operation not in TABLE["snapshot_ok"], "VM_IS_SNAPSHOT"),
        (operation == "provision" and not is_template and guest.kind != "snapshot", "PROVISION_ONLY_ALLOWED_ON_TEMPLATE"),
        (operation == "revert" and guest.kind != "snapshot", "REVERT_ONLY_ALLOWED_ON_SNAPSHOT"),
        (operation in MOVES and guest.nomigrate, "VM_IS_IMMOBILE"),
        (operation in MOVES and live and guest.cannot_suspend, "VM_NON_SUSPENDABLE"),
        (bool(needs) and live and guest.domain == "hvm" and not set(needs or ()) & guest.flags, "VM_LACKS_FEATURE"),
        (operation == "snapshot_with_quiesce", "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED"),
        (operation in ("checkpoint", "snapshot", "suspend") and guest.reset_disk, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"),
        (operation in MOVES and guest.pci, "VM_HAS_PCI_ATTACHED"),
        (operation == "query_services", "NOT_SYSTEM_DOMAIN"),
    )
    return next((code for wrong, code in checks if wrong), "")


def made(pool: Hosting, guest: Guest) -> str:
    db, vm = pool.db, pool.db.one("VM", name_label="subject")
    record = db.get("VM", vm)
    db.set("VDI", db.get("VBD", record["VBDs"][0])["VDI"], on_boot="reset" if guest.reset_disk else "persist")
    other = {**dict.fromkeys(guest.flags, "1"), **({"data-cant-suspend-reason": "no"} if guest.cannot_suspend else {})}
    db.set("VM_guest_metrics", record["guest_metrics"], other=other, PV_drivers_detected=False)
    db.set("VM_metrics", record["metrics"], nomigrate=guest.nomigrate, nested_virt=False)
    db.set(
        "VM", vm, power_state=guest.state, domain_type=guest.domain, attached_PCIs=["OpaqueRef:pci"] if guest.pci else [],
        is_a_template=guest.kind != "vm", is_a_snapshot=guest.kind == "snapshot", is_default_template=guest.kind == "default",
        current_operations={f"OpaqueRef:task{n}": name for n, name in enumerate(guest.current)},
        blocked_operations={guest.blocked: "because"} if guest.blocked else {},
        platform={"nomigrate": "true"} if guest.nomigrate else {}, resident_on=pool.host if guest.state in ("Running", "Paused") else NULL,
    )  # fmt: skip
    pool("VM.update_allowed_operations", vm)
    return vm


def shared() -> Hosting:
    if not SHARED:
        SHARED.append(hosting())
        SHARED[0].running("subject", disk=True)
        SHARED[0].machine.world.watch = False  # the records are bent on purpose
    return SHARED[0]


def answer(pool: Hosting, vm: str, operation: str) -> list[str]:
    try:
        pool("VM.assert_operation_valid", vm, operation)
    except Fault as fault:
        return fault.description
    return [""]


@settings(max_examples=150, deadline=None)
@given(guests())
def test_what_a_vm_allows_follows_from_the_tables(guest: Guest) -> None:
    pool = shared()
    vm = made(pool, guest)
    want = {operation: expected(guest, operation) for operation in ALL}
    have = {operation: answer(pool, vm, operation) for operation in ALL}
    assert {operation: error[0] for operation, error in have.items()} == want
    listed = {operation for operation, code in want.items() if not code} - set(TABLE["never_in_allowed_operations"])
    assert pool.allowed(vm) == listed
    for operation, error in have.items():
        name = TABLE["names_in_errors"].get(operation, operation)
        if error[0] == "VM_BAD_POWER_STATE":
            assert error[1:] == [vm, ", ".join(needed_states(guest, operation)).lower(), guest.state.lower()]
        elif error[0] in ("VM_IS_TEMPLATE", "VM_IS_SNAPSHOT"):
            assert error[1:] == [vm, name]
        elif error[0] == "OTHER_OPERATION_IN_PROGRESS":
            several = len(guest.current) > 1
            assert error[1:4] == ["VM", vm, f"{{{','.join(guest.current)}}}" if several else guest.current[0]]
        elif error[0] == "OPERATION_BLOCKED":
            assert error[1:] == [vm, "because"]
