# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every story starts with: the role dom0 has made a bare Debian a Dom0, and a domU runs on it."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0

pytestmark = pytest.mark.core

DOMU = """name = "nx-a"
type = "pvh"
kernel = "/vmlinuz"
ramdisk = "/root/domu-initrd.gz"
extra = "console=hvc0 hn=nx-a ip4=10.99.0.11/24"
memory = 128
vif = ["bridge=xenbr0"]
"""


def test_the_role_has_made_it_a_dom0(dom0: Dom0) -> None:
    assert "Domain-0" in dom0.sh("xl list")


def test_its_clock_is_right_after_a_snapshot(dom0: Dom0) -> None:
    [result] = dom0.tasks([{"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "date_time"]}}])
    [here] = dom0.plays([{"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.command": "date +%s"}]}])
    assert abs(int(here["stdout"]) - int(result["ansible_facts"]["ansible_date_time"]["epoch"])) < 60


def test_a_domain_is_reached_over_the_bridge(dom0: Dom0) -> None:
    dom0.put(DOMU, "/etc/xen/nx-a.cfg")
    dom0.sh("xl create /etc/xen/nx-a.cfg")
    dom0.until("grep DOMU-READY /var/log/xen/console/guest-nx-a.log")
    dom0.until("ping -c 1 -W 2 10.99.0.11")
    dom0.sh("xl destroy nx-a")


def test_packages_come_from_the_image(dom0: Dom0) -> None:
    dom0.sh("apt-get update && apt-get install --yes --download-only dnsmasq")
