# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM goes to another host of its pool; all that prevents it is told at once."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange, NotFound

from .moving_lab import GIB, Lab

Run = t.Callable[..., t.Any]


@pytest.fixture
def lab(simulator, session_to) -> Lab:
    sim = simulator(2)
    return Lab(sim, session_to(sim))


def codes(refused: pytest.ExceptionInfo[InvalidChange]) -> list[str]:
    return [reason["code"] for reason in refused.value.facts["reasons"]]


# moving ------------------------------------------------------------------------------
def test_a_guest_moves_once(lab: Lab, converges: Run) -> None:
    vm = lab.running(disks=1)
    done = converges("xen_vm_migrate", name="web1", host="xcp01")
    assert done["changed"] is True
    assert done["operations"] == ["VM.pool_migrate"]
    assert done["vm"] == {"name": "web1", "host": "xcp01", "disks": {"0": "NFS"}, "uuid": lab("VM.get_uuid", vm)}
    assert done["diff"]["before"]["host"] == "xcp00"
    assert lab.where(vm) == "xcp01"


def test_the_host_is_known_by_its_address_and_the_guest_by_its_uuid(lab: Lab, run: Run) -> None:
    vm = lab.running()
    address = lab("host.get_address", lab.host("xcp01"))
    assert run("xen_vm_migrate", uuid=lab("VM.get_uuid", vm), host=address)["vm"]["host"] == "xcp01"


def test_what_is_told_can_be_handed_back(lab: Lab, run: Run) -> None:
    lab.running(disks=2)
    told = run("xen_vm_migrate", name="web1", host="xcp01")["vm"]
    assert run("xen_vm_migrate", **told)["changed"] is False


def test_it_goes_over_the_network_the_task_names(lab: Lab, run: Run) -> None:
    vm = lab.running()
    run("xen_pif", host="xcp01", device="eth1", mode="static", ip="172.16.0.201/24")
    mark = lab.sim.mark()
    run("xen_vm_migrate", name="web1", host="xcp01", network="Pool-wide network associated with eth1", compress=True)
    (call,) = lab.sim.calls(mark)
    storage = lab.one("network", "Pool-wide network associated with eth1")
    assert call["params"] == [vm, lab.host("xcp01"), {"live": "true", "network": storage, "compress": "true"}]


def test_it_goes_over_the_network_the_pool_keeps_for_it_if_that_can_carry_it(lab: Lab, run: Run) -> None:
    lab.running()
    network = lab.one("network", "Pool-wide network associated with eth1")
    lab("pool.add_to_other_config", lab("pool.get_all")[0], "xo:migrationNetwork", lab("network.get_uuid", network))
    told = run("xen_vm_migrate", name="web1", host="xcp01", check=True)
    assert "management network is used instead" in told["warnings"][0]
    run("xen_pif", host="xcp01", device="eth1", mode="static", ip="172.16.0.201/24")
    mark = lab.sim.mark()
    assert "warnings" not in run("xen_vm_migrate", name="web1", host="xcp01")
    assert lab.sim.calls(mark)[0]["params"][2]["network"] == network


def test_a_disc_is_ejected_when_the_task_allows_it(lab: Lab, run: Run, converges: Run) -> None:
    vm = lab.vm()
    disc = lab.disk(vm, lab.local_sr("xcp00"), "1", name_label="driver.iso")
    lab("VBD.destroy", lab("VDI.get_VBDs", disc)[0])
    lab.drive(vm, disc, "3", "CD")
    lab("VM.start_on", vm, lab.host("xcp00"), False, False)
    with pytest.raises(InvalidChange, match=r"holds 'driver.iso' of SR .* Eject it, or set eject_cd: true"):
        run("xen_vm_migrate", name="web1", host="xcp01")
    done = converges("xen_vm_migrate", name="web1", host="xcp01", eject_cd=True)
    assert done["operations"] == ["VBD.eject", "VM.pool_migrate"]
    assert lab.where(vm) == "xcp01"


# obstacles ---------------------------------------------------------------------------
def test_all_obstacles_are_told_at_once_also_in_check_mode(lab: Lab, run: Run) -> None:
    vm = lab.running(tools=False, sr=lab.local_sr("xcp00"), disks=1)
    lab("VM.add_to_blocked_operations", vm, "pool_migrate", "licence bound to this host")
    lab("host.disable", lab.host("xcp01"))
    metrics = lab("host.get_metrics", lab.host("xcp01"))
    lab.bend("host_metrics", metrics, memory_total=GIB // 4)
    mark = lab.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange) as refused:
            run("xen_vm_migrate", name="web1", host="xcp01", check=check)
        assert codes(refused) == ["OPERATION_BLOCKED", "VM_LACKS_FEATURE", "HOST_DISABLED", "HOST_NOT_ENOUGH_FREE_MEMORY", "VM_REQUIRES_SR"]
        for told in ("licence bound to this host", "no guest tools", "in maintenance", "of memory free", "Disk 0 of VM 'web1' is in SR"):
            assert told in str(refused.value)
        assert all(reason["remedy"] for reason in refused.value.facts["reasons"])
    assert lab.made(mark) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"attached_PCIs": ["OpaqueRef:pci"]}, "VM_HAS_PCI_ATTACHED"),
        ({"power_state": "Paused"}, "VM_BAD_POWER_STATE"),
        ({"VCPUs_at_startup": 999, "VCPUs_max": 999}, "HOST_NOT_ENOUGH_PCPUS"),
        ({"hardware_platform_version": 99}, "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION"),
        ({"last_boot_CPU_flags": {"vendor": "AuthenticAMD", "features": ""}}, "VM_INCOMPATIBLE_WITH_THIS_HOST"),
        ({"last_boot_CPU_flags": {"vendor": "", "features": "ffffffff-ffffffff-ffffffff-ffffffff"}}, "VM_INCOMPATIBLE_WITH_THIS_HOST"),
    ],
)
def test_what_ties_a_guest_is_named(lab: Lab, run: Run, fields: dict[str, t.Any], code: str) -> None:
    vm = lab.running()
    lab.bend("VM", vm, **fields)
    with pytest.raises(InvalidChange) as refused:
        run("xen_vm_migrate", name="web1", host="xcp01")
    assert codes(refused) == [code]


def test_a_usb_device_ties_a_guest(lab: Lab, run: Run) -> None:
    vm = lab.running()
    with lab.sim.world.lock:
        lab.db.create("VUSB", VM=vm, USB_group=lab.db.create("USB_group"))
    lab("VM.update_allowed_operations", vm)
    with pytest.raises(InvalidChange, match="has a USB device of its host"):
        run("xen_vm_migrate", name="web1", host="xcp01")


@pytest.mark.parametrize(
    ("cls", "field", "value", "code"),
    [
        ("metrics", "nomigrate", True, "VM_IS_IMMOBILE"),
        ("metrics", "nested_virt", True, "VM_IS_IMMOBILE"),
        ("guest_metrics", "other", {"data-cant-suspend-reason": "no driver"}, "VM_NON_SUSPENDABLE"),
    ],
)
def test_what_the_guest_says_is_named(lab: Lab, run: Run, cls: str, field: str, value: object, code: str) -> None:
    vm = lab.running()
    lab.bend(f"VM_{cls}", lab(f"VM.get_{cls}", vm), **{field: value})
    lab("VM.update_allowed_operations", vm)
    with pytest.raises(InvalidChange) as refused:
        run("xen_vm_migrate", name="web1", host="xcp01")
    assert codes(refused) == [code]


def test_a_host_of_an_older_release_takes_no_guests(lab: Lab, run: Run) -> None:
    lab.running()
    host = lab.host("xcp01")
    lab.bend("host", host, software_version={**lab("host.get_software_version", host), "platform_version": "3.2.0"})
    with pytest.raises(InvalidChange, match="'xcp01' runs an older release than 'xcp00'"):
        run("xen_vm_migrate", name="web1", host="xcp01")


def test_networks_that_the_host_lacks_are_named(lab: Lab, run: Run) -> None:
    vm = lab.vm()
    pif = lab.db.one("PIF", host=lab.host("xcp00"), device="eth1", VLAN=-1)
    lab("VLAN.create", pif, 7, lab("network.create", {"name_label": "Only there", "name_description": "", "other_config": {}}))
    lab.card(vm, lab.one("network", "Only there"))
    lab("VM.start_on", vm, lab.host("xcp00"), False, False)
    with pytest.raises(InvalidChange, match="'xcp01' is not connected to network 'Only there'"):
        run("xen_vm_migrate", name="web1", host="xcp01")


def test_a_network_without_an_address_there_carries_no_migration(lab: Lab, run: Run) -> None:
    lab.running()
    with pytest.raises(InvalidChange, match="cannot carry the migration: Host 'xcp01' has"):
        run("xen_vm_migrate", name="web1", host="xcp01", network="Pool-wide network associated with eth1")


def test_a_host_whose_protected_guests_could_not_be_restarted_takes_no_more(lab: Lab, run: Run) -> None:
    for name, host in (("web1", "xcp00"), ("db1", "xcp01")):
        lab.bend("VM", lab.running(name, host, memory=GIB), ha_restart_priority="restart", ha_always_run=True)
    lab.bend("pool", lab("pool.get_all")[0], ha_enabled=True, ha_host_failures_to_tolerate=1)
    run("xen_vm_migrate", name="web1", host="xcp01", check=True)
    spare = lab("host.compute_free_memory", lab.host("xcp00"))
    metrics = lab("host.get_metrics", lab.host("xcp00"))
    lab.bend("host_metrics", metrics, memory_total=int(lab("host_metrics.get_memory_total", metrics)) - spare)
    with pytest.raises(InvalidChange, match="If host 'xcp01' failed, the others could not hold its protected VMs and VM 'web1'"):
        run("xen_vm_migrate", name="web1", host="xcp01")


def test_force_moves_a_guest_without_tools(lab: Lab, run: Run) -> None:
    vm = lab.running(tools=False)
    assert run("xen_vm_migrate", name="web1", host="xcp01", force=True)["changed"] is True
    assert lab.where(vm) == "xcp01"


def test_what_only_xapi_knows_is_told_in_words_before_anything_is_done(lab: Lab, run: Run) -> None:
    lab.running()
    lab.sim.faults.fail("VM.assert_can_boot_here", error=["VM_REQUIRES_IOMMU", lab.host("xcp01")])
    mark = lab.sim.mark()
    with pytest.raises(InvalidChange, match="needs an IOMMU") as refused:
        run("xen_vm_migrate", name="web1", host="xcp01")
    assert codes(refused) == ["VM_REQUIRES_IOMMU"]
    assert lab.made(mark) == []


def test_what_goes_wrong_on_the_way_is_told_in_words(lab: Lab, run: Run) -> None:
    vm = lab.running()
    lab.sim.faults.fail("VM.pool_migrate", error=["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"])
    with pytest.raises(ApiError, match="Could not move VM 'web1' to host 'xcp01': High availability could no longer restart"):
        run("xen_vm_migrate", name="web1", host="xcp01")
    assert lab.where(vm) == "xcp00"


def test_a_halted_guest_is_on_no_host(lab: Lab, run: Run) -> None:
    lab.vm(disks=1)
    done = run("xen_vm_migrate", name="web1", host="xcp01")
    assert done["changed"] is False
    assert "affinity" in done["warnings"][0]


def test_a_halted_guest_whose_disks_the_host_does_not_have_is_not_there(lab: Lab, run: Run) -> None:
    lab.vm(sr=lab.local_sr("xcp00"), disks=1)
    with pytest.raises(InvalidChange, match="Say with sr or disks where it is to go"):
        run("xen_vm_migrate", name="web1", host="xcp01")


def test_unknown_names_are_told_with_those_there_are(lab: Lab, run: Run) -> None:
    lab.running(disks=1)
    with pytest.raises(NotFound, match=r"no VM 'web9'\. This one has: web1"):
        run("xen_vm_migrate", name="web9", host="xcp01")
    with pytest.raises(NotFound, match="No host is named 'xcp9'"):
        run("xen_vm_migrate", name="web1", host="xcp9")
    with pytest.raises(NotFound, match=r"disks names '7', which the VM does not have\. It has: 0 \(disk 0\)"):
        run("xen_vm_migrate", name="web1", disks={"7": "NFS"})
    with pytest.raises(NotFound, match="srs names 'NFZ', which this pool does not have"):
        run("xen_vm_migrate", name="web1", srs={"NFZ": "NFS"})


# interruption ------------------------------------------------------------------------
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
def test_a_migration_whose_connection_breaks_ends_where_it_would_have(lab: Lab, run: Run, cut: str) -> None:
    vm = lab.running(disks=1)
    getattr(lab.sim.faults, cut)(1)
    assert run("xen_vm_migrate", name="web1", host="xcp01")["vm"]["host"] == "xcp01"
    assert lab.where(vm) == "xcp01"
    assert run("xen_vm_migrate", name="web1", host="xcp01")["changed"] is False


def test_a_migration_under_way_is_waited_for(lab: Lab, run: Run) -> None:
    vm = lab.running()
    lab.sim.world.clock.set_speed(4)
    lab("Async.VM.pool_migrate", vm, lab.host("xcp01"), {"live": "true"})
    lab.moving(vm)
    done = run("xen_vm_migrate", name="web1", host="xcp01")
    assert (done["changed"], done["operations"]) == (False, [])
    assert done["vm"]["host"] == "xcp01"


@pytest.mark.slow(whole=True)
def test_a_migration_that_takes_too_long_goes_on_and_says_how_far_it_is(lab: Lab, run: Run) -> None:
    vm = lab.running(memory=8 * GIB)
    lab.sim.world.clock.set_speed(2)
    with pytest.raises(Exception, match=r"VM.pool_migrate had reached \d+% after 1 seconds and goes on"):
        run("xen_vm_migrate", name="web1", host="xcp01", wait_timeout=1)
    assert run("xen_vm_migrate", name="web1", host="xcp01")["changed"] is False
    assert lab.where(vm) == "xcp01"
