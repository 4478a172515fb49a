# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a pool, its coordinator, hosts that leave, high availability, certificates. How hosts join: test_xen_pool_join.py."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.tests.simulator.database import Database

Run = Start = t.Callable[..., t.Any]
Sim = t.Any


def db_of(sim: Sim, host: int = 0) -> Database:
    return t.cast("Database", list(sim.world.machines.values())[host].pool.db)


def host_ref(sim: Sim, host: int) -> str:
    return t.cast("str", list(sim.world.machines.values())[host].host_ref)


def set_pool(sim: Sim, **fields: t.Any) -> None:
    db_of(sim).set("pool", db_of(sim).one("pool"), **fields)


def shared_sr(sim: Sim, name: str = "VM disks", *, kind: str = "nfs", hosts: int | None = None) -> str:
    """A shared SR straight in the database, attached on the first so many hosts."""
    db = db_of(sim)
    sr = db.create("SR", name_label=name, shared=True, type=kind, physical_size=1 << 40)
    for ref in list(db.all("host"))[:hosts]:
        db.create("PBD", SR=sr, host=ref, currently_attached=True)
    return sr


def nfs_sr(session: Session, name: str = "VM disks") -> None:
    """One with a server behind it."""
    host = next(iter(session.call("host.get_all")))
    config = {"server": "127.10.0.10", "serverpath": "/export/vms"}
    session.call("SR.create", host, config, 0, name, "", "nfs", "user", True, {})


@pytest.fixture
def trio(simulator: Start) -> Sim:
    """A pool of three hosts."""
    return simulator(3)


@pytest.fixture
def alone(simulator: Start) -> Sim:
    """Two hosts that are pools of their own."""
    return simulator(2, joined=False)


def refused(run: Run, sim: Sim, words: str, **params: t.Any) -> InvalidChange:
    """A refusal that is the same in check mode, before any changing call."""
    mark = sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=words) as caught:
            run("xen_pool", check=check, **params)
    assert sim.calls(mark) == []
    return caught.value


# settings -----------------------------------------------------------------------
def test_a_pool_is_named(converges: Run) -> None:
    done = converges("xen_pool", name="Lab", description="For tests", tags=["b", "a"], other_config={"owner": "us"})
    assert done["operations"] == ["pool.set_name_label", "pool.set_name_description", "pool.set_tags", "pool.set_other_config"]
    assert done["pool"]["tags"] == ["a", "b"]
    assert done["pool"]["other_config"]["owner"] == "us"


def test_keys_of_others_stay_and_null_removes_a_key(pool: t.Any, converges: Run) -> None:
    set_pool(pool(), other_config={"theirs": "1", "ours": "2"})
    assert converges("xen_pool", other_config={"ours": None})["pool"]["other_config"] == {"theirs": "1"}


def test_srs_are_given_by_name(pool: t.Any, converges: Run) -> None:
    sr = shared_sr(pool())
    done = converges("xen_pool", default_sr="VM disks", suspend_image_sr="VM disks", crash_dump_sr="VM disks")
    assert done["operations"] == ["pool.set_default_SR", "pool.set_suspend_image_SR", "pool.set_crash_dump_SR"]
    assert db_of(pool()).get("pool", db_of(pool()).one("pool"))["default_SR"] == sr


def test_no_default_sr_is_asked_for_with_an_empty_name(pool: t.Any, converges: Run) -> None:
    set_pool(pool(), default_SR=shared_sr(pool()))
    assert converges("xen_pool", default_sr="")["pool"]["default_sr"] == ""


def test_an_unknown_sr_lists_those_there_are(pool: t.Any, run: Run) -> None:
    shared_sr(pool())
    with pytest.raises(NotFound, match=r"No SR is named 'Disks'.*There are: .*VM disks"):
        run("xen_pool", default_sr="Disks")


@pytest.mark.parametrize("option", ["migration_compression", "igmp_snooping_enabled", "ha_allow_overcommit"])
def test_switches_are_switched(option: str, converges: Run) -> None:
    assert converges("xen_pool", **{option: True})["pool"][option] is True
    assert converges("xen_pool", **{option: False})["pool"][option] is False


def test_a_field_that_the_release_lacks_is_named(simulator: Start, run: Run) -> None:
    sim = simulator(1, release="xcp-ng-8.2")
    refused(run, sim, "migration_compression of pool 'xcp00' is not known to this host's release", migration_compression=True)


def test_another_pool_than_meant_is_left_alone(pool: t.Any, run: Run) -> None:
    with pytest.raises(NotFound, match="This is pool 'xcp00' with the uuid"):
        run("xen_pool", uuid="52e2f9fe-8aca-4e7e-9b80-b8d8eb2ce90d", name="x")


# coordinator ----------------------------------------------------------------------
def test_another_host_becomes_the_coordinator_and_the_task_follows(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    done = converges("xen_pool", coordinator="xcp01", allow_disruption=True)
    assert done["operations"] == ["pool.designate_new_master"]
    assert done["pool"]["coordinator"] == "xcp01"
    assert [m["name"] for m in done["pool"]["members"]] == ["xcp00", "xcp02"]
    assert all(db_of(sim).get("host", ref)["enabled"] for ref in db_of(sim).all("host"))


def test_the_coordinator_may_be_given_by_address_or_uuid(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    assert run("xen_pool", coordinator=sim.hosts[0].url)["changed"] is False
    assert run("xen_pool", coordinator=db_of(sim).get("host", host_ref(sim, 0))["uuid"])["changed"] is False


def test_a_change_of_the_coordinator_needs_the_word_of_the_task(simulator: Start, run: Run) -> None:
    refused(run, simulator(2), "would make host 'xcp01' the coordinator, which ends all sessions", coordinator="xcp01")


def test_a_new_coordinator_is_refused_while_a_host_is_down(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    db_of(sim).set("host_metrics", db_of(sim).get("host", host_ref(sim, 2))["metrics"], live=False)
    error = refused(run, sim, "every host must agree, and these are down: xcp02", coordinator="xcp01", allow_disruption=True)
    assert error.code == "HOST_OFFLINE"


def test_a_new_coordinator_is_refused_under_high_availability(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    set_pool(sim, ha_enabled=True)
    assert refused(run, sim, "high availability is on", coordinator="xcp01", allow_disruption=True).code == "HA_IS_ENABLED"


def test_an_unknown_coordinator_lists_the_hosts(simulator: Start, run: Run) -> None:
    simulator(2)
    with pytest.raises(NotFound, match="There are: xcp00, xcp01"):
        run("xen_pool", coordinator="xcp9")


def handed(sim: Sim, session: Session, **login: str) -> dict[str, t.Any]:
    pins = [host.fingerprint_sha256 for host in sim.hosts]
    return {"session": {"url": session.endpoint.url, "ref": session.handle, "fingerprint": pins}, **login}


def test_a_session_handed_over_cannot_follow_without_a_password(session: Session, pool: t.Any, run: Run) -> None:
    task = {**handed(pool(), session), "coordinator": "xcp01", "allow_disruption": True}
    refused(run, pool(), "in a session that was handed over", **task)


def test_a_session_handed_over_is_replaced_where_the_password_is_known(session: Session, pool: t.Any, run: Run) -> None:
    task = handed(pool(), session, username=pool().username, password=pool().password)
    assert run("xen_pool", coordinator="xcp01", allow_disruption=True, **task)["pool"]["coordinator"] == "xcp01"


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_a_connection_lost_while_the_coordinator_changes_is_no_harm(simulator: Start, run: Run, cut: str) -> None:
    sim = simulator(2)
    getattr(sim.faults, cut)("pool.designate_new_master")
    assert run("xen_pool", coordinator="xcp01", allow_disruption=True)["pool"]["coordinator"] == "xcp01"
    assert all(db_of(sim).get("host", ref)["enabled"] for ref in db_of(sim).all("host"))


# leaving ------------------------------------------------------------------------
def local_data(sim: Sim, host: int) -> None:
    """A disk on the host's local storage that a VM uses."""
    db = db_of(sim)
    pbds = [db.get("PBD", pbd) for pbd in db.get("host", host_ref(sim, host))["PBDs"]]
    sr = next(pbd["SR"] for pbd in pbds if db.get("SR", pbd["SR"])["name_label"] == "Local storage")
    db.set("SR", sr, physical_size=100 << 30)
    vdi = db.create("VDI", name_label="root", SR=sr, virtual_size=8 << 30, managed=True)
    db.create("VBD", VM=db.create("VM", name_label="web1", power_state="Halted"), VDI=vdi)


def test_a_host_is_not_ejected_without_the_word_of_the_task_and_the_loss_is_told(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    local_data(sim, 1)
    error = refused(run, sim, "With host 'xcp01' its local data would be lost", eject=["xcp01"])
    assert "SR 'Local storage' (ext, 100 GiB) with disk 'root' (8 GiB); VMs with disks there: web1" in str(error)
    (loss,) = error.facts["eject"]
    assert loss == {
        "host": "xcp01",
        "srs": [{"name": "Local storage", "type": "ext", "size": 100 << 30, "vdis": [{"name": "root", "size": 8 << 30}]}],
        "vms": ["web1"],
    }


def test_a_host_leaves_the_pool(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    local_data(sim, 1)
    done = converges("xen_pool", eject=["xcp01"], lose_local_data=True)
    assert done["operations"] == ["pool.eject"]
    assert done["eject"][0]["vms"] == ["web1"]
    assert [m["name"] for m in done["pool"]["members"]] == ["xcp02"]
    assert db_of(sim, 1) is not db_of(sim, 0)


def test_what_would_be_lost_is_told_in_check_mode_too(simulator: Start, run: Run) -> None:
    simulator(2)
    done = run("xen_pool", check=True, eject=["xcp01"], lose_local_data=True)
    assert [sr["name"] for sr in done["eject"][0]["srs"]] == ["Local storage"]


def test_the_name_of_an_sr_comes_back_when_its_namesake_leaves(simulator: Start, converges: Run) -> None:
    simulator(2)
    assert converges("xen_pool", eject=["xcp01"], lose_local_data=True)["pool"]["default_sr"] == "Local storage"


def test_a_host_that_is_not_in_the_pool_needs_no_ejecting(simulator: Start, run: Run) -> None:
    simulator(2)
    assert run("xen_pool", eject=["xcp7", "192.0.2.3"])["changed"] is False


def test_the_coordinator_cannot_leave(simulator: Start, run: Run) -> None:
    refused(run, simulator(2), "it is the coordinator.*Make another host", eject=["xcp00"], lose_local_data=True)


def test_the_former_coordinator_can_leave_in_the_same_task(simulator: Start, converges: Run) -> None:
    simulator(3)
    done = converges("xen_pool", on=2, coordinator="xcp01", eject=["xcp00"], lose_local_data=True, allow_disruption=True)
    assert done["operations"] == ["pool.designate_new_master", "pool.eject"]
    assert [m["name"] for m in done["pool"]["members"]] == ["xcp02"]
    assert done["pool"]["default_sr"] == ""
    assert "the pool's default_sr" in done["warnings"][0]


def test_a_host_with_running_vms_cannot_leave(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    db_of(sim).create("VM", name_label="web1", power_state="Running", resident_on=host_ref(sim, 1))
    error = refused(run, sim, "VMs run on it: web1. Move or stop them", eject=["xcp01"], lose_local_data=True)
    assert error.code == "OPERATION_NOT_ALLOWED"


def test_a_host_that_is_down_cannot_leave(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    db_of(sim).set("host_metrics", db_of(sim).get("host", host_ref(sim, 1))["metrics"], live=False)
    assert refused(run, sim, "it does not answer", eject=["xcp01"], lose_local_data=True).code == "HOST_OFFLINE"


def test_nobody_leaves_under_high_availability(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    set_pool(sim, ha_enabled=True)
    assert refused(run, sim, "high availability is on", eject=["xcp01"], lose_local_data=True).code == "HA_IS_ENABLED"


def test_a_host_cannot_come_and_go_at_once(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    refused(run, sim, "stands in members and in eject", members=[{"address": sim.hosts[1].url}], eject=["xcp01"], lose_local_data=True)


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_a_connection_lost_while_a_host_leaves_is_no_harm(simulator: Start, run: Run, cut: str) -> None:
    sim = simulator(2)
    getattr(sim.faults, cut)("pool.eject")
    assert run("xen_pool", eject=["xcp01"], lose_local_data=True)["pool"]["members"] == []


# high availability ------------------------------------------------------------------
def test_high_availability_is_turned_on_and_off(trio: Sim, session: Session, converges: Run) -> None:
    nfs_sr(session)
    on = converges("xen_pool", ha={"enabled": True, "heartbeat_srs": ["VM disks"], "host_failures_to_tolerate": 1})
    assert on["operations"] == ["pool.enable_ha", "pool.set_ha_host_failures_to_tolerate"]
    assert on["pool"]["ha"] == {"enabled": True, "heartbeat_srs": ["VM disks"], "host_failures_to_tolerate": 1}
    off = converges("xen_pool", ha={"enabled": False})
    assert off["operations"] == ["pool.disable_ha"]
    assert off["pool"]["ha"]["heartbeat_srs"] == []


def test_another_heartbeat_sr_turns_it_off_and_on_again(trio: Sim, session: Session, converges: Run) -> None:
    nfs_sr(session, "one")
    nfs_sr(session, "two")
    converges("xen_pool", ha={"enabled": True, "heartbeat_srs": ["one"]})
    assert converges("xen_pool", ha={"heartbeat_srs": ["two"]})["operations"] == ["pool.disable_ha", "pool.enable_ha"]


def test_one_of_several_heartbeat_srs_is_enough(trio: Sim, session: Session, converges: Run) -> None:
    nfs_sr(session, "one")
    nfs_sr(session, "two")
    assert converges("xen_pool", ha={"enabled": True, "heartbeat_srs": ["two", "one"]})["pool"]["ha"]["heartbeat_srs"] == ["two"]


def test_it_needs_a_heartbeat_sr(simulator: Start, run: Run) -> None:
    refused(run, simulator(2), "without heartbeat SRs", ha={"enabled": True})


def test_a_local_sr_carries_no_heartbeat(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    refused(
        run, sim, "'Local storage' cannot carry the heartbeat: it is not shared", ha={"enabled": True, "heartbeat_srs": ["Local storage"]}
    )


def test_the_heartbeat_sr_must_be_attached_on_every_host(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    shared_sr(sim, hosts=1)
    refused(run, sim, "it is not attached on xcp01, xcp02", ha={"enabled": True, "heartbeat_srs": ["VM disks"]})


def test_a_type_of_sr_that_has_no_statefile_is_named(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    shared_sr(sim, kind="iso")
    refused(run, sim, "SRs of type iso do not support it", ha={"enabled": True, "heartbeat_srs": ["VM disks"]})


def test_it_is_not_turned_on_while_a_host_is_down(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    shared_sr(sim)
    db_of(sim).set("host_metrics", db_of(sim).get("host", host_ref(sim, 1))["metrics"], live=False)
    refused(run, sim, "while hosts are down: xcp01", ha={"enabled": True, "heartbeat_srs": ["VM disks"]})


def test_a_licence_without_it_is_named(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    shared_sr(sim)
    set_pool(sim, restrictions={"enable_xha": "false"})
    error = refused(run, sim, "licence does not include", ha={"enabled": True, "heartbeat_srs": ["VM disks"]})
    assert error.code == "LICENCE_RESTRICTION"


@pytest.mark.parametrize(("failures", "words"), [(2, "A pool of 2 hosts cannot tolerate that 2 of them fail"), (-1, "cannot be negative")])
def test_more_failures_than_hosts_are_refused(failures: int, words: str, simulator: Start, run: Run) -> None:
    sim = simulator(2)
    shared_sr(sim)
    refused(run, sim, words, ha={"enabled": True, "heartbeat_srs": ["VM disks"], "host_failures_to_tolerate": failures})


def test_a_host_joins_while_the_task_turns_it_off(alone: Sim, session: Session, run: Run) -> None:
    nfs_sr(session)
    run("xen_pool", ha={"enabled": True, "heartbeat_srs": ["VM disks"]})
    member = {"address": alone.hosts[1].url}
    assert run("xen_pool", ha={"enabled": False}, members=[member])["operations"] == ["pool.disable_ha", "pool.join"]


# certificates -------------------------------------------------------------------------
def certificate(name: str = "lab") -> str:
    """A CA certificate in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=365)).not_valid_after(now + dt.timedelta(days=3650))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_ca_certificate_is_installed_replaced_and_removed(simulator: Start, converges: Run) -> None:
    simulator(2)
    one, two = certificate(), certificate()
    assert converges("xen_pool", ca_certificates=[{"name": "lab", "certificate": one}])["operations"] == ["pool.install_ca_certificate"]
    replaced = converges("xen_pool", ca_certificates=[{"name": "lab", "certificate": two}])
    assert replaced["operations"] == ["pool.uninstall_ca_certificate", "pool.install_ca_certificate"]
    removed = converges("xen_pool", ca_certificates=[{"name": "lab", "state": "absent"}])
    assert removed["operations"] == ["pool.uninstall_ca_certificate"]
    assert removed["pool"]["ca_certificates"] == []


def test_ca_certificates_of_others_stay(simulator: Start, converges: Run) -> None:
    simulator(1)
    converges("xen_pool", ca_certificates=[{"name": "theirs", "certificate": certificate()}])
    done = converges("xen_pool", ca_certificates=[{"name": "ours", "certificate": certificate()}])
    assert [c["name"] for c in done["pool"]["ca_certificates"]] == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "lab", "certificate": "hello"}, "not one in PEM form"),
        ({"name": "lab"}, "CA certificate 'lab' is not installed"),
        ({"name": "../lab", "certificate": "hello"}, "cannot be the name of a CA certificate"),
    ],
)
def test_a_certificate_that_cannot_be_is_refused(entry: dict[str, str], words: str, simulator: Start, run: Run) -> None:
    refused(run, simulator(1), words, ca_certificates=[entry])


def test_a_certificate_must_have_the_fingerprint_the_task_names(simulator: Start, run: Run) -> None:
    entry = {"name": "lab", "certificate": certificate(), "fingerprint_sha256": "AA:BB"}
    refused(run, simulator(1), "has the fingerprint .*, not AA:BB", ca_certificates=[entry])


def test_certificates_are_checked_inside_the_pool(simulator: Start, converges: Run) -> None:
    simulator(2)
    assert converges("xen_pool", tls_verification=True)["operations"] == ["pool.enable_tls_verification"]


def test_the_check_of_certificates_cannot_be_turned_off(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_pool", tls_verification=True)
    refused(run, sim, "cannot be turned off again", tls_verification=False)


def test_a_release_without_certificates_says_so(simulator: Start, run: Run) -> None:
    refused(run, simulator(1, release="xenserver-7.6"), "release cannot manage CA certificates", tls_verification=True)


# failures ----------------------------------------------------------------------------
def test_a_call_that_fails_says_what_it_was_for_and_what_was_done(pool: t.Any, run: Run) -> None:
    pool().faults.fail("pool.set_name_description", error=["INTERNAL_ERROR", "x"])
    with pytest.raises(ApiError, match="Could not set description of pool 'xcp00'") as failed:
        run("xen_pool", name="Lab", description="y")
    assert failed.value.done == ["pool.set_name_label"]


def test_a_member_passes_the_task_on(simulator: Start, run: Run) -> None:
    simulator(2)
    assert run("xen_pool", on=1, name="Lab")["pool"]["name"] == "Lab"


def test_a_coordinator_that_stays_away_is_named(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    sim.faults.keep_down("xcp01")
    with pytest.raises(XenError, match=r"Waited 1 seconds for the pool to answer (again|at host 'xcp01')"):
        run("xen_pool", coordinator="xcp01", allow_disruption=True, wait_timeout=1)
