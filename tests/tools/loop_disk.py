# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with a file system in it, as a guest has one: a file behind a loop device. It can become larger. Needs root.

loop_disk.py up FILE SIZE MOUNT [--script TEXT] [--number N] [--fs TYPE] | grow FILE SIZE [--forget] | down FILE | why-not
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

GPT, DOS = "label: gpt\n,\n", "label: dos\n,\n"  # one partition (sfdisk's words)
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"], "btrfs": ["mkfs.btrfs", "-q", "-f"]}


CAP_SYS_RESOURCE = 24


def capable(capability: int) -> bool:
    """Whether this process has it (capabilities(7))."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return bool(int(status["CapEff"], 16) >> capability & 1)


def run(*command: str, stdin: str = "") -> str:
    """Raises RuntimeError with what the command said."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def why_not(fs: str = "xfs") -> str:
    """Why there can be no such disk here; "" if it can be."""
    if os.geteuid():
        return "needs root"
    lacking = [tool for tool in ("losetup", "sfdisk", "partx", "lsblk", MAKE[fs][0]) if not shutil.which(tool)]
    if lacking:
        return f"needs {', '.join(lacking)}"
    if fs == "ext4" and not capable(CAP_SYS_RESOURCE):
        return "ext4 grows while it is used with CAP_SYS_RESOURCE only, which this machine does not give"
    try:
        with tempfile.TemporaryDirectory() as folder, LoopDisk(Path(folder) / "disk", 512 << 20, Path(folder) / "mount", fs=fs):
            return ""
    except (RuntimeError, OSError) as e:
        return f"no loop device with partitions can be mounted: {e}"


class LoopDisk:
    """size: bytes; script: the partitions, in sfdisk's words, "" for none; number: of the partition that holds the file system."""

    def __init__(self, file: Path, size: int, mount: Path, *, script: str = GPT, number: int = 1, fs: str = "xfs"):
        self.file, self.mount, self.size = file, mount, size
        self.script, self.number, self.fs = script, number, fs
        self.path = ""

    @property
    def device(self) -> str:
        """What holds the file system."""
        return f"{self.path}p{self.number}" if self.script else self.path

    def up(self) -> LoopDisk:
        self.file.touch()
        os.truncate(self.file, self.size)
        self.path = run("losetup", "--show", "--find", "--partscan", str(self.file)).strip()
        try:
            if self.script:
                run("sfdisk", "--quiet", self.path, stdin=self.script)
                # a kernel need not know partition tables by itself; one that does has them already
                subprocess.run(["partx", "--add", self.path], capture_output=True, check=False)
            run(*MAKE[self.fs], self.device)
            self.mount.mkdir(parents=True, exist_ok=True)
            run("mount", self.device, str(self.mount))
        except BaseException:
            self.down()
            raise
        return self

    def grow(self, size: int) -> None:
        """As a hypervisor does it: only the disk becomes larger."""
        enlarge(self.file, size)

    def down(self) -> None:
        take_down(self.file)

    def free(self) -> int:
        """Bytes of the file system, as df tells them."""
        told = os.statvfs(self.mount)
        return told.f_blocks * told.f_frsize

    def __enter__(self) -> LoopDisk:
        return self.up()

    def __exit__(self, *_exc: object) -> None:
        self.down()


def devices(file: Path) -> list[str]:
    told = run("losetup", "--json", "--list", "--associated", str(file))
    return [row["name"] for row in json.loads(told)["loopdevices"]] if told.strip() else []


def enlarge(file: Path, size: int) -> None:
    """Raises RuntimeError where no loop device is known for the file."""
    os.truncate(file, size)
    found = devices(file)
    if not found:
        raise RuntimeError(f"{file} is behind no loop device")
    for device in found:
        run("losetup", "--set-capacity", device)


def take_down(file: Path) -> None:
    for device in devices(file):
        # another test may have its mounts listed at the same time: only the own are looked at
        mounted = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        for source, point, *_rest in reversed(mounted):
            if source == device or source.startswith(f"{device}p"):
                run("umount", point)
        run("losetup", "--detach", device)
    file.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up")
    for name, kind in (("file", Path), ("size", int), ("mount", Path)):
        up.add_argument(name, type=kind)
    up.add_argument("--script", default=GPT)
    up.add_argument("--number", type=int, default=1)
    up.add_argument("--fs", default="xfs", choices=sorted(MAKE))
    grow = actions.add_parser("grow")
    grow.add_argument("file", type=Path)
    grow.add_argument("size", type=int)
    grow.add_argument("--forget", action="store_true", help="the device goes when it is not mounted any more")
    actions.add_parser("down").add_argument("file", type=Path)
    actions.add_parser("why-not")
    given = parser.parse_args()
    if given.action == "up":
        made = LoopDisk(given.file, given.size, given.mount, script=given.script.replace("\\n", "\n"), number=given.number, fs=given.fs)
        print(made.up().device)
    elif given.action == "grow":
        enlarge(given.file, given.size)
        for device in devices(given.file) if given.forget else []:
            run("losetup", "--detach", device)
    elif given.action == "down":
        take_down(given.file)
    else:
        print(why_not())


if __name__ == "__main__":
    main()
