# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real pool's database (XML as ``/pool/xmldbdump`` gives it, of any release) as a world that answers.

Fields the dump lacks get their defaults, tables and fields nobody knows any more are dropped, back references are computed anew.
All objects stay as dumped but for what belongs to the simulator: hosts listen on loopback addresses (``host.address``) and are live,
the password is the simulator's; sessions, tasks and operations under way are gone.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from xml.etree import ElementTree

from . import db_text, garbage, load_machines
from .database import Database
from .modeltypes import NULL
from .schema import ClassType, load
from .store import FLEETING
from .world import World


class NoDatabase(Exception):
    """The file is no database dump."""


@dataclass
class Dump:
    """Manifest, and native records by class and reference; ``skipped`` says what could not be kept."""

    manifest: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, dict[str, t.Any]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def parse(body: bytes) -> Dump:
    """A dump as records. Raises NoDatabase."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as e:
        raise NoDatabase(f"not XML: {e}") from e
    if root.tag != "database" or root.find("table[@name='pool']") is None:
        raise NoDatabase("no database of a pool")
    dump = Dump({p.get("key", ""): p.get("value", "") for p in root.findall("manifest/pair")})
    known = load().classes
    for table in root.findall("table"):
        cls = known.get(table.get("name", ""))
        if cls is None:
            dump.skipped.append(f"table {table.get('name')}")
        elif cls.name not in FLEETING:
            dump.tables[cls.name] = {row.get("ref", ""): _record(cls, row, dump) for row in table.findall("row")}
    if len(dump.tables["pool"]) != 1 or not dump.tables.get("host"):
        raise NoDatabase("not exactly one pool with at least one host")
    return dump


def _record(cls: ClassType, row: ElementTree.Element, dump: Dump) -> dict[str, t.Any]:
    record = {}
    for column, raw in row.attrib.items():
        name = column if column in cls.fields else column.replace("__", "_")
        if name not in cls.fields:
            continue
        try:
            record[name] = db_text.read(cls.fields[name].type, db_text.unprotect(raw))
        except db_text.Unreadable as e:
            dump.skipped.append(f"{cls.name}.{name} of {row.get('ref')}: {e}")
    return record


def world_of(dump: Dump, *, speed: float, release: str | None, username: str, password: str) -> World:
    """A world whose one pool is the dumped one."""
    world = World(speed=speed, release=release, username=username, password=password)
    pool = world.new_pool()
    fill(pool.db, dump)
    load_machines.add(world, pool)
    return world


def fill(db: Database, dump: Dump) -> None:
    """Puts the records in, and what newer releases keep beside them."""
    for cls, rows in dump.tables.items():
        for ref, record in rows.items():
            db.put(cls, ref, {**record, **({"current_operations": {}} if "current_operations" in record else {})})
    db.derive()
    garbage.collect(db)
    _upgrade(db)


def _upgrade(db: Database) -> None:
    """What xapi's own database upgrade fills in for older releases (xen-api: ocaml/xapi/xapi_db_upgrade.ml)."""
    for ref, vm in db.all("VM").items():
        if vm["is_control_domain"] and db.exists("host", vm["resident_on"]) and db.get("host", vm["resident_on"])["control_domain"] == NULL:
            db.set("host", vm["resident_on"], control_domain=ref)
    for ref, bond in db.all("Bond").items():
        if bond["primary_slave"] == NULL and bond["slaves"]:
            master = db.all("PIF").get(bond["master"], {}).get("MAC")
            same = [slave for slave in bond["slaves"] if db.get("PIF", slave)["MAC"] == master]
            db.set("Bond", ref, primary_slave=(same or bond["slaves"])[0])
    for ref, driver in db.all("SM").items():
        if not driver["features"]:
            db.set("SM", ref, features=dict.fromkeys(driver["capabilities"], 1))
    for ref in db.all("host_metrics"):
        db.set("host_metrics", ref, live=True)
