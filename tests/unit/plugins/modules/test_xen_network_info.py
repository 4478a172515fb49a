# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

Run = Start = t.Callable[..., t.Any]


def test_every_entry_can_be_handed_back_and_changes_nothing(simulator: Start, run: Run) -> None:
    sim = simulator("homogeneous", joined=True)
    run("xen_network", name="Management", nic="eth0", purpose=["nbd"])
    run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"], "mode": "lacp"})
    run("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"}, automatic=False, tags=["a"])
    run("xen_network", name="Overlay", tunnel={"network": "Management"})
    run("xen_network", name="Internal", bridge="mine0")
    run("xen_network", name="Mute", default_locking_mode="disabled")
    mark, entries = sim.mark(), run("xen_network_info")["networks"]
    assert len(entries) == 9
    for entry in entries:
        assert run("xen_network", **entry)["changed"] is False
    assert sim.calls(mark) == []


def test_networks_of_one_name_are_told_apart_by_uuid(simulator: Start, run: Run) -> None:
    db = simulator().world.pools[0].db
    base = db.create("network", name_label="twice")
    db.create("network", name_label="twice")
    for host in db.all("host"):
        db.set("PIF", db.one("PIF", host=host, device="eth1"), network=base)
    run("xen_network", name="DMZ", vlan={"tag": 5, "nic": "eth1"})
    entries = run("xen_network_info")["networks"]
    assert [entry["vlan"]["network"] for entry in entries if "vlan" in entry] == [db.get("network", base)["uuid"]]
    assert not any(run("xen_network", **entry)["changed"] for entry in entries)


def test_entries_speak_the_words_of_the_options(run: Run) -> None:
    (entry,) = run("xen_network_info", name="Pool-wide network associated with eth1")["networks"]
    assert entry["nic"] == "eth1"
    assert {"mtu", "tags", "automatic", "purpose"} <= set(entry)
    assert not {"vlan", "bond", "tunnel", "hosts", "PIFs"} & set(entry)


def test_name_and_uuid_choose(run: Run) -> None:
    (entry,) = run("xen_network_info", name="Host internal management network")["networks"]
    assert run("xen_network_info", uuid=entry["uuid"])["networks"] == [entry]
    assert run("xen_network_info", name="nowhere")["networks"] == []


def test_facts_tell_the_bridge_and_each_hosts_connection(simulator: Start, run: Run) -> None:
    simulator(2)
    run("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth1"})
    info = run("xen_network_info", name="DMZ")
    facts = info["facts"][info["networks"][0]["uuid"]]
    assert facts["bridge"].startswith("xapi")
    assert facts["hosts"] == {host: {"vlan": info["networks"][0]["vlan"]} for host in ("xcp00", "xcp01")}


def test_reading_changes_nothing(simulator: Start, run: Run) -> None:
    sim = simulator()
    assert run("xen_network_info")["changed"] is False
    assert sim.calls() == []
