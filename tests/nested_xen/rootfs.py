# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of the bare Debian machine: packages, and what makes it quick and reachable. Nothing of Xen is installed in it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import domu, host, recipe, repository
from ansible_collections.domzero.xen.tests.nested_xen.chroot import Chroot, run

INTERFACES = """source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# what QEMU's user network hands out
auto ens3
iface ens3 inet static
    address 10.0.2.15/24
    gateway 10.0.2.2
"""
GRUB = """GRUB_TIMEOUT=1
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=ttyS0"
"""
# grub-mkconfig wants the disk it is to boot from: the first boot runs it, from this
FIRST_GRUB = """serial --unit=0 --speed=115200
terminal_output console serial
linux /boot/vmlinuz-{version} root=UUID={uuid} ro console=ttyS0
initrd /boot/initrd.img-{version}
boot
"""


def make(root: Path, suite: str, key: Path) -> Chroot:
    """The tree, in an empty folder; whoever has `key` may enter. Raises BuildFailed."""
    main, security = host.mirrors()
    run("debootstrap", "--variant=minbase", "--include=ca-certificates", suite, root, main)
    tree = Chroot(root)
    suites = ((main, suite), (main, f"{suite}-updates"), (security, f"{suite}-security"))
    tree.write("etc/apt/sources.list", "".join(f"deb {mirror} {one} main\n" for mirror, one in suites))
    tree.write("etc/apt/apt.conf.d/99nested", 'Acquire::Languages "none";\n')
    tree.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    tree.run("apt-get", "update")
    tree.run("apt-get", "dist-upgrade", "-y")
    tree.install(*recipe.BASE)
    tree.install(*recipe.DOMU, download_only=True)
    tree.install(*recipe.OFFERED, recommends=True, download_only=True)
    tree.install(*recipe.TOOLS, *recipe.TOOLS_OF[suite])
    repository.make(tree, suite)
    configure(tree, key)
    domu.initrd(tree, root / "root/domu-initrd.gz")
    domu.debian(tree, suite)
    (root / "usr/sbin/policy-rc.d").unlink()
    return tree


def configure(tree: Chroot, key: Path) -> None:
    tree.write("etc/hostname", "xenhost\n")
    tree.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 xenhost\n")
    tree.write("etc/fstab", f"UUID={recipe.FILE_SYSTEM} / ext4 errors=remount-ro 0 1\n")
    (tree.root / "etc/resolv.conf").unlink(missing_ok=True)
    tree.write("etc/resolv.conf", "nameserver 10.0.2.3\n")
    tree.write("etc/network/interfaces", INTERFACES)
    tree.write("etc/default/grub.d/00-serial.cfg", GRUB)
    # takes more than 5 minutes in an emulated Dom0, and nothing here needs a new one
    tree.run("sed", "-i", "s/^update_initramfs=.*/update_initramfs=no/", "/etc/initramfs-tools/update-initramfs.conf")
    let_in(tree.root, key)
    shutil.copy2(key, tree.root / "root/.ssh/id_ed25519")  # one such guest may enter another
    for unit in recipe.MASKED:
        (tree.root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for unit in recipe.DISABLED:
        tree.run("sh", "-c", f"systemctl disable {unit} 2>/dev/null || true")
    version = newest_kernel(tree.root)
    modules = tree.root / "boot/grub/i386-pc"
    shutil.copytree(
        tree.root / "usr/lib/grub/i386-pc", modules, ignore=shutil.ignore_patterns("*.img", "*.image", "*.exec"), dirs_exist_ok=True
    )
    tree.write("boot/grub/grub.cfg", FIRST_GRUB.format(version=version, uuid=recipe.FILE_SYSTEM))


def let_in(root: Path, key: Path) -> None:
    """Whoever has the key may enter as root."""
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(key.with_suffix(".pub"), folder / "authorized_keys")


def newest_kernel(root: Path) -> str:
    names = [path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*")]
    return max(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
