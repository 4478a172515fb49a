# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian is made by debootstrap, and runs with Dom0's kernel."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.nested_xen import playbook
from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0

ADDRESS = "10.99.0.63"
GUEST: dict[str, t.Any] = {
    "name": "domu-new", "type": "pvh", "memory": "512", "boot": "dom0", "vg": "vg0", "root": {"size": "900 MiB"},
    "nics": [{"bridge": "xenbr0", "address": f"{ADDRESS}/24"}], "wait_timeout": 900,
    "install": {
        "method": "debootstrap", "suite": "bookworm", "mirror": "file:///srv/debian", "variant": "minbase", "check_gpg": False,
        "include": ["systemd-sysv", "udev", "ifupdown", "iproute2", "openssh-server"],
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minimal Debian takes debootstrap and dpkg half an hour here."""
    monkeypatch.setattr(playbook, "LIMIT", 4500.0)


def test_memory_that_dom0s_initrd_does_not_fit_into_is_refused(dom0: Dom0) -> None:
    told = dom0.fails({"domzero.xen.xl_guest_preflight": {"guests": [{**GUEST, "memory": "256"}]}})["msg"]
    assert "Guest domu-new boots with /boot/initrd.img-" in told and "its 256 MiB of memory are too little" in told


def test_a_debian_by_debootstrap_answers(dom0: Dom0) -> None:
    dom0.role("domu", {"domu_guests": [GUEST]})
    assert "SSH-2.0" in dom0.sh(f"timeout 30 bash -c 'exec 3<>/dev/tcp/{ADDRESS}/22; head -1 <&3'")
    assert "/run/domzero.xen" not in dom0.sh("cat /proc/mounts; losetup -a")


def test_a_second_run_changes_nothing(dom0: Dom0) -> None:
    results = dom0.role("domu", {"domu_guests": [GUEST]})
    assert [row["_task"] for row in results if row.get("changed")] == []
