# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage import mounts
from ansible_collections.domzero.xen.plugins.module_utils.xl.storage.mounts import Mount

from .debian_lab import converged, host, shell, thrice

pytestmark = pytest.mark.slow(whole=True)  # each mounts for real

TEXT = st.text("abz/ \t\\#é:.", min_size=1, max_size=12)


def mount(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_mount": {"path": "/srv/my guests", **options}}


def test_a_file_system_is_mounted_with_other_options_and_taken_away(tmp_path: Path) -> None:
    given = {"source": "guests", "fstype": "tmpfs"}
    before = shell("echo '# kept' >> /etc/fstab")
    files = shell("cat /etc/fstab; cat /proc/mounts | grep guests; cat /etc/fstab.before-ansible")
    told = host(
        tmp_path, before, *thrice(mount(**given)), files, *thrice(mount(**given, options="noexec")), files,
        *thrice(mount(state="unmounted")), *thrice(mount(state="absent")), files,
    )  # fmt: skip
    assert converged(*told[1:4])["commands"] == ["mkdir --parents '/srv/my guests'", "write /etc/fstab", "mount '/srv/my guests'"]
    assert "# kept\nguests /srv/my\\040guests tmpfs defaults 0 0\n" in told[4]["stdout"]
    assert "remount,noexec" in converged(*told[5:8])["commands"][-1] and "noexec" in told[8]["stdout"]
    assert converged(*told[9:12])["commands"] == ["umount '/srv/my guests'"]
    assert converged(*told[12:15])["commands"] == ["write /etc/fstab"]
    assert told[15]["stdout"].startswith("# kept\n") and told[15]["stdout"].count("tmpfs") == 1, "once, in the earlier file"


def test_something_else_that_is_mounted_there_is_refused(tmp_path: Path) -> None:
    first, other = mount(source="guests", fstype="tmpfs"), mount(source="others", fstype="tmpfs")
    told = host(tmp_path, first, {**other, "check_mode": True}, other, mount(), shell("cat /etc/fstab"))
    assert told[1]["msg"] == told[2]["msg"] and "guests is mounted at /srv/my guests, and not others" in told[1]["msg"]
    assert "Nothing is named to be mounted" in told[3]["msg"] and "others" not in told[4]["stdout"]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (Mount("nas/export", "/srv", "nfs"), "is no NFS export"),
        (Mount("nas:/export", "srv", "nfs"), "is no path to mount at"),
        (Mount("nas:/export", "/", "nfs"), "is no path to mount at"),
        (Mount("nas:/export", "/srv", "nfs", "ro, hard"), "are no options"),
    ],
)
def test_what_cannot_be_is_refused(made: Mount, sentence: str) -> None:
    with pytest.raises(XenError, match=sentence):
        mounts.checked(made)


def test_two_entries_for_a_path_are_refused() -> None:
    with pytest.raises(XenError, match="has 2 entries for /srv"):
        mounts.with_mount("a:/x /srv nfs\nb:/x /srv/ nfs\n", Mount("a:/x", "/srv", "nfs"))


@pytest.mark.parametrize(
    ("source", "options"), [("/dev/vg0/guests", "defaults,nofail"), ("UUID=1-2", "defaults,nofail"), ("nas:/export", "defaults")]
)
def test_a_device_that_is_missing_does_not_keep_the_host_from_starting(source: str, options: str) -> None:
    assert mounts.usual(source) == options
    assert not mounts.holds_up(Mount(source, "/srv", "ext4", options))
    assert mounts.holds_up(Mount(source, "/srv", "ext4", "noatime")) is (source != "nas:/export")


def test_what_cannot_be_mounted_leaves_no_entry(tmp_path: Path) -> None:
    wrong = mount(source="/dev/no-such-disk", fstype="ext4")
    told = host(
        tmp_path,
        shell("cat /etc/fstab"),
        wrong,
        shell("cat /etc/fstab"),
        mount(source="/dev/x", fstype="ext4", options="ro", state="present"),
    )
    assert told[1].get("failed") and "/srv/my guests" in told[1]["msg"], "also where nofail keeps mount silent"
    assert told[2]["stdout"] == told[0]["stdout"]
    assert "does not start when /dev/x is missing" in str(told[3]["warnings"])


@given(source=TEXT, path=TEXT, others=st.lists(st.sampled_from(["# note", "", "UUID=1 / ext4 errors=remount-ro 0 1", "junk"])))
def test_an_entry_is_found_again_and_leaves_all_else(source: str, path: str, others: list[str]) -> None:
    text = "".join(f"{line}\n" for line in others)
    made = Mount(source, f"/x{path}", "nfs")
    with_it = mounts.with_mount(text, made)
    assert with_it.startswith(text) and mounts.entry(with_it.splitlines()[-1]) == made
    assert mounts.with_mount(with_it, made) == with_it
    assert mounts.without(with_it, made.path) == text
