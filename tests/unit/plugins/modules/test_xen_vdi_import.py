# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that become virtual disks, and virtual disks that become files; byte by byte the same."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import workshop

Run = Start = t.Callable[..., t.Any]
MIB = 1 << 20
QEMU = pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    started = simulator("examples")
    run("xen_sr", name="Filer", type="nfs", server="127.40.0.10", path="/export/vms", default=True)
    return started


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """6 MiB, of which the middle third is empty."""
    data = random.Random(1)
    path = tmp_path / "disk.img"
    path.write_bytes(data.randbytes(2 * MIB) + bytes(2 * MIB) + data.randbytes(2 * MIB))
    return path


def config(sim: t.Any) -> list[dict[str, str]]:
    db = sim.world.pools[0].db
    return [db.get("VDI", ref)["other_config"] for ref in db.find("VDI", name_label="data")]


def uuid_of(sim: t.Any, name: str) -> str:
    db = sim.world.pools[0].db
    return str(db.get("VDI", db.one("VDI", name_label=name))["uuid"])


def content(sim: t.Any, name: str) -> str:
    return str(sim.disks.digest(uuid_of(sim, name)))


def test_what_goes_in_comes_out_again(sim: t.Any, run: Run, converges: Run, image: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    done = converges("xen_vdi_import", src=str(image), name="data")
    assert done["operations"] == ["VDI.create", "http/put_import_raw_vdi", "VDI.add_to_other_config", "VDI.remove_from_other_config"]
    assert done["vdi"]["sha256"] == digest and done["vdi"]["size"] == 6 * MIB and done["format"] == "raw"
    out = tmp_path / "out.img"
    predicted = run("xen_vdi_export", check=True, name="data", dest=str(out), format="raw")
    assert not out.exists()
    told = run("xen_vdi_export", name="data", dest=str(out), format="raw")
    assert predicted["operations"] == told["operations"] == ["http/get_export_raw_vdi"]
    assert out.read_bytes() == image.read_bytes()
    assert told["export"]["sha256"] == digest and told["export"]["virtual_size"] == 6 * MIB
    assert run("xen_vdi_export", name="data", dest=str(out), format="raw")["changed"] is False


@QEMU
def test_other_formats_are_the_same_disk(sim: t.Any, run: Run, converges: Run, image: Path, tmp_path: Path) -> None:
    qcow = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(image), str(qcow)], check=True)
    done = converges("xen_vdi_import", src=str(qcow), name="data", size="8 MiB")
    assert (done["format"], done["vdi"]["size"]) == ("qcow2", 8 * MIB)
    for form in ("vhd", "qcow2"):
        out, back = tmp_path / f"out.{form}", tmp_path / f"back-{form}.img"
        told = run("xen_vdi_export", name="data", dest=str(out), format=form)["export"]
        assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
        name = {"vhd": "vpc"}.get(form, form)
        subprocess.run(["qemu-img", "convert", "-f", name, "-O", "raw", str(out), str(back)], check=True)
        assert back.read_bytes() == image.read_bytes() + bytes(2 * MIB)
    assert sorted(p.name for p in tmp_path.glob(".*")) == []


@QEMU
def test_a_fixed_vhd_is_sent_without_a_copy(sim: t.Any, converges: Run, image: Path, tmp_path: Path) -> None:
    fixed = tmp_path / "disk.vhd"
    subprocess.run(["qemu-img", "convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on", str(image), str(fixed)], check=True)
    done = converges("xen_vdi_import", src=str(fixed), name="data")
    assert (done["format"], done["vdi"]["size"]) == ("vhd", 6 * MIB)
    assert content(sim, "data") == hashlib.sha256(image.read_bytes()).hexdigest()


# differences ------------------------------------------------------------------------------
@pytest.fixture
def chain(sim: t.Any, run: Run, image: Path, tmp_path: Path) -> list[str]:
    """A disk's newest state as difference to a snapshot, that to another one, and that whole."""
    run("xen_vdi_import", src=str(image), name="data")
    files = []
    for number in range(3):
        sim.disks.fill(uuid_of(sim, "data"), number * MIB, MIB // 2, f"change {number}")
        run("xen_vdi", name=f"state {number}", snapshot_of="data")
        files.insert(0, str(tmp_path / f"{number}.vhd"))
        run("xen_vdi_export", name=f"state {number}", dest=files[0], base=f"state {number - 1}" if number else None)
    return files


def test_differences_are_laid_over_each_other(sim: t.Any, converges: Run, chain: list[str]) -> None:
    done = converges("xen_vdi_import", src=chain[0], parents=chain[1:], name="again")
    assert done["operations"][:2] == ["VDI.create", "http/put_import_raw_vdi"]
    assert content(sim, "again") == content(sim, "data")
    converges("xen_vdi_import", src=chain[1], parents=chain[2:], name="older")
    assert content(sim, "older") == content(sim, "state 1") != content(sim, "data")


def test_differences_without_what_they_build_on_are_refused(sim: t.Any, run: Run, chain: list[str]) -> None:
    for parents in ([], chain[1:2], chain[2:]):
        with pytest.raises(XenError, match=r"holds only what differs|is missing|has another parent") as caught:
            run("xen_vdi_import", check=True, src=chain[0], parents=parents, name="again")
        assert caught.value.hint
    Path(f"{chain[0]}.manifest.json").unlink()
    Path(f"{chain[2]}.manifest.json").unlink()
    with pytest.raises(XenError, match="is missing"):
        run("xen_vdi_import", check=True, src=chain[0], name="again")
    with pytest.raises(XenError, match="is whole by itself"):
        run("xen_vdi_import", check=True, src=chain[2], parents=chain[:1], name="again")


# damaged files ----------------------------------------------------------------------------
@QEMU
@pytest.mark.parametrize("kind", ["vhd", "qcow2"])
def test_a_file_that_is_cut_off_is_refused_before_any_call(sim: t.Any, run: Run, image: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"disk.{kind}"
    name = {"vhd": "vpc"}.get(kind, kind)
    subprocess.run(["qemu-img", "convert", "-O", name, str(image), str(file)], check=True)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 2 * MIB)
    mark = sim.mark()
    for check in (True, False):
        with pytest.raises(XenError, match=r"cut off"):
            run("xen_vdi_import", check=check, src=str(file), name="data")
    assert sim.calls(mark) == []


@QEMU
def test_an_image_that_builds_on_another_file_is_refused(sim: t.Any, run: Run, image: Path, tmp_path: Path) -> None:
    file = tmp_path / "above.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image), str(file)], check=True)
    with pytest.raises(InvalidChange, match=r"builds on another file .*disk\.img.*qemu-img convert"):
        run("xen_vdi_import", check=True, src=str(file), name="data")


def test_a_file_that_changes_meanwhile_is_noticed(sim: t.Any, run: Run, image: Path) -> None:
    strike = sim.faults.strike

    def struck(method: str, changing: bool) -> t.Any:
        if method.endswith("VDI.create"):
            with image.open("r+b") as opened:
                opened.write(b"other")
        return strike(method, changing)

    sim.faults.strike = struck
    try:
        with pytest.raises(XenError, match=r"was changed while it was sent.* is not complete: run the task again"):
            run("xen_vdi_import", src=str(image), name="data")
    finally:
        sim.faults.strike = strike
    assert run("xen_vdi_import", src=str(image), name="data")["changed"]
    assert content(sim, "data") == hashlib.sha256(image.read_bytes()).hexdigest()


@QEMU
def test_what_a_killed_conversion_left_goes(sim: t.Any, run: Run, image: Path, tmp_path: Path) -> None:
    qcow = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(image), str(qcow)], check=True)
    for name in ("disk.qcow2", "out.qcow2"):
        left = tmp_path / f".{name}.work"
        left.mkdir()
        (left / "disk.vhd").write_bytes(b"half of it")
    run("xen_vdi_import", src=str(qcow), name="data")
    run("xen_vdi_export", name="data", dest=str(tmp_path / "out.qcow2"), format="qcow2")
    assert content(sim, "data") == hashlib.sha256(image.read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.glob(".*")) == []


@QEMU
def test_two_tasks_do_not_write_the_same_qcow2(sim: t.Any, run: Run, tmp_path: Path) -> None:
    run("xen_vdi", name="data", size="4 MiB")
    with workshop(tmp_path / "out.qcow2"), pytest.raises(XenError, match="Another task is writing"):
        run("xen_vdi_export", name="data", dest=str(tmp_path / "out.qcow2"), format="qcow2")


def test_another_file_is_written_over_only_when_the_task_says_so(sim: t.Any, run: Run, converges: Run, image: Path) -> None:
    run("xen_vdi_import", src=str(image), name="data")
    image.write_bytes(random.Random(2).randbytes(8 * MIB))
    for check in (True, False):
        with pytest.raises(InvalidChange, match="its content is not that of"):
            run("xen_vdi_import", check=check, src=str(image), name="data")
    done = converges("xen_vdi_import", src=str(image), name="data", overwrite=True)
    assert "VDI.resize" in done["operations"] and "VDI.create" not in done["operations"]


@pytest.mark.parametrize("nth", range(1, 4))
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
def test_an_interrupted_import_is_finished(sim: t.Any, run: Run, image: Path, cut: str, nth: int) -> None:
    getattr(sim.faults, cut)(nth)
    try:
        run("xen_vdi_import", src=str(image), name="data")
    except XenError:
        sim.faults.clear()
    assert run("xen_vdi_import", src=str(image), name="data")["vdi"]["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert [list(one) for one in config(sim)] == [["domzero.xen/imported"]]


def test_a_connection_that_breaks_in_the_middle_leaves_a_disk_the_next_run_fills(sim: t.Any, run: Run, image: Path, tmp_path: Path) -> None:
    sim.faults.cut_transfer("/import_raw_vdi", 3 * MIB)
    with pytest.raises(XenError, match=r"write .* to disk 'data'") as caught:
        run("xen_vdi_import", src=str(image), name="data")
    assert "is not complete: run the task again" in str(caught.value)
    run("xen_vdi_import", src=str(image), name="data")
    run("xen_vdi_export", name="data", dest=str(tmp_path / "out"), format="raw")
    assert (tmp_path / "out").read_bytes() == image.read_bytes()
    assert len(config(sim)) == 1


def test_an_export_that_breaks_off_leaves_nothing(sim: t.Any, run: Run, image: Path, tmp_path: Path) -> None:
    run("xen_vdi_import", src=str(image), name="data")
    sim.faults.cut_transfer("/export_raw_vdi", 3 * MIB)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(XenError, match="Could not export disk 'data'"):
        run("xen_vdi_export", name="data", dest=str(tmp_path / "out"), format="raw")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"checksum": "sha256:00"}, "not 00"),
        ({"size": "1 MiB"}, "is less than the 6 MiB"),
        ({"src": "/nowhere/disk.img"}, "cannot be read"),
        ({"sr": "XenServer Tools"}, "cannot hold disks|No SR"),
    ],
)
def test_bad_input_is_refused_before_any_call(sim: t.Any, run: Run, image: Path, options: dict[str, t.Any], told: str) -> None:
    mark = sim.mark()
    for check in (True, False):
        with pytest.raises(XenError, match=told):
            run("xen_vdi_import", check=check, **{"src": str(image), "name": "data", **options})
    assert sim.calls(mark) == []
