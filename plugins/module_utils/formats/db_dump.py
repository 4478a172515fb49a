# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database of a pool as GET /pool/xmldbdump gives it, of any release: is it whole, and what does it hold?

A document of rows, whose columns are attributes. Names of nested fields have two underscores (name__label). Blanks in values are
quoted with a percent sign; maps and sets are s-expressions. Sources: xen-api, ocaml/database/db_xml.ml, xml_spaces.ml,
string_marshall_helper.ml.
"""

from __future__ import annotations

import re
import typing as t
import xml.parsers.expat
from dataclasses import dataclass, field
from pathlib import Path

from .compression import Damaged
from .files import PIECE

Row = dict[str, str]  # plain values by the names XenAPI has for them
COLUMNS: dict[str, frozenset[str]] = {  # what is kept of the tables; the others are only counted
    name: frozenset(columns.split())
    for name, columns in {
        "pool": "uuid name_label master",
        "host": "uuid name_label address software_version",
        "SR": "uuid name_label type shared physical_size",
        "PBD": "host SR",
        "network": "uuid name_label bridge",
        "VM": "uuid name_label power_state resident_on suspend_VDI is_a_template is_a_snapshot is_control_domain",
        "VBD": "VM VDI userdevice type",
        "VDI": "uuid name_label virtual_size SR",
    }.items()
}
_QUOTED = re.compile(r"%([._tnr%])")
_PLAIN = {".": " ", "_": "  ", "t": "\t", "n": "\n", "r": "\r", "%": "%"}  # "%_" is of releases before 2017
_PAIR = re.compile(r"\(\s*'((?:[^'\\]|\\.)*)'\s+'((?:[^'\\]|\\.)*)'\s*\)", re.S)


@dataclass
class Dump:
    """manifest: its key-value pairs; tables: rows by table and reference; counts: rows of every table."""

    manifest: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in COLUMNS})
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def schema(self) -> str:
        """Version of the database, such as 5.909."""
        return f"{self.manifest.get('schema_major_vsn', '')}.{self.manifest.get('schema_minor_vsn', '')}"

    @property
    def generation(self) -> int:
        """Grows with every change of the database."""
        return number(self.manifest.get("generation_count", ""))

    @property
    def pool(self) -> Row:
        return next(iter(self.tables["pool"].values()))

    @property
    def coordinator(self) -> Row:
        """Raises KeyError for a dump that was not checked."""
        return self.tables["host"][self.pool["master"]]


class Reading:
    """A dump while it comes: feed() its pieces in order, then finish()."""

    def __init__(self) -> None:
        self._dump, self._root, self._table = Dump(), "", ""
        self._parser = xml.parsers.expat.ParserCreate()
        self._parser.StartElementHandler = self._start

    def feed(self, piece: bytes | memoryview, *, last: bool = False) -> None:
        """Raises Damaged for what is no XML."""
        try:
            self._parser.Parse(bytes(piece), last)
        except xml.parsers.expat.ExpatError as e:
            raise Damaged(f"It is no whole XML document: line {e.lineno}, column {e.offset}.") from None
        except (LookupError, ValueError) as e:
            raise Damaged(f"Its encoding is none that is known: {e}.") from None

    def finish(self) -> Dump:
        """Raises Damaged for what is cut off, or no database of a pool."""
        self.feed(b"", last=True)
        for problem in self._problems():
            raise Damaged(problem)
        return self._dump

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._root = self._root or tag
        if tag == "table":
            self._table = attributes.get("name", "")
            self._dump.counts.setdefault(self._table, 0)
        elif tag == "pair":
            self._dump.manifest[attributes.get("key", "")] = attributes.get("value", "")
        elif tag == "row":
            self._dump.counts[self._table] = self._dump.counts.get(self._table, 0) + 1
            if kept := COLUMNS.get(self._table):
                named = ((column.replace("__", "_"), value) for column, value in attributes.items())
                row = {name: plain(value) for name, value in named if name in kept}
                self._dump.tables[self._table][attributes.get("ref", "")] = {**dict.fromkeys(kept, ""), **row}

    def _problems(self) -> t.Iterator[str]:
        dump = self._dump
        if self._root != "database":
            yield f"It is no database of a pool: its root is {self._root!r}."
        missing = [key for key in ("schema_major_vsn", "schema_minor_vsn") if key not in dump.manifest]
        if missing:
            yield f"It does not say of which version it is: {', '.join(missing)} is missing."
        if len(dump.tables["pool"]) != 1:
            yield f"It is of {len(dump.tables['pool'])} pools."
        if dump.pool["master"] not in dump.tables["host"]:
            yield "Its pool has no coordinator."


def read(path: Path | str) -> Dump:
    """Raises Damaged, OSError."""
    reading = Reading()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(PIECE):
            reading.feed(piece)
    return reading.finish()


# values ------------------------------------------------------------------------------
def plain(text: str) -> str:
    """A value behind its quoting."""
    return _QUOTED.sub(lambda found: _PLAIN[found.group(1)], text) if "%" in text else text


def pairs(text: str) -> dict[str, str]:
    """A map of texts, such as software_version."""
    return {_unescaped(key): _unescaped(value) for key, value in _PAIR.findall(text)}


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.S)


def number(text: str) -> int:
    """0 for what is none."""
    return int(text) if re.fullmatch(r"-?\d+", text) else 0


# what is in it -----------------------------------------------------------------------
def contents(dump: Dump) -> dict[str, t.Any]:
    """In words of the options, everything sorted by name: pool, hosts, SRs, networks, VMs with their disks; sizes in bytes."""
    return {
        "schema": dump.schema,
        "generation": dump.generation,
        "pool": {"name": dump.pool["name_label"], "uuid": dump.pool["uuid"], "coordinator": dump.coordinator["name_label"]},
        "hosts": hosts(dump),
        "srs": _listed(
            {**_named(sr), "type": sr["type"], "shared": sr["shared"] == "true", "hosts": attached(dump, ref)}
            for ref, sr in dump.tables["SR"].items()
        ),
        "networks": _listed({**_named(row), "bridge": row["bridge"]} for row in dump.tables["network"].values()),
        "vms": vms(dump),
        "snapshots": sum(vm["is_a_snapshot"] == "true" for vm in dump.tables["VM"].values()),
    }


def hosts(dump: Dump) -> list[dict[str, t.Any]]:
    """Name, uuid, address, versions; who is the coordinator."""
    rows = dump.tables["host"]
    return _listed(
        {
            **_named(row), "address": row["address"], "coordinator": ref == dump.pool["master"],
            "version": pairs(row["software_version"]).get("product_version", ""),
        }
        for ref, row in rows.items()
    )  # fmt: skip


def is_vm(row: Row) -> bool:
    """Neither template, nor snapshot, nor control domain."""
    return "true" not in (row["is_a_template"], row["is_a_snapshot"], row["is_control_domain"])


def _named(row: Row) -> dict[str, t.Any]:
    return {"name": row["name_label"], "uuid": row["uuid"]}


def _listed(rows: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return sorted(rows, key=lambda row: (row["name"], row["uuid"]))


def attached(dump: Dump, sr: str) -> list[str]:
    """Names of the hosts that have a PBD of the SR."""
    found = (dump.tables["host"].get(pbd["host"]) for pbd in dump.tables["PBD"].values() if pbd["SR"] == sr)
    return sorted(row["name_label"] for row in found if row)


def vms(dump: Dump) -> list[dict[str, t.Any]]:
    """With their disks, in order of their devices; host: where one runs."""
    vbds: dict[str, list[Row]] = {}
    for vbd in dump.tables["VBD"].values():
        if vbd["type"].lower() == "disk" and vbd["VDI"] in dump.tables["VDI"]:
            vbds.setdefault(vbd["VM"], []).append(vbd)
    return _listed(
        {
            **_named(vm), "power_state": vm["power_state"].lower(),
            "host": dump.tables["host"].get(vm["resident_on"], {}).get("name_label", ""),
            "disks": [_disk(dump, vbd) for vbd in sorted(vbds.get(ref, ()), key=lambda v: (len(v["userdevice"]), v["userdevice"]))],
        }
        for ref, vm in dump.tables["VM"].items() if is_vm(vm)
    )  # fmt: skip


def _disk(dump: Dump, vbd: Row) -> dict[str, t.Any]:
    vdi = dump.tables["VDI"][vbd["VDI"]]
    sr = dump.tables["SR"].get(vdi["SR"], {}).get("name_label", "")
    return {"device": vbd["userdevice"], **_named(vdi), "size": number(vdi["virtual_size"]), "sr": sr}
