# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of hosts and guests. Rules: xen-api ocaml/xapi/memory_check.ml; all sizes in bytes."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .database import Database


MIB = 1 << 20
PAGE = 4096
SHIM = 34 * MIB  # of a guest that runs PV inside PVH, as recorded


def told(value: float) -> str:
    """A multiplier as errors spell it: as OCaml writes floats."""
    text = f"{value:.12g}"
    return text if "." in text or "e" in text else f"{text}."


def overhead(static_max: int, vcpus: int, *, shadow_multiplier: float = 1.0, shim: bool = False) -> int:
    """What Xen needs beside the guest's own memory: shadow pages by size and vCPU, 38 pages for each vCPU, 2 MiB."""
    shadow = max(MIB, int((256 * vcpus + 2 * (static_max // MIB)) * PAGE * shadow_multiplier))
    vcpu_pages = -(-38 * PAGE * vcpus // MIB) * MIB
    return 2 * MIB + -(-shadow // MIB) * MIB + vcpu_pages + (SHIM if shim else 0)


def need(db: Database, vm: str) -> int:
    """What a VM takes from its host when it starts."""
    record = db.get("VM", vm)
    start = record["memory_static_max"] if record["domain_type"] == "pv_in_pvh" else record["memory_dynamic_min"]
    return int(start + record["memory_overhead"])


def free(db: Database, host: str) -> int:
    """What is left on a host, counting each VM that runs or is about to run there with its smallest size."""
    record = db.get("host", host)
    if not db.exists("host_metrics", record["metrics"]):
        return 0
    guests = (vm for vm in db.all("VM").values() if host in (vm["resident_on"], vm["scheduled_to_be_resident_on"]))
    used = sum(vm["memory_dynamic_min"] + vm["memory_overhead"] for vm in guests)
    return max(0, int(db.get("host_metrics", record["metrics"])["memory_total"] - record["memory_overhead"] - used))


def note_free(db: Database, host: str) -> None:
    """Guests get what there is for them; the host's metrics show what is left."""
    if db.exists("host", host) and db.exists("host_metrics", db.get("host", host)["metrics"]):
        balance(db, host)
        db.set("host_metrics", db.get("host", host)["metrics"], memory_free=free(db, host))


def balance(db: Database, host: str) -> None:
    """Each guest has its smallest size and the same share of the rest of its range (ocaml/squeezed, proportional policy)."""
    here = {ref: vm for ref, vm in db.all("VM").items() if vm["resident_on"] == host and not vm["is_control_domain"]}
    wished = sum(vm["memory_dynamic_max"] - vm["memory_dynamic_min"] for vm in here.values())
    share = min(1.0, free(db, host) / wished) if wished else 1.0
    for ref, vm in here.items():
        more = vm["memory_dynamic_max"] - vm["memory_dynamic_min"]
        target = vm["memory_dynamic_min"] + (more if share == 1.0 else int(more * share) // PAGE * PAGE)
        if vm["power_state"] in ("Running", "Paused"):
            db.set("VM", ref, memory_target=target)
            if db.exists("VM_metrics", vm["metrics"]):
                db.set("VM_metrics", vm["metrics"], memory_actual=target)
