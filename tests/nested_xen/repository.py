# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian repository inside the image: all that apt and debootstrap of the guest see, so a story needs no network."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen.chroot import Chroot

PLACE = "srv/debian"


def stanzas(packages: str) -> list[dict[str, str]]:
    """The fields Package, Version, Filename of each stanza of a Packages file."""
    found = [
        dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ") for block in packages.split("\n\n")
    ]
    return [fields for fields in found if "Package" in fields]


def superseded(fields: list[dict[str, str]], older: t.Callable[[str, str], bool]) -> list[str]:
    """Files of packages that are there in a newer version too, since debootstrap takes any of them."""
    newest: dict[str, dict[str, str]] = {}
    gone: list[str] = []
    for one in fields:
        known = newest.get(one["Package"])
        if known is None or older(known["Version"], one["Version"]):
            newest[one["Package"]] = one
            gone += [known["Filename"]] if known else []
        else:
            gone.append(one["Filename"])
    return gone


def make(tree: Chroot, suite: str) -> Path:
    """Move all packages apt has downloaded in the tree to the repository and make that its only source; its place. Raises BuildFailed."""
    place = tree.root / PLACE
    pool, lists = place / "pool", place / f"dists/{suite}/main/binary-amd64"
    pool.mkdir(parents=True)
    lists.mkdir(parents=True)
    for package in (tree.root / "var/cache/apt/archives").glob("*.deb"):
        shutil.move(package, pool / package.name)
    for name in superseded(stanzas(scan(tree)), lambda one, other: is_older(tree, one, other)):
        (place / name).unlink()
    (lists / "Packages").write_text(scan(tree))
    about = {
        "Origin": "nested-xen",
        "Label": "nested-xen",
        "Suite": suite,
        "Codename": suite,
        "Components": "main",
        "Architectures": "amd64",
    }
    words = " ".join(f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in about.items())
    (place / f"dists/{suite}/Release").write_text(archive(tree, f"{words} release dists/{suite}"))
    tree.write("etc/apt/sources.list", f"deb [trusted=yes] file:/{PLACE} {suite} main\n")
    for of_mirrors in (tree.root / "var/lib/apt/lists").glob("*_*"):
        of_mirrors.unlink()
    tree.run("apt-get", "update")
    return place


def archive(tree: Chroot, words: str) -> str:
    """apt-ftparchive, of the tree's own apt-utils."""
    return tree.run("sh", "-c", f"cd /{PLACE} && apt-ftparchive {words}")


def scan(tree: Chroot) -> str:
    return archive(tree, "packages pool")


def is_older(tree: Chroot, one: str, other: str) -> bool:
    return tree.run("sh", "-c", 'if dpkg --compare-versions "$1" lt "$2"; then echo yes; fi', "sh", one, other) != ""
