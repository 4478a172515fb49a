# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of the guest: where Debian comes from, what is in its repository, and when it is made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.nested_xen import host, image, recipe, repository, rootfs

DEB822 = """Types: deb
URIs: http://mirror.lab.test/debian/
Suites: bookworm bookworm-updates

Types: deb
# http://snapshot.lab.test/debian-security
URIs: http://mirror.lab.test/debian-security
Suites: bookworm-security
"""
ONE_LINE = """deb [signed-by=/usr/share/keyrings/x.gpg arch=amd64] https://other.lab.test/apt x main
deb http://mirror.lab.test/debian bookworm main
deb-src http://sources.lab.test/debian bookworm main
deb http://mirror.lab.test/debian-security bookworm-security main
"""


@pytest.mark.parametrize("text", [DEB822, ONE_LINE])
def test_the_mirror_is_that_of_this_machine(text: str) -> None:
    assert host.mirrors([text]) == ("http://mirror.lab.test/debian", "http://mirror.lab.test/debian-security")


def test_a_machine_that_is_no_debian_uses_debians_own_mirror() -> None:
    assert host.mirrors(["deb http://archive.ubuntu.com/ubuntu noble main"])[0] == "http://deb.debian.org/debian"


def test_each_suite_has_an_image_of_its_own_that_stays_the_same() -> None:
    keys = [recipe.key(suite) for suite in recipe.SUITES]
    assert len(set(keys)) == len(recipe.SUITES)
    assert keys == [recipe.key(suite) for suite in recipe.SUITES]


def test_every_file_that_makes_an_image_counts_for_its_key() -> None:
    folder = Path(recipe.__file__).parent
    assert all((folder / f"{name}.py").exists() for name in recipe.MAKERS)


def test_images_are_kept_where_it_is_said_or_in_the_cache_of_the_user() -> None:
    assert image.folders({"NESTED_XEN_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"})[:2] == [
        Path("/a"),
        Path("/b/domzero.xen/nested-xen"),
    ]
    assert image.folders({"HOME": "/c"})[0] == Path("/c/.cache/domzero.xen/nested-xen")


def test_a_folder_without_an_image_is_no_usable_one(tmp_path: Path) -> None:
    assert not image.usable(tmp_path / "base.qcow2")


def test_of_a_package_only_the_newest_version_is_offered() -> None:
    packages = "".join(
        f"Package: {name}\nVersion: {version}\nFilename: pool/{name}_{version}.deb\nDescription: x\n  Package: no\n\n"
        for name, version in (("a", "1"), ("b", "5"), ("a", "3"), ("a", "2"))
    )
    gone = repository.superseded(repository.stanzas(packages), lambda one, other: one < other)
    assert sorted(gone) == ["pool/a_1.deb", "pool/a_2.deb"]


def test_the_newest_kernel_is_booted(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    for version in ("6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.117+deb13-amd64", "6.12.1+deb13-amd64"):
        (tmp_path / f"boot/vmlinuz-{version}").touch()
    assert rootfs.newest_kernel(tmp_path) == "6.12.117+deb13-amd64"
