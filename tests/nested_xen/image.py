# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk image of the bare Debian machine, made once and kept."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
import typing as t
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import disk, recipe, rootfs
from ansible_collections.domzero.xen.tests.nested_xen.chroot import BuildFailed, run
from ansible_collections.domzero.xen.tests.nested_xen.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
KEPT = 14 * 86400  # seconds an image is kept that nobody uses
NEEDED = 12 << 30  # bytes to make one in
# grub-install and update-grub want the disk they are to boot from
FIRST_BOOT = """set -e
grub-install /dev/vda
echo 'grub-pc grub-pc/install_devices multiselect /dev/vda' | debconf-set-selections
update-grub
sync
systemd-run --quiet --on-active=1 systemctl poweroff"""


def folders(environment: t.Mapping[str, str]) -> list[Path]:
    """Where images are kept: the first of these that can be used."""
    caches = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/root")) / ".cache")
    chosen = environment.get("NESTED_XEN_CACHE")
    return [*([Path(chosen)] if chosen else []), caches / "domzero.xen/nested-xen", CHECKOUT / ".cache/nested-xen/images"]


def cache() -> Path:
    """A folder that can be written and has room. Raises BuildFailed."""
    for folder in folders(os.environ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe-{os.getpid()}"
            probe.write_text("")
            probe.unlink()
        except OSError:
            continue
        if shutil.disk_usage(folder).free >= NEEDED or any(folder.glob("*/base.qcow2")):
            return folder
    raise BuildFailed(f"none of {', '.join(map(str, folders(os.environ)))} can be written and has {NEEDED >> 30} GiB free")


def get(suite: str, say: t.Callable[[str], None] = print) -> Path:
    """The image of a suite, made if there is none that can be used. Raises BuildFailed."""
    folder = cache()
    target = folder / recipe.key(suite)
    with locked(folder / "lock"):
        if usable(target / "base.qcow2"):
            say(f"image of {suite}: {target} is used again")
        else:
            forget_unused(folder)
            make(target, suite, say)
        os.utime(target)
    return target / "base.qcow2"


@contextmanager
def locked(path: Path) -> t.Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def usable(image: Path) -> bool:
    """It is there, whole, and so is its key."""
    if not (image.exists() and image.with_name("id_ed25519").exists()):
        return False
    # a running machine holds a lock on it; it is only read
    return subprocess.run(["qemu-img", "check", "-q", "--force-share", str(image)], capture_output=True, check=False).returncode == 0


def forget_unused(folder: Path) -> None:
    for old in folder.glob("*-*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > KEPT:
            shutil.rmtree(old, ignore_errors=True)


def make(target: Path, suite: str, say: t.Callable[[str], None]) -> None:
    """Make an image. Raises BuildFailed, NoGuest."""
    work = target.with_name(f"{target.name}.making")
    for leftover in (work, target):
        shutil.rmtree(leftover, ignore_errors=True)
    work.mkdir(parents=True, mode=0o711)
    try:
        key = work / "id_ed25519"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nested-xen", "-f", key)
        with told(say, f"packages of {suite}"):
            tree = rootfs.make(work / "rootfs", suite, key)
        with told(say, "disk image"):
            disk.make(tree, work / "base.qcow2")
            shutil.rmtree(tree.root)
        with told(say, "first boot"):
            first_boot(work)
        work.rename(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def first_boot(work: Path) -> None:
    machine = Machine.create(work / "first", work / "base.qcow2")
    try:
        machine.start()
        machine.wait()
        machine.ssh.run(FIRST_BOOT)
        if not machine.ended(300):
            raise BuildFailed(f"the first boot did not end:\n{machine.console()}")
        run("qemu-img", "commit", "-q", machine.disk)
    finally:
        machine.remove()


@contextmanager
def told(say: t.Callable[[str], None], what: str) -> t.Iterator[None]:
    start = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - start:.0f} s")
