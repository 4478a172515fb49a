# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of XenServer 8 get the updates of the pool's repositories."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.updates import Channel, Update

from ..conftest import Run, Start
from .host_upgrade_lab import HOSTS, Lab, lab, row

pytestmark = pytest.mark.slow

REPOSITORY: dict[str, t.Any] = {"method": "repository"}


@pytest.fixture
def site(simulator: Start, session_to: t.Callable[[InProcess], Session]) -> Lab:
    return lab(simulator, session_to, "repository", guests=True)


def _enable(site: Lab, url: str = upgrade_lab.REPOSITORY, *, sync: bool = True) -> None:
    ref = site.session.call("Repository.introduce", url[-8:], "", url, "", True, "")
    site.session.call("pool.set_repositories", site.world.pools[0].pool_ref, [ref])
    if sync:
        site.session.call("pool.sync_updates", site.world.pools[0].pool_ref, False, "", "")


def test_the_pool_asks_its_repositories_once(site: Lab, run: Run) -> None:
    with pytest.raises(InvalidChange, match="no repository enabled"):
        run("xen_host_upgrade", hosts=[], **REPOSITORY)
    _enable(site, sync=False)
    with pytest.raises(InvalidChange, match="has not asked its repositories yet"):
        run("xen_host_upgrade", hosts=["lab0"], sync="never", **REPOSITORY)
    assert run("xen_host_upgrade", check=True, hosts=[], **REPOSITORY)["operations"] == ["pool.sync_updates"]
    assert run("xen_host_upgrade", hosts=[], **REPOSITORY)["operations"] == ["pool.sync_updates"]
    assert run("xen_host_upgrade", hosts=[], **REPOSITORY)["operations"] == []
    assert run("xen_host_upgrade", hosts=[], sync="always", **REPOSITORY)["operations"] == ["pool.sync_updates"]
    site.journal()
    assert run("xen_host_upgrade", hosts=[], sync="always", **REPOSITORY)["operations"] == []


def test_updates_are_applied_and_the_hosts_rebooted(site: Lab, run: Run) -> None:
    _enable(site)
    site.halt()
    predicted, done = (run("xen_host_upgrade", check=check, hosts=list(HOSTS), **REPOSITORY) for check in (True, False))
    assert row(done, "lab1")["operations"] == ["host.disable", "host.apply_updates", "host.reboot", "host.enable"]
    assert (done["operations"], done["diff"]) == (predicted["operations"], predicted["diff"])
    assert row(done, "lab1")["why"] == "it lacks XS8-2026-0001, XS8-2026-0002"
    assert {(site.version(host), site.version(host, "xapi_build")) for host in HOSTS} == {("4.17.5-15", "24.19.3")}
    assert all(site.record(host)["pending_guidances"] == [] and site.record(host)["enabled"] for host in HOSTS)
    assert run("xen_host_upgrade", hosts=list(HOSTS), **REPOSITORY)["changed"] is False


def test_a_toolstack_is_restarted_while_the_guests_stay(site: Lab, run: Run) -> None:
    _enable(site, upgrade_lab.TOOLSTACK)
    guests = {host: site.guests(host) for host in HOSTS}
    predicted, done = (run("xen_host_upgrade", check=check, hosts=list(HOSTS), **REPOSITORY) for check in (True, False))
    assert row(done, "lab0")["operations"] == ["host.apply_updates", "host.restart_agent", "host.enable"]
    assert (done["operations"], done["diff"]) == (predicted["operations"], predicted["diff"])
    assert (row(done, "lab0")["rebooted"], row(done, "lab0")["restarted"]) == (False, True)
    assert {site.version(host, "xapi_build") for host in HOSTS} == {"24.19.4"}
    assert {host: site.guests(host) for host in HOSTS} == guests
    assert all(site.record(host)["enabled"] for host in HOSTS)
    assert run("xen_host_upgrade", hosts=list(HOSTS), **REPOSITORY)["changed"] is False


def test_updates_that_were_applied_before_wait_for_the_reboot_only(site: Lab, run: Run) -> None:
    _enable(site)
    site.halt()
    site.session.call("host.disable", site.ref("lab0"))
    told = site.session.call("pool.get_all_records")[site.world.pools[0].pool_ref]
    hashed = site.session.call("Repository.get_hash", told["repositories"][0])
    site.session.call("host.apply_updates", site.ref("lab0"), hashed)
    done = run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)
    assert (done["operations"], row(done, "lab0")["why"]) == (["host.reboot", "host.enable"], "its updates ask for reboot_host")
    assert site.version("lab0") == "4.17.5-15"


def test_an_update_before_is_finished_before_the_next_one(site: Lab, run: Run) -> None:
    _enable(site)
    site.halt()
    site.db.set("host", site.ref("lab0"), pending_guidances=["restart_toolstack"])
    predicted, done = (run("xen_host_upgrade", check=check, hosts=["lab0"], **REPOSITORY) for check in (True, False))
    calls = ["host.disable", "host.restart_agent", "host.disable", "host.apply_updates", "host.reboot", "host.enable"]
    assert done["operations"] == predicted["operations"] == calls
    assert site.version("lab0") == "4.17.5-15"


def test_a_live_patch_that_failed_leaves_a_reboot_to_be_done(site: Lab, run: Run) -> None:
    patch = {"component": "xen", "base": "4.17.5-13", "to": "4.17.5-15", "fails": True}
    asks = Update("X", guidance={"mandatory": ["RebootHostOnXenLivePatchFailure"]}, livepatches=[patch])
    site.world.updates.channels.append(Channel("https://repo.example.com/live", [asks]))
    _enable(site, "https://repo.example.com/live")
    done = run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)
    assert row(done, "lab0")["left"] == "its updates ask for reboot_host_on_xen_livepatch_failure"
    with pytest.raises(InvalidChange, match="VMs run on host 'lab0'"):
        run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)
    site.halt()
    assert run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)["operations"] == ["host.reboot", "host.enable"]
    assert run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)["changed"] is False


def test_without_a_reboot_a_host_stays_in_maintenance(site: Lab, run: Run) -> None:
    _enable(site)
    site.halt()
    predicted, done = (run("xen_host_upgrade", check=check, hosts=["lab0"], reboot="never", **REPOSITORY) for check in (True, False))
    assert done["operations"] == predicted["operations"] == ["host.disable", "host.apply_updates"]
    assert "stays in maintenance until it is rebooted" in done["warnings"][0]
    assert run("xen_host_upgrade", hosts=["lab0"], reboot="never", **REPOSITORY)["changed"] is False
    assert run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)["operations"] == ["host.reboot", "host.enable"]


def test_what_updates_ask_of_vms_is_told(site: Lab, run: Run) -> None:
    asks = Update("V", guidance={"mandatory": [], "recommended": ["RestartDeviceModel"], "full": ["RestartVM"]})
    site.world.updates.channels.append(Channel("https://repo.example.com/vms", [asks]))
    _enable(site, "https://repo.example.com/vms")
    run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)
    done = run("xen_host_upgrade", hosts=["lab1"], **REPOSITORY)
    assert row(done, "lab1")["operations"] == ["host.apply_updates"]
    assert done["vms"]["app1-01"] == ["restart_device_model", "restart_vm"]
    assert site.record("lab1")["enabled"]


def test_what_an_earlier_run_began_is_waited_for(site: Lab, run: Run) -> None:
    _enable(site)
    site.halt()
    site.session.call("host.disable", site.ref("lab0"))
    hashed = site.db.get("Repository", site.world.pools[0].pool["repositories"][0])["hash"]
    site.world.set_speed(100)
    site.session.call("Async.host.apply_updates", site.ref("lab0"), hashed)
    while not site.record("lab0")["current_operations"]:
        time.sleep(0.01)
    predicted = run("xen_host_upgrade", check=True, hosts=["lab0"], **REPOSITORY)
    assert "apply_updates is under way" in predicted["warnings"][0]
    done = run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)
    assert done["operations"] == ["host.reboot", "host.enable"]
    assert site.version("lab0") == "4.17.5-15"


def test_hosts_get_their_updates_one_after_the_other(site: Lab, run: Run) -> None:
    """xapi has only one host of a pool at it."""
    _enable(site)
    site.halt()
    run("xen_host_upgrade", hosts=["lab0"], **REPOSITORY)
    site.world.set_speed(200)
    done = run("xen_host_upgrade", hosts=["lab1", "lab2"], **REPOSITORY)
    assert [one["rebooted"] for one in done["hosts"]] == [True, True]
