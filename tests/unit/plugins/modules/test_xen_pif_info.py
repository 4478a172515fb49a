# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

Run = Start = t.Callable[..., t.Any]


def test_every_entry_can_be_handed_back_and_changes_nothing(simulator: Start, run: Run) -> None:
    sim = simulator("homogeneous", joined=True)
    run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"]})
    run("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"})
    run("xen_network", name="Overlay", tunnel={"nic": "eth0"})
    run("xen_pif", host="xcp00", network="Bonded", mode="static", ip="172.16.0.200/24", gateway="172.16.0.1", dns=["9.9.9.9"])
    run("xen_pif", host="xcp01", network="Bonded", mode="dhcp", ipv6_mode="static", ipv6=["fd00::5/64"], dns=["fd00::53"])
    run("xen_pif", host="xcp02", network="DMZ", mode="dhcp", plugged=False)
    run("xen_pif", host="xcp02", network="Overlay", ipv6_mode="autoconf", disallow_unplug=True, other_config={"a": "b"})
    mark, entries = sim.mark(), run("xen_pif_info")["pifs"]
    assert len(entries) == 3 * (3 + 3)
    for entry in entries:
        assert run("xen_pif", **entry)["changed"] is False
    assert sim.calls(mark) == []


def test_entries_are_chosen_by_host_network_device_and_uuid(simulator: Start, run: Run) -> None:
    simulator(2)
    run("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth1"})
    assert len(run("xen_pif_info")["pifs"]) == 6
    assert {p["host"] for p in run("xen_pif_info", host="xcp01")["pifs"]} == {"xcp01"}
    assert [(p["host"], p["vlan"]) for p in run("xen_pif_info", network="DMZ")["pifs"]] == [("xcp00", 100), ("xcp01", 100)]
    both = run("xen_pif_info", host="xcp01", device="eth1")["pifs"]
    assert [p.get("vlan") for p in both] == [None, 100]
    assert run("xen_pif_info", uuid=both[1]["uuid"])["pifs"] == both[1:]


def test_a_lease_is_a_fact_and_no_option(run: Run) -> None:
    run("xen_pif", host="xcp01", device="eth1", mode="dhcp")
    info = run("xen_pif_info", host="xcp01", device="eth1")
    (entry,) = info["pifs"]
    assert entry["mode"] == "dhcp"
    assert not {"ip", "netmask", "gateway", "dns"} & set(entry)
    facts = info["facts"][entry["uuid"]]
    assert facts["ip"].startswith("10.")
    assert facts["netmask"] == "255.255.255.0"
    assert facts["carrier"] is facts["physical"] is True


def test_reading_changes_nothing(simulator: Start, run: Run) -> None:
    sim = simulator()
    assert run("xen_pif_info")["changed"] is False
    assert sim.calls() == []
