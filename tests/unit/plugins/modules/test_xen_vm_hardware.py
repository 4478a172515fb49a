# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, processors and the way of booting of VMs."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

if t.TYPE_CHECKING:
    from ansible_collections.domzero.xen.plugins.module_utils.client import Session

    from ..conftest import Run

GIB = 2**30
VM = {"name": "web01", "template": "Debian Bookworm 12", "xenstore_data": {"vm-data/sim-agent": "10.40.0.5"}, "wait_timeout": 5}
RUNNING = {**VM, "power_state": "running", "wait_for": "tools"}


def record(session: Session, name: str = "web01") -> dict[str, t.Any]:
    ((_ref, found),) = [(r, x) for r, x in session.call("VM.get_all_records").items() if x["name_label"] == name]
    return t.cast("dict[str, t.Any]", found)


def refusal(run: Run, **options: t.Any) -> str:
    """What the module says against it, in check mode."""
    try:
        run("xen_vm", name="web01", **options, check=True)
    except InvalidChange as e:
        return e.message
    return ""


# memory ---------------------------------------------------------------------------
def test_a_fixed_size_sets_all_limits(converges: Run) -> None:
    done = converges("xen_vm", **VM, memory="4 GiB")
    assert {done["vm"][f"memory_{limit}"] for limit in ("static_max", "dynamic_min", "dynamic_max")} == {4 * GIB}
    assert converges("xen_vm", name="web01", memory="256 MiB")["vm"]["memory_static_min"] == 256 * 2**20


def test_the_dynamic_range_changes_while_the_vm_runs(converges: Run, session: Session) -> None:
    converges("xen_vm", **RUNNING, memory="4 GiB", memory_dynamic_min="1 GiB", memory_static_min="1 GiB")
    done = converges("xen_vm", name="web01", memory_dynamic_max="2 GiB")
    assert done["operations"] == ["VM.set_memory_dynamic_range"]
    assert record(session)["memory_dynamic_max"] == 2 * GIB


def test_the_static_range_restarts_the_vm_once_when_that_is_allowed(converges: Run, run: Run) -> None:
    converges("xen_vm", **RUNNING)
    with pytest.raises(InvalidChange, match="restart VM 'web01' to change memory_static_max and change vcpus_max"):
        run("xen_vm", name="web01", memory="8 GiB", vcpus=4)
    done = converges("xen_vm", name="web01", memory="8 GiB", vcpus=4, allow_disruption=True)
    assert done["operations"] == [
        "VM.add_to_other_config", "VM.clean_shutdown", "VM.set_memory_limits", "VM.set_VCPUs_max", "VM.set_VCPUs_at_startup", "VM.start",
        "VM.remove_from_other_config",
    ]  # fmt: skip
    assert done["vm"]["power_state"] == "running"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=st.dictionaries(st.sampled_from(["static_min", "dynamic_min", "dynamic_max", "static_max"]), st.integers(1, 8)))
def test_limits_are_either_refused_or_what_the_host_takes(run: Run, limits: dict[str, int]) -> None:
    run("xen_vm", name="web01", template="Debian Bookworm 12")
    options = {f"memory_{limit}": f"{value} GiB" for limit, value in limits.items()}
    refused = refusal(run, **options)
    if refused:
        assert "more than memory_" in refused
        return
    done = run("xen_vm", name="web01", **options)
    assert all(done["vm"][f"memory_{limit}"] == value * GIB for limit, value in limits.items())


def test_limits_in_the_wrong_order_are_refused(run: Run) -> None:
    with pytest.raises(InvalidChange, match="memory_dynamic_min would be 8 GiB, more than memory_dynamic_max, 4 GiB"):
        run("xen_vm", **VM, memory_dynamic_min="8 GiB", memory_dynamic_max="4 GiB", memory_static_max="16 GiB")


# processors -----------------------------------------------------------------------
def test_processors_and_their_scheduling(converges: Run) -> None:
    options = {"vcpus": 2, "vcpus_max": 4, "cores_per_socket": 2, "cpu_weight": 512, "cpu_cap": 50, "vcpus_params": {"mask": "0,1"}}
    done = converges("xen_vm", **VM, **options)
    assert {key: done["vm"][key] for key in options} == options
    assert converges("xen_vm", name="web01", vcpus_max=2)["operations"] == ["VM.set_VCPUs_max"]
    assert converges("xen_vm", name="web01", vcpus_max=1, cores_per_socket=1)["vm"]["vcpus"] == 1


def test_scheduling_of_a_running_vm_counts_from_its_next_start_on(run: Run, converges: Run, session: Session) -> None:
    converges("xen_vm", **RUNNING)
    done = run("xen_vm", name="web01", cpu_weight=512)
    assert done["warnings"] == ["VM 'web01' takes its scheduling into account when it starts the next time."]
    assert converges("xen_vm", name="web01", cpu_weight=128)["operations"] == ["VM.set_VCPUs_params"]
    assert record(session)["VCPUs_params"]["weight"] == "128"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"vcpus": 0}, "cannot have 0 vCPUs"),
        ({"vcpus": 4, "vcpus_max": 2}, "cannot have 4 vCPUs of at most 2"),
        ({"vcpus": 3, "cores_per_socket": 2}, "3 vCPUs in sockets of 2 cores"),
        ({"cpu_weight": 0}, "cpu_weight of VM 'web01' cannot be 0"),
        ({"vcpus_params": {"weight": "7"}}, "cannot hold weight"),
        ({"boot_order": "xd"}, "boot_order of VM 'web01' cannot hold 'x'"),
        ({"platform": {"secureboot": "true"}}, "platform of VM 'web01' cannot hold 'secureboot'"),
        ({"firmware": "bios", "vtpm": True}, "cannot have a vTPM with BIOS"),
        ({"firmware": "bios", "secure_boot": "true"}, "cannot boot securely with BIOS"),
        ({"domain_type": "pv"}, "nothing says where its kernel comes from"),
        ({"memory": "4 GiBs"}, "is not a size"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(run: Run, session: Session, options: dict[str, t.Any], told: str) -> None:
    for check in (True, False):
        with pytest.raises(InvalidChange, match=told):
            run("xen_vm", **VM, **options, check=check)
    assert not [r for r in session.call("VM.get_all_records").values() if r["name_label"].startswith("web01")]


# booting --------------------------------------------------------------------------
def test_a_vm_boots_as_described(converges: Run, session: Session) -> None:
    options = {"firmware": "uefi", "boot_order": "ncd", "secure_boot": "true", "vtpm": True, "platform": {"viridian": False}}
    converges("xen_vm", **VM, **options)
    found = record(session)
    assert found["HVM_boot_params"] == {"firmware": "uefi", "order": "ncd"}
    assert (found["platform"]["secureboot"], found["platform"]["viridian"]) == ("true", "false")
    assert len(found["VTPMs"]) == 1
    assert converges("xen_vm", name="web01", vtpm=False)["operations"] == ["VTPM.destroy"]


def test_a_vm_becomes_pv_and_hvm_again(converges: Run, session: Session) -> None:
    converges("xen_vm", **VM)
    converges("xen_vm", name="web01", domain_type="pv", pv_bootloader="pygrub", pv_args="console=hvc0")
    assert (record(session)["domain_type"], record(session)["HVM_boot_policy"]) == ("pv", "")
    converges("xen_vm", name="web01", domain_type="hvm", boot_order="cd")
    assert record(session)["HVM_boot_policy"] == "BIOS order"


def test_what_counts_from_the_next_start_on_is_said(run: Run, converges: Run) -> None:
    converges("xen_vm", **RUNNING)
    done = run("xen_vm", name="web01", boot_order="nc")
    assert done["operations"] == ["VM.set_HVM_boot_params"]
    assert done["warnings"] == ["VM 'web01' takes boot_order into account when it starts the next time."]
    done = converges("xen_vm", name="web01", boot_order="cd", allow_disruption=True)
    assert done["operations"] == [
        "VM.add_to_other_config", "VM.clean_shutdown", "VM.set_HVM_boot_params", "VM.start", "VM.remove_from_other_config"
    ]  # fmt: skip


def test_an_install_repository_is_set_and_taken_away(converges: Run, session: Session) -> None:
    converges("xen_vm", **VM, install_repository="http://mirror.example/debian", pv_args="auto=true")
    assert record(session)["other_config"]["install-repository"] == "http://mirror.example/debian"
    converges("xen_vm", name="web01", install_repository="")
    assert "install-repository" not in record(session)["other_config"]
