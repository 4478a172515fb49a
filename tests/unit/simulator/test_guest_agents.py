# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests report themselves some time after they started, and follow what is done to them."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.domzero.xen.tests.simulator import guest_systems, site, store
from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.guest_agents import Guests

from .conversation import until
from .hosting import Hosting, hosting


def talkative(hosts: int = 1, *, speed: float = 0) -> Hosting:
    """A pool on a site whose guests have tools."""
    pool = hosting(hosts, speed=speed)
    pool.machine.world.guests = Guests(agent=True)
    return pool


def _metrics(pool: Hosting, vm: str) -> dict[str, object]:
    return dict(pool.record("VM_guest_metrics", pool.record("VM", vm)["guest_metrics"]))


def _vm(pool: Hosting, name: str = "guest", **xenstore: str) -> str:
    vm = pool.vm(name, agent=False, disk=True)
    pool("VM.set_xenstore_data", vm, {f"vm-data/sim-{key}": value for key, value in xenstore.items()})
    return vm


def test_a_guest_with_a_disk_tells_its_system_and_an_address_for_every_card() -> None:
    pool = talkative()
    vm = _vm(pool)
    vif = pool.vif(vm)
    pool.vif(vm, device="1", network=pool.network("inner"))
    pool("VM.start", vm, False, False)
    said = _metrics(pool, vm)
    networks = said["networks"]
    assert isinstance(networks, dict)
    assert said["PV_drivers_detected"] is True
    assert set(networks) == {f"{card}/{key}" for card in "01" for key in ("ip", "ipv4/0", "ipv6/0")}
    first, second = (ipaddress.IPv4Address(networks[f"{card}/ip"]) for card in "01")
    assert first in ipaddress.IPv4Network("10.40.16.0/20")  # of xenbr1
    assert second in ipaddress.IPv4Network("10.40.144.0/20")  # of xapi1
    assert networks["0/ipv6/0"].startswith("fe80::")
    assert {"clean_shutdown", "suspend", "changing_VCPUs_live"} <= pool.allowed(vm)
    pool("VM.clean_shutdown", vm)
    pool("VM.start", vm, False, False)
    assert _metrics(pool, vm)["networks"] == networks  # the same again
    assert pool.record("VIF", vif)["currently_attached"]


def test_without_anything_to_boot_there_are_no_tools_and_who_wants_none_has_none() -> None:
    pool = talkative()
    empty, mute = pool.vm("empty", agent=False), _vm(pool, "mute", agent="none")
    for vm in (empty, mute):
        pool("VM.start", vm, False, False)
        assert _metrics(pool, vm)["PV_drivers_detected"] is False
        assert pool.refused("VM.clean_shutdown", vm) == ["VM_LACKS_FEATURE", vm]


def test_tools_answer_some_time_after_the_start() -> None:
    pool = talkative(speed=100)
    vm = _vm(pool)
    pool("VM.start", vm, False, False)
    assert _metrics(pool, vm)["PV_drivers_detected"] is False
    assert "clean_shutdown" not in pool.allowed(vm)
    until(pool.machine.world, lambda: _metrics(pool, vm)["PV_drivers_detected"])
    assert "clean_shutdown" in pool.allowed(vm)


def test_a_boot_that_ended_reports_nothing() -> None:
    pool = talkative(speed=20)  # a second to end it in
    vm = _vm(pool)
    pool("VM.start", vm, False, False)
    pool("VM.hard_shutdown", vm)
    until(pool.machine.world, lambda: not pool.machine.world.agenda)
    assert _metrics(pool, vm)["PV_drivers_detected"] is False


def test_addresses_follow_the_cards() -> None:
    pool = talkative()
    vm = _vm(pool)
    pool.vif(vm)
    pool("VM.start", vm, False, False)
    before = _metrics(pool, vm)["networks"]
    late = pool.vif(vm, device="1")
    assert _metrics(pool, vm)["networks"] == before
    pool("VIF.plug", late)
    assert "1/ip" in str(_metrics(pool, vm)["networks"])
    pool("VIF.configure_ipv4", late, "Static", "192.0.2.9/24", "")
    assert "192.0.2.9" in str(_metrics(pool, vm)["networks"])
    pool("VIF.unplug", late)
    assert _metrics(pool, vm)["networks"] == before


def test_no_two_guests_have_one_address() -> None:
    pool = talkative()
    world = pool.machine.world
    world.guests = Guests(agent=True, network="10.9.0.0/28")
    seen = set()
    for number in range(4):
        vm = _vm(pool, f"guest{number}")
        pool.vif(vm)
        pool("VM.start", vm, False, False)
        seen.add(str(_metrics(pool, vm)["networks"]["0/ip"]))  # type: ignore[index]
    assert len(seen) == 4


def test_a_guest_that_ignores_a_shutdown_is_waited_for_a_minute() -> None:
    pool = talkative()
    deaf, slow = _vm(pool, "deaf", shutdown="ignore"), _vm(pool, "slow", shutdown="3000")
    for vm in (deaf, slow):
        pool("VM.start", vm, False, False)
    before = pool.machine.world.clock.now()
    assert pool.refused("VM.clean_shutdown", deaf) == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", deaf]
    assert 60 <= pool.machine.world.clock.now() - before < 70
    assert pool.refused("VM.clean_reboot", slow) == ["VM_SHUTDOWN_TIMEOUT", slow, "1200."]
    assert pool.state(deaf) == pool.state(slow) == "Running"
    pool("VM.shutdown", deaf)  # cleanly if it can be, else by force
    assert pool.state(deaf) == "Halted"


def test_a_suspended_guest_answers_as_soon_as_it_is_back() -> None:
    pool = talkative()
    vm = _vm(pool)
    pool.vif(vm)
    pool("VM.start", vm, False, False)
    before = _metrics(pool, vm)["networks"]
    pool("VM.suspend", vm)
    pool("VM.resume", vm, False, False)
    assert _metrics(pool, vm)["networks"] == before


@pytest.mark.parametrize(
    ("label", "distro", "name"),
    [
        ("debian-12", "debian", "Debian GNU/Linux 12 (bookworm)"),
        ("ubuntu-22.04", "ubuntu", "Ubuntu 22.04 LTS"),
        ("sles-12-sp5-64bit", "sles", "SUSE Linux Enterprise Server 12 SP5"),
        ("windows-server-2022-64bit", "windows", "Microsoft Windows Server 2022 Standard|C:\\Windows|\\Device\\Harddisk0\\Partition2"),
        ("other-install-media", "debian", "Debian GNU/Linux 12 (bookworm)"),
    ],
)
def test_a_guest_is_what_its_template_is_for(label: str, distro: str, name: str) -> None:
    said = guest_systems.os_version({"reference_label": label, "other_config": {}})
    assert (said["distro"], said["name"]) == (distro, name)


@pytest.mark.parametrize(("name", "distro"), [("Debian Bookworm 12", "debian"), ("Windows Server 2022 (64-bit)", "windows")])
def test_old_pools_know_templates_by_name_only(name: str, distro: str) -> None:
    said = guest_systems.os_version({"reference_label": "", "other_config": {"base_template_name": name}})
    assert said["distro"] == distro


def test_a_site_says_whether_its_guests_have_tools(tmp_path: object) -> None:
    assert site.load("examples").guests == Guests(agent=True, boot_seconds=20, network="10.40.0.0/16")
    assert not site.load("recorded-host").guests.agent
    with pytest.raises(site.SiteError, match=r"guests\.network"):
        site.parse({"guests": {"network": "10.0.0.1/8"}, "hosts": []})


def test_a_restart_of_the_simulator_does_not_forget_it(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    world = site.build(site.of_hosts(1), speed=0)
    world.store = store.Store(folder)
    dispatch(next(iter(world.machines.values())), "session.login_with_password", ["root", "xapi-test", "2.0", "tests"])
    world.save()
    world.store.close()
    again = store.Store(folder)
    assert again.load().guests == world.guests
    again.close()
