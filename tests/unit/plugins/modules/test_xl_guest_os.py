# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems are put onto image files for real: file systems, mounts, a root to configure. Only what is in the tarball is tiny."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.domzero.xen.plugins.modules import xl_guest_os
from ansible_collections.domzero.xen.tests.tools.loop_disk import run

pytestmark = pytest.mark.slow(whole=True)

Result = dict[str, t.Any]
MIB = 1 << 20
FILES = {
    "etc/os-release": "PRETTY_NAME=Tiny\n", "etc/shadow": "root:*:19000:0:99999:7:::\n", "bin/sh": "#!", "sbin/init": "#!",
    "usr/sbin/ifup": "#!", "boot/vmlinuz-6.1": "the kernel", "boot/initrd.img-6.1": "the ram disk", "etc/ssh/ssh_host_rsa_key": "old",
    "usr/share/zoneinfo/Europe/Berlin": "TZif2", "etc/inittab": "id:2:initdefault:\n",
}  # fmt: skip


@functools.cache
def why_not() -> str:
    """Why no root can be mounted here; "" if it can be."""
    if os.geteuid():
        return "needs root"
    lacking = [tool for tool in ("mkfs.ext4", "blkid", "losetup", "tar", "unshare") if not shutil.which(tool)]
    if lacking:
        return f"needs {', '.join(lacking)}"
    script = "set -e; d=$(mktemp -d); truncate -s 8M $d/i; mkfs.ext4 -q -F $d/i; mkdir $d/m; mount -o loop $d/i $d/m; umount $d/m; rm -r $d"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    return f"no image file can be mounted: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(autouse=True)
def possible() -> None:
    if told := why_not():
        pytest.skip(told)


class Dom0:
    """The module as Ansible runs it, in a process of its own, since it takes mounts of its own."""

    def __init__(self, folder: Path):
        self.folder, self.state, self.volume = folder, folder / "state", folder / "root.img"
        self.tarball = folder / "root.tar"
        with tarfile.open(self.tarball, "w") as tar:
            for name, text in FILES.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o755 if "bin" in name else 0o644
                tar.addfile(entry, io.BytesIO(text.encode()))
        self.empty()

    def empty(self, size: int = 64 * MIB) -> None:
        self.volume.write_bytes(b"")
        os.truncate(self.volume, size)

    def command(self, check: bool = False, **options: t.Any) -> list[str]:
        arguments = {
            "name": "web", "path": str(self.volume), "method": "tarball", "tarball": str(self.tarball), "kernel": "guest",
            "state_dir": str(self.state), "_ansible_check_mode": check, "_ansible_diff": True, **options,
        }  # fmt: skip
        program = (
            "import json, sys; from ansible.module_utils.testing import patch_module_args; "
            "from ansible_collections.domzero.xen.plugins.modules import xl_guest_os\n"
            "with patch_module_args(json.loads(sys.argv[1])): xl_guest_os.main()"
        )
        return [sys.executable, "-c", program, json.dumps({k: v for k, v in arguments.items() if v is not None})]

    def __call__(self, check: bool = False, **options: t.Any) -> Result:
        done = subprocess.run(self.command(check, **options), capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.lstrip().startswith("{"), done.stderr
        assert self.left() == "", "something stays mounted or attached"
        return t.cast("Result", json.loads(done.stdout))

    def left(self) -> str:
        mounts = Path("/proc/self/mounts").read_text()
        return run("losetup", "--associated", str(self.volume)) + "".join(
            line for line in mounts.splitlines() if "/run/domzero.xen" in line
        )

    def read(self, path: str, image: Path | None = None, offset: int = 0) -> str:
        """A file of the system, by debugfs: without any mount."""
        place = f"{image or self.volume}{f'?offset={offset}' if offset else ''}"
        return subprocess.run(["debugfs", "-R", f"cat {path}", place], capture_output=True, text=True, check=False).stdout

    def converges(self, **options: t.Any) -> Result:
        before = hashlib.sha256(self.volume.read_bytes()).digest()
        predicted = self(check=True, **options)
        assert hashlib.sha256(self.volume.read_bytes()).digest() == before and not self.state.exists()
        done = self(**options)
        assert "msg" not in done, done["msg"]
        assert {**predicted, "invocation": 0} == {**done, "invocation": 0}
        again = self(**options)
        assert (again["changed"], again["commands"]) == (False, [])
        return done


@pytest.fixture
def dom0(tmp_path: Path) -> Dom0:
    return Dom0(tmp_path)


def test_a_tarball_becomes_a_configured_system(dom0: Dom0) -> None:
    swap, data = dom0.folder / "swap.img", dom0.folder / "data.img"
    for path in (swap, data):
        path.write_bytes(bytes(32 * MIB))
    done = dom0.converges(
        hostname="web01", domain="example.com", timezone="Europe/Berlin", authorized_keys=["ssh-ed25519 AAAA me"],
        root_password_hash="$6$salt$hash", nameservers=["192.0.2.53"],
        interfaces=[{"name": "eth0", "address": "192.0.2.10/24", "gateway": "192.0.2.1"}],
        swap={"path": str(swap), "device": "xvdb"}, data=[{"path": str(data), "device": "xvdc", "mount": "/srv/data"}],
    )  # fmt: skip
    assert done["changed"] and "$6$salt$hash" not in json.dumps(done)
    told = done["guest_os"]
    assert Path(told["kernel"]).read_text() == "the kernel" and Path(told["ramdisk"]).read_text() == "the ram disk"
    assert told["arguments"] == "root=/dev/xvda ro console=hvc0 net.ifnames=0"
    assert dom0.read("/etc/hostname") == "web01\n" and "127.0.1.1 web01.example.com web01" in dom0.read("/etc/hosts")
    assert dom0.read("/root/.ssh/authorized_keys") == "ssh-ed25519 AAAA me\n"
    assert dom0.read("/etc/shadow").startswith("root:$6$salt$hash:19000")
    assert "address 192.0.2.10/24" in dom0.read("/etc/network/interfaces") and dom0.read("/etc/resolv.conf") == (
        "search example.com\nnameserver 192.0.2.53\n"
    )
    assert dom0.read("/etc/timezone") == "Europe/Berlin\n" and "hvc0:2345" in dom0.read("/etc/inittab")
    assert dom0.read("/etc/ssh/ssh_host_rsa_key") == ""
    uuids = [run("blkid", "--probe", "--output", "value", "--match-tag", "UUID", str(p)).strip() for p in (dom0.volume, swap, data)]
    assert dom0.read("/etc/fstab") == (
        f"UUID={uuids[0]} / ext4 errors=remount-ro 0 1\nUUID={uuids[1]} none swap sw 0 0\nUUID={uuids[2]} /srv/data ext4 defaults 0 2\n"
    )


def test_a_partitioned_root_boots_from_its_own_menu(dom0: Dom0) -> None:
    done = dom0.converges(partitioned=True, kernel="grub")
    assert done["guest_os"]["root_device"] == "/dev/xvda1" and done["guest_os"]["kernel"] == ""
    menu = dom0.read("/boot/grub/grub.cfg", offset=MIB)
    assert "linux /boot/vmlinuz-6.1 root=UUID=" in menu and "initrd /boot/initrd.img-6.1" in menu and "console=hvc0" in menu


def test_an_image_is_copied_and_configured(dom0: Dom0) -> None:
    assert dom0()["changed"]
    image = dom0.folder / "made.qcow2"
    if not shutil.which("qemu-img"):
        pytest.skip("needs qemu-img")
    run("qemu-img", "convert", "-O", "qcow2", str(dom0.volume), str(image))
    shutil.rmtree(dom0.state)
    dom0.empty(80 * MIB)
    done = dom0.converges(method="image", tarball=None, image=str(image), name="copy", interfaces=[{"name": "eth0"}])
    assert dom0.read("/etc/hostname") == "copy\n" and "iface eth0 inet dhcp" in dom0.read("/etc/network/interfaces")
    assert "errors=remount-ro" in dom0.read("/etc/fstab")
    assert any(command.startswith("qemu-img convert -n -f qcow2 -O raw") for command in done["commands"])


def test_an_image_that_does_not_fit_is_refused(dom0: Dom0) -> None:
    image = dom0.folder / "large.img"
    image.write_bytes(b"")
    os.truncate(image, 100 * MIB)
    failed = dom0(method="image", image=str(image))
    assert "has 64 MiB, and 100 MiB are needed" in failed["msg"] and failed["commands_done"] == []


def test_a_system_is_never_installed_again(dom0: Dom0) -> None:
    dom0()
    shutil.rmtree(dom0.state)  # also where Dom0 has forgotten it
    again = dom0(tarball="/there/is/none", hostname="other")
    assert [command.split()[0] for command in again["commands"]] == ["mount", "cp", "umount"]
    assert dom0.read("/etc/hostname") == "web\n"
    assert dom0()["changed"] is False


def test_another_guests_system_is_refused(dom0: Dom0) -> None:
    dom0()
    shutil.rmtree(dom0.state)
    assert "holds the system of guest web" in dom0(name="db")["msg"]


def test_what_holds_something_else_is_refused_until_it_may_be_lost(dom0: Dom0) -> None:
    run("mkfs.ext4", "-q", "-F", "-L", "photos", str(dom0.volume))
    before = dom0.volume.read_bytes()
    for check in (True, False):
        assert "holds a file system of the type ext4 with the label photos, and no system" in dom0(check=check)["msg"]
    assert dom0.volume.read_bytes() == before
    assert dom0(overwrite=True)["commands"][1] == f"wipefs --quiet --all {dom0.volume}"


def test_what_nothing_has_a_name_for_is_not_taken_for_empty(dom0: Dom0) -> None:
    dom0.volume.write_bytes(b"QFI\xfb" + bytes(64 * MIB))
    assert "holds something of an unknown kind, and no system" in dom0()["msg"]
    dom0.empty()
    data = dom0.folder / "data.img"
    data.write_bytes(b"a database" + bytes(32 * MIB))
    told = dom0(data=[{"path": str(data), "device": "xvdc"}], overwrite=True)
    assert "holds something of an unknown kind, not ext4" in told["msg"]
    assert data.read_bytes().startswith(b"a database")


def test_data_volumes_are_never_overwritten(dom0: Dom0) -> None:
    data = dom0.folder / "data.img"
    data.write_bytes(bytes(32 * MIB))
    run("mkswap", str(data))
    row = {"path": str(data), "device": "xvdc", "mount": "/srv"}
    assert "holds swap, not ext4" in dom0(data=[row], overwrite=True)["msg"]
    data.write_bytes(bytes(32 * MIB))
    run("mkfs.ext4", "-q", "-F", "-L", "kept", str(data))
    assert dom0(data=[row])["changed"]
    assert run("blkid", "--probe", "--output", "value", "--match-tag", "LABEL", str(data)).strip() == "kept"


def test_an_installation_that_was_cut_off_is_begun_anew(dom0: Dom0) -> None:
    """Killed while it unpacks: nothing stays mounted, and the next run makes a whole system of it."""
    with tarfile.open(dom0.tarball, "a") as tar:
        for number in range(200):
            entry = tarfile.TarInfo(f"srv/{number}")
            entry.size = 100_000
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    child = subprocess.Popen(dom0.command(), stdout=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 30
    look = ["blkid", "-p", "-o", "export", str(dom0.volume)]
    while "TYPE=ext4" not in subprocess.run(look, capture_output=True, text=True, check=False).stdout:
        assert time.monotonic() < end and child.poll() is None
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    while dom0.left() and time.monotonic() < end:
        time.sleep(0.1)  # tar is ended with what it waits for
    predicted = dom0(check=True)
    assert predicted["guest_os"]["found"] == "begun"
    done = dom0()
    assert done["commands"] == predicted["commands"] and dom0.read("/etc/hostname") == "web\n"
    assert dom0()["changed"] is False


def test_a_failure_leaves_nothing_mounted_and_is_told_with_what_was_done(dom0: Dom0) -> None:
    dom0.tarball.write_bytes(b"no tar at all" * 100)
    failed = dom0()
    assert "tar --extract" in failed["msg"] and failed["commands_done"][0] == f"begin {dom0.volume}"
    assert dom0(check=True)["guest_os"]["found"] == "begun"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"path": "/dev/there-is-none"}, "there is no volume /dev/there-is-none on Dom0"),
        ({"tarball": "/there/is/none.tar"}, "there is no tarball /there/is/none.tar on Dom0"),
        ({"tarball": None}, "the method tarball needs tarball"),
        ({"sha256": "0" * 64}, "has the SHA-256"),
        ({"name": "a b"}, "cannot be the name of a domain"),
        ({"hostname": "under_score"}, "cannot be a host name"),
        ({"root_password_hash": "secret"}, "is not the hash of a password"),
        ({"interfaces": [{"name": "eth0", "address": "192.0.2.10/24", "gateway": "198.51.100.1"}]}, "the gateway 198.51.100.1 is not in"),
        ({"interfaces": [{"name": "eth0", "address": "192.0.2.999/24"}]}, "Interface eth0"),
        ({"filesystem": "xfs", "partitioned": True}, "a partitioned root gets ext4, not xfs"),
        ({"method": "debootstrap", "suite": "bookwurm"}, "debootstrap knows no suite 'bookwurm'"),
        (
            {"method": "debootstrap", "suite": "bookworm", "mirror": "file:///there/is/none"},
            "there is no /there/is/none/dists/bookworm/Release",
        ),
        (
            {"method": "debootstrap", "suite": "bookworm", "mirror": "http://127.0.0.1:9/debian"},
            "http://127.0.0.1:9/debian/dists/bookworm/Release",
        ),
        ({"method": "installer", "suite": "bookworm"}, "the method installer needs mirror"),
        ({"timezone": "Mars/Olympus"}, "there is no time zone Mars/Olympus"),
        ({"network_style": "netplan", "interfaces": [{"name": "eth0"}]}, "netplan is not installed"),
    ],
)
def test_bad_input_is_told(dom0: Dom0, options: Result, told: str) -> None:
    if options.get("method") == "debootstrap" and not Path("/usr/share/debootstrap").exists():
        pytest.skip("needs debootstrap")
    dom0.empty(300 * MIB)
    failed = dom0(**options)
    assert told in failed["msg"]
    if "timezone" not in options and "network_style" not in options:  # which only the system itself tells
        assert failed["commands_done"] == [] and not dom0.state.exists()


def test_the_links_of_a_guest_do_not_lead_out_of_its_root(dom0: Dom0) -> None:
    outside = dom0.folder / "outside"
    outside.write_text("Dom0's own")
    with tarfile.open(dom0.tarball, "a") as tar:
        for name in ("etc/hostname", "etc/fstab"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, str(outside)
            tar.addfile(entry)
    assert dom0()["changed"]
    assert outside.read_text() == "Dom0's own" and dom0.read("/etc/hostname") == "web\n"


def test_the_installer_is_prepared_and_what_it_has_installed_is_configured(dom0: Dom0) -> None:
    dom0.empty(300 * MIB)
    kernel, ramdisk = dom0.folder / "linux", dom0.folder / "initrd.gz"
    kernel.write_bytes(b"kernel")
    ramdisk.write_bytes(b"ram disk!")
    options: Result = {
        "method": "installer", "suite": "bookworm", "tarball": None, "preseed": "d-i x/y string z\n", "installer_kernel": str(kernel),
        "installer_ramdisk": str(ramdisk), "root_partition": 0,
    }  # fmt: skip
    prepared = dom0.converges(**options)
    told = prepared["guest_os"]["installer"]
    assert prepared["guest_os"]["state"] == "installing" and Path(told["kernel"]).read_bytes() == b"kernel"
    made = Path(told["ramdisk"]).read_bytes()
    assert made.startswith(b"ram disk!" + bytes(3) + b"070701") and b"preseed.cfg\0" in made and b"d-i x/y string z\n" in made
    # what the installer does in its domain
    own = dom0.folder / "installed"
    own.mkdir()
    run("tar", "--extract", "--file", str(dom0.tarball), "--directory", str(own))
    (own / "var/log/installer").mkdir(parents=True)
    run("mkfs.ext4", "-q", "-F", "-d", str(own), str(dom0.volume))
    done = dom0(**options)
    assert done["guest_os"]["state"] == "installed" and dom0.read("/etc/hostname") == "web\n"
    assert dom0(**options)["changed"] is False


def test_an_installer_that_stopped_before_its_end_is_booted_again(dom0: Dom0) -> None:
    dom0.empty(300 * MIB)
    kernel = dom0.folder / "linux"
    kernel.write_bytes(b"kernel")
    options: Result = {
        "method": "installer", "suite": "bookworm", "preseed": "d-i x/y string z\n",
        "installer_kernel": str(kernel), "installer_ramdisk": str(kernel),
    }  # fmt: skip
    dom0(**options)
    run("mkfs.ext4", "-q", "-F", str(dom0.volume))
    again = dom0(**options)
    assert (again["guest_os"]["state"], again["changed"]) == ("installing", False)


def test_only_root_can_do_that(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"name": "web", "path": "/x", "method": "tarball"}), pytest.raises(SystemExit):
        xl_guest_os.main()
    assert "needs tarball" in json.loads(capsys.readouterr().out)["msg"]
