# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines behind the hosts of a loaded database: cards, cables and storage servers as the records let one guess."""

from __future__ import annotations

import typing as t

from . import load_storage, releases
from .world import Machine, Nic, Pool, World

if t.TYPE_CHECKING:
    from .database import Database, Record

FIRST_ADDRESS = 0x7F0A0164  # 127.10.1.100
_FEATURES = ("features_hvm_host", "features_hvm", "features_pv", "features", "physical_features")


def add(world: World, pool: Pool) -> None:
    """One machine for each host, the coordinator first; hosts listen on loopback addresses."""
    db = pool.db
    if not db.exists("host", pool.pool["master"]):
        db.set("pool", pool.pool_ref, master=next(iter(db.all("host"))))
    coordinator = pool.pool["master"]
    for number, ref in enumerate(sorted(db.all("host"), key=lambda ref: (ref != coordinator, db.get("host", ref)["hostname"], ref))):
        machine = _machine(world, pool, ref, _address(number))
        world.machines[machine.name] = machine
        db.set("host", ref, address=machine.address)
    world.segments = sorted({nic.segment for m in world.machines.values() for nic in m.nics if nic.segment})
    world.storage = load_storage.learn(world, pool)


def _address(number: int) -> str:
    value = FIRST_ADDRESS + number
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _machine(world: World, pool: Pool, ref: str, address: str) -> Machine:
    db, host = pool.db, pool.db.get("host", ref)
    info = host["cpu_info"]
    metrics = db.all("host_metrics").get(host["metrics"], {})
    name = host["hostname"] or host["name_label"] or host["uuid"]
    if name in world.machines:
        name = f"{name}-{host['uuid'][:8]}"
    count = len(host["host_CPUs"]) or int(info.get("cpu_count", 1))
    return Machine(
        world, name, address, metrics.get("memory_total", 0), pool, host_ref=ref, vendor=info.get("vendor", ""),
        cpus={
            "count": count, "sockets": int(info.get("socket_count", 1)), "model": info.get("modelname", ""),
            "speed": info.get("speed", "0"),
        },
        features=next((info[k] for k in _FEATURES if info.get(k)), ""), nics=_nics(db, ref), product=_product(host),
        power_on=host["power_on_mode"], state={"iscsi_iqn": host["iscsi_iqn"] or host["other_config"].get("iscsi_iqn", "")},
    )  # fmt: skip


def _nics(db: Database, host: str) -> list[Nic]:
    """Cards on one network are cabled to one segment."""
    cards = [r for r in db.all("PIF").values() if r["host"] == host and r["physical"]]
    return [Nic(r["device"], r["MAC"], _segment(db, r), _carrier(db, r)) for r in sorted(cards, key=lambda r: str(r["device"]))]


def _segment(db: Database, pif: Record) -> str:
    """The network's bridge names it; cards of a bond share the bond's."""
    bond = db.all("Bond").get(pif["bond_slave_of"])
    if bond:
        pif = db.all("PIF").get(bond["master"], pif)
    return str(db.all("network").get(pif["network"], {}).get("bridge") or pif["device"])


def _carrier(db: Database, pif: Record) -> bool:
    metrics = db.all("PIF_metrics").get(pif["metrics"])
    return metrics is None or metrics["carrier"]


def _product(host: Record) -> dict[str, t.Any]:
    """What the host would be installed with again."""
    version = [int(host["API_version_major"]), int(host["API_version_minor"])]
    product = {**releases.release(releases.DEFAULT), "software_version": host["software_version"], "api_version": version}
    return {**product, "edition": host["edition"] or product["edition"]}
