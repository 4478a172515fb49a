# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of real pools, read, served and written again."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator import db_text, dump_db, invariants, load_db
from ansible_collections.domzero.xen.tests.simulator.modeltypes import parse
from ansible_collections.domzero.xen.tests.simulator.schema import DATA
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build

DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
SMALLEST = (
    '<database><manifest><pair key="schema_major_vsn" value="5"/></manifest>'
    '<table name="pool"><row ref="OpaqueRef:p" master="OpaqueRef:h" name_label="lab" frob="1"/></table>'
    '<table name="host"><row ref="OpaqueRef:h" name__label="h1" hostname="h1" other_config="((\'a\'%.\'b%.c\'))"/></table>'
    '<table name="gone_long_ago"><row ref="OpaqueRef:x"/></table></database>'
)


def loaded(text: str | bytes) -> World:
    dump = load_db.parse(text.encode() if isinstance(text, str) else text)
    return load_db.world_of(dump, speed=0, release=None, username="root", password="xapi-test")


@pytest.fixture(params=DUMPS, ids=lambda path: path.stem)
def world(request: pytest.FixtureRequest) -> World:
    return loaded(request.param.read_bytes())


def test_a_real_pool_is_sound(world: World) -> None:
    assert invariants.check(world) == []


def test_all_its_hosts_answer_and_know_their_coordinator(world: World) -> None:
    (pool,) = world.pools
    ask = Asked(pool.coordinator)
    assert len(ask("host.get_all")) == len(world.machines) == 2
    for machine in world.machines.values():
        assert machine.address.startswith("127.")
        assert ask("host.get_address", machine.host_ref) == machine.address
        assert {nic.device for nic in machine.nics} == {
            r["device"] for r in ask("PIF.get_all_records").values() if r["physical"] and r["host"] == machine.host_ref
        }


def test_nothing_else_of_a_record_is_changed(world: World, request: pytest.FixtureRequest) -> None:
    path = next(p for p in DUMPS if p.stem in request.node.name)
    dump, db = load_db.parse(path.read_bytes()), world.pools[0].db
    allowed = {"address", "live", "control_domain", "primary_slave", "features", "current_operations"}
    derived = {(other, back) for _cls, _field, other, back in db.schema.relations}
    for cls, rows in dump.tables.items():
        for ref, record in rows.items():
            for name, value in record.items():
                if db.exists(cls, ref) and name not in allowed and (cls, name) not in derived:
                    assert db.get(cls, ref)[name] == value, (cls, name)


def used(ask: Asked, pbd: str) -> bool:
    """Whether a guest on the PBD's host uses one of the SR's disks."""
    record = ask("PBD.get_record", pbd)
    vdis, vms = ask("SR.get_VDIs", record["SR"]), ask("VM.get_all_records")
    attached = (vbd for vbd in ask("VBD.get_all_records").values() if vbd["currently_attached"] and vbd["VDI"] in vdis)
    return any(vms[vbd["VM"]]["resident_on"] == record["host"] for vbd in attached)


def test_its_storage_can_be_unplugged_and_plugged_again(world: World) -> None:
    ask = Asked(world.pools[0].coordinator)
    idle = [pbd for pbd in ask("PBD.get_all") if not used(ask, pbd)]
    assert len(idle) >= 5
    for pbd in idle:
        sr = ask("PBD.get_SR", pbd)
        vdis = ask("SR.get_VDIs", sr)
        ask("PBD.unplug", pbd)
        ask("PBD.plug", pbd)
        assert ask("PBD.get_currently_attached", pbd)
        assert ask("SR.get_VDIs", sr) == vdis


def test_it_is_written_as_it_was_read(world: World) -> None:
    again = loaded(dump_db.dump(world.pools[0].db))
    for cls, table in world.pools[0].db.tables.items():
        assert again.pools[0].db.tables[cls] == table, cls


def test_bonds_vlans_and_tunnels_hang_together() -> None:
    ask = Asked(loaded((DATA / "state-dbs" / "cowley1.xml").read_bytes()).pools[0].coordinator)
    for bond in ask("Bond.get_all_records").values():
        assert len(bond["slaves"]) == 2
        assert bond["primary_slave"] in bond["slaves"]
    for ref, vlan in ask("VLAN.get_all_records").items():
        assert ask("PIF.get_VLAN_master_of", vlan["untagged_PIF"]) == ref
    assert len(ask("tunnel.get_all")) == 2


def test_what_a_dump_lacks_has_its_default_and_what_nobody_knows_is_dropped() -> None:
    world = loaded(SMALLEST)
    ask = Asked(world.machines["h1"])
    record = ask("host.get_record", "OpaqueRef:h")
    assert record["other_config"] == {"a": "b c"}
    assert (record["display"], record["tags"]) == ("enabled", [])
    assert ask("pool.get_name_label", "OpaqueRef:p") == "lab"


@pytest.mark.parametrize("text", ["", "<database/>", "no XML", "<html></html>", SMALLEST.replace('name="host"', 'name="hosts"')])
def test_what_is_no_database_is_refused(text: str) -> None:
    with pytest.raises(load_db.NoDatabase):
        load_db.parse(text.encode())


def test_a_value_that_makes_no_sense_is_told_and_left_out() -> None:
    dump = load_db.parse(SMALLEST.replace("(('a'%.'b%.c'))", "(('a'").encode())
    broken, unknown = sorted(dump.skipped)
    assert unknown == "table gone_long_ago"
    assert broken.startswith("host.other_config of OpaqueRef:h: ")


def test_a_simulated_pool_survives_the_round_trip() -> None:
    world = build(2, joined=True)
    ask = Asked(world.machines["xcp00"])
    ask.network("a 100% 'quoted' \"name\"\n\t<&>", other_config={"k 'e' y": "v\\a\\\\l"}, tags=["one two", ""])
    again = loaded(dump_db.dump(ask.db))
    assert again.pools[0].db.all("network") == ask.db.all("network")
    assert again.pools[0].db.all("PIF") == ask.db.all("PIF")


# spelling ------------------------------------------------------------------------------------------------------------
TEXT = st.text("ab %._tnr'\"\\()\n\t\r")


@given(TEXT)
def test_quoted_blanks_come_back(text: str) -> None:
    assert db_text.unprotect(db_text.protect(text)) == text
    assert " " not in db_text.protect(text)


@given(st.dictionaries(TEXT, TEXT), st.lists(TEXT))
@settings(max_examples=60)
def test_maps_and_sets_come_back(mapping: dict[str, str], elements: list[str]) -> None:
    assert db_text.read(parse("(string -> string) map"), db_text.write(mapping)) == mapping
    assert db_text.read(parse("string set"), db_text.write(elements)) == elements


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("(string -> string) map", "(('a' 'b') ('c' 'd e'))", {"a": "b", "c": "d e"}),
        ("string set", "('a' 'it\\'s')", ["a", "it's"]),
        ("string set", "()", []),
        ("(int -> float) map", "(('0' '0.5'))", {0: 0.5}),
        ("bool", "true", True),
        ("datetime", "20120619T10:03:43Z", "20120619T10:03:43Z"),
        ("VM ref", "", "OpaqueRef:NULL"),
    ],
)
def test_values_are_read_as_the_database_spells_them(type_: str, text: str, value: t.Any) -> None:
    assert db_text.read(parse(type_), text) == value


def test_old_databases_write_two_blanks_as_one_sign() -> None:
    assert db_text.unprotect("CPU%_%_ X3450%_@%n") == "CPU     X3450  @\n"


@pytest.mark.parametrize(
    ("cls", "field", "column"),
    [
        ("VM", "name_label", "name__label"),
        ("VM", "memory_static_max", "memory__static_max"),
        ("host", "API_version_vendor_implementation", "API_version__vendor_implementation"),
        ("pool", "name_label", "name_label"),
        ("VM_guest_metrics", "PV_drivers_version", "PV_drivers_version"),
        ("PIF", "IP", "IP"),
    ],
)
def test_nested_names_have_two_underscores(cls: str, field: str, column: str) -> None:
    assert db_text.column(cls, field) == column
