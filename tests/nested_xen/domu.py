# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What domUs are made of, put into the image natively: a busybox initrd, and a Debian that is not installed yet."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import recipe, repository
from ansible_collections.domzero.xen.tests.nested_xen.chroot import Chroot, run

APPLETS = recipe.words("""
    sh mount umount ls cat echo sleep ip ping insmod dmesg free nproc grep hostname uname getty dd nc blkid sync md5sum
""")
MODULES = ("xen-blkfront", "xen-netfront")
INITTAB = "::sysinit:/etc/rcS\nhvc0::respawn:-/bin/sh\n::ctrlaltdel:/sbin/reboot\n"
# the words hn=NAME and ip4=ADDRESS/LENGTH of the kernel's command line; DOMU-READY is what stories wait for
START = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in xen-blkfront xen-netfront; do insmod /lib/modules/$m.ko 2>/dev/null; done
ip link set lo up
for a in $(cat /proc/cmdline); do
    case $a in
        ip4=*) ip link set eth0 up; ip addr add ${a#ip4=} dev eth0 ;;
        hn=*) hostname ${a#hn=} ;;
    esac
done
echo "DOMU-READY $(hostname) uptime=$(cat /proc/uptime) vcpus=$(nproc)"
"""


def initrd(tree: Chroot, target: Path) -> None:
    """A busybox system in 1 MiB, from the tree's own busybox and kernel. Raises BuildFailed."""
    root = tree.root / "tmp/initrd"
    for folder in ("bin", "sbin", "proc", "sys", "dev", "etc", "lib/modules", "tmp", "mnt"):
        (root / folder).mkdir(parents=True)
    shutil.copy2(tree.root / "usr/bin/busybox", root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    for applet in ("init", "poweroff", "reboot", "halt"):
        (root / "sbin" / applet).symlink_to("../bin/busybox")
    (root / "init").symlink_to("sbin/init")
    for name in MODULES:
        packed = next((tree.root / "usr/lib/modules").rglob(f"{name}.ko*"))
        shutil.copy2(packed, root / "lib/modules")
        if packed.suffix == ".xz":
            tree.run("xz", "-d", f"/tmp/initrd/lib/modules/{packed.name}")
    (root / "etc/inittab").write_text(INITTAB)
    (root / "etc/rcS").write_text(START)
    (root / "etc/rcS").chmod(0o755)
    tree.run("sh", "-c", "cd /tmp/initrd && find . | cpio -o -H newc --quiet | gzip -9 >/tmp/initrd.gz")
    shutil.move(tree.root / "tmp/initrd.gz", target)
    shutil.rmtree(root)


def debian(tree: Chroot, suite: str) -> None:
    """/srv/domu/debian.tar: a small Debian with kernel, systemd and sshd, from the image's repository. Raises BuildFailed.

    It is not compressed, since an emulated machine unpacks slowly.
    """
    root = tree.root / "tmp/domu"
    source = (tree.root / repository.PLACE).as_uri()
    run("debootstrap", "--no-check-gpg", "--variant=minbase", f"--include={','.join(recipe.DOMU)}", suite, root, source)
    for folder in ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    for unit in recipe.MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    (root / "etc/apt/sources.list").write_text("")
    target = tree.root / "srv/domu"
    target.mkdir()
    run("tar", "--create", "--numeric-owner", "--one-file-system", f"--file={target / 'debian.tar'}", f"--directory={root}", ".")
    shutil.rmtree(root)
