# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a new pool rather than to one host: pool record, storage drivers, default templates, the internal network."""

from __future__ import annotations

import functools
import json
import typing as t
import uuid
from pathlib import Path

import yaml

from .clock import iso
from .memory import overhead
from .modeltypes import NULL
from .networking import free_bridge
from .schema import DATA

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine

WEEK = 7 * 24 * 3600


@functools.cache
def values() -> dict[str, t.Any]:
    """fresh.yml."""
    loaded: dict[str, t.Any] = yaml.safe_load(Path(__file__).with_name("fresh.yml").read_text(encoding="utf-8"))
    return loaded


@functools.cache
def sm_types() -> dict[str, dict[str, t.Any]]:
    """Storage types by name: data/sr_types.json joined with sm_drivers.yml."""
    said = yaml.safe_load(Path(__file__).with_name("sm_drivers.yml").read_text(encoding="utf-8"))
    facts = json.loads((DATA / "sr_types.json").read_text(encoding="utf-8"))["types"]
    return {entry["type"]: {**entry, **said[entry["type"]]} for entry in facts}


@functools.cache
def _known_capabilities() -> frozenset[str]:
    return frozenset(json.loads((DATA / "sr_types.json").read_text(encoding="utf-8"))["meta"]["known_to_xapi"])


@functools.cache
def _templates() -> list[dict[str, t.Any]]:
    loaded: list[dict[str, t.Any]] = json.loads((DATA / "templates.json").read_text(encoding="utf-8"))["templates"]
    return loaded


def licence() -> dict[str, str]:
    """Licence flags with nothing restricted."""
    return {name: "true" if name == "enable_xha" else "false" for name in values()["features"]}


def create_pool(db: Database, machine: Machine) -> None:
    """The pool record, its coordinator not yet known."""
    telemetry = db.create("secret", value=str(uuid.uuid4()))
    next_week = iso(machine.world.clock.now() + WEEK)
    db.create("pool", restrictions=licence(), telemetry_uuid=telemetry, telemetry_next_collection=next_week, **values()["pool"])
    free_bridge(db)  # the internal network takes a number before it gets its own name
    db.create("network", **values()["internal_network"])


# storage drivers -----------------------------------------------------------------------------------------------------
def drivers_of(machine: Machine) -> list[str]:
    """The storage types the machine's software has."""
    product = machine.product
    chosen = product.get("drivers")
    return list(chosen) if chosen is not None else [n for n, e in sm_types().items() if product["sm"] == "xcp-ng" or e["in_xenserver_tree"]]


def features_of(entry: t.Mapping[str, t.Any], tree: str) -> dict[str, int]:
    """Capabilities xapi knows, with their versions (``VDI_RESET_ON_BOOT/2`` is version 2)."""
    names = entry["capabilities"] + (entry.get("capabilities_extra_in_xapi_project_sm", []) if tree == "xenserver" else [])
    parts = (name.partition("/") for name in names)
    return dict(sorted((name, int(version or 1)) for name, _slash, version in parts if name in _known_capabilities()))


def create_drivers(db: Database, machine: Machine) -> None:
    """SM objects of the machine's release; types the pool has already stay as they are."""
    present = {sm["type"] for sm in db.all("SM").values()}
    for name in drivers_of(machine):
        if name not in present:
            _create_driver(db, sm_types()[name], machine.product["sm"])


def _create_driver(db: Database, entry: dict[str, t.Any], tree: str) -> None:
    features = features_of(entry, tree)
    db.create(
        "SM", type=entry["type"], name_label=entry["name"], name_description=entry["description"], vendor="Citrix Systems Inc",
        copyright=f"(C) {entry.get('year', 2008)} Citrix Systems Inc", version=entry["driver_version"],
        required_api_version=entry.get("api", "1.0"), configuration={k: str(v) for k, v in entry["configuration"].items()},
        capabilities=list(features), features=features, driver_filename=f"/opt/xensource/sm/{entry['file']}",
    )  # fmt: skip


# templates -----------------------------------------------------------------------------------------------------------
def create_templates(db: Database, machine: Machine) -> None:
    """The default templates the machine's release ships."""
    for template in _templates():
        if template["origin"] in machine.product["templates"]:
            _create_template(db, template)


def _create_template(db: Database, template: dict[str, t.Any]) -> None:
    taken = template.keys() - {"origin", "derivation", "disks_gib", "other_config", "domain_type"}
    fields = {name: template[name] for name in taken if name in db.schema.classes["VM"].fields}
    disks = "a clone gets its disks when it is provisioned" if "disks" in template["other_config"] else "a clone starts without disks"
    kind = template.get("domain_type", "hvm")
    taken_by_xen = overhead(template["memory_static_max"], template["VCPUs_max"], shim=kind == "pv_in_pvh")
    metrics = db.create("VM_metrics", memory_actual=0, VCPUs_number=0)
    other_config = {"default_template": "true", "mac_seed": str(uuid.uuid4()), **template["other_config"]}
    db.create(
        "VM", **values()["template"], **{"generation_id": "", **fields}, name_description=f"Default template: {disks}",
        memory_overhead=taken_by_xen, metrics=metrics, domain_type=kind, other_config=other_config,
    )  # fmt: skip


# processors ----------------------------------------------------------------------------------------------------------
def common_features(sets: t.Iterable[str]) -> str:
    """What all of several feature sets have: words joined with dashes, and-ed; the shortest decides the length."""
    words = [[int(word, 16) for word in text.split("-")] for text in sets if text]
    if not words:
        return ""
    return "-".join(f"{functools.reduce(int.__and__, column):08x}" for column in zip(*words, strict=False))


def level_cpus(db: Database) -> None:
    """pool.cpu_info: the hosts' counts summed, features intersected, the coordinator's vendor (xen-api: ocaml/xapi/create_misc.ml)."""
    pool_ref, pool = next(iter(db.all("pool").items()))
    infos = [host["cpu_info"] for host in db.all("host").values()]
    vendor = db.get("host", pool["master"])["cpu_info"]["vendor"] if pool["master"] != NULL else infos[0]["vendor"]
    db.set("pool", pool_ref, cpu_info={
        "features_hvm_host": common_features(i.get("features_hvm_host", "") for i in infos),
        "features_pv_host": common_features(i.get("features_pv_host", "") for i in infos),
        "socket_count": str(sum(int(i.get("socket_count", "1")) for i in infos)),
        "cpu_count": str(sum(int(i.get("cpu_count", "0")) for i in infos)),
        "vendor": vendor,
    })  # fmt: skip
