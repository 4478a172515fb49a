# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused, XlHost, xl_host

MIB = 1 << 20
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the modules of a Xen host need root")


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[XlHost]:
    with xl_host(tmp_path / "site") as made:
        yield made


@pytest.fixture
def guest(tmp_path: Path) -> dict[str, t.Any]:
    (tmp_path / "root.tar").write_bytes(bytes(1000))
    (tmp_path / "images").mkdir()
    return {
        "name": "web", "image_dir": str(tmp_path / "images"), "root": {"size": "100 MiB"}, "boot": "guest",
        "install": {"method": "tarball", "tarball": str(tmp_path / "root.tar")}, "nics": [{"bridge": "lo", "address": "192.0.2.10/24"}],
    }  # fmt: skip


def problems(host: XlHost, tmp_path: Path, *guests: dict[str, t.Any], **options: t.Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        host.module("xl_guest_preflight", guests=list(guests), state_dir=str(tmp_path / "state"), **options)
    return t.cast("list[str]", refused.value.result["problems"])


def test_what_the_modules_are_called_with_is_worked_out(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    (row,) = host.module("xl_guest_preflight", guests=[guest], state_dir=str(tmp_path / "state"))["guests"]
    assert (row["name"], row["found"], row["running"], row["address"]) == ("web", "missing", False, "192.0.2.10")
    assert row["volumes"][0]["path"] == f"{tmp_path}/images/web-root.img" and row["os"]["path"] == row["volumes"][0]["path"]
    assert list(tmp_path.glob("images/*")) == [] and not (tmp_path / "state").exists()


def test_all_that_is_wrong_with_all_guests_is_told_at_once(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    other = {**guest, "name": "db", "nics": [{"bridge": "nobr0", "address": "192.0.2.10/24"}], "boot": "pvgrub"}
    third = {**guest, "name": "bad name"}
    fourth = {**guest, "name": "mail", "nics": [], "install": {"method": "tarball", "tarball": "/there/is/none.tar"}}
    told = problems(host, tmp_path, guest, other, third, fourth)
    assert any("Dom0 has no bridge nobr0" in line for line in told)
    assert any("there is no kernel /usr/lib/grub-xen" in line and "grub-xen-host" in line for line in told)
    assert any("'bad name' cannot be the name" in line for line in told)
    assert any("there is no tarball /there/is/none.tar" in line for line in told)
    assert "The address 192.0.2.10 is used twice: by web and db." in told


def test_a_volume_does_not_shrink(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    path = tmp_path / "images/web-root.img"
    path.touch()
    os.truncate(path, 500 * MIB)
    assert any("has 500 MiB, and would shrink to 100 MiB" in line for line in problems(host, tmp_path, guest))


def test_no_room_and_no_place_are_told(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    assert any("free, and" in line for line in problems(host, tmp_path, {**guest, "root": {"size": "900 TiB"}}))
    assert any("no folder /there/is/none" in line for line in problems(host, tmp_path, {**guest, "image_dir": "/there/is/none"}))


def test_more_memory_than_the_host_has_is_told(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    assert any("of memory together" in line for line in problems(host, tmp_path, {**guest, "memory": "4 TiB"}))


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    """With 64 MiB of zeros in it, which are little while they are packed."""
    if not (shutil.which("lsinitramfs") and shutil.which("cpio")):
        pytest.skip("no initramfs-tools here")
    (tmp_path / "files").mkdir()
    for name, bytes_ in (("zeros", 64 * MIB), ("small", 1)):
        (tmp_path / "files" / name).touch()
        os.truncate(tmp_path / "files" / name, bytes_)
    made = tmp_path / "initrd.img"
    subprocess.run(f"find . | cpio --quiet -o -H newc | gzip -1 >{made}", shell=True, check=True, cwd=tmp_path / "files")
    return made


def test_memory_that_its_initrd_does_not_fit_into_is_told(host: XlHost, tmp_path: Path, guest: dict[str, t.Any], initrd: Path) -> None:
    def asked(memory: str, **more: t.Any) -> dict[str, t.Any]:
        return {**guest, "memory": memory, "options": {"ramdisk": str(initrd)}, **more}

    (told,) = problems(host, tmp_path, asked("96"))
    assert told.startswith(f"Guest web boots with {initrd}, which is ") and "unpacks to 64 MiB" in told
    assert "its 96 MiB of memory are too little, it would panic. Give it 256 MiB." in told
    for fine in (asked("256"), asked("96", state="stopped")):
        assert host.module("xl_guest_preflight", guests=[fine], state_dir=str(tmp_path / "state"))["guests"]


def test_an_initrd_that_cannot_be_read_refuses_nothing(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    (tmp_path / "initrd.img").write_bytes(b"of an unknown kind")
    asked = {**guest, "memory": "64", "options": {"ramdisk": str(tmp_path / "initrd.img")}}
    assert host.module("xl_guest_preflight", guests=[asked], state_dir=str(tmp_path / "state"))["guests"]


def test_the_name_of_another_domain_is_told(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    for name in ("vmlinuz", "disk.img"):
        (tmp_path / name).write_bytes(bytes(MIB))
    (tmp_path / "web.cfg").write_text(
        f'name = "web"\ntype = "pvh"\nkernel = "{tmp_path}/vmlinuz"\nmemory = 64\ndisk = ["{tmp_path}/disk.img,raw,xvda,w"]\n'
    )
    assert host.xl("create", str(tmp_path / "web.cfg")).returncode == 0
    assert any("a domain of that name runs already" in line for line in problems(host, tmp_path, guest))


def test_a_hash_of_a_password_is_not_told(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    secret = "$6$salt$topsecret"
    done = host.module(
        "xl_guest_preflight", guests=[{**guest, "system": {"root_password_hash": secret}}], state_dir=str(tmp_path / "state")
    )
    assert "topsecret" not in str(done)


def test_nothing_of_it_goes_into_the_journal_of_dom0(host: XlHost, tmp_path: Path, guest: dict[str, t.Any]) -> None:
    asked = {"guests": [{**guest, "system": {"root_password_hash": "$6$salt$topsecret"}}], "state_dir": str(tmp_path / "state")}
    program = (
        "import json, sys\nfrom ansible.module_utils.basic import AnsibleModule\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "from ansible_collections.domzero.xen.plugins.modules import xl_guest_preflight\n"
        "AnsibleModule._log_invocation = lambda self: print('a journal has', self.params)\n"
        "with patch_module_args(json.loads(sys.argv[1])): xl_guest_preflight.main()"
    )
    done = subprocess.run([sys.executable, "-c", program, json.dumps(asked)], capture_output=True, text=True, check=False, timeout=60)
    assert "a journal has" not in done.stdout and done.stdout.lstrip().startswith("{"), done.stderr
