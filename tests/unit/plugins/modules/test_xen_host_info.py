# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

Run = Start = t.Callable[..., t.Any]


def test_every_host_is_told_in_the_words_of_the_options(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    told = run("xen_host_info")
    assert told["changed"] is False
    assert [host["name"] for host in told["hosts"]] == ["xcp00", "xcp01"]
    assert [host["address"] for host in told["hosts"]] == [host.address for host in sim.hosts]


def test_one_host_is_told_by_its_name_or_uuid(simulator: Start, run: Run) -> None:
    simulator(2)
    (one,) = run("xen_host_info", name="xcp01")["hosts"]
    assert run("xen_host_info", uuid=one["uuid"])["hosts"] == [one]
    assert run("xen_host_info", name="xcp9")["hosts"] == []


def test_what_is_no_option_is_told_beside(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    host = next(iter(sim.world.machines.values()))
    sim.world.pools[0].db.create("VM", name_label="web1", power_state="Running", resident_on=host.host_ref)
    told = run("xen_host_info", name="xcp00")
    facts = told["facts"][told["hosts"][0]["uuid"]]
    assert (facts["live"], facts["coordinator"], facts["guests"], facts["reboot_reasons"]) == (True, True, ["web1"], [])
    assert facts["product_version"] == "8.3.0"
    assert facts["memory_total"] == 64 << 30
    assert facts["cpus"]["vendor"] == "GenuineIntel"


def test_what_info_tells_can_be_handed_back(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    run("xen_host", name="xcp02", power_on_mode="DRAC", power_on_config={"power_on_user": "root"}, power_on_password="hidden", tags=["a"])
    run("xen_host", name="xcp02", syslog_destination="log.example.com", ssh_enabled=False, display="disabled", enabled=False)
    second = list(sim.world.machines.values())[1]
    sim.world.pools[0].db.set("host", second.host_ref, iscsi_iqn="")
    mark = sim.mark()
    for told in run("xen_host_info")["hosts"]:
        assert run("xen_host", **told)["changed"] is False
    assert sim.calls(mark) == []


@pytest.mark.parametrize("release", ["xenserver-6.5", "xenserver-7.0", "xenserver-7.6", "xcp-ng-8.2", "xenserver-8"])
def test_what_info_tells_of_an_older_release_can_be_handed_back(release: str, simulator: Start, run: Run) -> None:
    simulator(2, release=release)
    for told in run("xen_host_info")["hosts"]:
        assert run("xen_host", **told)["changed"] is False
