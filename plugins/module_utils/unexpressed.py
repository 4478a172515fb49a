# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pool may have that the variables of the role pool_build have no word for, one row a kind of thing."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .errors import ApiError
from .refs import Objects, Record
from .vms import is_default, is_guest, is_template


def _name(record: Record) -> str:
    return str(record.get("name_label") or record["uuid"])


def _always(_record: Record) -> bool:
    return True


@dataclass(frozen=True)
class Kind:
    """Objects of a class: in what words, which of them, and how each is called."""

    cls: str
    words: str
    those: t.Callable[[Record], bool] = _always
    name: t.Callable[[Record], str] = _name


def _is_own_template(vm: Record) -> bool:
    return is_template(vm) and not is_default(vm)


KINDS = (
    Kind("VM", "Virtual machines", is_guest),
    Kind("VM", "Templates", _is_own_template),
    Kind("VM", "Snapshots of virtual machines", lambda vm: vm["is_a_snapshot"]),
    Kind("VM_appliance", "vApps"),
    Kind("VM_group", "VM groups"),
    Kind("VMPP", "Protection policies"),
    Kind("VMSS", "Snapshot schedules"),
    Kind("subject", "External users", name=lambda subject: subject["other_config"].get("subject-name") or subject["subject_identifier"]),
    Kind("pool_update", "Installed updates", lambda update: bool(update["hosts"])),
    Kind("pool_patch", "Installed patches", lambda patch: bool(patch["host_patches"])),
    Kind("Repository", "Update repositories"),
    Kind("Cluster", "Clusters", name=lambda cluster: cluster["uuid"]),
    Kind("network_sriov", "SR-IOV networks", name=lambda sriov: sriov["uuid"]),
    Kind("PVS_site", "PVS sites"),
    Kind("SDN_controller", "SDN controllers", name=lambda controller: controller["address"] or controller["uuid"]),
    Kind("host", "External authentication of hosts", lambda host: bool(host.get("external_auth_type"))),
    Kind("host", "Licence servers of hosts", lambda host: host.get("license_server", {}).get("address") not in (None, "", "localhost")),
    Kind("pool", "Workload balancing", lambda pool: bool(pool.get("wlb_url")), lambda pool: str(pool["wlb_url"])),
    Kind("pool", "The vSwitch controller", lambda pool: bool(pool.get("vswitch_controller")), lambda pool: str(pool["vswitch_controller"])),
)


def sentences(objects: Objects) -> list[str]:
    told = [f"{kind.words}: {', '.join(names)}." for kind in KINDS if (names := _names(kind, objects))]
    disks = sum(1 for vdi in objects.all("VDI").values() if not vdi["is_a_snapshot"] and not vdi.get("is_tools_iso"))
    return [*told, *([f"The contents of the SRs: {disks} virtual disks."] if disks else [])]


def _names(kind: Kind, objects: Objects) -> list[str]:
    try:
        return sorted(kind.name(record) for record in objects.all(kind.cls).values() if kind.those(record))
    except ApiError as e:
        # a release that does not have the class has no object of it
        if e.code != "MESSAGE_METHOD_UNKNOWN":
            raise
        return []
