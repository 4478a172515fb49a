# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole pool is upgraded, in each of the ways there are; what is refused meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
import XenAPI

from ansible_collections.domzero.xen.tests.simulator import site, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.running import InProcess, Simulator
from ansible_collections.domzero.xen.tests.simulator.site_reader import SiteError
from ansible_collections.domzero.xen.tests.simulator.software import KEY

from .conversation import until
from .upgrading import Lab, lab

HOSTS = ("lab0", "lab1", "lab2", "lab3")
INSTALL = "prepare_host_upgrade.py"


@pytest.fixture
def pool() -> t.Iterator[Lab]:
    with lab() as found:
        yield found


def _by_packages(pool: Lab, host: str) -> None:
    pool.empty(host)
    assert pool.plugin(host, "update")["returncode"] == 0
    pool.boot(host)


def _by_installer(pool: Lab, host: str) -> None:
    pool.empty(host)
    assert pool.plugin(host, "main", INSTALL, url=upgrade_lab.INSTALLER) is True
    pool.boot(host)


def test_host_by_host_with_packages(pool: Lab) -> None:
    assert {pool.version(host) for host in HOSTS} == {"4.17.5-13"}
    for host in HOSTS:
        _by_packages(pool, host)
    assert {(pool.version(host), pool.version(host, "xapi_build")) for host in HOSTS} == {("4.17.5-15", "26.18.0")}
    assert all(pool.plugin(host, "check_update") == [] for host in HOSTS)
    assert all(pool.record("host", pool.ref(host))["enabled"] for host in HOSTS)
    assert KEY not in pool.pool["other_config"]


def test_host_by_host_with_the_installer_of_a_new_release() -> None:
    with lab("installer") as pool:
        assert pool.refused("host.apply_updates", pool.host, "")[0] == "MESSAGE_METHOD_UNKNOWN"
        _by_installer(pool, "lab0")
        assert pool.version("lab0", "product_version") == "8.3.0"
        assert pool.pool["other_config"][KEY] == "true"
        assert "last_software_update" in pool("host.get_record", pool.host)  # the data model of the new release
        vm = pool.db.get("host", pool.ref("lab1"))["resident_VMs"][-1]
        assert pool.refused("VM.set_memory_limits", vm, 1, 1, 1, 1)
        for host in HOSTS[1:]:
            _by_installer(pool, host)
        assert {pool.version(host, "product_version") for host in HOSTS} == {"8.3.0"}
        assert {pool.record("host", pool.ref(host))["API_version_minor"] for host in HOSTS} == {23}
        assert KEY not in pool.pool["other_config"]


def test_while_versions_differ_guests_go_upwards_only() -> None:
    with lab("installer", special=False) as pool:
        _by_installer(pool, "lab0")
        vm, halted = pool.named("app1-01"), pool.named("halted")
        pool("VM.pool_migrate", vm, pool.host, {})
        assert pool.refused("VM.pool_migrate", vm, pool.ref("lab2"), {}) == ["NOT_SUPPORTED_DURING_UPGRADE"]
        assert pool.refused("VM.start_on", halted, pool.ref("lab2"), False, False) == ["NOT_SUPPORTED_DURING_UPGRADE"]
        assert pool.refused("VM.snapshot", vm, "s") == ["NOT_SUPPORTED_DURING_UPGRADE"]
        assert "snapshot" not in pool.allowed(vm)
        pool("VM.start", halted, False, False)
        assert pool.record("VM", halted)["resident_on"] == pool.host  # the only one of the highest version
        assert pool("host.get_vms_which_prevent_evacuation", pool.ref("lab1")) == {}
        assert {code[0] for code in pool("host.get_vms_which_prevent_evacuation", pool.host).values()} == {"NO_HOSTS_AVAILABLE"}


def test_a_pool_can_be_half_upgraded_from_the_beginning() -> None:
    plan = upgrade_lab.plan("installer", special=False)
    first, *others = plan.hosts
    world = site.build(replace(plan, hosts=(replace(first, release="xcp-ng-8.3"), *others)), speed=0)
    pool = Lab(world.machines["lab0"])
    assert pool.pool["other_config"][KEY] == "true"
    assert "last_software_update" in pool("host.get_record", pool.host)
    assert (pool.version("lab0", "product_version"), pool.version("lab1", "product_version")) == ("8.3.0", "8.2.1")
    assert pool.refused("VM.pool_migrate", pool.named("app0-01"), pool.ref("lab1"), {}) == ["NOT_SUPPORTED_DURING_UPGRADE"]


# restarts ------------------------------------------------------------------------------------------------------------
def is_refused(pool: Lab) -> bool:
    """Whether nobody listens any more. A connection that is made while the port closes is reset; an answer is an error."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            pytest.fail(f"it answers: {pool.http('GET', '/')}")
        except ConnectionRefusedError:
            return True
        except (ConnectionResetError, ssl.SSLEOFError):
            time.sleep(0.005)
    return False


def test_while_the_coordinator_is_away_sessions_are_lost_and_nobody_answers() -> None:
    with lab(special=False, speed=0) as pool:
        pool.empty("lab0")
        pool.world.set_speed(100)
        pool("host.reboot", pool.host)
        until(pool.world, lambda: pool.machine.power == "booting")
        assert is_refused(pool)
        with pytest.raises(ConnectionRefusedError):
            pool("VM.get_all")
        with pytest.raises(Fault, match="HOST_IS_SLAVE"):
            Lab(pool.at("lab1"))
        pool.world.set_speed(0)
        until(pool.world, lambda: pool.machine.host_record()["enabled"])
        assert pool.refused("VM.get_all")[0] == "SESSION_INVALID"
        pool.log_in()
        assert pool("VM.get_all")


def test_a_boot_takes_as_long_as_the_site_says_and_an_installer_longer() -> None:
    with lab("installer", special=False) as pool:
        pool.empty("lab3")
        now = pool.world.clock.now
        before = now()
        pool.boot("lab3")
        plain = now() - before
        assert 300 < plain < 400
        pool("host.disable", pool.ref("lab3"))
        pool.world.faults.slow_boot("lab3", 1000)
        before = now()
        pool.boot("lab3")
        assert now() - before > plain + 900


def test_a_host_that_does_not_come_back_stays_away_until_somebody_helps() -> None:
    with lab(special=False) as pool:
        pool.empty("lab2")
        pool.plugin("lab2", "update", packages="xen-hypervisor")
        pool.world.faults.keep_down("lab2")
        pool("host.reboot", pool.ref("lab2"))
        until(pool.world, lambda: pool.at("lab2").power == "off" and not pool.world.agenda)
        assert pool.version("lab2") == "4.17.5-13"
        assert pool.refused("host.enable", pool.ref("lab2")) == ["HOST_OFFLINE", pool.ref("lab2")]
        pool.world.faults.clear()
        pool("host.power_on", pool.ref("lab2"))
        until(pool.world, lambda: pool.record("host", pool.ref("lab2"))["enabled"])
        assert pool.version("lab2") == "4.17.5-15"


def test_a_host_can_come_back_without_its_storage() -> None:
    with lab(special=False) as pool:
        pool.empty("lab2")
        pool.world.faults.leave_unplugged("lab2")
        pool.boot("lab2")
        record = pool.record("host", pool.ref("lab2"))
        assert record["enabled"]
        assert not any(pool.record("PBD", pbd)["currently_attached"] for pbd in record["PBDs"])
        assert "PBD_PLUG_FAILED_ON_SERVER_START" in [message["name"] for message in pool.db.all("message").values()]
        for pbd in record["PBDs"]:
            pool("PBD.plug", pbd)
        pool("host.disable", pool.ref("lab2"))
        pool.boot("lab2")
        assert all(pool.record("PBD", pbd)["currently_attached"] for pbd in record["PBDs"])


def test_a_member_that_is_newer_than_its_coordinator_waits_for_it() -> None:
    with lab(special=False) as pool:
        pool.empty("lab1")
        pool.plugin("lab1", "update")
        pool("host.restart_agent", pool.ref("lab1"))
        until(pool.world, lambda: pool.at("lab1").power == "on" and pool.at("lab1").emergency)
        with pytest.raises(Fault, match="HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR"):
            Lab(pool.at("lab1"))
        metrics = pool.record("host", pool.ref("lab1"))["metrics"]
        assert not pool.record("host_metrics", metrics)["live"]
        names = [message["name"] for message in pool.db.all("message").values()]
        assert "XAPI_STARTUP_BLOCKED_AS_VERSION_HIGHER_THAN_COORDINATOR" in names
        pool.plugin("lab0", "update")
        pool("host.restart_agent", pool.host)
        until(pool.world, lambda: pool.record("host", pool.ref("lab1"))["enabled"])
        assert pool.version("lab1", "xapi_build") == "26.18.0"
        assert pool.version("lab1") == "4.17.5-13"  # the hypervisor waits for a boot


def test_what_runs_after_a_restart_of_the_toolstack_alone(pool: Lab) -> None:
    pool.plugin("lab0", "update", packages="xapi-core")
    before = pool.record("host", pool.host)["other_config"]
    pool("host.restart_agent", pool.host)
    until(pool.world, lambda: pool.version("lab0", "xapi_build") == "26.18.0" and pool.record("host", pool.host)["enabled"])
    after = pool.record("host", pool.host)["other_config"]
    assert after["boot_time"] == before["boot_time"]
    assert after["agent_start_time"] != before["agent_start_time"]
    assert pool.guests("lab0")


# the lab -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", upgrade_lab.RELEASES)
def test_the_lab_has_24_guests_and_each_way_its_updates(kind: str) -> None:
    world = upgrade_lab.build(kind)
    vms = [vm for vm in world.pools[0].db.all("VM").values() if not vm["is_a_template"] and not vm["is_control_domain"]]
    assert len(vms) == 24
    assert {vm["power_state"] for vm in vms} == {"Running", "Halted", "Suspended"}
    assert world.calls == []


def test_the_special_guests_say_why_they_stay(pool: Lab) -> None:
    said = {}
    for host in HOSTS:
        said |= {
            pool.record("VM", vm)["name_label"]: why[0] for vm, why in pool("host.get_vms_which_prevent_evacuation", pool.ref(host)).items()
        }
    assert said == {
        "special-local": "VM_REQUIRES_SR",
        "special-deaf": "VM_REQUIRES_SR",
        "special-toolless": "VM_LACKS_FEATURE",
        "special-pci": "VM_HAS_PCI_ATTACHED",
    }
    deaf = pool.named("special-deaf")
    assert pool.refused("VM.clean_shutdown", deaf) == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", deaf]


# as a process --------------------------------------------------------------------------------------------------------
def test_what_was_installed_outlives_a_killed_simulator(tmp_path: Path) -> None:
    with Simulator("--site", "upgrade-lab", "--speed", "0", state=tmp_path) as running:
        session = _client(running)
        member = session.xenapi.host.get_by_name_label("lab3")[0]
        session.xenapi.host.call_plugin(member, "updater.py", "update", {"packages": "xen-hypervisor"})
        running.ctl("fault", "late", "lab3", "60")
        running.ctl("fault", "migration", "VM_MIGRATE_FAILED", "--nth", "2")
        assert len(running.ctl("fault", "list").splitlines()) == 2
        running.stop(kill=True, remove=False)
        running.start()
        session = _client(running)
        member = session.xenapi.host.get_by_name_label("lab3")[0]
        assert "xen-hypervisor" not in session.xenapi.host.call_plugin(member, "updater.py", "check_update", {})
        session.xenapi.host.disable(member)
        for vm in session.xenapi.host.get_vms_which_prevent_evacuation(member):
            session.xenapi.VM.hard_shutdown(vm)
        session.xenapi.host.evacuate(member)
        session.xenapi.host.reboot(member)
        _await(lambda: session.xenapi.host.get_software_version(member)["xen"] == "4.17.5-15")
        assert running.ctl("check") == ""


def _client(running: Simulator | InProcess) -> t.Any:
    session = XenAPI.Session(running.hosts[0].url, ignore_ssl=True)
    session.login_with_password("root", "xapi-test", "2.0", "tests")
    return session


def test_a_client_upgrades_the_pool_over_the_wire() -> None:
    with InProcess(upgrade_lab.build("packages", special=False)) as running:
        api = _client(running).xenapi  # logs in again by itself
        for host in sorted(api.host.get_all(), key=api.host.get_name_label):
            api.host.disable(host)
            api.host.evacuate(host)
            api.host.call_plugin(host, "updater.py", "update", {})
            began = api.host.get_other_config(host)["boot_time"]
            api.host.reboot(host)
            _await(lambda one=host, began=began: api.host.get_other_config(one)["boot_time"] != began and api.host.get_enabled(one))
        assert {version["xen"] for version in map(api.host.get_software_version, api.host.get_all())} == {"4.17.5-15"}
        assert sum(vm["power_state"] == "Running" for vm in api.VM.get_all_records().values()) == 17 + 4


def _await(holds: t.Callable[[], bool]) -> None:
    for _look in range(1000):
        with contextlib.suppress(OSError, http.client.HTTPException, XenAPI.Failure):
            if holds():
                return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come back")


def test_a_seed_that_can_not_be_is_told_with_its_reason() -> None:
    found = site.load("upgrade-lab")
    (big, *_others) = found.seed.guests
    with pytest.raises(SiteError, match=r"seed: .*HOST_NOT_ENOUGH_FREE_MEMORY"):
        site.build(replace(found, seed=replace(found.seed, guests=(replace(big, memory=1 << 40),))), speed=0)
    with pytest.raises(SiteError, match=r"no guidance 'Dance'"):
        site.parse({"hosts": [], "updates": {"files": [{"uuid": "x", "name": "y", "guidance": ["Dance"]}]}})
    with pytest.raises(SiteError, match="'quick' is no number"):
        site.parse({"hosts": [], "motion": {"gib_per_minute": "quick"}})
