# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in a domain and what it shows: metrics, guest agent, consoles (xen-api: ocaml/xapi/xapi_xenops.ml, xapi_guest_agent.ml).

Without an agent (guest_agents.py) clean shutdown, reboot, suspend and hot unplug are refused.
"""

from __future__ import annotations

import typing as t

from .modeltypes import NULL
from .vm_operations import runs_hvm

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import Machine

AGENT = "vm-data/sim-agent"
LAST_DOMAIN = "domid"  # in Machine.state: domains are counted from each boot on
NO_HYPERVISOR = "no_hypervisor"  # in Machine.state: nothing below the toolstack that would offer consoles
REPORT: dict[str, t.Any] = {
    "os_version": {"name": "Debian GNU/Linux 12 (bookworm)", "uname": "6.1.0-18-amd64", "distro": "debian", "major": "12", "minor": "0"},
    "PV_drivers_version": {"major": "9", "minor": "4", "micro": "0", "build": "0"},
    "other": {"feature-shutdown": "1", "feature-reboot": "1", "feature-suspend": "1"},
    "PV_drivers_up_to_date": True,
    "PV_drivers_detected": True,
}
BIOS = {
    "bios-vendor": "Xen", "bios-version": "", "system-manufacturer": "Xen", "system-product-name": "HVM domU", "system-version": "",
    "system-serial-number": "", "baseboard-manufacturer": "", "baseboard-product-name": "", "baseboard-version": "",
    "baseboard-serial-number": "", "baseboard-asset-tag": "", "baseboard-location-in-chassis": "", "enclosure-asset-tag": "",
    "hp-rombios": "", "oem-1": "Xen", "oem-2": "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d",
}  # fmt: skip


def started(machine: Machine, vm: str) -> None:
    """A new domain: numbers of its own, what it was started with, an empty guest report."""
    db, now = machine.pool.db, machine.world.clock.iso()
    record = db.get("VM", vm)
    hvm = runs_hvm(record)
    platform = {"device-model": "qemu-upstream-compat", **record["platform"]} if hvm else record["platform"]
    cpu = db.get("host", machine.host_ref)["cpu_info"]
    flags = {"vendor": cpu.get("vendor", ""), "features": cpu.get("features_hvm" if hvm else "features_pv", "")}
    db.set(
        "VM", vm, domid=_next_domid(machine), platform=platform, bios_strings=record["bios_strings"] or dict(BIOS),
        last_boot_CPU_flags=flags, metrics=_metrics(db, record), requires_reboot=False,
    )  # fmt: skip
    count, flag = record["VCPUs_at_startup"], record["platform"].get
    db.set(
        "VM_metrics", db.get("VM", vm)["metrics"], VCPUs_number=count, VCPUs_utilisation=dict.fromkeys(range(count), 0.0), start_time=now,
        memory_actual=record["memory_dynamic_max"], hvm=hvm, current_domain_type=record["domain_type"] if not hvm else "hvm",
        nomigrate=flag("nomigrate") == "true", nested_virt=flag("nested-virt") == "true",
    )  # fmt: skip
    _forget_report(db, record)
    db.set("VM", vm, guest_metrics=db.create("VM_guest_metrics", live=True, last_updated=now))
    offer_consoles(machine, vm)


def _next_domid(machine: Machine) -> int:
    """Counted from 1 on each host since its boot."""
    machine.state[LAST_DOMAIN] = machine.state.get(LAST_DOMAIN, 0) + 1
    return int(machine.state[LAST_DOMAIN])


def relocated(machine: Machine, vm: str) -> None:
    """The guest goes on in a domain of another host, or in a new one of the same."""
    machine.pool.db.set("VM", vm, domid=_next_domid(machine))
    offer_consoles(machine, vm)


def _metrics(db: Database, record: Record) -> str:
    return record["metrics"] if db.exists("VM_metrics", record["metrics"]) else db.create("VM_metrics")


def _forget_report(db: Database, record: Record) -> None:
    if db.exists("VM_guest_metrics", record["guest_metrics"]):
        db.destroy("VM_guest_metrics", record["guest_metrics"])


def offer_consoles(machine: Machine, vm: str) -> None:
    """A screen for HVM, a text console for PV, at the host's address."""
    db = machine.pool.db
    drop_consoles(db, vm)
    if machine.state.get(NO_HYPERVISOR):
        return
    address = db.get("host", machine.host_ref)["address"]
    console = db.create("console", protocol="rfb" if runs_hvm(db.get("VM", vm)) else "vt100", VM=vm)
    db.set("console", console, location=f"https://{address}/console?ref={console}")


def drop_consoles(db: Database, vm: str) -> None:
    """Nobody is at home."""
    for console in db.find("console", VM=vm):
        db.destroy("console", console)


def forget(db: Database, vm: str) -> None:
    """Metrics, report and consoles go with the VM."""
    record = db.get("VM", vm)
    _forget_report(db, record)
    if db.exists("VM_metrics", record["metrics"]):
        db.destroy("VM_metrics", record["metrics"])
    drop_consoles(db, vm)


def copied_reports(db: Database, record: Record) -> dict[str, str]:
    """metrics and guest_metrics of a copy of the VM."""
    out = {"metrics": NULL, "guest_metrics": NULL}
    for field, cls in (("metrics", "VM_metrics"), ("guest_metrics", "VM_guest_metrics")):
        if db.exists(cls, record[field]):
            fields = {name: value for name, value in db.get(cls, record[field]).items() if name != "uuid"}
            out[field] = db.create(cls, **fields)
    if out["metrics"] == NULL:
        out["metrics"] = db.create("VM_metrics")
    return out
