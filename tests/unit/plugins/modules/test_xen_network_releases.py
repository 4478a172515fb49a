# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and interfaces on older hosts, whose objects have fewer fields and whose calls fewer parameters."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.tests.simulator import releases

Run = Start = t.Callable[..., t.Any]


@pytest.mark.parametrize("release", releases.names())
def test_networks_are_made_and_listed_on_every_release(simulator: Start, run: Run, converges: Run, release: str) -> None:
    simulator(2, release=release)
    converges("xen_network", name="Internal", mtu=9000, default_locking_mode="disabled", automatic=False)
    converges("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth1"})
    converges("xen_network", name="Overlay", tunnel={"nic": "eth0"})
    converges("xen_network", name="Overlay", state="absent")
    converges("xen_network", name="Bonded", bond={"nics": ["eth0", "eth1"], "mode": "lacp"})
    converges("xen_pif", host="xcp01", network="DMZ", mode="static", ip="172.16.0.201/24")
    for entry in run("xen_network_info")["networks"]:
        assert run("xen_network", **entry)["changed"] is False
    for entry in run("xen_pif_info")["pifs"]:
        assert run("xen_pif", **entry)["changed"] is False


@pytest.mark.parametrize(
    "wanted",
    [
        {"purpose": ["nbd"]},
        {"managed": True},
        {"tunnel": {"nic": "eth0", "protocol": "vxlan"}},
    ],
)
def test_what_a_release_does_not_know_is_refused(simulator: Start, run: Run, wanted: dict[str, t.Any]) -> None:
    sim = simulator(1, release="xenserver-6.5")
    with pytest.raises(InvalidChange, match=r"[tT]his host's release"):
        run("xen_network", name="x", **wanted)
    assert sim.calls() == []
