# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates from cloud images: small ones, made here."""

from __future__ import annotations

import hashlib
import random
import shutil
import struct
import subprocess
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import stream
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.resources.template import image_file

Run = Start = t.Callable[..., t.Any]
MIB = 1 << 20
AMD64, ARM64 = (kind for kind, word in image_file.ROOTS.items() if word in ("x86_64", "arm64"))
NAME = "Debian 12 cloud"
needs_qemu = pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")


def raw(path: Path, *kinds: uuid.UUID, size: int = 8 * MIB) -> Path:
    """A disk with a GPT of these partitions, some data in the middle and many zeros."""
    entries = b"".join(kind.bytes_le + bytes(112) for kind in kinds)
    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 128, 128)
    with path.open("wb") as file:
        file.write(bytes(510) + b"\x55\xaa" + header.ljust(512, b"\0") + entries)
        file.seek(size // 2)
        file.write(random.Random(12).randbytes(MIB + 512))
        file.truncate(size)
    return path


def converted(source: Path, format_: str) -> Path:
    target = source.with_suffix(f".{format_}")
    more = {"vpc": ["-o", "force_size=on"], "fixed": ["-o", "force_size=on,subformat=fixed"]}.get(format_, [])
    format_ = {"fixed": "vpc"}.get(format_, format_)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format_, *more, str(source), str(target)], check=True)
    return target


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return raw(tmp_path / "cloud.raw", AMD64, image_file.ESP, image_file.BIOS_BOOT)


@pytest.fixture
def sim(simulator: Start) -> t.Any:
    return simulator(1)


def db(sim: t.Any) -> t.Any:
    return sim.world.pools[0].db


def disks(sim: t.Any) -> list[str]:
    """Names of the disks that somebody made."""
    return sorted(r["name_label"] for r in db(sim).all("VDI").values() if r["managed"] and r["type"] == "system")


def content(sim: t.Any, session: t.Any, folder: Path) -> bytes:
    vdi = next(ref for ref, r in db(sim).all("VDI").items() if r["name_label"] == NAME)
    stream.download(session, "/export_raw_vdi", {"vdi": vdi, "format": "raw"}, folder / "out", what="Look at a disk")
    return (folder / "out").read_bytes()


# what becomes of an image ------------------------------------------------------------
def test_an_image_becomes_the_disk_of_a_template(sim: t.Any, session: t.Any, converges: Run, run: Run, image: Path) -> None:
    done = converges("xen_template", name=NAME, image=str(image), memory="2 GiB", disk_size="20 MiB")
    assert [o for o in done["operations"] if not o.startswith("VM.set_")] == [
        "VM.clone", "VM.add_to_other_config", "VDI.create", "http/put_import_raw_vdi", "VDI.add_to_other_config", "VBD.create",
        "VDI.set_name_label",
    ]  # fmt: skip
    assert done["template"]["provision_disks"] == []
    facts = run("xen_template_info", name=NAME)["facts"][done["template"]["uuid"]]
    assert (facts["image"], facts["made_from"], facts["default"]) == (sha256(image), "Other install media", False)
    (disk,) = facts["disks"]
    assert (disk["device"], disk["bootable"], disk["size"], disk["name"]) == ("0", True, 20 * MIB, NAME)
    assert content(sim, session, image.parent) == image.read_bytes().ljust(20 * MIB, b"\0")


@needs_qemu
@pytest.mark.parametrize("format_", ["qcow2", "vpc", "fixed", "vmdk"])
def test_whatever_it_comes_as(sim: t.Any, session: t.Any, converges: Run, image: Path, format_: str) -> None:
    file = converted(image, format_)
    converges("xen_template", name=NAME, image=str(file), sha256=sha256(file).upper())
    assert content(sim, session, image.parent)[: 8 * MIB] == image.read_bytes()
    assert sorted(path.name for path in image.parent.iterdir()) == sorted([image.name, file.name, "out"])


def test_vms_of_the_template_have_a_copy_of_the_disk(sim: t.Any, run: Run, image: Path) -> None:
    run("xen_template", name=NAME, image=str(image))
    run("xen_vm", name="web1", template=NAME)
    (vm,) = (r for r in db(sim).all("VM").values() if r["name_label"] == "web1")
    (vbd,) = vm["VBDs"]
    assert db(sim).get("VBD", vbd)["bootable"]


def test_a_template_that_has_the_checksum_needs_no_file(run: Run, image: Path) -> None:
    told = sha256(image)
    run("xen_template", name=NAME, image=str(image), sha256=told)
    image.unlink()
    assert run("xen_template", name=NAME, image=str(image), sha256=told)["changed"] is False
    with pytest.raises(InvalidChange, match="cannot be read"):
        run("xen_template", name=NAME, image=str(image))


# another image -----------------------------------------------------------------------
def test_a_newer_image_is_told_and_taken_where_that_is_meant(sim: t.Any, session: t.Any, run: Run, converges: Run, tmp_path: Path) -> None:
    old, new = raw(tmp_path / "old", AMD64), raw(tmp_path / "new", AMD64, size=12 * MIB)
    first = run("xen_template", name=NAME, image=str(old))["template"]["uuid"]
    again = run("xen_template", name=NAME, image=str(new))
    assert (again["changed"], "was not made from the image" in again["warnings"][0]) == (False, True)
    mark = sim.mark()
    done = run("xen_template", name=NAME, image=str(new), replace=True)
    assert done["template"]["uuid"] != first
    gone = [c["method"] for c in sim.calls(mark) if c["method"].endswith(".destroy") and not c["method"].startswith("task")]
    assert gone == ["VDI.destroy", "VM.destroy"]
    assert content(sim, session, tmp_path)[: 12 * MIB] == new.read_bytes()
    assert run("xen_template", name=NAME, image=str(new), replace=True)["changed"] is False
    assert disks(sim) == [NAME]


def test_a_stock_template_is_not_replaced(run: Run, image: Path) -> None:
    with pytest.raises(InvalidChange, match="those are not deleted"):
        run("xen_template", name="Debian Bookworm 12", image=str(image), replace=True)


# firmware ----------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "firmware"), [(image_file.ESP, "uefi"), (image_file.BIOS_BOOT, "bios")])
def test_the_firmware_is_what_the_image_can_start_with(run: Run, converges: Run, tmp_path: Path, kind: uuid.UUID, firmware: str) -> None:
    file = str(raw(tmp_path / "x", AMD64, kind))
    other = {"bios": "uefi", "uefi": "bios"}[firmware]
    with pytest.raises(InvalidChange, match=f"does not start with {other.upper()}"):
        run("xen_template", name=NAME, image=file, source="Debian Bookworm 12", firmware=other)
    assert converges("xen_template", name=NAME, image=file, source="Debian Bookworm 12")["template"]["firmware"] == firmware


def test_a_template_that_cannot_have_the_firmware_is_told(run: Run) -> None:
    stock = next(r for r in run("xen_template_info")["templates"] if r["limits"].get("uefi") is False)
    with pytest.raises(InvalidChange, match="do not start with UEFI"):
        run("xen_template", name="Web", source=stock["name"], firmware="uefi")


# refusals ----------------------------------------------------------------------------
def refused(run: Run, told: str, **options: t.Any) -> None:
    """In check mode and for real."""
    for check in (True, False):
        with pytest.raises((InvalidChange, NotFound, XenError), match=told):
            run("xen_template", check=check, **{"name": NAME, **options})


def test_a_wrong_checksum_is_refused(run: Run, image: Path) -> None:
    refused(run, f"has the SHA-256 {sha256(image)}, not {'0' * 64}", image=str(image), sha256="0" * 64)
    refused(run, "is no SHA-256", image=str(image), sha256="abc")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"<html>404</html>".ljust(1024), "it is a text"),
        (bytes(1000), "no whole number of sectors"),
        (b"\x1f\x8b".ljust(1024, b"\0"), "packed with gzip"),
        (b"\0" * 32769 + b"CD001" + bytes(32762), "is an ISO image"),
        (b"QFI\xfb\0\0\0\3" + struct.pack(">QIIQ", 4096, 10, 16, MIB) + bytes(480), "differs from another file"),
        ((b"conectix" + bytes(40) + struct.pack(">QII", MIB, 0, 4)).ljust(512, b"\0"), "differs from another file"),
    ],
)
def test_what_is_no_image_is_refused(run: Run, tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    refused(run, told, image=str(file))


def test_a_missing_image_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run, "cannot be read: No such file", image=str(tmp_path / "none"))


def test_an_image_for_other_processors_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run, "made for arm64", image=str(raw(tmp_path / "x", ARM64)))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"disk_size": "1 MiB"}, "the image has 8 MiB"),
        ({"sr": "nowhere"}, "No SR is named 'nowhere'"),
        ({"sr": "XCP-ng Tools"}, "cannot hold disks"),
        ({"disk_size": "3 TiB"}, "at most"),
        ({"source": "CentOS 6 (64-bit)"}, "boot from a kernel, not a disk"),
        ({"source": "Debian 99"}, "No template is named 'Debian 99'"),
    ],
)
def test_what_does_not_fit_the_image_is_refused(run: Run, image: Path, options: dict[str, t.Any], told: str) -> None:
    refused(run, told, image=str(image), **options)


def test_a_source_with_disks_is_refused(run: Run, image: Path) -> None:
    run("xen_template", name=NAME, image=str(image))
    refused(run, "which has disks of its own", name="Another", image=str(image), source=NAME)


def test_an_sr_without_room_is_refused(sim: t.Any, run: Run, image: Path) -> None:
    pool = sim.world.pools[0]
    size = int(db(sim).get("SR", pool.pool["default_SR"])["physical_size"])
    db(sim).set("SR", pool.pool["default_SR"], physical_utilisation=size - 4096)
    refused(run, "are free", image=str(image))


def test_a_pool_without_default_sr_is_told(sim: t.Any, run: Run, image: Path) -> None:
    db(sim).set("pool", next(iter(db(sim).all("pool"))), default_SR="OpaqueRef:NULL")
    refused(run, "no default SR", image=str(image))


def test_a_checksum_alone_says_nothing(run: Run) -> None:
    with pytest.raises(ValueError, match="sha256"):
        run("xen_template", name=NAME, sha256="0" * 64)


# interruption ------------------------------------------------------------------------
CALLS = 8  # that change something, without the upload


@pytest.mark.parametrize("kind", [*(pytest.param(cut, marks=pytest.mark.slow) for cut in ("cut-before", "cut-after")), "fail"])
@pytest.mark.parametrize("nth", range(1, CALLS + 1))
def test_a_task_that_is_cut_off_is_finished_by_itself_or_the_next(
    sim: t.Any, session: t.Any, run: Run, image: Path, nth: int, kind: str
) -> None:
    task = {"name": NAME, "image": str(image), "description": "x"}
    sim.faults.add(kind, None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    try:
        run("xen_template", **task)
    except XenError:
        run("xen_template", **task)
    assert sim.faults.triggers == [], "it was not cut off"
    assert run("xen_template", **task)["changed"] is False
    assert disks(sim) == [NAME]
    assert content(sim, session, image.parent) == image.read_bytes()


@pytest.mark.parametrize("after", [0, MIB, 5 * MIB])
def test_an_upload_that_breaks_is_done_again(sim: t.Any, session: t.Any, run: Run, image: Path, after: int) -> None:
    sim.faults.cut_transfer("/import_raw_vdi", after)
    with pytest.raises(XenError):
        run("xen_template", name=NAME, image=str(image))
    assert disks(sim) == [f"{NAME} (unfinished)"]
    done = run("xen_template", name=NAME, image=str(image))
    assert "VDI.create" not in done["operations"]
    assert disks(sim) == [NAME]
    assert content(sim, session, image.parent) == image.read_bytes()


@pytest.mark.parametrize("method", ["VDI.create", "VBD.create", "VDI.set_name_label", "VM.set_name_label"])
@pytest.mark.parametrize("end", ["again", "another image", "another size", "absent"])
def test_what_a_failed_task_has_begun_is_used_or_removed(
    sim: t.Any, session: t.Any, run: Run, tmp_path: Path, image: Path, method: str, end: str
) -> None:
    sim.faults.fail(method, error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError, match="out of luck"):
        run("xen_template", name=NAME, image=str(image))
    other = raw(tmp_path / "other", ARM64 if end == "absent" else AMD64, size=12 * MIB)
    task: dict[str, t.Any] = {"name": NAME, "image": str(other if end == "another image" else image)}
    task.update({"another size": {"disk_size": "32 MiB"}, "absent": {"state": "absent"}}.get(end, {}))
    run("xen_template", **task)
    assert run("xen_template", **task)["changed"] is False
    assert disks(sim) == ([] if end == "absent" else [NAME])
    assert not [r for r in db(sim).all("VM").values() if "unfinished" in r["name_label"]]
