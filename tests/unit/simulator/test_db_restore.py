# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database is dumped and restored: onto the same pool, onto another machine, and where that is refused."""

from __future__ import annotations

import contextlib
import http.client
import re
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import db_restore, dump_db, host_archive, invariants, load_db
from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .conversation import joined, settle, until
from .wired import Wire, wired

PATH = "/pool/xmldbdump"
DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
MOVING = {  # what a start changes whatever database it is
    "pool": {"current_operations", "allowed_operations", "telemetry_next_collection", "cpu_info"},
    "host": {"other_config", "current_operations", "enabled"},
    "VM": {"allowed_operations"},
    "host_metrics": {"last_updated", "live", "memory_free"},
    "PIF": {"currently_attached", "igmp_snooping_status"},
    "PIF_metrics": {"last_updated"},
}


@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired(2) as asked:
        yield asked


def dumped(pool: Wire) -> bytes:
    status, body, task = pool.http("GET", PATH)
    assert (status, pool.finished(task)["status"]) == (200, "success")
    return body


def restore(pool: Wire, body: bytes, **query: str) -> list[str]:
    """Nothing, or the error; a restore is waited for until the coordinator is back."""
    task = pool("task.create", "restore", "")
    with contextlib.suppress(OSError, http.client.HTTPException):
        pool.http("PUT", PATH, body, task_id=task, **query)
    error = list(pool.finished(task)["error_info"])
    if not error and not query:
        pool("task.destroy", task)
        until(pool.machine.world, lambda: db_restore.WAITING not in pool.machine.state)
        settle(pool.machine.world)
        pool.session = dispatch(pool.machine, "session.login_with_password", ["root", "xapi-test", "2.0", "tests"])
    return error


def edited(body: bytes, pattern: str, new: str) -> bytes:
    text, count = re.subn(pattern, new, body.decode())
    assert count
    return text.encode()


def comparable(body: bytes) -> dict[str, t.Any]:
    tables = load_db.parse(body).tables
    return {
        cls: {ref: {k: v for k, v in row.items() if k not in MOVING.get(cls, ())} for ref, row in rows.items()}
        for cls, rows in tables.items() if cls not in ("message", "blob")
    }  # fmt: skip


def test_what_was_dumped_and_restored_is_dumped_again_the_same() -> None:
    with wired(1) as pool:
        pool.vm("web", disk=True)
        pool.network("storage", tags=["a b", "100%"])
        body = dumped(pool)
        pool("network.create", {"name_label": "made later", "other_config": {}})
        assert restore(pool, body) == []
        again = dumped(pool)
        old, new = comparable(body), comparable(again)
        for cls, rows in old.items():
            assert new[cls].keys() == rows.keys(), cls
            for ref, row in rows.items():
                assert {k: (v, new[cls][ref][k]) for k, v in row.items() if new[cls][ref][k] != v} == {}, cls
        assert load_db.parse(again).manifest["schema_minor_vsn"] == load_db.parse(body).manifest["schema_minor_vsn"]


def test_only_the_coordinator_stays_and_what_ran_elsewhere_is_halted(pool: Wire) -> None:
    here, other = pool.machine, next(m for m in pool.machine.world.machines.values() if m is not pool.machine)
    near, far = pool.running("near"), pool.vm("far")
    pool("VM.start_on", far, other.host_ref, False, False)
    uuids = {cls: {row["uuid"] for row in pool.db.all(cls).values()} for cls in ("pool", "network", "SR")}
    coordinator = pool.record("host", pool.host)
    assert restore(pool, dumped(pool)) == []
    assert [row["uuid"] for row in pool.db.all("host").values()] == [coordinator["uuid"]]
    assert {pool.state(vm) for vm in (near, far)} == {"Halted"}
    assert {row["host"] for row in (*pool.db.all("PIF").values(), *pool.db.all("PBD").values())} == {pool.host}
    assert uuids == {cls: {row["uuid"] for row in pool.db.all(cls).values()} for cls in uuids}
    assert (here.power, other.power) == ("on", "off")
    assert all(pbd["currently_attached"] for pbd in pool.db.all("PBD").values())
    assert "start" in pool.allowed(far)
    assert invariants.check(here.world) == []


def test_another_machine_keeps_its_identity_its_cards_and_its_address(pool: Wire) -> None:
    body = dumped(pool)
    with wired(1, xcp00={"address": "127.78.0.1"}) as fresh:
        mine = fresh.record("host", fresh.host)
        cards = {row["device"]: row["MAC"] for row in fresh.db.all("PIF").values()}
        domain = fresh.record("VM", mine["control_domain"])["uuid"]
        assert restore(fresh, body) == []
        host = fresh.record("host", fresh.host)
        assert (host["uuid"], host["address"]) == (mine["uuid"], "127.78.0.1")
        assert fresh.record("VM", host["control_domain"])["uuid"] == domain
        assert {row["device"]: row["MAC"] for row in fresh.db.all("PIF").values()} == cards
        assert fresh.pool["uuid"] == next(iter(load_db.parse(body).tables["pool"].values()))["uuid"]
        assert fresh.http("GET", PATH)[0] == 200


def test_a_host_that_is_left_out_joins_again_once_it_is_installed_anew(pool: Wire) -> None:
    other = next(m for m in pool.machine.world.machines.values() if m is not pool.machine)
    assert restore(pool, dumped(pool)) == []
    host_archive.from_medium(other, restore=False)
    settle(other.world)
    assert len(joined(Wire(other))("host.get_all")) == 2
    assert invariants.check(other.world) == []


def test_a_dry_run_changes_nothing(pool: Wire) -> None:
    body, before = dumped(pool), len(pool.db.all("host"))
    assert restore(pool, body, dry_run="true") == []
    assert pool.machine.world.agenda == []
    assert len(pool.db.all("host")) == before


@pytest.mark.parametrize("query", [{"dry_run": "true"}, {}], ids=["dry run", "real"])
@pytest.mark.parametrize(
    ("pattern", "new", "error"),
    [
        ('key="schema_minor_vsn" value="[0-9]+"', 'key="schema_minor_vsn" value="78"', ["RESTORE_INCOMPATIBLE_VERSION"]),
        ('device="eth3"', 'device="eth7"', ["RESTORE_TARGET_MISSING_DEVICE", "eth7"]),
        ("(?s)^.+", "<x/>", ["INTERNAL_ERROR", "Xmlm.Error(no database of a pool)"]),
        ("</table>(?s:.*)", "", ["INTERNAL_ERROR"]),
        ('key="schema_major_vsn"', 'key="major"', ["INTERNAL_ERROR", "Not_found"]),
        (' master="[^"]*"', ' master="OpaqueRef:gone"', ["INTERNAL_ERROR"]),
    ],
    ids=["version", "device", "no database", "cut off", "no version", "no coordinator"],
)
def test_what_does_not_fit_is_refused_and_nothing_happens(
    pool: Wire, pattern: str, new: str, error: list[str], query: dict[str, str]
) -> None:
    body = edited(dumped(pool), pattern, new)
    assert restore(pool, body, **query)[: len(error)] == error
    assert pool.machine.world.agenda == []


def test_a_backup_without_the_management_interface_is_refused(pool: Wire) -> None:
    body = dumped(pool)
    pool("host.management_reconfigure", pool.record("VLAN", vlan_with_address(pool))["untagged_PIF"])
    without = edited(body, '<row [^>]* device="eth1" [^>]*/>', "")
    assert restore(pool, without, dry_run="true") == ["RESTORE_TARGET_MGMT_IF_NOT_IN_BACKUP", "eth3", "eth2", "eth0"]


def vlan_with_address(pool: Wire) -> str:
    vlan = str(pool("VLAN.create", pool.pif("eth1"), 7, pool.network("v7")))
    pool("PIF.reconfigure_ip", pool.record("VLAN", vlan)["untagged_PIF"], "Static", "10.9.0.2", "255.255.255.0", "", "")
    return vlan


def test_what_is_not_simulated_is_refused_by_name(pool: Wire) -> None:
    body = dumped(pool)
    with_ha = edited(body, ' ha_enabled="false"', ' ha_enabled="true"')
    assert restore(pool, with_ha) == ["NOT_IMPLEMENTED", "the restore of a database whose pool has HA is not simulated"]
    task, coordinator = pool("task.create", "restore", ""), pool.machine
    pool.machine = next(m for m in pool.machine.world.machines.values() if not m.is_coordinator)
    pool.http("PUT", PATH, body, task_id=task)
    pool.machine = coordinator
    assert pool.finished(task)["error_info"] == ["NOT_IMPLEMENTED", "PUT /pool/xmldbdump at a member is not simulated"]


def test_a_body_of_unknown_length_is_refused(pool: Wire) -> None:
    task = pool("task.create", "restore", "")
    connection = http.client.HTTPSConnection(pool.machine.address, pool.port, context=__import__("ssl")._create_unverified_context())
    connection.request("PUT", f"{PATH}?session_id={pool.session}&task_id={task}", iter([b"<x/>"]), encode_chunked=True)
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize("after", [0, 1, 5000, 20000])
def test_a_transfer_that_is_cut_leaves_all_as_it_was(pool: Wire, after: int) -> None:
    body = dumped(pool)
    pool.machine.world.faults.cut_transfer(PATH, after)
    assert restore(pool, body)[0] == "INTERNAL_ERROR"
    assert not pool.machine.world.agenda
    pool.machine.world.faults.cut_transfer(PATH, after)
    task = pool("task.create", "dump", "")
    with contextlib.suppress(OSError, http.client.HTTPException):
        pool.http("GET", PATH, task_id=task)
    assert pool.finished(task)["status"] == "failure"


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_a_pool_of_an_old_release_is_dumped_and_restored(path: t.Any) -> None:
    world = load_db.world_of(load_db.parse(path.read_bytes()), speed=0, release=None, username="root", password="xapi-test")
    machine = world.pools[0].coordinator
    text = dump_db.dump(world.pools[0].db)
    db = db_restore.prepared(machine, text.encode())
    assert len(db.all("host")) == 1
    assert {row["uuid"] for row in db.all("VDI").values()} == {row["uuid"] for row in world.pools[0].db.all("VDI").values()}
