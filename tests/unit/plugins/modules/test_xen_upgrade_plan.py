# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling upgrades are planned from the live pool, over the wire; plans are carried out by hand."""

from __future__ import annotations

import threading
import typing as t
from itertools import chain

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal, marks
from ansible_collections.domzero.xen.tests.bench.upgrades.instances import instance
from ansible_collections.domzero.xen.tests.simulator import agent, instances, upgrade_lab

from ..conftest import Run, Start
from .upgrade_plan_lab import HOSTS, SPECIAL, Planned, Row, installer, lab, packages

MIB = 1 << 20
PACKAGES = {"method": "xcpng_packages"}
REBOOT = {"method": "reboot"}
MOTION, GUESTS = "Pool-wide network associated with eth2", "Pool-wide network associated with eth1"


@pytest.fixture
def site(simulator: Start) -> Planned:
    return lab(simulator)


@pytest.fixture
def special(simulator: Start) -> Planned:
    return lab(simulator, special=True)


def waves(result: Row) -> list[list[str]]:
    return [wave["hosts"] for wave in result["plan"]["waves"]]


def moves(result: Row) -> list[tuple[str, str, str]]:
    rows = [row for wave in result["plan"]["waves"] for row in wave["moves"]] + result["plan"]["home"]
    return [(row["vm"], row["from"], row["to"]) for row in rows]


# what is told ------------------------------------------------------------------------------------------------------
def test_the_plan_tells_hosts_moves_cost_and_what_comes_first(site: Planned, run: Run) -> None:
    mark = site.sim.mark()
    result = run("xen_upgrade_plan", **PACKAGES)
    assert run("xen_upgrade_plan", check=True, **PACKAGES) == result
    assert site.sim.calls(mark) == []
    assert (result["changed"], result["problems"], result["blockers"], result["left"], result["skipped"]) == (False, [], [], [], {})
    assert result["due"]["lab0"]["why"] == "4 packages are out of date"
    assert "xapi-core-26.18.0-1.1.xcpng8.3" in result["due"]["lab0"]["packages"]
    assert (waves(result)[0], sorted(chain(*waves(result)))) == (["lab0"], list(HOSTS))
    cost = result["cost"]
    assert (cost["moves"], cost["memory"], cost["most_moved"]) == (cost["bound"]["moves"], cost["bound"]["memory"], 2)
    first = result["plan"]["waves"][0]
    assert {row["vm"] for row in first["moves"]} == {"app0-01", "app0-02", "app0-03", "web0"}
    assert cost["memory"] == sum(row["memory"] for wave in result["plan"]["waves"] for row in wave["moves"])
    assert cost["minutes"] == pytest.approx(sum(wave["minutes"] for wave in result["plan"]["waves"]), abs=0.3)
    step = result["next"]
    assert (step["hosts"], step["evacuate"], step["starts"], result["done"]) == ([site.uuid_of_host("lab0")], True, [], False)
    assert step["disable"] == step["hosts"]
    assert [row["name"] for row in step["actions"]] == [row["vm"] for row in first["moves"]]
    assert step["actions"][0] == {
        "action": "migrate", "vm": site.vm_record(first["moves"][0]["vm"])["uuid"], "name": first["moves"][0]["vm"],
        "source": site.uuid_of_host("lab0"), "source_name": "lab0", "host": site.uuid_of_host(first["moves"][0]["to"]),
        "host_name": first["moves"][0]["to"], "memory": first["moves"][0]["memory"],
    }  # fmt: skip


def test_the_table_can_be_read(site: Planned, run: Run) -> None:
    table = run("xen_upgrade_plan", hosts=["lab0"], **REBOOT)["table"]
    assert table[:2] == ["1 host is due:", "  lab0  it is to be rebooted (reboot, coordinator)"]
    assert table[3] == "Wave 1: lab0, about 16.3 minutes"
    assert "  app0-01  lab0 -> lab1  8.067 GiB" in table
    assert table[-1].startswith("4 migrations, no VM more than once, 26.22 GiB (no plan does with less than 4 and 26.22 GiB); about 16.3")


def test_times_follow_from_speeds_that_are_given(site: Planned, run: Run) -> None:
    usual = run("xen_upgrade_plan", **REBOOT)["cost"]["minutes"]
    quick = run("xen_upgrade_plan", speed={"upgrade": 5, "nic": 500, "stream": 200}, **REBOOT)["cost"]["minutes"]
    assert 60 < usual < 70
    assert 20 < quick < 25


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"max_hosts_down": 0}, "max_hosts_down cannot be 0"),
        ({"max_parallel_migrations": 0}, "max_parallel_migrations cannot be 0"),
        ({"speed": {"nic": 0}}, "nic of speed cannot be 0"),
        ({"hosts": ["lab9"]}, "No host is named 'lab9'"),
        ({"network": "nowhere"}, "No network is named 'nowhere'"),
        ({"follow": {"waves": [1]}}, "follow is not a plan as this module returns it"),
        ({"run": "r1"}, "No upgrade of this pool is under way"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(site: Planned, run: Run, given: Row, text: str) -> None:
    with pytest.raises((InvalidChange, NotFound), match=text):
        run("xen_upgrade_plan", **REBOOT, **given)


def test_two_vms_of_one_name_are_told_apart(site: Planned, run: Run) -> None:
    site("VM.set_name_label", site.named("app0-02"), "app0-01")
    names = {row["vm"] for row in run("xen_upgrade_plan", **REBOOT)["plan"]["waves"][0]["moves"]}
    twins = {vm["uuid"] for vm in site.db.all("VM").values() if vm["name_label"] == "app0-01"}
    assert len(twins) == 2
    assert names == {*twins, "app0-03", "web0"}


def test_a_plan_for_32_hosts_takes_a_handful_of_requests(simulator: Start, run: Run) -> None:
    given = instance("mixed", 32, 8, 0.6, 1)
    sim = simulator(instances.build(given))
    before = sim.received
    result = run("xen_upgrade_plan", method="reboot", unmovable="shutdown")
    assert sim.received - before <= 14
    assert result["cost"]["memory"] == result["cost"]["bound"]["memory"] > 0
    moved = {vm["id"]: (vm["memory"] + vm["overhead"]) * MIB for vm in given["vms"]}
    assert all(row["memory"] == moved[row["vm"]] for wave in result["plan"]["waves"] for row in wave["moves"])


# plans that are carried out ------------------------------------------------------------------------------------------
def carried_out(site: Planned, run: Run, update: t.Callable[..., object], **options: t.Any) -> list[Row]:
    """Until nothing is left, planned anew before every step; the plans."""
    plans = []
    while True:
        plans.append(run("xen_upgrade_plan", **options))
        assert len(plans) < 20
        if plans[-1]["done"]:
            return plans
        site.carry_out(plans[-1]["next"], update)


def test_a_pool_gets_its_packages_as_planned(site: Planned, run: Run) -> None:
    plans = carried_out(site, run, packages, **PACKAGES)
    assert {site.version(host) for host in HOSTS} == {"4.17.5-15"}
    assert [len(plan["due"]) for plan in plans] == [4, 3, 2, 1, 0]
    first = plans[0]["cost"]["memory"]
    assert sum(row["memory"] for plan in plans for row in plan["next"]["actions"]) == first, "later plans go on where the first one was"
    assert plans[-1]["table"] == ["No host is due.", "", "No VM moves; about 0 minutes."]


def test_a_new_release_is_installed_and_vms_that_cannot_move_are_down_for_their_own_host_only(simulator: Start, run: Run) -> None:
    site = lab(simulator, "installer", special=True)
    before = site.where()
    options = {"method": "installer", "install_url": upgrade_lab.INSTALLER, "unmovable": "shutdown"}
    plans = carried_out(site, run, installer, **options)
    assert {site.version(host, "product_version") for host in HOSTS} == {"8.3.0"}
    after = site.where()
    assert after.keys() == before.keys()
    assert {vm: after[vm] for vm in SPECIAL} == {vm: before[vm] for vm in SPECIAL}
    assert set(plans[0]["cost"]["downtime"]) == set(SPECIAL)
    for wave in plans[0]["plan"]["waves"]:
        stopped = [(row["vm"], row["host"], row["action"]) for row in wave["stops"]]
        assert all(host in wave["hosts"] and action == "shutdown" for _vm, host, action in stopped)
        assert [(row["vm"], row["host"], row["action"]) for row in wave["starts"]] == [(vm, host, "start") for vm, host, _how in stopped]


def _repository(pool: Planned) -> Row:
    ref = pool("Repository.introduce", "normal", "", upgrade_lab.REPOSITORY, "", True, "")
    pool("pool.set_repositories", pool.world.pools[0].pool_ref, [ref])
    pool("pool.sync_updates", pool.world.pools[0].pool_ref, False, "", "")
    return {"method": "repository"}


def _file(pool: Planned) -> Row:
    pool("pool_update.introduce", pool.db.one("VDI", name_label="XS76E999.iso"))
    return {"method": "pool_update", "updates": ["XS76E999"]}


@pytest.mark.parametrize(
    ("kind", "prepare", "why"),
    [
        ("packages", lambda _pool: PACKAGES, "4 packages are out of date"),
        ("repository", _repository, "it lacks XS8-2026-0001, XS8-2026-0002"),
        ("pool_update", _file, "XS76E999"),
        ("installer", lambda _pool: {"method": "installer", "install_url": upgrade_lab.INSTALLER}, "8.3"),
        ("reboot", lambda _pool: REBOOT, "it is to be rebooted"),
        ("packages", lambda _pool: {"method": "command"}, ""),
    ],
    ids=["packages", "repository", "pool_update", "installer", "reboot", "command"],
)
def test_a_plan_for_every_method(simulator: Start, run: Run, kind: str, prepare: t.Callable[[Planned], Row], why: str) -> None:
    pool = lab(simulator, kind)
    options = prepare(pool)
    mark = pool.sim.mark()
    result = run("xen_upgrade_plan", **options)
    assert why in result["due"]["lab1"]["why"]
    assert (waves(result)[0], sorted(chain(*waves(result)))) == (["lab0"], list(HOSTS))
    assert all(row["evacuate"] and (row["reboot"] or options["method"] == "command") for row in result["due"].values())
    assert result["cost"]["moves"] == 21
    assert [call["method"] for call in pool.sim.calls(mark) if call["method"] not in ("host.call_plugin",)] == []


@pytest.mark.parametrize(("family", "load", "home"), [("mixed", 0.5, "never"), ("aa", 0.7, "always")])
def test_plans_for_full_pools_are_valid_step_by_step(simulator: Start, run: Run, family: str, load: float, home: str) -> None:
    sim = simulator(instances.build(instance(family, 4, 8, load, 3)))
    pool = Planned(next(iter(sim.world.machines.values())))
    pool.port, pool.sim = sim.hosts[0].port, sim
    before = pool.where()
    if home == "always":
        for vm, host in before.items():
            pool.mark(vm, marks.HOME, pool.uuid_of_host(host))
    follow: Row = {}
    plans = []
    while not plans or not plans[-1]["done"]:
        plans.append(run("xen_upgrade_plan", unmovable="shutdown", return_home=home, follow=follow, **PACKAGES))
        assert not plans[-1].get("failed"), plans[-1]["msg"]
        pool.carry_out(plans[-1]["next"], packages)
        follow = plans[-1]["plan"]
    assert len({row["software_version"]["platform_version"] for row in pool.db.all("host").values()}) == 1
    assert pool.where().keys() == before.keys()
    assert sum(len([row for row in plan["next"]["actions"] if row["action"] == "migrate"]) for plan in plans) == plans[0]["cost"]["moves"]
    assert home == "never" or pool.where() == before


def test_everybody_is_home_in_the_end_if_that_is_asked_for(site: Planned, run: Run) -> None:
    before = site.where()
    for vm, host in before.items():
        site.mark(vm, marks.HOME, site.uuid_of_host(host))
    plans = carried_out(site, run, packages, return_home="always", max_hosts_down=2, **PACKAGES)
    assert site.where() == before
    assert plans[0]["cost"]["most_moved"] == 2
    assert sum(len(plan["next"]["actions"]) for plan in plans) == plans[0]["cost"]["moves"] == plans[0]["cost"]["bound"]["moves"]


# the pool as it is -----------------------------------------------------------------------------------------------------
def test_a_plan_is_gone_on_with_as_long_as_the_pool_is_as_it_left_it(site: Planned, run: Run) -> None:
    options = {"return_home": "always", **PACKAGES}
    for vm, host in site.where().items():
        site.mark(vm, marks.HOME, site.uuid_of_host(host))
    first = run("xen_upgrade_plan", **options)
    site.carry_out(first["next"], packages)
    second = run("xen_upgrade_plan", follow=first["plan"], **options)
    assert waves(second) == waves(first)[1:]
    assert moves(second) == moves(first)[len(first["next"]["actions"]) :]
    assert run("xen_upgrade_plan", follow=second["plan"], **options)["plan"] == second["plan"]
    for action in second["next"]["actions"][:3]:
        site.do(action)
    third = run("xen_upgrade_plan", follow=second["plan"], **options)
    assert moves(third) == moves(second)[3:], "what was done when it was interrupted is not done again"
    vm, source, target = moves(third)[0]
    elsewhere = next(host for host in HOSTS if host not in (source, target) and site.version(host) == site.version(source))
    site("VM.pool_migrate", site.named(vm), site.ref(elsewhere), {})
    after = run("xen_upgrade_plan", follow=second["plan"], **options)
    assert all(site.where()[row["name"]] == row["source_name"] for row in after["next"]["actions"][:1]), (
        "moved by somebody: a way from there"
    )
    site("VM.start", site.named("halted"), False, False)
    new = run("xen_upgrade_plan", follow=after["plan"], **options)
    assert "halted" in {vm for vm, _source, _target in moves(new)} or site.version(site.where()["halted"]) == "4.17.5-15"


def test_a_pool_that_is_half_upgraded_is_finished(site: Planned, run: Run) -> None:
    for _number in range(2):
        site.carry_out(run("xen_upgrade_plan", **PACKAGES)["next"], packages)
    done = {host for host in HOSTS if site.version(host) == "4.17.5-15"}
    assert len(done) == 2
    result = run("xen_upgrade_plan", **PACKAGES)
    assert set(result["due"]) == set(HOSTS) - done
    targets = [to for _vm, source, to in moves(result) if source not in done]
    assert set(targets[: len(result["next"]["actions"])]) <= done, "newer hosts take them for good"


def test_only_the_hosts_asked_for(site: Planned, run: Run) -> None:
    result = run("xen_upgrade_plan", hosts=["lab2", site.uuid_of_host("lab3")], **REBOOT)
    assert set(result["due"]) == {"lab2", "lab3"} == set(chain(*waves(result)))
    refused = run("xen_upgrade_plan", hosts=["lab2"], **PACKAGES)
    assert refused["failed"]
    assert "The coordinator lab0 has to be upgraded before any other host" in refused["msg"]


def test_several_hosts_at_once_after_the_coordinator(site: Planned, run: Run) -> None:
    result = run("xen_upgrade_plan", max_hosts_down=2, anti_affinity="soft", **REBOOT)
    assert waves(result)[0] == ["lab0"]
    assert max(map(len, waves(result))) == 2
    assert result["cost"]["minutes"] < run("xen_upgrade_plan", **REBOOT)["cost"]["minutes"]


@pytest.mark.usefixtures("site")
def test_a_toolstack_restart_leaves_vms_where_they_are(run: Run) -> None:
    result = run("xen_upgrade_plan", method="xcpng_packages", packages=["xapi-core"], reboot="never")
    assert (result["cost"]["moves"], result["next"]["evacuate"], result["next"]["actions"]) == (0, False, [])
    assert waves(result) == [["lab0"], ["lab1", "lab2", "lab3"]]
    assert result["cost"]["minutes"] == 4
    assert not any(row["evacuate"] for row in result["due"].values())


def test_members_of_a_group_are_kept_apart(site: Planned, run: Run) -> None:
    where = {"web0": "lab0", "web1": "lab1", "web2": "lab2"}
    for vm, source, target in moves(run("xen_upgrade_plan", **REBOOT)):
        if vm in where:
            assert where[vm] == source
            where[vm] = target
            assert len(set(where.values())) == 3


def test_vms_go_to_the_host_of_their_affinity_if_that_is_asked_for(site: Planned, run: Run) -> None:
    result = run("xen_upgrade_plan", return_home="affinity", **REBOOT)
    ends = {vm: to for vm, _source, to in moves(result)}
    assert {ends[f"app2-0{n}"] for n in (1, 2, 3)} == {"lab2"}


def test_a_host_in_maintenance_gets_no_vms_before_it_is_upgraded(site: Planned, run: Run) -> None:
    site("host.disable", site.ref("lab3"))
    refused = run("xen_upgrade_plan", **PACKAGES)
    assert "web0, web1, web2 have to be on different hosts, and there are too few for that while lab0 is upgraded." in refused["msg"]
    result = run("xen_upgrade_plan", anti_affinity="soft", **PACKAGES)
    assert all(row["to"] != "lab3" for row in result["plan"]["waves"][0]["moves"])
    assert ["lab3"] in waves(result)


def test_migrations_under_way_are_waited_for(site: Planned, run: Run) -> None:
    site.world.set_speed(60)
    task = site("Async.VM.pool_migrate", site.named("db"), site.ref("lab3"), {})
    assert site.record("task", task)["status"] == "pending"
    threading.Timer(1, lambda: site.world.set_speed(0)).start()
    result = run("xen_upgrade_plan", **REBOOT)
    assert site.record("task", task)["status"] == "success"
    assert ("db", "lab3") in [(vm, source) for vm, source, _to in moves(result)]


# what cannot move ------------------------------------------------------------------------------------------------------
def test_every_vm_that_blocks_is_named_with_what_to_do(special: Planned, run: Run) -> None:
    mark = special.sim.mark()
    result = run("xen_upgrade_plan", **PACKAGES)
    assert result["failed"]
    assert special.sim.calls(mark) == []
    blocked = {row["vm"]: row for row in result["blockers"]}
    assert set(blocked) == set(SPECIAL)
    assert {vm: (row["host"], row["code"]) for vm, row in blocked.items()} == {
        "special-deaf": ("lab1", "VM_REQUIRES_SR"), "special-local": ("lab2", "VM_REQUIRES_SR"),
        "special-pci": ("lab3", "VM_HAS_PCI_ATTACHED"), "special-toolless": ("lab3", "VM_LACKS_FEATURE"),
    }  # fmt: skip
    assert blocked["special-local"]["why"] == "Disk 0 of VM 'special-local' is in SR 'Local storage', which no host has but 'lab2'."
    assert blocked["special-toolless"]["remedy"] == "Install the guest tools, or shut it down."
    assert result["problems"] == [f"{row['why']} {row['remedy']}" for row in result["blockers"]]
    assert all(problem in result["msg"] for problem in result["problems"])
    assert result["msg"].endswith("Or let unmovable say what becomes of such VMs.")
    assert result["table"][5] == "There is no plan:"
    assert (result["done"], result["cost"], result["next"]["hosts"]) == (False, None, [])
    codes = {code for host in HOSTS for code, *_more in special("host.get_vms_which_prevent_evacuation", special.ref(host)).values()}
    assert codes == {row["code"] for row in result["blockers"]}, "as xapi says"


def test_their_hosts_are_left_out_if_that_is_the_policy(special: Planned, run: Run) -> None:
    result = run("xen_upgrade_plan", unmovable="skip_host", **PACKAGES)
    assert waves(result) == [["lab0"]]
    assert set(result["skipped"]) == {"lab1", "lab2", "lab3"}
    assert result["skipped"]["lab2"] == "VMs on it cannot be moved: special-local (VM_REQUIRES_SR)"
    assert len(result["blockers"]) == 4
    special.carry_out(result["next"], packages)
    after = run("xen_upgrade_plan", unmovable="skip_host", **PACKAGES)
    assert (after["done"], set(after["skipped"]), after["next"]["actions"]) == (True, {"lab1", "lab2", "lab3"}, [])


def test_a_vm_that_cannot_be_suspended_either_is_told(special: Planned, run: Run) -> None:
    result = run("xen_upgrade_plan", unmovable="suspend", **REBOOT)
    assert result["failed"]
    assert [problem.partition(" uses ")[0].partition(" has no")[0] for problem in result["problems"]] == [
        "VM 'special-pci'", "VM 'special-toolless'",
    ]  # fmt: skip
    assert "It cannot be suspended either." in result["problems"][0]
    result = run("xen_upgrade_plan", unmovable="suspend", hosts=["lab2"], **REBOOT)
    (wave,) = result["plan"]["waves"]
    assert [row["action"] for row in (*wave["stops"], *wave["starts"])] == ["suspend", "resume"]
    why = "Disk 0 of VM 'special-local' is in SR 'Local storage', which no host has but 'lab2'."
    assert f"  special-local: suspend on lab2, resume afterwards. {why}" in result["table"]
    special.carry_out(result["next"], lambda *_args: None)
    assert special.where()["special-local"] == "lab2"
    for call in ("clean_shutdown", "hard_shutdown"):
        special("VM.add_to_blocked_operations", special.named("special-local"), call, "never")
    refused = run("xen_upgrade_plan", unmovable="shutdown", hosts=["lab2"], **REBOOT)
    assert "It cannot be shut down either." in refused["msg"]


def test_no_vm_is_stopped_because_a_host_is_down_or_has_its_storage_detached(site: Planned, run: Run) -> None:
    options = {"unmovable": "shutdown", "hosts": ["lab0"], "anti_affinity": "soft", **REBOOT}
    shared = site.db.one("SR", name_label="vms")
    plugs = [ref for ref in site.db.get("SR", shared)["PBDs"] if site.db.get("PBD", ref)["host"] != site.host]
    for ref in plugs:
        site.db.set("PBD", ref, currently_attached=False)
    result = run("xen_upgrade_plan", **options)
    assert result["failed"]
    assert "Host 'lab1' has storage detached that is its own." in result["problems"][0]
    assert result["problems"][0].endswith("Attach it there (xen_sr).")
    for ref in plugs:
        site.db.set("PBD", ref, currently_attached=True)
    assert not run("xen_upgrade_plan", **options).get("failed")
    for host in HOSTS[1:]:
        agent.power_off(site.at(host))
    result = run("xen_upgrade_plan", **options)
    assert result["failed"]
    assert "VM 'web0' has no other host that is up and could take it. Host 'lab1', which could take it, is down." in result["msg"]
    assert result["next"]["actions"] == []


def test_a_disc_that_other_hosts_cannot_reach_counts_as_ejected_or_is_told(special: Planned, run: Run) -> None:
    sr = special.db.one("SR", name_label="isos")
    for pbd in special.db.get("SR", sr)["PBDs"]:
        if special.db.get("PBD", pbd)["host"] != special.host:
            special("PBD.unplug", pbd)
    options = {"hosts": ["lab0"], **REBOOT}
    result = run("xen_upgrade_plan", **options)
    assert ("special-disc", "lab0") in [(vm, source) for vm, source, _to in moves(result)]
    assert result["discs"] == [{"vm": "special-disc", "disc": "debian-12.7.0-amd64-netinst.iso"}]
    assert "debian-12.7.0-amd64-netinst.iso is ejected from the drive of special-disc meanwhile." in result["table"]
    result = run("xen_upgrade_plan", eject=False, **options)
    (blocker,) = result["blockers"]
    assert result["discs"] == []
    assert (blocker["vm"], blocker["code"]) == ("special-disc", "VM_REQUIRES_SR")
    assert "debian-12.7.0-amd64-netinst.iso" in blocker["why"]
    assert blocker["remedy"].startswith("Eject it, or let eject be true.")


def test_memory_that_is_missing_is_told(site: Planned, run: Run) -> None:
    for host in ("lab2", "lab3"):
        site("host.disable", site.ref(host))
    options = {"hosts": ["lab0"], "anti_affinity": "soft", **REBOOT}
    assert not run("xen_upgrade_plan", **options).get("failed"), "lab1 alone takes them"
    site("host.disable", site.ref("lab1"))
    result = run("xen_upgrade_plan", **options)
    assert "may run on no other host that is up" in result["msg"]


def test_what_the_records_do_not_tell_xapi_is_asked(site: Planned, run: Run) -> None:
    site.db.set("VM", site.named("web0"), recommendations='<restriction field="memory-static-min" min="99999999999"/>')
    result = run("xen_upgrade_plan", **REBOOT)
    assert [(row["vm"], row["code"]) for row in result["blockers"]] == [("web0", "MEMORY_CONSTRAINT_VIOLATION")]
    site.db.set("VM", site.named("web0"), recommendations="", allowed_operations=[])
    before = site.sim.received
    assert not run("xen_upgrade_plan", **REBOOT)["blockers"], "xapi says that nothing prevents it"
    assert site.sim.received - before <= 16


def test_a_network_without_addresses_carries_no_vm(site: Planned, run: Run) -> None:
    assert not run("xen_upgrade_plan", network=MOTION, **REBOOT).get("failed")
    pif = next(ref for ref, row in site.db.all("PIF").items() if row["device"] == "eth2" and row["host"] == site.ref("lab3"))
    site("PIF.reconfigure_ip", pif, "None", "", "", "", "")
    assert all(to != "lab3" for _vm, _source, to in moves(run("xen_upgrade_plan", network=MOTION, hosts=["lab0"], **REBOOT)))
    result = run("xen_upgrade_plan", network=GUESTS, **REBOOT)
    assert result["failed"]
    assert f"Network {GUESTS!r} cannot carry the migration" in result["msg"]


# what an earlier run has left ---------------------------------------------------------------------------------------------
def test_a_vm_that_was_stopped_is_started_first_where_its_host_is_done(special: Planned, run: Run) -> None:
    vm = special.named("special-local")
    options = {"unmovable": "shutdown", "hosts": ["lab0"], **REBOOT}
    special.mark("special-local", marks.STOPPED, f"shutdown {special.uuid_of_host('lab2')}")
    assert run("xen_upgrade_plan", **options)["next"]["hosts"], "it runs: nothing to do about it"
    special("VM.hard_shutdown", vm)
    step = run("xen_upgrade_plan", **options)["next"]
    assert [(row["action"], row["name"], row["host_name"]) for row in step["actions"]] == [("start", "special-local", "lab2")]
    assert (step["hosts"], step["starts"]) == ([], [])
    special.carry_out(step, packages)
    assert special.where()["special-local"] == "lab2"
    assert run("xen_upgrade_plan", **options)["next"]["hosts"] == [special.uuid_of_host("lab0")]


def test_a_vm_that_was_stopped_waits_for_its_host_and_keeps_its_memory(special: Planned, run: Run) -> None:
    special.do({"action": "suspend", "vm": special.vm_record("special-local")["uuid"], "host": special.uuid_of_host("lab2")})
    result = run("xen_upgrade_plan", unmovable="shutdown", hosts=["lab2"], **REBOOT)
    (wave,) = result["plan"]["waves"]
    assert (wave["stops"], [(row["vm"], row["action"]) for row in wave["starts"]]) == ([], [("special-local", "resume")])
    assert [(row["name"], row["action"]) for row in result["next"]["starts"]] == [("special-local", "resume")]
    agent.power_off(special.at("lab2"))
    result = run("xen_upgrade_plan", method="none")
    assert result["done"]
    assert result["left"] == [
        "Host 'lab2' is down and left out. Switch it on.",
        "VM 'special-local' was stopped on host 'lab2', which is down. Switch the host on, or start the VM elsewhere (xen_vm).",
    ]
    result = run("xen_upgrade_plan", unmovable="shutdown", anti_affinity="soft", **REBOOT)
    assert set(result["due"]) == {"lab0", "lab1", "lab3"} == set(chain(*waves(result)))
    assert not any("lab2" in (source, to) for _vm, source, to in moves(result))
    assert result["table"][-2:] == result["left"]


def test_hosts_that_were_in_maintenance_when_the_upgrade_began_stay_so_and_get_no_vms(site: Planned, run: Run) -> None:
    site("host.disable", site.ref("lab3"))
    options = {"anti_affinity": "soft", **REBOOT}
    assert any(to == "lab3" for _vm, _source, to in moves(run("xen_upgrade_plan", **options)))
    note = journal.Note("r1", "u1", since="20260101T00:00:00Z", disabled=[site.uuid_of_host("lab3")])
    site("pool.add_to_other_config", site.world.pools[0].pool_ref, f"{journal.PREFIX}1", note.text())
    result = run("xen_upgrade_plan", run="r1", since="2030-01-01T00:00:00Z", **options)
    assert ["lab3"] in waves(result)
    assert all(to != "lab3" for _vm, _source, to in moves(result))


def test_where_nothing_is_due_vms_go_home_and_then_all_is_done(site: Planned, run: Run) -> None:
    site("VM.pool_migrate", site.named("db"), site.ref("lab3"), {})
    site.mark("db", marks.HOME, site.uuid_of_host("lab1"))
    site.mark("web0", marks.HOME, "aa0b6b53-0000-0000-0000-000000000000")
    options = {"method": "none", "return_home": "always"}
    result = run("xen_upgrade_plan", **options)
    assert (waves(result), moves(result), result["done"]) == ([], [("db", "lab3", "lab1")], False)
    assert result["left"] == ["VM 'web0' is to be brought back to a host that is not in the pool any more. It stays on 'lab0'."]
    site.carry_out(result["next"], packages)
    assert run("xen_upgrade_plan", **options)["done"]
    assert run("xen_upgrade_plan", method="none")["done"], "nobody asked for homes"
