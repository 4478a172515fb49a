# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump of a pool's database holds, for real ones of old releases and for the simulator's."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats import db_dump
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.tests.simulator import db_text, dump_db, load_db, site
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
SMALL = (
    '<database><manifest><pair key="schema_major_vsn" value="5"/><pair key="schema_minor_vsn" value="66"/></manifest>'
    '<table name="pool"><row ref="p" master="h" name_label="lab" uuid="u"/></table>'
    '<table name="host"><row ref="h" uuid="hu" name__label="a%.b%_c%%" '
    "software_version=\"(('product_version'%.'6.2'))\"/></table></database>"
)


def reading(data: bytes, step: int = 1 << 20) -> db_dump.Dump:
    found = db_dump.Reading()
    for at in range(0, len(data), step):
        found.feed(memoryview(data)[at : at + step])
    return found.finish()


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_a_real_database_is_read(path: Path) -> None:
    """Compared with what the simulator's own reader makes of it."""
    known, dump = load_db.parse(path.read_bytes()).tables, db_dump.read(path)
    told = db_dump.contents(dump)
    assert len(told["hosts"]) == 2
    assert {h["uuid"]: (h["name"], h["address"]) for h in told["hosts"]} == {
        h["uuid"]: (h["name_label"], h["address"]) for h in known["host"].values()
    }
    assert {(sr["uuid"], sr["name"], sr["shared"], sr["type"]) for sr in told["srs"]} == {
        (sr["uuid"], sr["name_label"], sr["shared"], sr["type"]) for sr in known["SR"].values()
    }
    assert {(n["uuid"], n["name"], n["bridge"]) for n in told["networks"]} == {
        (n["uuid"], n["name_label"], n["bridge"]) for n in known["network"].values()
    }
    special = ("is_a_template", "is_a_snapshot", "is_control_domain")
    vms = {ref: vm for ref, vm in known["VM"].items() if not any(vm[flag] for flag in special)}
    assert {vm["uuid"]: vm["name"] for vm in told["vms"]} == {vm["uuid"]: vm["name_label"] for vm in vms.values()}
    disks = {
        (vms[vbd["VM"]]["uuid"], vbd["userdevice"], known["VDI"][vbd["VDI"]]["uuid"], known["VDI"][vbd["VDI"]]["virtual_size"])
        for vbd in known["VBD"].values()
        if vbd["VM"] in vms and vbd["type"] == "Disk" and vbd["VDI"] in known["VDI"]
    }
    assert {(vm["uuid"], d["device"], d["uuid"], d["size"]) for vm in told["vms"] for d in vm["disks"]} == disks
    assert all(host["version"] for host in told["hosts"])
    assert dump.schema.startswith("5.")


def test_the_simulators_own_is_read() -> None:
    world = site.build(site.load("examples"), speed=0)
    pool = world.pools[0]
    dump = reading(dump_db.dump(pool.db).encode(), step=1000)
    assert dump.pool["uuid"] == pool.pool["uuid"]
    assert dump.coordinator["uuid"] == pool.coordinator.host_record()["uuid"]
    assert (dump.schema, dump.generation > 0) == ("5.909", True)
    assert dump.counts["network"] == len(pool.db.all("network"))


def test_blanks_are_read_in_the_old_and_the_new_quoting() -> None:
    dump = reading(SMALL.encode())
    assert db_dump.hosts(dump) == [{"name": "a b  c%", "uuid": "hu", "address": "", "coordinator": True, "version": "6.2"}]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("</database>", "", "no whole XML document"),
        ("<database>", "<html/><database>", "no whole XML document"),
        ("<database>", '<?xml version="1.0" encoding="TTF-8"?><database>', "encoding is none that is known"),
        ("<database>", '<?xml version="1.0" encoding="UTF-7"?><database>', "encoding is none that is known"),
        ("database", "base", "its root is 'base'"),
        ("schema_minor_vsn", "minor", "schema_minor_vsn is missing"),
        ('<row ref="p"', '<row ref="q" master="h"/><row ref="p"', "of 2 pools"),
        ('name="pool"', 'name="swimming"', "of 0 pools"),
        ('master="h"', 'master="x"', "no coordinator"),
    ],
)
def test_what_is_no_database_is_told(old: str, new: str, problem: str) -> None:
    with pytest.raises(Damaged, match=problem):
        reading(SMALL.replace(old, new).encode())


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 200))
def test_one_that_is_cut_off_anywhere_is_damaged(size: int, step: int) -> None:
    with pytest.raises(Damaged):
        reading(SMALL.encode()[:size], step)


TEXT = st.text("ab %._tnr'\"\\()\n\t\r")


@given(TEXT)
def test_a_quoted_text_comes_back(text: str) -> None:
    assert db_dump.plain(db_text.protect(text)) == text


@given(st.dictionaries(TEXT, TEXT))
def test_a_map_comes_back(mapping: dict[str, t.Any]) -> None:
    assert db_dump.pairs(db_text.write(mapping)) == mapping
