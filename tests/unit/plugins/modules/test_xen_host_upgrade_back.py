# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that come back late, without their storage, or not at all; what stands in the way of an upgrade."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.side import Interrupted
from ansible_collections.domzero.xen.tests.simulator import agent
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.updates import Package

from ..conftest import Run, Start
from .host_upgrade_lab import Lab, lab, row

pytestmark = pytest.mark.slow

PACKAGES: dict[str, t.Any] = {"method": "xcpng_packages"}
REBOOT = ["host.disable", "host.reboot", "host.enable"]


@pytest.fixture
def site(simulator: Start, session_to: t.Callable[[InProcess], Session]) -> Lab:
    return lab(simulator, session_to, "packages")


def test_a_host_that_is_late_is_waited_for(site: Lab, run: Run) -> None:
    site.sim.faults.slow_boot("lab0", 3000)
    done = run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)
    assert row(done, "lab0")["rebooted"]
    assert site.version("lab0") == "4.17.5-15"


def test_a_host_that_stays_away_is_named_and_the_next_task_goes_on_when_it_is_back(site: Lab, run: Run) -> None:
    run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)
    site.sim.faults.keep_down("lab1")
    done = run("xen_host_upgrade", hosts=["lab1", "lab2"], wait_timeout=3, **PACKAGES)
    assert done["failed"]
    assert "Host 'lab1': Waited 3 seconds for host 'lab1' to come back; last seen: it is not live" in done["msg"]
    assert row(done, "lab1")["operations"] == ["host.disable", "host.add_to_other_config", "host.call_plugin", "host.reboot"]
    assert row(done, "lab2")["rebooted"]
    predicted = run("xen_host_upgrade", check=True, hosts=["lab1"], **PACKAGES)
    assert predicted["operations"] == []
    assert "What is to be done on host 'lab1' is seen when it is back" in predicted["warnings"][0]
    site.sim.faults.clear()
    with _power_on(site, "lab1"):
        again = run("xen_host_upgrade", hosts=["lab1"], **PACKAGES)
    assert set(again["operations"]) <= {"host.enable"}
    assert site.record("lab1")["enabled"]
    assert site.version("lab1") == "4.17.5-15"


def test_a_coordinator_that_stays_away_is_named_and_its_members_wait(site: Lab, run: Run) -> None:
    options: dict[str, t.Any] = {"hosts": ["lab0", "lab1"], "timeout": 2, **PACKAGES}
    site.sim.faults.keep_down("lab0")
    done = run("xen_host_upgrade", wait_timeout=3, **options)
    assert "Host 'lab0': Waited 3 seconds for host 'lab0' to come back" in done["msg"]
    assert "Host 'lab1': Not begun, since the coordinator was not upgraded." in done["msg"]
    assert site.version("lab1") == "4.17.5-13"
    site.sim.faults.clear()
    with site.world.lock:
        agent.power_on(site.world.machines["lab0"])
    while not site.record("lab0")["enabled"]:
        time.sleep(0.01)
    again = run("xen_host_upgrade", **options)
    assert not again.get("failed"), again
    assert {site.version(host) for host in ("lab0", "lab1")} == {"4.17.5-15"}


def test_a_host_that_left_without_a_word_is_waited_for(site: Lab, run: Run) -> None:
    run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)
    site.sim.faults.keep_down("lab1")
    run("xen_host_upgrade", hosts=["lab1"], wait_timeout=1, **PACKAGES)
    site.db.set("host_metrics", site.record("lab1")["metrics"], live=True)
    predicted = run("xen_host_upgrade", check=True, hosts=["lab1"], **PACKAGES)
    assert "is seen when it is back: it does not answer" in predicted["warnings"][0]
    site.sim.faults.clear()
    with _power_on(site, "lab1"):
        again = run("xen_host_upgrade", hosts=["lab1"], **PACKAGES)
    assert set(again["operations"]) <= {"host.enable"}
    assert (site.record("lab1")["enabled"], site.version("lab1")) == (True, "4.17.5-15")


def test_a_clock_that_runs(site: Lab, run: Run) -> None:
    """The coordinator is away for a second, in which nobody answers."""
    site.world.set_speed(300)
    done = run("xen_host_upgrade", hosts=["lab0", "lab1"], **PACKAGES)
    assert [one["rebooted"] for one in done["hosts"]] == [True, True]
    assert {site.version(host) for host in ("lab0", "lab1")} == {"4.17.5-15"}


@contextlib.contextmanager
def _power_on(site: Lab, host: str) -> t.Iterator[None]:
    """Somebody does, while a task waits."""

    def later() -> None:
        time.sleep(0.5)
        site.db.set("host_metrics", site.record(host)["metrics"], live=False)
        site.session.call("host.power_on", site.ref(host))

    helper = threading.Thread(target=later)
    helper.start()
    yield
    helper.join()


def test_storage_that_did_not_come_with_a_host_is_attached(site: Lab, run: Run) -> None:
    site.sim.faults.leave_unplugged("lab0")
    done = run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)
    assert {"vms", "isos"} <= set(row(done, "lab0")["plugged"])
    assert all(site.db.get("PBD", pbd)["currently_attached"] for pbd in site.record("lab0")["PBDs"])
    assert run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)["changed"] is False


def test_storage_that_can_not_be_attached_is_named(site: Lab, run: Run) -> None:
    site.sim.faults.leave_unplugged("lab0")
    for nth in range(1, 9):
        site.sim.faults.fail("PBD.plug", nth=nth, error=["SR_BACKEND_FAILURE_73", "", "NFS mount error", ""])
    done = run("xen_host_upgrade", hosts=["lab0"], wait_timeout=5, **PACKAGES)
    assert "not attached: SR" in done["msg"]
    assert "SR_BACKEND_FAILURE_73" in done["msg"]
    site.sim.faults.clear()
    again = run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)
    assert set(again["operations"]) == {"PBD.plug"}
    storage = {site.db.get("SR", pbd["SR"])["name_label"] for pbd in site.db.all("PBD").values() if pbd["currently_attached"]}
    assert {"vms", "isos", "Local storage"} <= storage
    assert run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)["changed"] is False


def test_high_availability_has_to_be_off(site: Lab, run: Run) -> None:
    site.db.set("pool", site.world.pools[0].pool_ref, ha_enabled=True)
    with pytest.raises(
        InvalidChange, match=r"High availability is on, so host 'lab0' cannot be upgraded\. Turn high availability off first"
    ):
        run("xen_host_upgrade", check=True, hosts=["lab0"], **PACKAGES)
    site.db.set("pool", site.world.pools[0].pool_ref, ha_enabled=False)


def test_a_session_that_was_handed_over_does_not_survive_the_coordinator(site: Lab, run: Run) -> None:
    host = site.sim.hosts[0]
    handed = {"url": host.url, "ref": site.session.handle, "fingerprint": [host.fingerprint_sha256]}
    with pytest.raises(InvalidChange, match=r"Host 'lab0' is the coordinator; a session that was handed over ends with its restart"):
        run("xen_host_upgrade", session=handed, hosts=["lab0"], method="reboot")
    done = run("xen_host_upgrade", session=handed, hosts=["lab1"], method="reboot")
    assert done["operations"] == REBOOT
    pins = [one.fingerprint_sha256 for one in site.sim.hosts]
    more = {"username": site.sim.username, "password": site.sim.password}
    assert run("xen_host_upgrade", session={**handed, "fingerprint": pins}, hosts=["lab0"], method="reboot", **more)["changed"]


# which hosts are due -----------------------------------------------------------------
def test_packages_that_somebody_installed_by_hand_wait_for_a_boot(site: Lab, run: Run) -> None:
    site.session.call("host.call_plugin", site.ref("lab0"), "updater.py", "update", {})
    done = run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)
    assert (row(done, "lab0")["why"], done["operations"]) == ("packages were installed after its last boot", REBOOT)
    assert run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)["changed"] is False


def test_only_the_packages_that_are_named(site: Lab, run: Run) -> None:
    guests = [vm["name_label"] for vm in site.db.all("VM").values() if vm["power_state"] == "Running"]
    done = run("xen_host_upgrade", hosts=["lab0"], packages=["xapi-core"], **PACKAGES)
    calls = ["host.add_to_other_config", "host.call_plugin", "host.restart_agent", "host.enable"]
    assert (done["operations"], row(done, "lab0")["packages"]) == (calls, ["xapi-core-26.18.0-1.1.xcpng8.3"])
    assert (site.version("lab0", "xapi_build"), site.version("lab0")) == ("26.18.0", "4.17.5-13")
    assert [vm["name_label"] for vm in site.db.all("VM").values() if vm["power_state"] == "Running"] == guests
    assert run("xen_host_upgrade", hosts=["lab0"], packages=["xapi-core"], **PACKAGES)["changed"] is False


def test_packages_of_another_repository(site: Lab, run: Run) -> None:
    site.world.updates.packages.append(Package("extra", "2.0", "1", "1.0-1", repo="mine"))
    done = run("xen_host_upgrade", hosts=["lab0"], repos=["mine"], packages=["extra"], **PACKAGES)
    assert row(done, "lab0")["packages"] == ["extra-2.0-1"]


def test_without_a_reboot_what_is_installed_waits(site: Lab, run: Run) -> None:
    options = {"hosts": ["lab0"], "reboot": "never", **PACKAGES}
    done = run("xen_host_upgrade", **options)
    assert done["operations"] == ["host.add_to_other_config", "host.call_plugin"]
    assert site.version("lab0") == "4.17.5-13"
    assert run("xen_host_upgrade", **options)["changed"] is False
    assert run("xen_host_upgrade", **{**options, "reboot": "required"})["operations"] == REBOOT


def test_a_pool_without_the_plugin_is_told(simulator: Start, session_to: t.Callable[[InProcess], Session], run: Run) -> None:
    lab(simulator, session_to, "repository")
    with pytest.raises(XenError, match=r"Host 'lab0' does not tell which packages are out of date: .*Is it XCP-ng\?"):
        run("xen_host_upgrade", hosts=["lab0"], **PACKAGES)


# the upgrade that is under way --------------------------------------------------------
def test_a_host_is_rebooted_once_in_an_upgrade(site: Lab, run: Run) -> None:
    site.journal()
    options: dict[str, t.Any] = {"hosts": ["lab0", "lab1"], "method": "reboot", "run": "r1"}
    predicted, done = (run("xen_host_upgrade", check=check, **options) for check in (True, False))
    assert done["operations"] == predicted["operations"] == [*REBOOT, "host.add_to_other_config"] * 2
    assert run("xen_host_upgrade", **options)["changed"] is False


@pytest.mark.parametrize(("reboot", "calls"), [("always", REBOOT), ("never", []), ("required", [])])
def test_hosts_on_which_the_tasks_of_the_user_were_run_are_noted(site: Lab, run: Run, reboot: str, calls: list[str]) -> None:
    site.journal()
    options: dict[str, t.Any] = {"hosts": ["lab1"], "method": "command", "run": "r1", "reboot": reboot}
    predicted, done = (run("xen_host_upgrade", check=check, **options) for check in (True, False))
    assert done["operations"] == predicted["operations"] == [*calls, "host.add_to_other_config"]
    assert site.record("lab1")["other_config"]["domzero.xen:upgraded"] == "u1"
    assert run("xen_host_upgrade", **options)["changed"] is False


def test_a_run_that_was_taken_over_does_nothing(site: Lab, run: Run) -> None:
    site.journal(run="r2")
    mark = site.sim.mark()
    with pytest.raises(InvalidChange, match="was taken over by root@control"):
        run("xen_host_upgrade", hosts=["lab0"], run="r1", **PACKAGES)
    assert site.sim.calls(mark) == []


def test_a_host_that_was_in_maintenance_before_stays_there(site: Lab, run: Run) -> None:
    site.journal(disabled=[site.record("lab1")["uuid"]])
    site.session.call("host.disable", site.ref("lab1"))
    done = run("xen_host_upgrade", hosts=["lab1"], method="reboot", run="r1")
    assert done["operations"] == ["host.reboot", "host.disable", "host.add_to_other_config"]
    assert not site.record("lab1")["enabled"]
    assert run("xen_host_upgrade", hosts=["lab1"], method="reboot", run="r1")["changed"] is False


def test_nothing_is_due_where_an_upgrade_is_only_finished(site: Lab, run: Run) -> None:
    assert run("xen_host_upgrade", hosts=["lab0", "lab1"], method="none")["operations"] == []


def _interrupt(_signum: int, _frame: object) -> t.NoReturn:
    raise Interrupted


def test_a_task_that_is_told_to_end_ends_and_the_next_one_goes_on(site: Lab, run: Run) -> None:
    site.world.set_speed(20)  # a boot takes a quarter of a minute
    since = str(site.session.call("host.get_servertime", site.ref("lab1")))
    options: dict[str, t.Any] = {"hosts": ["lab1", "lab2"], "method": "reboot", "since": since}
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    with pytest.raises(Interrupted):
        run("xen_host_upgrade", **options)
    signal.signal(signal.SIGALRM, before)
    site.world.set_speed(0)
    again = run("xen_host_upgrade", **options)
    assert set(again["operations"]) <= {"host.disable", "host.reboot", "host.enable"}
    assert all(site.record(host)["enabled"] for host in ("lab1", "lab2"))
    assert run("xen_host_upgrade", **options)["changed"] is False
