# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are to have more than their template recommends."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError

if t.TYPE_CHECKING:
    from ..conftest import Run, Start

LIMITS = {"memory_min": "512 MiB", "memory_max": "4 GiB", "vcpus_max": 4, "disks_max": 2, "nics_max": 1}


def disks(number: int) -> list[dict[str, str]]:
    return [{"size": "1 GiB"} for _index in range(number)]


def nics(number: int) -> list[dict[str, str]]:
    return [{"network": "Internal"} for _index in range(number)]


@pytest.fixture(autouse=True)
def template(simulator: Start, run: Run) -> None:
    simulator("examples")
    run("xen_network", name="Internal")
    run("xen_sr", name="NFS", type="nfs", server="127.40.0.10", path="/export/vms", default=True)
    run("xen_template", name="Small", source="Other install media", limits=LIMITS, memory="512 MiB", memory_static_min="512 MiB")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"memory": "8 GiB"}, "VM 'web' has 8 GiB memory, its template recommends at most 4 GiB."),
        ({"memory_static_max": "5 GiB"}, "VM 'web' has 5 GiB memory, its template recommends at most 4 GiB."),
        ({"memory": "256 MiB"}, "VM 'web' has 256 MiB memory_static_min, its template recommends at least 512 MiB."),
        ({"vcpus": 6}, "VM 'web' has 6 vCPUs, its template recommends at most 4."),
        ({"vcpus": 2, "vcpus_max": 8}, "VM 'web' has 8 vCPUs, its template recommends at most 4."),
        ({"disks": disks(2), "cd": {}}, "VM 'web' has 3 disks and drives, its template recommends at most 2."),
        ({"nics": nics(2)}, "VM 'web' has 2 NICs, its template recommends at most 1."),
    ],
)
def test_more_than_the_template_recommends_is_a_warning(converges: Run, run: Run, options: dict[str, t.Any], told: str) -> None:
    task = {"name": "web", "template": "Small", **options}
    warned = [run("xen_vm", check=True, **task), converges("xen_vm", **task), run("xen_vm", **task)]
    for done in warned:
        (warning,) = done["warnings"]
        assert warning.startswith(told)
    assert run("xen_vm", name="web", description="of no importance").get("warnings", []) == []


def test_what_is_recommended_is_no_warning(converges: Run, run: Run) -> None:
    most = {"memory": "4 GiB", "vcpus": 4, "disks": disks(1), "nics": nics(1)}
    done = converges("xen_vm", name="web", template="Small", **most)
    assert done.get("warnings", []) == []
    facts = run("xen_vm_info", name="web")["facts"][done["vm"]["uuid"]]
    assert (facts["limits"]["memory_max"], facts["limits"]["vcpus_max"]) == (4 << 30, 4)


def test_all_that_is_too_much_is_told_at_once(run: Run) -> None:
    done = run("xen_vm", name="web", template="Small", memory="8 GiB", vcpus=6, disks=disks(3), nics=nics(2), check=True)
    assert len(done["warnings"]) == 4


def test_a_vm_with_less_memory_than_the_least_does_not_start(run: Run) -> None:
    done = run("xen_vm", name="web", template="Small", memory="256 MiB")
    assert done["warnings"][0].endswith("The hosts do not start it so.")
    with pytest.raises(ApiError, match="MEMORY_CONSTRAINT_VIOLATION"):
        run("xen_vm", name="web", power_state="running")
