# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's control domain leaves as an archive and comes back; hosts are booted from the installation medium."""

from __future__ import annotations

import contextlib
import http.client
import io
import tarfile
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import host_archive, invariants
from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.errors import Refusal

from .conversation import joined, settle
from .wired import Wire, wired

BACKUP, RESTORE = "/host_backup", "/host_restore"


@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired(2) as asked:
        yield asked


def archive(pool: Wire) -> bytes:
    status, body, task = pool.http("GET", BACKUP)
    assert (status, pool.finished(task)["status"]) == (200, "success")
    return body


def attempt(pool: Wire, method: str, path: str, body: bytes = b"") -> list[str]:
    """Nothing, or the error the task tells."""
    task = pool("task.create", "t", "")
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert pool.http(method, path, body, task_id=task)[0] == 200
    return list(pool.finished(task)["error_info"])


@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
def test_the_archive_is_a_tar_of_what_the_host_has(pool: Wire, packed: str) -> None:
    pool.machine.state |= {host_archive.PACKING: packed, host_archive.SIZE: 9 << 20}
    body = archive(pool)
    if packed == "zstd":
        assert body[:4] == b"\x28\xb5\x2f\xfd"
        return
    assert len(body) > 9 << 20
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        inventory = tar.extractfile("./etc/xensource-inventory")
        assert inventory is not None
        assert pool.record("host", pool.host)["uuid"] in inventory.read().decode()
        assert "./etc/sysconfig/network-scripts/ifcfg-eth0" in tar.getnames()


def test_a_member_gives_its_own(pool: Wire) -> None:
    bodies = set()
    for machine in pool.machine.world.machines.values():
        pool.machine = machine
        bodies.add(archive(pool))
    assert len(bodies) == 2


def test_a_restored_archive_waits_for_the_installation_medium(pool: Wire) -> None:
    body = archive(pool)
    pool.machine.product["software_version"]["product_version"] = "9.9"
    assert attempt(pool, "PUT", RESTORE, body) == []
    assert pool.machine.power == "on"
    host_archive.from_medium(pool.machine, restore=True)
    settle(pool.machine.world)
    assert pool.record("host", pool.host)["software_version"]["product_version"] != "9.9"
    with pytest.raises(Refusal):
        host_archive.from_medium(pool.machine, restore=True)


@pytest.mark.parametrize(
    ("body", "log"),
    [(b"no archive" * 200, "look like a tar"), (b"", "Unexpected EOF"), (b"\x1f\x8b\x08\0broken", "tar"), (bytes(1024), "inventory")],
    ids=["text", "nothing", "half packed", "empty tar"],
)
def test_what_is_no_archive_is_refused(pool: Wire, body: bytes, log: str) -> None:
    code, told = attempt(pool, "PUT", RESTORE, body)
    assert code == "RESTORE_SCRIPT_FAILED"
    assert log in told


def test_the_hosts_own_part_can_fail(pool: Wire) -> None:
    body = archive(pool)
    pool.machine.world.faults.fail_transfer(BACKUP, "BACKUP_SCRIPT_FAILED", "tar: /: disk error")
    pool.machine.world.faults.fail_transfer(RESTORE, "RESTORE_SCRIPT_FAILED", "no space left")
    assert len(pool.machine.world.faults.listed()) == 2
    assert attempt(pool, "GET", BACKUP) == ["BACKUP_SCRIPT_FAILED", "tar: /: disk error"]
    assert attempt(pool, "PUT", RESTORE, body) == ["RESTORE_SCRIPT_FAILED", "no space left"]
    assert attempt(pool, "PUT", RESTORE, body) == []


@pytest.mark.parametrize("after", [0, 1, 700, 3000])
def test_a_cut_connection_fails_the_task(pool: Wire, after: int) -> None:
    body = archive(pool)
    for method, path, code in (("GET", BACKUP, "BACKUP_SCRIPT_FAILED"), ("PUT", RESTORE, "RESTORE_SCRIPT_FAILED")):
        pool.machine.world.faults.cut_transfer(path, after)
        assert attempt(pool, method, path, body if method == "PUT" else b"")[0] == code
    assert host_archive.PARTITION not in pool.machine.state


def test_a_host_installed_anew_has_its_own_pool_and_joins_again(pool: Wire) -> None:
    member = next(m for m in pool.machine.world.machines.values() if m is not pool.machine)
    host_archive.from_medium(member, restore=False)
    settle(member.world)
    assert member.pool is not pool.machine.pool
    pool("host.destroy", next(ref for ref in pool.db.all("host") if ref != pool.host))
    joiner = Wire(member)
    assert len(joined(joiner)("host.get_all")) == 2
    assert invariants.check(member.world) == []


def test_a_coordinator_installed_anew_leaves_nothing_of_a_pool_it_was_alone_in() -> None:
    with wired(1) as pool:
        vdi = pool.vdi(size=8 << 20)
        pool.fill(vdi, 0, 1 << 20)
        old = pool.pool["uuid"]
        host_archive.from_medium(pool.machine, restore=False)
        settle(pool.machine.world)
        assert dispatch(pool.machine, "session.login_with_password", ["root", "xapi-test", "2.0", "tests"])
        assert pool.pool["uuid"] != old
        assert invariants.check(pool.machine.world) == []
