# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a host. Maintenance and power are in test_xen_host_power.py."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound
from ansible_collections.domzero.xen.tests.simulator.database import Database

Run = Start = t.Callable[..., t.Any]
Sim = t.Any


def db_of(sim: Sim) -> Database:
    return t.cast("Database", sim.world.pools[0].db)


def ref_of(sim: Sim, host: int = 1) -> str:
    return t.cast("str", list(sim.world.machines.values())[host].host_ref)


def record(sim: Sim, host: int = 1) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", db_of(sim).get("host", ref_of(sim, host)))


@pytest.fixture
def pair(simulator: Start) -> Sim:
    return simulator(2)


def refused(run: Run, sim: Sim, words: str, **params: t.Any) -> InvalidChange:
    """A refusal that is the same in check mode, before any changing call."""
    mark = sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=words) as caught:
            run("xen_host", check=check, **{"name": "xcp01", **params})
    assert sim.calls(mark) == []
    return caught.value


# which host -----------------------------------------------------------------------
def test_a_host_is_found_by_its_name(pair: Sim, converges: Run) -> None:
    assert converges("xen_host", name="xcp01", description="Rack 3")["operations"] == ["host.set_name_description"]
    assert record(pair)["name_description"] == "Rack 3"


def test_a_host_found_by_its_uuid_is_named(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", uuid=record(pair)["uuid"], name="db1")
    assert done["operations"] == ["host.set_name_label"]
    assert record(pair)["name_label"] == "db1"


def test_a_host_found_by_its_address_is_named(pair: Sim, converges: Run) -> None:
    converges("xen_host", address=pair.hosts[1].url, name="db1")
    assert record(pair)["name_label"] == "db1"


@pytest.mark.parametrize("which", [{"address": "192.0.2.9"}, {"uuid": "52e2f9fe-8aca-4e7e-9b80-b8d8eb2ce90d"}])
def test_an_unknown_host_lists_those_there_are(which: dict[str, str], pair: Sim, run: Run) -> None:
    with pytest.raises(NotFound, match=r"There are: xcp00 \(127.10.0.100\), xcp01 \(127.10.0.101\)"):
        run("xen_host", **which)


def test_a_name_nobody_has_lists_those_there_are(pair: Sim, run: Run) -> None:
    with pytest.raises(NotFound, match=r"No host is named 'xcp9'.*There are: xcp00, xcp01"):
        run("xen_host", name="xcp9")


def test_a_name_that_two_hosts_have_is_told_with_their_uuids(pair: Sim, run: Run) -> None:
    db_of(pair).set("host", ref_of(pair, 0), name_label="xcp01")
    with pytest.raises(Ambiguous, match=record(pair)["uuid"]):
        run("xen_host", name="xcp01")


# plain settings ------------------------------------------------------------------
PLAIN: list[tuple[str, t.Any, list[str]]] = [
    ("tags", ["rack3", "ssd"], ["host.set_tags"]),
    ("iscsi_iqn", "iqn.2024-01.com.example:db1", ["host.set_iscsi_iqn"]),
    ("multipathing", True, ["host.set_multipathing"]),
    ("dom0_hostname", "db1.example.com", ["host.set_hostname_live"]),
    ("timezone", "Europe/Berlin", ["host.set_timezone"]),
    ("https_only", False, ["host.set_https_only"]),
    ("numa_affinity_policy", "best_effort", ["host.set_numa_affinity_policy"]),
    ("console_idle_timeout", 600, ["host.set_console_idle_timeout"]),
    ("guest_vcpus_params", {"mask": "1,2"}, ["host.set_guest_VCPUs_params"]),
    ("suspend_image_sr", "", ["host.set_suspend_image_sr"]),
    ("crash_dump_sr", "", ["host.set_crash_dump_sr"]),
]


@pytest.mark.parametrize(("option", "value", "operations"), PLAIN)
def test_a_setting_is_changed_by_one_call(option: str, value: t.Any, operations: list[str], pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", **{option: value})
    assert done["operations"] == operations
    assert done["host"][option] == value


def test_ssh_may_turn_itself_off_again(simulator: Start, converges: Run) -> None:
    simulator(2, speed=1)
    assert converges("xen_host", name="xcp01", ssh_enabled_timeout=3600)["operations"] == ["host.set_ssh_enabled_timeout"]


def test_an_sr_is_given_by_name(pair: Sim, converges: Run) -> None:
    sr = db_of(pair).create("SR", name_label="VM disks", shared=True)
    converges("xen_host", name="xcp01", suspend_image_sr="VM disks")
    assert record(pair)["suspend_image_sr"] == sr


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("iscsi_iqn", "db1", "'db1' cannot be the iSCSI name of host 'xcp01'. Such a name reads iqn"),
        ("iscsi_iqn", "", "cannot be the iSCSI name"),
        ("dom0_hostname", "db_1", "'db_1' cannot be a host name"),
        ("timezone", "Berlin", "does not know the time zone 'Berlin'. Perhaps: Europe/Berlin"),
        ("timezone", "Mars/Olympus", "does not know the time zone"),
        ("ssh_enabled_timeout", 999999, "0 to 172800"),
        ("console_idle_timeout", -1, "0 or more"),
        ("ntp_mode", "Custom", "NTP mode Custom of host 'xcp01' needs servers"),
        ("power_on_password", "secret", "has no power_on_mode to use power_on_password with"),
    ],
)
def test_a_value_that_cannot_be_is_refused(option: str, value: t.Any, words: str, pair: Sim, run: Run) -> None:
    refused(run, pair, words, **{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timezone", "Europe/Berlin"),
        ("ntp_mode", "DHCP"),
        ("ssh_enabled", False),
        ("ssh_auto_mode", True),
        ("numa_affinity_policy", "any"),
        ("https_only", True),
    ],
)
def test_a_setting_that_the_release_lacks_is_named(option: str, value: t.Any, simulator: Start, run: Run) -> None:
    sim = simulator(1, release="xcp-ng-8.2")
    refused(run, sim, f"{option} of host 'xcp00' is not known to this host's release", name="xcp00", **{option: value})


# maps -----------------------------------------------------------------------------
def test_keys_of_other_config_are_written_one_by_one(pair: Sim, converges: Run) -> None:
    db_of(pair).add_to_map("host", ref_of(pair), "other_config", "theirs", "1")
    db_of(pair).add_to_map("host", ref_of(pair), "other_config", "old", "1")
    done = converges("xen_host", name="xcp01", other_config={"old": None, "owner": "us", "theirs": 2})
    assert done["operations"] == ["host.remove_from_other_config"] * 2 + ["host.add_to_other_config"] * 2
    assert done["host"]["other_config"] == {"theirs": "2", "owner": "us"}
    assert "boot_time" in record(pair)["other_config"]


@pytest.mark.parametrize("key", ["boot_time", "agent_start_time"])
def test_keys_that_a_host_writes_itself_are_neither_told_nor_taken(key: str, pair: Sim, run: Run) -> None:
    assert key not in run("xen_host", name="xcp01")["host"]["other_config"]
    refused(run, pair, f"{key} of other_config is written by the host itself", other_config={key: "0"})


@pytest.mark.parametrize("key", ["iscsi_iqn", "multipathing"])
def test_keys_that_follow_an_option_are_set_with_that(key: str, pair: Sim, run: Run) -> None:
    refused(run, pair, f"Set {key} instead", other_config={key: "x"})


def test_a_log_destination_is_set_and_taken_away(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", syslog_destination="log.example.com")
    assert done["operations"] == ["host.set_logging", "host.syslog_reconfigure"]
    assert done["host"]["logging"] == {"syslog_destination": "log.example.com"}
    assert converges("xen_host", name="xcp01", syslog_destination="")["host"]["logging"] == {}


def test_the_log_destination_is_a_key_of_the_logging(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", logging={"syslog_destination": "log.example.com"})
    assert done["host"]["syslog_destination"] == "log.example.com"


def test_two_log_destinations_are_refused(pair: Sim, run: Run) -> None:
    refused(run, pair, "different destinations", syslog_destination="a", logging={"syslog_destination": "b"})


# NTP, SSH, display ----------------------------------------------------------------
def test_time_servers_come_before_their_mode_and_go_after_it(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", ntp_mode="Custom", ntp_custom_servers=["b.example", "a.example"])
    assert done["operations"] == ["host.set_ntp_custom_servers", "host.set_ntp_mode"]
    assert done["host"]["ntp_custom_servers"] == ["a.example", "b.example"]
    done = converges("xen_host", name="xcp01", ntp_mode="DHCP", ntp_custom_servers=[])
    assert done["operations"] == ["host.set_ntp_mode", "host.set_ntp_custom_servers"]


def test_ssh_is_turned_off_and_on_which_ends_its_automatic_mode(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", ssh_enabled=False)
    assert done["operations"] == ["host.disable_ssh"]
    assert done["host"]["ssh_auto_mode"] is False
    assert converges("xen_host", name="xcp01", ssh_enabled=True)["operations"] == ["host.enable_ssh"]


def test_the_automatic_mode_of_ssh_is_kept_if_asked_for(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", ssh_enabled=False, ssh_auto_mode=True)
    assert done["operations"] == ["host.disable_ssh", "host.set_ssh_auto_mode"]


def test_a_display_is_turned_off_with_the_next_boot(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", display="disabled")
    assert done["operations"] == ["host.disable_display"]
    assert done["host"]["display"] == "disable_on_reboot"
    assert converges("xen_host", name="xcp01", display="enabled")["host"]["display"] == "enabled"


# local cache ----------------------------------------------------------------------
def local_sr(sim: Sim, host: int = 1) -> str:
    db = db_of(sim)
    srs = [db.get("PBD", pbd)["SR"] for pbd in db.get("host", ref_of(sim, host))["PBDs"]]
    return t.cast("str", next(db.get("SR", sr)["uuid"] for sr in srs if db.get("SR", sr)["name_label"] == "Local storage"))


def test_the_local_cache_changes_in_maintenance(pair: Sim, converges: Run) -> None:
    done = converges("xen_host", name="xcp01", enabled=False, local_cache_sr=local_sr(pair))
    assert done["operations"] == ["host.disable", "host.enable_local_storage_caching"]
    assert converges("xen_host", name="xcp01", local_cache_sr="")["operations"] == ["host.disable_local_storage_caching"]


def test_the_local_cache_stays_outside_maintenance(pair: Sim, run: Run) -> None:
    error = refused(run, pair, "changes only in maintenance", local_cache_sr=local_sr(pair))
    assert error.code == "HOST_NOT_DISABLED"


def test_the_local_cache_is_a_local_sr_of_that_host(pair: Sim, run: Run) -> None:
    refused(run, pair, "is not a local SR attached there", enabled=False, local_cache_sr=local_sr(pair, 0))


# power-on ---------------------------------------------------------------------------
def passwords(sim: Sim, *words: str) -> list[str]:
    """Which of these the pool keeps as secrets."""
    return [secret["value"] for secret in db_of(sim).all("secret").values() if secret["value"] in words]


def test_how_a_host_is_switched_on_is_kept_with_its_password_as_a_secret(pair: Sim, converges: Run) -> None:
    config = {"power_on_ip": "192.0.2.61", "power_on_user": "root"}
    done = converges("xen_host", name="xcp01", power_on_mode="DRAC", power_on_config=config, power_on_password="hidden")
    assert done["operations"] == ["secret.create", "secret.get_uuid", "host.set_power_on_mode"]
    assert done["host"]["power_on_config"] == config
    assert "hidden" not in str(done)
    secret = db_of(pair).one("secret", uuid=record(pair)["power_on_config"]["power_on_password_secret"])
    assert db_of(pair).get("secret", secret)["value"] == "hidden"


def test_the_password_stays_when_only_the_rest_changes(pair: Sim, converges: Run) -> None:
    converges("xen_host", name="xcp01", power_on_mode="DRAC", power_on_config={"power_on_user": "root"}, power_on_password="hidden")
    done = converges("xen_host", name="xcp01", power_on_config={"power_on_user": "admin"})
    assert done["operations"] == ["host.set_power_on_mode"]
    assert passwords(pair, "hidden") == ["hidden"]


def test_the_password_is_written_again_on_demand(pair: Sim, run: Run) -> None:
    task = {"name": "xcp01", "power_on_mode": "DRAC", "power_on_password": "one"}
    run("xen_host", **task)
    assert run("xen_host", **{**task, "power_on_password": "two"})["changed"] is False
    assert run("xen_host", **{**task, "power_on_password": "two"}, update_password="always")["changed"] is True
    assert passwords(pair, "one", "two") == ["two"]


def test_without_a_mode_nothing_is_kept(pair: Sim, converges: Run) -> None:
    converges("xen_host", name="xcp01", power_on_mode="DRAC", power_on_config={"power_on_user": "root"}, power_on_password="hidden")
    assert converges("xen_host", name="xcp01", power_on_mode="")["host"]["power_on_config"] == {}
    assert record(pair)["power_on_config"] == {}
    assert passwords(pair, "hidden") == []


# a host that is down -----------------------------------------------------------------
def halt(sim: Sim, host: int = 1) -> None:
    with sim.world.lock:
        list(sim.world.machines.values())[host].go_down()
        db_of(sim).set("host_metrics", record(sim, host)["metrics"], live=False)


def test_a_host_that_is_down_can_be_named(pair: Sim, converges: Run) -> None:
    halt(pair)
    assert converges("xen_host", address=pair.hosts[1].address, name="db1")["host"]["power_state"] == "halted"


@pytest.mark.parametrize(
    ("option", "value"), [("multipathing", True), ("timezone", "Europe/Berlin"), ("ssh_enabled", False), ("enabled", False)]
)
def test_a_host_that_is_down_cannot_be_asked_for_more(option: str, value: t.Any, pair: Sim, run: Run) -> None:
    halt(pair)
    error = refused(run, pair, "Host 'xcp01' is down, so the task could not", **{option: value})
    assert error.code == "HOST_OFFLINE"
