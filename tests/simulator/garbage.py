# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left without its other end is cleaned away, in xapi's order (xen-api: ocaml/xapi/db_gc.ml, db_gc_util.ml)."""

from __future__ import annotations

import typing as t

from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database, Record

# class -> fields whose objects must exist
ENDS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("crashdump", (("VM", "VM"), ("VDI", "VDI"))),
    ("VIF", (("VM", "VM"), ("network", "network"))),
    ("PBD", (("host", "host"), ("SR", "SR"))),
    ("PUSB", (("host", "host"),)),
    ("VGPU", (("VM", "VM"), ("GPU_group", "GPU_group"))),
    ("PGPU", (("host", "host"),)),
    ("PCI", (("host", "host"),)),
    ("host_cpu", (("host", "host"),)),
    ("host_patch", (("host", "host"),)),
    ("host_crashdump", (("host", "host"),)),
    ("VTPM", (("VM", "VM"),)),
    ("PVS_proxy", (("VIF", "VIF"),)),
    ("PVS_server", (("site", "PVS_site"),)),
    ("PVS_cache_storage", (("site", "PVS_site"), ("SR", "SR"), ("host", "host"))),
    ("console", (("VM", "VM"),)),
    ("Host_driver", (("host", "host"),)),
    ("Feature", (("host", "host"),)),
    ("tunnel", (("access_PIF", "PIF"), ("transport_PIF", "PIF"))),
)


def collect(db: Database) -> None:
    """One round."""
    for vdi, record in list(db.all("VDI").items()):
        if not db.exists("SR", record["SR"]):
            db.destroy("VDI", vdi)
    for pif, record in list(db.all("PIF").items()):
        if not (db.exists("host", record["host"]) and db.exists("network", record["network"])):
            _drop_pif(db, pif, record)
    for vbd, record in list(db.all("VBD").items()):
        _clean_vbd(db, vbd, record)
    for cls, fields in ENDS:
        for ref, record in list(db.all(cls).items()):
            if not all(db.exists(other, record[field]) for field, other in fields):
                db.destroy(cls, ref)
    used = {record["metrics"] for record in db.all("host").values()}
    for metrics in [ref for ref in db.all("host_metrics") if ref not in used]:
        db.destroy("host_metrics", metrics)
    for ref, record in list(db.all("Certificate").items()):
        if record["type"] in ("host", "host_internal") and not db.exists("host", record["host"]):
            db.destroy("Certificate", ref)


def _drop_pif(db: Database, pif: str, record: Record) -> None:
    """With its metrics and what is built from it."""
    if record["VLAN"] < 0 and db.exists("PIF_metrics", record["metrics"]):
        db.destroy("PIF_metrics", record["metrics"])
    made = [("VLAN", record["VLAN_master_of"]), *(("Bond", bond) for bond in record["bond_master_of"])]
    made += [("tunnel", tunnel) for tunnel in (*record["tunnel_access_PIF_of"], *record["tunnel_transport_PIF_of"])]
    made += [("VLAN", vlan) for vlan in record["VLAN_slave_of"]]
    for cls, ref in made:
        if db.exists(cls, ref):
            db.destroy(cls, ref)
    db.destroy("PIF", pif)


def _clean_vbd(db: Database, vbd: str, record: Record) -> None:
    """A drive without its disc stays as an empty drive."""
    if not db.exists("VM", record["VM"]):
        db.destroy("VBD", vbd)
    elif not record["empty"] and not db.exists("VDI", record["VDI"]):
        if record["type"] == "CD":
            db.set("VBD", vbd, empty=True, VDI=NULL, currently_attached=False)
        else:
            db.destroy("VBD", vbd)


def remove_host(db: Database, host: str) -> None:
    """The record, its control domains, and all that only made sense with it."""
    for vm in list(db.get("host", host)["resident_VMs"]):
        if db.get("VM", vm)["is_control_domain"]:
            db.destroy("VM", vm)
    db.destroy("host", host)
    collect(db)
