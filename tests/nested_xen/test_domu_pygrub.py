# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domU boots the kernel that is in it, by the menu in it, through pygrub."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0

ADDRESS = "10.99.0.62"
GUEST: dict[str, t.Any] = {
    "name": "domu-boot", "type": "pvh", "memory": "256", "boot": "pygrub", "vg": "vg0", "root": {"size": "900 MiB"},
    "nics": [{"bridge": "xenbr0", "address": f"{ADDRESS}/24"}], "wait_timeout": 900,
    "install": {"method": "tarball", "tarball": "/srv/domu/debian.tar"},
}  # fmt: skip


def test_a_debian_boots_its_own_kernel(dom0: Dom0) -> None:
    dom0.role("domu", {"domu_guests": [GUEST]})
    assert "SSH-2.0" in dom0.sh(f"timeout 30 bash -c 'exec 3<>/dev/tcp/{ADDRESS}/22; head -1 <&3'")
    assert "domu-boot" in dom0.sh("xl list domu-boot") and "pygrub" in dom0.sh("cat /etc/xen/domu-boot.cfg")
    assert "cloud-amd64" in dom0.sh("cat /var/log/xen/console/guest-domu-boot.log"), "not that of Dom0"


def test_a_second_run_changes_nothing(dom0: Dom0) -> None:
    results = dom0.role("domu", {"domu_guests": [GUEST]})
    assert [row["_task"] for row in results if row.get("changed")] == []
