# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every SR type: its row against the facts about the drivers, and its life in a pool of two hosts."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.resources.sr import types
from ansible_collections.domzero.xen.tests.simulator import schema

LAB = str(Path(__file__).parents[1] / "storage_lab.yml")
FACTS = {row["type"]: row for row in json.loads((schema.DATA / "sr_types.json").read_text())["types"]}
TARGET = {"target": "127.60.0.10", "iqn": "iqn.2024-01.lab:two"}
CHAP = {"target": "127.60.0.10", "iqn": "iqn.2024-01.lab:one", "chap_user": "us", "chap_password": "open-it"}
# what a task says to make an SR of the type
TASKS: dict[str, dict[str, t.Any]] = {
    "ext": {"device": "/dev/sdb"},
    "lvm": {"device": "/dev/sdb,/dev/sdc", "allocation": "thin"},
    "xfs": {"device": "/dev/sdb", "host": "xcp01"},
    "largeblock": {"device": "/dev/sdc"},
    "lvmoiscsi": {**CHAP, "port": 3260, "multihomed": True},
    "lvmohba": {"scsi_id": "hba-0"},
    "lvmofcoe": {"scsi_id": "hba-1"},
    "nfs": {"server": "127.60.0.10", "path": "/export/vms", "nfs_version": "4.1", "options": "hard"},
    "iso": {"location": "//127.60.0.10/isos", "smb_username": "reader", "smb_password": "read-it"},
    "smb": {"location": "//127.60.0.10/disks", "smb_username": "writer", "smb_password": "write-it"},
    "cephfs": {"server": "127.60.0.10", "path": "/pool"},
    "glusterfs": {"server": "127.60.0.10:/vol0", "fetch_attempts": 5},
    "moosefs": {"server": "127.60.0.10", "path": "/moose"},
    "linstor": {"group_name": "linstor_group", "redundancy": 2},
    "iscsi": TARGET,
    "hba": {},
    "file": {"location": "/srv/vhds"},
    "shm": {"location": "/dev/shm"},
    "zfs": {"location": "/srv/vhds"},
    "udev": {"location": "/dev/xapi/block", "sm_config": {"type": "block"}},
    "dummy": {"device_config": {"anything": "goes"}},
}
EVERY = pytest.mark.parametrize("type_", sorted(TASKS))
Run = Start = t.Any


def sr_of(sim: t.Any, name: str) -> dict[str, t.Any]:
    db = sim.world.pools[0].db
    return t.cast("dict[str, t.Any]", db.get("SR", db.one("SR", name_label=name)))


def pbds_of(sim: t.Any, name: str) -> list[dict[str, t.Any]]:
    db = sim.world.pools[0].db
    return [db.get("PBD", ref) for ref in sr_of(sim, name)["PBDs"]]


def test_every_type_the_drivers_know_has_a_row_and_a_test() -> None:
    assert {row.name for row in types.TYPES} == set(FACTS) == set(TASKS)
    assert {name for row in types.TYPES for name in row.also} == {name for row in FACTS.values() for name in row["also"]}


@EVERY
def test_a_row_says_what_the_driver_says(type_: str) -> None:
    row, fact = types.of_name(type_), FACTS[type_]
    assert [k.api for k in row.required] == fact["required"]
    optional = {text.split(" ")[0] for text in fact["optional"]}
    assert {k.api for k in row.keys if not k.required} <= optional | {"localIQN"}  # of BaseISCSI.py, which both iSCSI types share
    if isinstance(fact["shared"], bool):
        assert row.shared == fact["shared"]
    assert row.content_type in fact["content_type_usual"].split(" or ")


@EVERY
def test_an_sr_is_created_and_attached_where_it_belongs(type_: str, simulator: Start, converges: Run) -> None:
    sim = simulator(LAB)
    done = converges("xen_sr", name="New", type=type_, **TASKS[type_])
    assert done["operations"] == ["SR.create"]
    shared = types.of_name(type_).shared
    assert done["attached_to"] == (["xcp00", "xcp01"] if shared else [TASKS[type_].get("host", "xcp00")])
    assert [pbd["currently_attached"] for pbd in pbds_of(sim, "New")] == [True] * (2 if shared else 1)
    record = sr_of(sim, "New")
    assert (record["type"], record["shared"], record["content_type"]) == (type_, shared, types.of_name(type_).content_type)


@EVERY
def test_what_info_tells_can_be_handed_back(type_: str, simulator: Start, run: Run) -> None:
    sim = simulator(LAB)
    run("xen_sr", name="New", type=type_, **TASKS[type_])
    mark = sim.mark()
    (told,) = run("xen_sr_info", name="New")["srs"]
    said = {k: v for k, v in TASKS[type_].items() if k not in ("port", "lun") and "password" not in k}
    assert {k: v for k, v in told.items() if k in said} == said
    assert run("xen_sr", **told)["changed"] is False
    assert sim.calls(mark) == []


@EVERY
def test_no_password_can_be_read_in_the_pool_or_the_result(type_: str, simulator: Start, run: Run) -> None:
    sim = simulator(LAB)
    done = run("xen_sr", name="New", type=type_, **TASKS[type_])
    configs = [pbd["device_config"] for pbd in pbds_of(sim, "New")]
    for option, secret in ((o, v) for o, v in TASKS[type_].items() if "password" in o):
        assert secret not in json.dumps([done, configs, run("xen_sr_info")])
        assert option not in done["sr"]
        assert all(any(key.endswith("password_secret") for key in config) for config in configs)


@EVERY
def test_an_sr_is_forgotten_on_all_hosts(type_: str, simulator: Start, converges: Run) -> None:
    sim = simulator(LAB)
    converges("xen_sr", name="New", type=type_, **TASKS[type_])
    done = converges("xen_sr", name="New", state="forgotten")
    assert done["operations"] == ["PBD.unplug"] * (2 if types.of_name(type_).shared else 1) + ["SR.forget"]
    assert not sim.world.pools[0].db.find("SR", name_label="New")


@pytest.mark.parametrize("type_", [row.name for row in types.TYPES if row.place])
def test_a_forgotten_sr_is_taken_in_again_by_its_uuid_with_its_disks(
    type_: str, simulator: Start, converges: Run, request: pytest.FixtureRequest
) -> None:
    sim = simulator(LAB)
    session = request.getfixturevalue("session")
    uuid = converges("xen_sr", name="Old", type=type_, **TASKS[type_])["sr"]["uuid"]
    db = sim.world.pools[0].db
    disk = session.call("VDI.create", {
        "SR": db.one("SR", uuid=uuid), "virtual_size": 1 << 30, "type": "user", "sharable": False, "read_only": False,
        "other_config": {}, "name_label": "disk",
    })  # fmt: skip
    kept = db.get("VDI", disk)["location"]
    converges("xen_sr", name="Old", state="forgotten")
    done = converges("xen_sr", name="Again", uuid=uuid, type=type_, **TASKS[type_])
    assert done["introduced"] is True
    assert done["sr"]["uuid"] == uuid
    assert "SR.create" not in done["operations"]
    assert kept in {db.get("VDI", ref)["location"] for ref in sr_of(sim, "Again")["VDIs"]}


@pytest.mark.parametrize(
    "type_", [row.name for row in types.TYPES if row.content_type == "user" and row.name not in ("hba", "iscsi", "shm")]
)
def test_an_empty_sr_is_destroyed(type_: str, simulator: Start, converges: Run) -> None:
    simulator(LAB)
    converges("xen_sr", name="New", type=type_, **TASKS[type_])
    done = converges("xen_sr", name="New", state="absent")
    assert done["operations"][-1] == "SR.destroy"


@pytest.mark.parametrize("type_", [row.name for row in types.TYPES if row.required and row.ask not in ("nfs", "iscsi", "hba")])
def test_what_an_sr_of_the_type_needs_is_told(type_: str, simulator: Start, run: Run) -> None:
    sim = simulator(LAB)
    options = [k.option for k in types.of_name(type_).required]
    with pytest.raises(Exception, match=f"type {type_} needs {' and '.join(options)}"):
        run("xen_sr", name="New", type=type_)
    assert sim.calls() == []


def test_an_option_of_another_type_is_refused(simulator: Start, run: Run) -> None:
    simulator(LAB)
    with pytest.raises(Exception, match="type nfs has no scsi_id") as e:
        run("xen_sr", name="New", type="nfs", server="127.60.0.10", path="/export/vms", scsi_id="x")
    assert "nfs_version" in str(e.value)


def test_a_driver_the_pool_does_not_have_is_named(simulator: Start, run: Run) -> None:
    simulator(LAB, release="xenserver-8")
    with pytest.raises(Exception, match="no driver for SRs of type moosefs"):
        run("xen_sr", name="New", type="moosefs", **TASKS["moosefs"])


def test_a_driver_that_cannot_look_at_the_target_is_trusted_only_when_the_task_says_so(simulator: Start, run: Run) -> None:
    """Somebody else's driver, which this simulator does not have either."""
    sim = simulator(LAB)
    sim.world.pools[0].db.create("SM", type="theirs")
    task = {"name": "New", "type": "theirs", "device_config": {"where": "there"}}
    with pytest.raises(Exception, match="cannot use the target for an SR of type theirs") as e:
        run("xen_sr", **task)
    assert "existing: overwrite" in str(e.value)
    assert sim.calls() == []
    assert run("xen_sr", check=True, existing="overwrite", **task)["operations"] == ["SR.create"]


@pytest.mark.parametrize("release", ["xenserver-6.5", "xenserver-7.0", "xcp-ng-8.2", "xenserver-8"])
@pytest.mark.parametrize("type_", ["nfs", "lvmoiscsi", "iso", "ext"])
def test_older_releases_do_the_same(type_: str, release: str, simulator: Start, converges: Run) -> None:
    simulator(LAB, release=release)
    assert converges("xen_sr", name="New", type=type_, **TASKS[type_], default=True)["changed"] is True
    assert converges("xen_sr", name="New", state="forgotten")["changed"] is True
