# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hardware of hosts that is given to VMs, and groups of VMs."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError

if t.TYPE_CHECKING:
    from ansible_collections.domzero.xen.plugins.module_utils.client import Session

    from ..conftest import Run, Start

VM = {"name": "web01", "template": "Debian Bookworm 12"}


@pytest.fixture(autouse=True)
def site(simulator: Start) -> None:
    simulator("examples")


def rows(session: Session, cls: str) -> list[dict[str, t.Any]]:
    return list(session.call(f"{cls}.get_all_records").values())


def test_a_vm_is_given_a_pci_device(converges: Run, session: Session) -> None:
    address = rows(session, "PCI")[0]["pci_id"]
    converges("xen_vm", **VM, pci=[address])
    record = next(vm for vm in rows(session, "VM") if vm["name_label"] == "web01")
    assert record["other_config"]["pci"] == f"0/{address}"
    assert converges("xen_vm", name="web01", pci=[])["vm"]["pci"] == []


def test_a_vm_is_given_a_vgpu_and_a_clone_has_one_too(converges: Run, session: Session) -> None:
    group = rows(session, "GPU_group")[0]["name_label"]
    done = converges("xen_vm", **VM, vgpus=[{"group": group}])
    assert done["vm"]["vgpus"] == [{"group": group, "type": "passthrough"}]
    copy = converges("xen_vm", name="web02", from_vm="web01")
    assert copy["vm"]["vgpus"] == done["vm"]["vgpus"]
    assert converges("xen_vm", name="web03", from_vm="web01", vgpus=[])["operations"].count("VGPU.destroy") == 1


def test_a_vm_is_given_a_usb_device(converges: Run, session: Session) -> None:
    pusb = rows(session, "PUSB")[0]["uuid"]
    done = converges("xen_vm", **VM, usb=[pusb])
    assert done["operations"].count("VUSB.create") == 1
    assert converges("xen_vm", name="web01", usb=[])["operations"] == ["VUSB.destroy"]


def test_a_vm_is_put_into_a_group(converges: Run, session: Session) -> None:
    if "VM_group.create" not in str(session.call("host.list_methods")):
        with pytest.raises(InvalidChange, match="groups of VM 'web01' are not known to this host's release"):
            converges("xen_vm", **VM, groups=["front"])
        return
    session.call("VM_group.create", {"name_label": "front", "name_description": "", "placement": "anti_affinity"})
    assert converges("xen_vm", **VM, groups=["front"])["vm"]["groups"] == ["front"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pci": ["4:0.0"]}, "'4:0.0' is no PCI address"),
        ({"pci": ["0000:ff:00.0"]}, "No host has the PCI device 0000:ff:00.0"),
        ({"vgpus": [{"group": "nothing"}]}, "No GPU_group is named 'nothing'"),
        ({"usb": ["nothing"]}, "No USB_group is named 'nothing'"),
    ],
)
def test_devices_that_are_not_there_are_refused(run: Run, options: dict[str, t.Any], told: str) -> None:
    with pytest.raises(XenError, match=told):
        run("xen_vm", **VM, **options)
    assert not run("xen_vm_info", name="web01")["vms"]


def test_a_vgpu_type_the_group_does_not_have_is_named_with_those_it_has(run: Run, session: Session) -> None:
    group = rows(session, "GPU_group")[0]["name_label"]
    with pytest.raises(XenError, match=r"has no vGPU type 'GRID'.*passthrough"):
        run("xen_vm", **VM, vgpus=[{"group": group, "type": "GRID"}])
