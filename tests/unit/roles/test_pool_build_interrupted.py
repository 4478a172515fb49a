# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pool_build is interrupted at every changing call in turn, and finished by the next run."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.unit.roles.conftest import Site
from ansible_collections.domzero.xen.tests.unit.roles.interruption import WAYS, interrupt

pytestmark = pytest.mark.slow
# on top of the scenario: settings of a host, a VLAN, an address on it
MORE = {
    "pool_build_hosts": [
        {
            "name": f"xcp{n:02}",
            "address": f"127.20.0.{200 + n}:{{{{ simulator_port }}}}",
            "description": "in rack 7" if n == 1 else "",
            "iscsi_iqn": f"iqn.2024-01.lab.example:xcp{n:02}",
            "addresses": [
                {"network": "Storage", "mode": "static", "ip": f"172.16.0.{200 + n}/24"},
                *([{"network": "DMZ", "mode": "static", "ip": "192.0.2.1/24"}] if n == 1 else []),
            ],
        }
        for n in range(3)
    ],
    "pool_build_networks": [
        {"name": "Management", "nic": "eth0"},
        {"name": "VM traffic", "nic": "eth1"},
        {"name": "Storage", "nic": "eth2", "mtu": 9000, "description": "NFS and iSCSI"},
        {"name": "Internal", "tags": ["lab"]},
        {"name": "DMZ", "vlan": {"tag": 100, "network": "VM traffic"}},
    ],
}
CHANGES = 30  # a run without interruption makes so many changing calls; held by the first test


@functools.cache
def undisturbed() -> tuple[dict[str, list[object]], int]:
    """The end state and the number of changing calls of a run that nobody interrupts."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Site("homogeneous", Path(folder), MORE)
        try:
            ran = lab.run("pool_build")
            assert ran.code == 0, ran.output
            return lab.state(), len(lab.sim.calls())
        finally:
            lab.sim.stop()


def test_every_changing_call_is_an_interruption_point():
    assert undisturbed()[1] == CHANGES


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("nth", range(1, CHANGES + 1))
def test_the_next_run_ends_where_an_undisturbed_one_does(shipped, nth, way):
    lab = shipped("homogeneous", **MORE)
    interrupt(lab, "pool_build", way, nth)
    again = lab.run("pool_build")
    assert again.code == 0, again.output
    assert lab.state() == undisturbed()[0]
    assert invariants.check(lab.sim.world) == []
