# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guest is made of. Whatever changes in this folder's files that make images, changes the key of a cached image."""

from __future__ import annotations

import hashlib
from pathlib import Path

SUITES = ("bookworm", "trixie")

# With `max` Dom0 crashes when it boots (SMAP); with `max,-smap` data were corrupted in it. This one is right.
CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+svm,+npt"
ACCEL = "tcg,thread=multi,tb-size=512"  # stock Debian kernels do not boot with KVM on virtual machines without hardware support for it
MEMORY_MIB = 4096
CPUS = 2
SYSTEM_MIB = 8192
DATA_MIB = 4096
FILE_SYSTEM = "11111111-2222-3333-4444-555555555555"  # the UUID of the root file system


def words(text: str) -> list[str]:
    return text.split()


# The bare Debian machine.
BASE = words("""
    systemd-sysv dbus linux-image-amd64 grub-pc initramfs-tools zstd busybox-static cpio openssh-server python3 python3-apt ifupdown
    iproute2 iputils-ping procps less kmod udev sudo fdisk e2fsprogs ca-certificates apt-utils xz-utils
""")
# What stories need beside Xen itself: installed natively, since an emulated machine takes minutes for it.
TOOLS = words("""
    lvm2 thin-provisioning-tools openvswitch-switch targetcli-fb open-iscsi nfs-kernel-server nfs-common bridge-utils ifenslave
    dnsmasq-base nftables debootstrap qemu-utils qemu-system-xen xfsprogs parted rsync python3-yaml
    grub-xen-host
""")
# What only one release has.
TOOLS_OF = {"bookworm": ["xen-tools"], "trixie": list[str]()}
# What the roles install, with what it recommends: in the image's own repository only.
OFFERED = words("xen-system-amd64 dnsmasq jq")
# A Debian domU that was not made in the guest.
DOMU = words("""
    systemd-sysv dbus udev linux-image-cloud-amd64 initramfs-tools zstd openssh-server python3 ifupdown iproute2 iputils-ping procps kmod
    fdisk e2fsprogs
""")

# They burn emulated processors.
MASKED = words("""
    apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer man-db.timer
    getty@tty1.service nfs-blkmap.service systemd-networkd-wait-online.service
""")
# Stories start them, or the role does.
DISABLED = words("nfs-server.service rpcbind.service rpcbind.socket rpc-statd.service openvswitch-switch.service")

MAKERS = ("chroot", "disk", "domu", "host", "image", "recipe", "repository", "rootfs")


def key(suite: str) -> str:
    """The name of the image that this recipe makes: its files' own text decides."""
    texts = [(Path(__file__).parent / f"{name}.py").read_bytes() for name in MAKERS]
    return f"{suite}-{hashlib.sha256(b'|'.join(texts)).hexdigest()[:16]}"
