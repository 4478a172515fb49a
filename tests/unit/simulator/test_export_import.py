# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs leave as files and come back."""

from __future__ import annotations

import gzip
import io
import tarfile
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.disks import tar

from .wired import Wire, wired

MIB = 1 << 20


@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired() as asked:
        yield asked


def _files(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {info.name: found.read() for info in archive if (found := archive.extractfile(info))}


def _exported(pool: Wire, vm: str, **query: str) -> bytes:
    status, body, task = pool.http("GET", "/export", uuid=pool.record("VM", vm)["uuid"], **query)
    assert status == 200
    assert pool.record("task", task)["status"] == "success"
    return body


def _guest(pool: Wire) -> str:
    vm = pool.vm("traveller")
    pool.vbd(vm, pool.vdi(size=3 * MIB + 7))
    pool.drive(vm)
    pool.vif(vm)
    return vm


def test_an_export_has_the_description_first_and_of_each_disk_its_ends(pool: Wire) -> None:
    vm = _guest(pool)
    pool.db.set("VDI", pool.record("VBD", pool.record("VM", vm)["VBDs"][0])["VDI"], virtual_size=3 * MIB + 7)
    files = _files(_exported(pool, vm))
    names = list(files)
    disk = names[1].partition("/")[0]
    assert names == ["ova.xml", *(f"{disk}/{n:08d}{kind}" for n in (0, 3) for kind in ("", ".xxhash"))]
    assert len(files[f"{disk}/00000000"]) == MIB
    assert len(files[f"{disk}/00000003"]) == 7
    assert b"<name>power_state</name><value>Halted</value>" in files["ova.xml"]
    assert b"OpaqueRef:NULL" in files["ova.xml"]
    assert files["ova.xml"].count(b"OpaqueRef:") == files["ova.xml"].count(b"OpaqueRef:NULL")


def test_an_export_can_be_packed(pool: Wire) -> None:
    vm = _guest(pool)
    assert _files(gzip.decompress(_exported(pool, vm, use_compression="gzip"))) == _files(_exported(pool, vm))


def test_a_running_vm_is_not_exported(pool: Wire) -> None:
    vm = pool.running()
    task = pool("task.create", "export", "")
    assert pool.http("GET", "/export", ref=vm, task_id=task)[0] == 500
    assert pool.record("task", task)["error_info"] == ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]


def test_descriptions_come_with_snapshots(pool: Wire) -> None:
    vm = pool.vm("described")
    pool("VM.snapshot", vm, "of it")
    uuid = pool.record("VM", vm)["uuid"]
    both = _files(pool.http("GET", "/export_metadata", uuid=uuid)[1])
    one = _files(pool.http("GET", "/export_metadata", uuid=uuid, export_snapshots="false")[1])
    assert (both["ova.xml"].count(b">VM<"), one["ova.xml"].count(b">VM<")) == (2, 1)
    assert set(both) == {"ova.xml"}
    everything = _files(pool.http("GET", "/export_metadata", all="true", include_dom0="false")[1])["ova.xml"]
    assert everything.count(b">VM<") == len(pool.db.all("VM")) - 1


@pytest.mark.parametrize("packed", [False, True])
def test_an_imported_vm_is_another_one_with_the_same_devices(pool: Wire, packed: bool) -> None:
    vm = _guest(pool)
    body = _exported(pool, vm)
    (made,) = pool.put("/import", gzip.compress(body) if packed else body)
    old, new = pool.record("VM", vm), pool.record("VM", made)
    assert new["name_label"] == "traveller"
    assert new["uuid"] != old["uuid"]
    assert new["other_config"]["mac_seed"] != old["other_config"]["mac_seed"]
    assert pool.record("VIF", new["VIFs"][0])["MAC"] != pool.record("VIF", old["VIFs"][0])["MAC"]
    assert pool.record("VIF", new["VIFs"][0])["network"] == pool.record("VIF", old["VIFs"][0])["network"]
    drives = {vbd["type"]: vbd for vbd in (pool.record("VBD", ref) for ref in new["VBDs"])}
    disk = pool.record("VDI", drives["Disk"]["VDI"])
    assert disk["virtual_size"] >= 3 * MIB + 7
    assert (disk["SR"], drives["CD"]["empty"]) == (pool.sr, True)
    assert new["current_operations"] == {}
    pool("VM.start", made, False, False)


def test_a_restored_vm_takes_the_place_of_an_older_one(pool: Wire) -> None:
    vm = _guest(pool)
    uuid, mac = pool.record("VM", vm)["uuid"], pool.record("VIF", pool.record("VM", vm)["VIFs"][0])["MAC"]
    body = _exported(pool, vm)
    assert pool.put("/import", body, restore="true") == ["VM_TO_IMPORT_IS_NOT_NEWER_VERSION", vm, "0", "0"]
    (made,) = pool.put("/import", body, restore="true", force="true")
    assert pool.record("VM", made)["uuid"] == uuid
    assert pool.record("VIF", pool.record("VM", made)["VIFs"][0])["MAC"] == mac
    assert not pool.db.exists("VM", vm)


def test_a_seed_is_not_used_twice(pool: Wire) -> None:
    vm = _guest(pool)
    body = _exported(pool, vm)
    seed = pool.record("VM", vm)["other_config"]["mac_seed"]
    pool.db.set("VM", vm, uuid="11111111-1111-1111-1111-111111111111")
    assert pool.put("/import", body, restore="true") == ["DUPLICATE_MAC_SEED", seed]


def test_descriptions_are_imported_where_the_disks_are(pool: Wire) -> None:
    vm = pool.vm("described", disk=True)
    disk = pool.record("VBD", pool.record("VM", vm)["VBDs"][0])["VDI"]
    body = pool.http("GET", "/export_metadata", ref=vm)[1]
    pool("VM.destroy", vm)
    before = len(pool.db.all("VM"))
    assert pool.put("/import_metadata", body, dry_run="true") == []
    assert len(pool.db.all("VM")) == before
    (made,) = pool.put("/import_metadata", body, restore="true")
    assert pool.record("VBD", pool.record("VM", made)["VBDs"][0])["VDI"] == disk
    pool("VM.destroy", made)
    location = pool.record("VDI", disk)["location"]
    pool("VDI.destroy", disk)
    assert pool.put("/import_metadata", body) == ["VDI_LOCATION_MISSING", pool.sr, location]
    (forced,) = pool.put("/import_metadata", body, force="true")
    assert pool.record("VM", forced)["VBDs"] == []


def test_a_broken_file_leaves_nothing(pool: Wire) -> None:
    body = _exported(pool, _guest(pool))
    files = _files(body)
    disk = list(files)[1].partition("/")[0]
    wrong = {**files, f"{disk}/00000000.xxhash": b"0" * 16}
    strange = {**files, "Ref:99/00000000": b"x"}
    counts = {cls: len(pool.db.all(cls)) for cls in ("VM", "VDI", "VBD", "VIF", "network")}

    def packed(content: dict[str, bytes]) -> bytes:
        return b"".join(tar.entry(name, data) for name, data in content.items()) + tar.END

    assert pool.put("/import", packed(wrong)) == ["IMPORT_ERROR_SOME_CHECKSUMS_FAILED"]
    assert pool.put("/import", packed(strange))[0] == "IMPORT_ERROR_UNEXPECTED_FILE"
    assert pool.put("/import", packed({"other": b"x"})) == ["IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", "other"]
    assert pool.put("/import", body[: len(body) // 2]) == ["IMPORT_ERROR_PREMATURE_EOF"]
    newer = files["ova.xml"].replace(b"<name>xapi_major</name><value>26<", b"<name>xapi_major</name><value>99<")
    assert pool.put("/import", packed({"ova.xml": newer})) == ["IMPORT_INCOMPATIBLE_VERSION"]
    assert {cls: len(pool.db.all(cls)) for cls in counts} == counts
    assert len(pool.put("/import", packed(wrong), force="true")) == 1


def test_disks_go_to_an_sr_that_takes_them(pool: Wire) -> None:
    body = _exported(pool, _guest(pool))
    assert pool.put("/import", body, sr_id="nope") == ["DEFAULT_SR_NOT_FOUND", "nope"]
    library = pool.db.create("SR", type="iso", content_type="iso")
    assert pool.put("/import", body, sr_id=library) == ["SR_OPERATION_NOT_SUPPORTED", library]
    assert pool.http("PUT", "/import", body, sr_id=library)[0] == 400


# the host fetches them itself ----------------------------------------------------------------------------------------
def test_a_host_imports_from_an_address(pool: Wire) -> None:
    vm = _guest(pool)
    source = f"https://{pool.machine.address}:{pool.port}"
    address = f"{source}/export?session_id={pool.session}&uuid={pool.record('VM', vm)['uuid']}"
    (made,) = pool("VM.import", address, pool.sr, False, False)
    assert made != vm
    assert pool.record("VM", made)["name_label"] == "traveller"
    assert len(pool.record("VM", made)["VBDs"]) == 2
    assert pool.record("VM", vm)["current_operations"] == {}


def test_an_address_with_nothing_to_import_is_told(pool: Wire) -> None:
    source = f"https://{pool.machine.address}:{pool.port}"
    before = dict(pool.db.all("VM"))
    assert pool.refused("VM.import", f"{source}/nope", pool.sr, False, False) == ["IMPORT_ERROR", "403 Forbidden"]
    assert pool.refused("VM.import", f"{source}/audit_log?session_id={pool.session}", pool.sr, False, False)[0].startswith("IMPORT_ERROR")
    assert pool.refused("VM.import", "https://127.77.0.1:9/x", pool.sr, False, False)[0] == "IMPORT_ERROR"
    assert pool.refused("VM.import", source, "OpaqueRef:nope", False, False) == ["HANDLE_INVALID", "SR", "OpaqueRef:nope"]
    assert pool.db.all("VM").keys() == before.keys()


@pytest.mark.parametrize("path", ["/export", "/export_metadata"])
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"uuid": "nope"}, ["UUID_INVALID", "VM", "nope"]),
        ({"ref": "OpaqueRef:nope"}, ["HANDLE_INVALID", "VM", "OpaqueRef:nope"]),
        ({}, ["INTERNAL_ERROR", "Not_found"]),
    ],
)
def test_what_is_not_there_is_not_exported(pool: Wire, path: str, query: dict[str, str], error: list[str]) -> None:
    task = pool("task.create", "export", "")
    assert pool.http("GET", path, task_id=task, **query)[0] == 500
    assert pool.record("task", task)["error_info"] == error
