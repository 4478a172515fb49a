# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's programs that read what we wrote. One that is not installed is a skip that names the package."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from .chain_lab import content_by_libvhdi, pyvhdi

CHECKOUT = Path(__file__).resolve().parents[4]
VHD_LIB = "vhd-lib@0.7.2"
# Xen Orchestra's reader finds the parents by the names in the headers; what it makes of them is one whole VHD
FLATTEN = """
const fs = require('fs'), {createSyntheticStream, checkVhdChain} = require('vhd-lib')
const handler = {
  openFile: async path => fs.openSync('/' + path, 'r'),
  closeFile: async fd => fs.closeSync(fd),
  getSize: async file => (typeof file === 'string' ? fs.statSync('/' + file) : fs.fstatSync(file)).size,
  read: async (file, buffer, at) => {
    const fd = typeof file === 'string' ? fs.openSync('/' + file, 'r') : file
    const bytesRead = fs.readSync(fd, buffer, 0, buffer.length, at)
    if (fd !== file) fs.closeSync(fd)
    return {bytesRead, buffer}
  },
}
const [path, target] = process.argv.slice(1)
checkVhdChain(handler, path.slice(1))
  .then(() => createSyntheticStream(handler, path.slice(1)))
  .then(stream => stream.pipe(fs.createWriteStream(target)))
"""


def need(command: str, package: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not there: install the Debian package {package}")


def told(*command: str | Path) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def digest(path: Path, size: int) -> str:
    """SHA-256 of a raw disk; some readers round its size up, with zeros."""
    data = path.read_bytes()
    assert not data[size:].strip(b"\0")
    return hashlib.sha256(data[:size].ljust(size, b"\0")).hexdigest()


def by_qemu_img(file: Path, size: int, folder: Path) -> str:
    need("qemu-img", "qemu-utils")
    about = json.loads(told("qemu-img", "info", "-f", "vpc", "--output=json", file))
    assert about["virtual-size"] == size
    told("qemu-img", "convert", "-f", "vpc", "-O", "raw", file, folder / "qemu.raw")
    return digest(folder / "qemu.raw", size)


def by_libvhdi(files: t.Sequence[Path], size: int) -> str:
    """files: the whole one first."""
    reader = pyvhdi()
    if reader is None:
        pytest.skip("pyvhdi is not there: install the Debian package python3-libvhdi")
    return hashlib.sha256(content_by_libvhdi(reader, files)[:size]).hexdigest()


def by_xen_orchestra(file: Path, size: int, folder: Path) -> str:
    """Its parents are found by the names the files have of them."""
    modules = _vhd_lib()
    flat = folder / "flat.vhd"
    environment = {"NODE_PATH": str(modules), "PATH": os.environ["PATH"]}
    command = ["node", "-e", FLATTEN, str(file), str(flat)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return by_qemu_img(flat, size, folder)


def _vhd_lib() -> Path:
    for command in ("node", "npm"):
        need(command, "nodejs npm")
    folder = CHECKOUT / ".cache" / "npm"
    if why_not := _install(folder):
        pytest.skip(why_not)
    return folder / "node_modules"


@functools.cache
def _install(folder: Path) -> str:
    """Why it could not be, which takes npm a minute; "" if it is there."""
    if (folder / "node_modules" / "vhd-lib").is_dir():
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-save")
    done = subprocess.run(["npm", "install", *quiet, "--prefix", str(folder), VHD_LIB], capture_output=True, text=True, check=False)
    return f"npm could not install {VHD_LIB}: {done.stderr.strip().splitlines()[-1:]}" if done.returncode else ""
