# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts are upgraded and rebooted: what all methods have in common."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import Run, Start
from .host_upgrade_lab import HOSTS, Lab, lab, row

WHOLE = ["host.disable", "host.add_to_other_config", "host.call_plugin", "host.reboot", "host.enable"]


@pytest.fixture
def site(simulator: Start, session_to: t.Callable[[InProcess], Session]) -> Lab:
    return lab(simulator, session_to, "packages")


def test_packages_are_installed_and_run_after_the_reboot(site: Lab, run: Run) -> None:
    options: dict[str, t.Any] = {"hosts": ["lab0"], "method": "xcpng_packages"}
    mark = site.sim.mark()
    predicted = run("xen_host_upgrade", check=True, **options)
    assert site.sim.calls(mark) == []
    done = run("xen_host_upgrade", **options)
    assert done["operations"] == predicted["operations"] == WHOLE
    assert done["diff"] == predicted["diff"]
    told = row(done, "lab0")
    assert (told["rebooted"], told["restarted"], told["why"]) == (True, False, "4 packages are out of date")
    assert "xen-hypervisor-4.17.5-15.1.xcpng8.3" in told["packages"]
    assert (told["before"]["xen"], told["after"]["xen"]) == ("4.17.5-13", "4.17.5-15")
    assert site.record("lab0")["enabled"]
    again = run("xen_host_upgrade", **options)
    assert (again["changed"], again["operations"]) == (False, [])


def test_all_hosts_of_a_list_at_once_and_the_coordinator_first(site: Lab, run: Run) -> None:
    mark = site.sim.mark()
    done = run("xen_host_upgrade", hosts=list(HOSTS), method="xcpng_packages")
    assert [one["name"] for one in done["hosts"]] == list(HOSTS)
    assert {site.version(host) for host in HOSTS} == {"4.17.5-15"}
    assert all(site.record(host)["enabled"] for host in HOSTS)
    reboots = [call["params"][0] for call in site.sim.calls(mark) if call["method"] == "host.reboot"]
    assert reboots[0] == site.ref("lab0")
    assert set(reboots) == {site.ref(host) for host in HOSTS}
    assert run("xen_host_upgrade", hosts=list(HOSTS), method="xcpng_packages")["changed"] is False


def test_a_host_is_rebooted_if_it_has_not_booted_since(site: Lab, run: Run) -> None:
    since = str(site.session.call("host.get_servertime", site.ref("lab1")))
    options: dict[str, t.Any] = {"hosts": ["lab1", "lab2"], "method": "reboot", "since": since}
    predicted, done = run("xen_host_upgrade", check=True, **options), run("xen_host_upgrade", **options)
    assert done["operations"] == predicted["operations"] == ["host.disable", "host.reboot", "host.enable"] * 2
    assert done["diff"] == predicted["diff"]
    assert run("xen_host_upgrade", **options)["changed"] is False


def test_guests_that_are_still_there_are_named(simulator: Start, session_to: t.Callable[[InProcess], Session], run: Run) -> None:
    site = lab(simulator, session_to, "packages", guests=True)
    mark = site.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"VMs run on host 'lab1': app1-01, .*Move them away"):
            run("xen_host_upgrade", check=check, hosts=["lab0", "lab1"][1:], method="reboot")
    assert site.sim.calls(mark) == []


def test_members_wait_for_their_coordinator(site: Lab, run: Run) -> None:
    with pytest.raises(InvalidChange, match=r"Host 'lab0' is the coordinator and has to be upgraded first"):
        run("xen_host_upgrade", hosts=["lab1"], method="xcpng_packages")
