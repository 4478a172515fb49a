# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways a system comes onto a volume. Each gives the steps between the empty volume and a root that is configured."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ...errors import InvalidChange
from ...formats.sizes import readable_size
from ..step import Step
from .look import Seen, is_qcow2, where_root
from .machine import PLACE, Machine
from .wanted import Order

MIB = 2**20
FIRST = MIB  # where the partition of a partitioned root begins
ROOM = 200 * MIB  # less than that holds no system
TOOLS = {
    "debootstrap": {"debootstrap": "debootstrap"}, "tarball": {"tar": "tar"}, "image": {"qemu-img": "qemu-utils"},
    "xen_tools": {"xen-create-image": "xen-tools"}, "installer": {},
}  # fmt: skip
MAKERS = {"ext4": "e2fsprogs", "ext3": "e2fsprogs", "ext2": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}


def missing_tools(asked: Order, machine: Machine) -> list[str]:
    """Packages that Dom0 lacks for this order."""
    needed = dict(TOOLS[asked.method])
    if asked.method in ("debootstrap", "tarball"):
        needed[f"mkfs.{asked.filesystem}"] = MAKERS[asked.filesystem]
    if asked.method in ("debootstrap", "tarball") and asked.partitioned:
        needed["sfdisk"] = "fdisk"
    for data in asked.data:
        needed[f"mkfs.{data.filesystem}"] = MAKERS[data.filesystem]
    return sorted({package for tool, package in needed.items() if not machine.has(tool)})


def check_source(asked: Order, machine: Machine, size: int) -> None:
    """Raises InvalidChange if what it is made from is not there, or does not fit into `size` bytes."""
    lacking = missing_tools(asked, machine)
    if lacking:
        raise InvalidChange(f"Guest {asked.name}: Dom0 lacks {', '.join(lacking)}.", hint=f"apt install {' '.join(lacking)} there.")
    for key in ("tarball", "image"):
        if asked.method == key:
            check_file(asked, key, asked.source[key])
    need = source_size(asked, machine)
    if 0 < size < need:
        raise InvalidChange(
            f"Guest {asked.name}: {asked.path} has {readable_size(size)}, and {readable_size(need)} are needed.",
            hint="Make the volume larger.",
        )
    if asked.method == "debootstrap":
        check_suite(asked)
    if asked.method in ("debootstrap", "xen_tools"):
        check_mirror(asked)


def check_file(asked: Order, key: str, path: str) -> None:
    if not os.path.isfile(path):
        raise InvalidChange(f"Guest {asked.name}: there is no {key} {path} on Dom0.")
    if asked.source.get("sha256"):
        told = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(MIB):
                told.update(chunk)
        if told.hexdigest() != asked.source["sha256"].lower():
            raise InvalidChange(f"Guest {asked.name}: {path} has the SHA-256 {told.hexdigest()}, not {asked.source['sha256']}.")


def check_suite(asked: Order) -> None:
    scripts = "/usr/share/debootstrap/scripts"
    if os.path.isdir(scripts) and not os.path.exists(f"{scripts}/{asked.source['suite']}"):
        raise InvalidChange(
            f"Guest {asked.name}: debootstrap knows no suite {asked.source['suite']!r}.", hint="A newer one may, or its name is misspelt."
        )


def check_mirror(asked: Order) -> None:
    """A mirror that has not the suite is told before anything is changed."""
    mirror = asked.source.get("mirror", "")
    place = f"{mirror.rstrip('/')}/dists/{asked.source['suite']}/Release"
    scheme = urllib.parse.urlsplit(mirror).scheme
    if scheme == "file":
        path = urllib.parse.urlsplit(place).path
        if not os.path.exists(path) and not os.path.exists(os.path.join(os.path.dirname(path), "InRelease")):
            raise InvalidChange(f"Guest {asked.name}: there is no {path} on Dom0.", hint="Is it a Debian mirror with this suite?")
    elif scheme in ("http", "https"):
        try:
            with urllib.request.build_opener().open(urllib.request.Request(place, method="HEAD"), timeout=30):
                pass
        except (OSError, urllib.error.URLError) as e:
            raise InvalidChange(f"Guest {asked.name}: {place} cannot be read from Dom0: {e}.", hint="Is the mirror right?") from e


def source_size(asked: Order, machine: Machine) -> int:
    """Bytes the volume has to have at least."""
    if asked.method == "image":
        return image_size(asked, machine)
    if asked.method == "tarball":
        return max(os.path.getsize(asked.source["tarball"]), ROOM // 100)  # packed ones are smaller than what is in them
    return ROOM


def image_size(asked: Order, machine: Machine) -> int:
    path = asked.source["image"]
    status, out = machine.ask("qemu-img", "info", "--output", "json", "-f", image_format(path), path)
    if status:
        raise InvalidChange(f"Guest {asked.name}: {path} is no image that qemu-img can read.")
    said = json.loads(out)
    if said.get("backing-filename"):
        raise InvalidChange(
            f"Guest {asked.name}: {path} builds on {said['backing-filename']}.", hint="qemu-img convert makes a whole one of it."
        )
    return int(said["virtual-size"])


def image_format(path: str) -> str:
    """By its first bytes; what looks like nothing else is raw. A raw image is never read as another format."""
    if is_qcow2(path):
        return "qcow2"
    with open(path, "rb") as file:
        head = file.read(8)
    return {b"conectix": "vpc", b"KDMV\x01\0\0\0": "vmdk", b"vhdxfile": "vhdx"}.get(head, "raw")


def empty(asked: Order, seen: Seen, machine: Machine) -> list[Step]:
    """What another file system or partition table left is wiped, so that nothing finds it again."""
    if seen.state in ("empty", "missing"):
        return []
    return [step(machine, f"empty {asked.path}", "wipefs", "--quiet", "--all", asked.path)]


def step(machine: Machine, what: str, *argv: str, stdin: str = "") -> Step:
    def run() -> None:
        machine.run(*argv, stdin=stdin)

    return Step(argv, what, run=run)


def file_system(asked: Order, machine: Machine) -> list[Step]:
    """An empty root, mounted."""
    steps = []
    if asked.partitioned:
        table = f"label: dos\nstart={FIRST // 512}, type=83, bootable\n"
        argv = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", asked.path]
        steps.append(step(machine, f"partition {asked.path}", *argv, stdin=table))
    steps.append(made(asked, machine))

    def mount() -> None:
        part = where_root(machine, asked.path, asked.part)
        if part is None:
            raise InvalidChange(f"{asked.path} has no partition {asked.part}.")
        machine.mounted(asked.path, part.start, part.length)

    return [*steps, Step(("mount", asked.path, PLACE), "mount the root", run=mount)]


def made(asked: Order, machine: Machine) -> Step:
    quiet = {"ext4": ["-q", "-F"], "xfs": ["-q", "-f"], "btrfs": ["-q", "-f"]}[asked.filesystem]
    argv = [f"mkfs.{asked.filesystem}", *quiet]
    if not asked.partitioned:
        return step(machine, f"make the file system of {asked.path}", *argv, asked.path)
    argv += ["-E", f"offset={FIRST}", asked.path]

    def run() -> None:
        part = where_root(machine, asked.path, 1)
        machine.run(*argv, f"{(part.length if part else 0) // 1024}k")

    return Step(tuple(argv), f"make the file system of {asked.path}", run=run)


def unpacked(asked: Order, seen: Seen, machine: Machine) -> list[Step]:
    argv = ["tar", "--extract", "--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    argv += ["--file", asked.source["tarball"], "--directory", PLACE]
    return [*empty(asked, seen, machine), *file_system(asked, machine), step(machine, "unpack the system", *argv)]


def bootstrapped(asked: Order, seen: Seen, machine: Machine) -> list[Step]:
    source, argv = asked.source, ["debootstrap"]
    argv += [f"--variant={source['variant']}"] if source.get("variant") else []
    argv += [f"--components={','.join(source['components'])}"] if source.get("components") else []
    argv += [f"--include={','.join(source['include'])}"] if source.get("include") else []
    argv += [f"--keyring={source['keyring']}"] if source.get("keyring") else []
    argv += ["--no-check-gpg"] if source.get("check_gpg") is False else []
    argv += [*source.get("debootstrap_options", ()), source["suite"], PLACE, *([source["mirror"]] if source.get("mirror") else [])]
    return [*empty(asked, seen, machine), *file_system(asked, machine), step(machine, "install the system", *argv)]


def copied(asked: Order, seen: Seen, machine: Machine) -> list[Step]:
    image = asked.source["image"]
    argv = ["qemu-img", "convert", "-n", "-f", image_format(image), "-O", "raw", image, asked.path]
    return [*empty(asked, seen, machine), step(machine, "copy the image", *argv), *([mounting(asked, machine)] if asked.configure else [])]


def mounting(asked: Order, machine: Machine) -> Step:
    """The root that something else has put there."""

    def mount() -> None:
        part = where_root(machine, asked.path, asked.part)
        if part is None:
            raise InvalidChange(
                f"Guest {asked.name}: {asked.path} has no root file system in partition {asked.part or 1}, nor as a whole.",
                hint="root_partition says which partition it is.",
            )
        machine.mounted(asked.path, part.start, part.length)

    return Step(("mount", asked.path, PLACE), "mount the root", run=mount)


def by_xen_tools(asked: Order, seen: Seen, machine: Machine) -> list[Step]:
    """xen-create-image makes the file system itself and unmounts it; the configuration of the domain that it writes is not used."""
    source = asked.source

    def run() -> None:
        with tempfile.TemporaryDirectory(prefix="xen-tools-") as folder:
            machine.run(*argv, f"--output={folder}")

    argv = ["xen-create-image", f"--hostname={asked.hostname or asked.name}", f"--image-dev={asked.path}", f"--fs={asked.filesystem}"]
    argv += ["--noswap", f"--dist={source['suite']}", *([f"--mirror={source['mirror']}"] if source.get("mirror") else [])]
    argv += ["--nopygrub", "--genpass=0", "--nohosts", "--force", *source.get("xen_tools_options", ())]
    argv += [] if any(option.startswith(("--ip", "--dhcp")) for option in argv) else ["--dhcp"]
    return [*empty(asked, seen, machine), Step(tuple(argv), "install the system", run=run), mounting(asked, machine)]


WAYS: dict[str, t.Callable[[Order, Seen, Machine], list[Step]]] = {
    "debootstrap": bootstrapped, "tarball": unpacked, "image": copied, "xen_tools": by_xen_tools,
}  # fmt: skip
