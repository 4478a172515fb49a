# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.checked_json import Newer
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

from ..backup.shelf import NOON, POOL, VM, add, chain, vm
from ..conftest import BadOptions, Result, Run, Start, carry_out

DAY = 86400
OTHER = Who("1f7e0a52-0000-4000-8000-000000000003", "db")


def look(folder: Path, **params: object) -> Result:
    """As on a machine from which no host can be reached."""
    return carry_out("xen_backup_info", {"repository": str(folder), **params})


def test_an_empty_repository_has_nothing(tmp_path: Path) -> None:
    assert look(tmp_path) == {"changed": False, "backups": [], "subjects": [], "foreign": []}
    assert list(tmp_path.iterdir()) == []


def test_backups_are_told_with_what_they_build_on(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 3)
    told = look(tmp_path, kind="vm", pool="lab", name="web01")
    assert [row["stamp"] for row in told["backups"]] == [b.stamp for b in made]
    assert [row["parent"] for row in told["backups"]] == ["", made[0].stamp, made[1].stamp]
    assert [row["depth"] for row in told["backups"]] == [1, 2, 3]
    newest = told["backups"][-1]
    assert (newest["pool"], newest["kind"], newest["name"], newest["uuid"]) == ("lab", "vm", "web01", VM.uuid)
    assert (newest["size"], newest["form"], newest["state"], newest["problem"], newest["verified"]) == (4, "vhd", "good", "", None)
    assert newest["disks"][0]["how"] == "delta"
    (subject,) = told["subjects"]
    assert (subject["count"], subject["usable"], subject["size"], subject["state"]) == (3, 3, 12, "good")
    assert subject["newest"] == made[2].stamp


def test_what_is_asked_for_is_told_only(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    chain(vm(tmp_path, OTHER), 1)
    assert [row["name"] for row in look(tmp_path)["subjects"]] == ["db", "web01"]
    assert [row["name"] for row in look(tmp_path, name=OTHER.uuid)["backups"]] == ["db"]
    assert look(tmp_path, kind="host")["subjects"] == look(tmp_path, pool="other")["backups"] == []
    with pytest.raises(BadOptions, match="kind"):
        look(tmp_path, kind="sr")


def test_what_cannot_be_used_is_told_with_its_reason(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 4)
    with made[0].subject.lock("verify", shared=True):
        made[0].judge(Verdict("2026-11-21T22:58:09Z", "checksum", True))
        made[1].judge(Verdict("2026-11-21T22:58:09Z", "boot", False, "The guest did not start."))
    (made[3].path / "manifest.json").write_bytes(b"")
    rows = look(tmp_path)["backups"]
    assert [row["state"] for row in rows] == ["good", "bad", "broken chain", "damaged"]
    assert rows[0]["verified"]["ok"] is True
    assert rows[2]["problem"] == f"It builds on {made[1].stamp}: The guest did not start."
    assert rows[3]["problem"] == "Its manifest cannot be used. It is damaged: its checksum is not there."
    (subject,) = look(tmp_path)["subjects"]
    assert (subject["state"], subject["newest"], subject["usable"]) == ("damaged", made[0].stamp, 1)


def test_the_next_deletion_is_that_of_prune(tmp_path: Path) -> None:
    subject, now = vm(tmp_path), time.time()
    with subject.lock("backup"):
        made = [add(subject, now=now - days * DAY) for days in (3, 2, 1)]
        assert made[0].manifest
        made[0].replace(dataclasses.replace(made[0].manifest, keep=True))
    told = [row["next_deletion"] for row in look(tmp_path, keep_last=1)["backups"]]
    assert [one["removed"] for one in told] == [False, True, False]
    assert told[0]["why"] == ["marked to be kept"]
    assert "next_deletion" not in look(tmp_path)["backups"][0]
    with pytest.raises(InvalidChange, match="Mars/Phobos"):
        look(tmp_path, keep_last=1, time_zone="Mars/Phobos")


def test_what_is_told_to_go_is_what_prune_removes(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 8, whole=1, now=time.time() - 8)
    (made[2].path / "manifest.json").write_bytes(b"")
    made[4].file("disk0.vhd").unlink()
    rules = {"keep_last": 2, "keep_daily": 1}
    told = {row["stamp"]: row["next_deletion"] for row in look(tmp_path, **rules)["backups"]}
    done = carry_out("xen_backup_prune", {"repository": str(tmp_path), **rules})
    assert {row["stamp"] for row in done["removed"]} == {stamp for stamp, next_ in told.items() if next_["removed"]} != set()
    assert {row["stamp"]: row["why"] for row in done["kept"]} == {stamp: n["why"] for stamp, n in told.items() if not n["removed"]}
    assert {row["stamp"] for row in look(tmp_path)["backups"]} == {row["stamp"] for row in done["kept"]}


def test_what_does_not_belong_there_is_told_and_what_was_left(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 1)
    note = tmp_path / "NOTES.txt"
    note.write_text("ours")
    left = made[0].path.parent / "20300101T000000Z"
    left.mkdir()
    told = look(tmp_path)
    assert told["foreign"] == [str(note)]
    assert told["subjects"][0]["leftovers"] == [str(left)]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidChange, match="nowhere is not there"):
        look(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidChange, match="is no folder"):
        look(tmp_path / "file")


def test_a_repository_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    text = json.dumps({"id": "x", "schema": 2}, indent=2) + "\n"
    sealed = f'{{\n  "checksum": "{hashlib.sha256(text.encode()).hexdigest()}",\n' + text[2:]
    (tmp_path / "repository.json").write_text(sealed)
    with pytest.raises(Newer, match=r"made by a newer release of the collection \(schema 2\)"):
        look(tmp_path)


def test_backups_can_be_listed_when_the_repository_has_lost_its_id(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    Repository(tmp_path).establish()
    (tmp_path / "repository.json").write_text("{}")
    assert [row["state"] for row in look(tmp_path)["backups"]] == ["good"]


def test_two_pools_of_a_name_are_told_apart(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    second = Who("1f7e0a52-0000-4000-8000-00000000000f", "lab")
    chain(vm(tmp_path, pool=second), 1, now=NOON + DAY)
    assert [row["pool_uuid"] for row in look(tmp_path, pool="lab")["subjects"]] == [POOL.uuid, second.uuid]
    assert [row["pool_uuid"] for row in look(tmp_path, pool=second.uuid)["backups"]] == [second.uuid]


def test_what_a_dump_holds_is_told_without_the_pool(simulator: Start, run: Run, tmp_path: Path) -> None:
    simulator(2)
    run("xen_network", name="storage")
    run("xen_backup", repository=str(tmp_path), kind="pool")
    (row,) = look(tmp_path, kind="pool", contents=True)["backups"]
    assert "storage" in [network["name"] for network in row["contents"]["networks"]]
    assert len(row["contents"]["hosts"]) == 2
    assert "contents" not in look(tmp_path)["backups"][0]
    file = Path(row["path"]) / "pool.xml"
    file.write_bytes(b" " * file.stat().st_size)
    spoilt = look(tmp_path, contents=True)
    assert spoilt["backups"][0]["contents"] is None
    assert f"What {row['path']} holds is not told" in spoilt["warnings"][0]


def test_a_name_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9")).write_text("")
    (told,) = look(tmp_path)["foreign"]
    assert json.dumps(told).isascii() and told.encode().endswith("caf\ufffd".encode())
