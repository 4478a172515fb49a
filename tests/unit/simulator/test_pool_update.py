# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update files: introduced, tried, applied, cleaned away."""

from __future__ import annotations

import typing as t
import uuid

import pytest

from ansible_collections.domzero.xen.tests.simulator import update_files
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.updates import File

from .conversation import until
from .upgrading import Lab, lab

HOSTS = ("lab0", "lab1", "lab2", "lab3")
REBOOTING, RESTARTING = "XS76E999", "XS76E998"


@pytest.fixture
def pool() -> t.Iterator[Lab]:
    with lab("pool_update", special=False) as found:
        yield found


def _file(pool: Lab, name: str = REBOOTING) -> File:
    return next(file for file in pool.world.updates.files if file.name == name)


def _uploaded(pool: Lab, data: bytes) -> str:
    """A disk with these bytes, sent over the wire."""
    vdi = pool.vdi(len(data), SR=pool.sr)
    assert pool.up(data, vdi=vdi) == []
    return vdi


def _introduced(pool: Lab, name: str = REBOOTING) -> str:
    return str(pool("pool_update.introduce", _uploaded(pool, update_files.image(_file(pool, name)))))


def _host(pool: Lab, name: str) -> dict[str, t.Any]:
    return pool.record("host", pool.ref(name))


def test_an_uploaded_file_tells_what_it_is(pool: Lab) -> None:
    file = _file(pool)
    update = pool.record("pool_update", _introduced(pool))
    assert (update["uuid"], update["name_label"], update["key"]) == (file.uuid, REBOOTING, "update-ng")
    assert (update["after_apply_guidance"], update["installation_size"], update["hosts"]) == (["restartHost"], 60 << 20, [])
    (patch,) = pool.db.all("pool_patch").values()
    assert patch["uuid"] == file.uuid[:8] + "-0000-0000-" + file.uuid[19:]


def test_a_file_of_an_iso_library_is_known_by_its_name(pool: Lab) -> None:
    update = pool("pool_update.introduce", pool.db.one("VDI", name_label="XS76E999.iso"))
    assert pool.record("pool_update", update)["name_label"] == REBOOTING


def test_what_is_no_update_is_refused(pool: Lab) -> None:
    assert pool.refused("pool_update.introduce", _uploaded(pool, b"x" * 4096))[0] == "INVALID_UPDATE"
    image = update_files.image(_file(pool)).replace(b"<update ", b"<upgrade ")
    assert pool.refused("pool_update.introduce", _uploaded(pool, image))[0] == "INVALID_UPDATE"


def test_an_update_is_introduced_once_until_it_was_cleaned_away(pool: Lab) -> None:
    update = _introduced(pool)
    assert pool.refused("pool_update.introduce", _uploaded(pool, update_files.image(_file(pool)))) == [
        "UPDATE_ALREADY_EXISTS",
        _file(pool).uuid,
    ]
    pool("pool_update.apply", update, pool.ref("lab1"))
    disk = pool.record("pool_update", update)["vdi"]
    pool("pool_update.pool_clean", update)
    assert (pool.record("pool_update", update)["vdi"], pool.db.exists("VDI", disk)) == (NULL, False)
    assert pool.refused("pool_update.precheck", update, pool.host) == ["CANNOT_FIND_UPDATE"]
    assert _introduced(pool) == update
    assert pool("pool_update.precheck", update, pool.host) == "ok"


def test_applied_host_by_host(pool: Lab) -> None:
    update = _introduced(pool)
    for host in HOSTS:
        pool.empty(host)
        assert pool("pool_update.precheck", update, pool.ref(host)) == "ok"
        pool("pool_update.apply", update, pool.ref(host))
        assert (_host(pool, host)["updates"], _host(pool, host)["updates_requiring_reboot"]) == ([update], [update])
        assert pool.refused("pool_update.apply", update, pool.ref(host)) == ["UPDATE_ALREADY_APPLIED", update]
        pool.boot(host)
        assert (_host(pool, host)["updates_requiring_reboot"], pool.version(host)) == ([], "4.7.6-6.9")
    assert set(pool.record("pool_update", update)["hosts"]) == {pool.ref(host) for host in HOSTS}
    assert pool.refused("pool_update.pool_apply", update) == ["UPDATE_ALREADY_APPLIED_IN_POOL", update]
    assert pool.refused("pool_update.destroy", update) == ["UPDATE_IS_APPLIED"]
    (patch,) = pool.db.all("pool_patch").values()
    assert patch["pool_applied"]
    assert len(patch["host_patches"]) == 4


def test_applied_everywhere_at_once_but_on_a_host_that_is_away(pool: Lab) -> None:
    update = _introduced(pool, RESTARTING)
    away = pool.ref("lab3")
    metrics = pool.record("host", away)["metrics"]
    pool.db.set("host_metrics", metrics, live=False)
    assert pool.refused("pool_update.pool_apply", update) == ["UPDATE_POOL_APPLY_FAILED", away]
    pool.db.set("host_metrics", metrics, live=True)
    pool("pool_update.pool_apply", update)
    assert _host(pool, "lab3")["updates_requiring_reboot"] == []
    pool("host.restart_agent", pool.host)
    until(pool.world, lambda: pool.version("lab0", "xapi_build") == "1.110.2" and _host(pool, "lab0")["enabled"])


def test_an_update_that_needs_another(pool: Lab) -> None:
    first = _file(pool)
    second = File(str(uuid.uuid4()), "second", requires=[first.uuid], guidance=["restartHVM"], livepatch="ok_livepatch_complete")
    update = pool("pool_update.introduce", _uploaded(pool, update_files.image(second)))
    refusal = ["UPDATE_PRECHECK_FAILED_PREREQUISITE_MISSING", update, first.uuid]
    assert pool.refused("pool_update.apply", update, pool.host) == refusal
    pool("pool_update.apply", _introduced(pool), pool.host)
    pool("pool_update.apply", update, pool.host)
    assert pool.record("VM", pool.named("app0-01"))["requires_reboot"]
    assert not pool.record("VM", pool.named("app1-01"))["requires_reboot"]


def test_an_update_nobody_has_is_destroyed(pool: Lab) -> None:
    update = _introduced(pool)
    disk = pool.record("pool_update", update)["vdi"]
    pool("pool_update.destroy", update)
    assert not pool.db.exists("pool_update", update)
    assert not pool.db.exists("VDI", disk)
    assert pool.db.all("pool_patch") == {}


def test_uploaded_as_a_patch_it_is_the_same(pool: Lab) -> None:
    task = pool("task.create", "upload", "")
    pool.http("PUT", "/pool_patch_upload", update_files.image(_file(pool)), task_id=task)
    assert pool.finished(task)["status"] == "success"
    (patch,) = pool.db.all("pool_patch")
    assert patch in pool.finished(task)["result"]
    assert pool("pool_patch.precheck", patch, pool.host) == ""
    pool("pool_patch.apply", patch, pool.host)
    assert _host(pool, "lab0")["updates"]
    pool("pool_patch.pool_clean", patch)
    task = pool("task.create", "upload", "")
    disks = len(pool.db.all("VDI"))
    pool.http("PUT", "/pool_patch_upload", b"x" * 4096, task_id=task)
    assert pool.finished(task)["error_info"][0] == "INVALID_UPDATE"
    assert len(pool.db.all("VDI")) == disks


def test_a_failing_script_is_asked_for(pool: Lab) -> None:
    update = _introduced(pool)
    pool.world.faults.fail("pool_update.apply", error=["UPDATE_APPLY_FAILED", "disk full"])
    assert pool.refused("pool_update.apply", update, pool.host) == ["UPDATE_APPLY_FAILED", "disk full"]
    assert _host(pool, "lab0")["updates"] == []
