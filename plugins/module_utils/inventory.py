# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool's VMs and hosts as variables of an inventory. Pure: Ansible's inventory objects are the plugin's business.

One bulk read for each class, and as little as possible for each VM: a pool has thousands.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from . import guest
from .client import Session
from .hosts import pool_of
from .refs import NULL, Objects, Record

Facts = dict[str, t.Any]
CUSTOM_FIELD = "XenCenter.CustomFields."
ANY_OTHER = "*"  # in the list of networks: those that are not named


# read over two connections: what one brings is decoded while the server prepares the other's
AT_ONCE = (("VM",), ("VIF", "VM_guest_metrics", "VBD", "VDI", "network", "SR"))


def read(session: Session, *, vms: bool) -> dict[str, list[Facts]]:
    """hosts, and vms if they are wanted: their variables, sorted by name. As JSON, so that it can be kept."""
    objects = Objects(session)
    if vms:
        with ThreadPoolExecutor(len(AT_ONCE)) as threads:
            for part in threads.map(lambda classes: _fetched(session, classes), AT_ONCE):
                objects.take(part)
    _ref, pool = pool_of(objects)
    name = pool["name_label"] or objects.get("host", pool["master"])["name_label"]
    hosts = [_host(record, name, pool["master"] == ref) for ref, record in objects.all("host").items()]
    guests = _Guests(objects, name).all() if vms else []
    return {"hosts": sorted(hosts, key=_order), "vms": sorted(guests, key=_order)}


def _fetched(session: Session, classes: t.Sequence[str]) -> Objects:
    """The classes, read over a connection of their own."""
    beside = Session.resume(session.endpoint, session.handle)
    try:
        part = Objects(beside)
        for cls in classes:
            part.all(cls)
        return part
    finally:
        beside.abandon()
        beside.log_out()


def _order(facts: Facts) -> tuple[str, str]:
    return facts["xen_name"], facts["xen_uuid"]


def labels(objects: Objects, cls: str) -> dict[str, str]:
    """By reference: the name where it is the only one of that name, else the uuid."""
    rows = objects.all(cls)
    count = Counter(record["name_label"] for record in rows.values())
    return {ref: r["name_label"] if r["name_label"] and count[r["name_label"]] == 1 else r["uuid"] for ref, r in rows.items()}


def _described(record: Record, kind: str, pool: str) -> Facts:
    """What VMs and hosts have alike."""
    other = record["other_config"]
    return {
        "xen_type": kind,
        "xen_uuid": record["uuid"],
        "xen_name": record["name_label"],
        "xen_description": record["name_description"],
        "xen_pool": pool,
        "xen_tags": sorted(record["tags"]),
        "xen_folder": other.get("folder", ""),
        "xen_custom_fields": {k[len(CUSTOM_FIELD) :]: v for k, v in other.items() if k.startswith(CUSTOM_FIELD)},
    }


def _host(record: Record, pool: str, is_coordinator: bool) -> Facts:
    software = record["software_version"]
    facts = _described(record, "host", pool)
    facts["xen_hostname"] = record["hostname"]
    facts["xen_address"] = record["address"]
    facts["xen_coordinator"] = is_coordinator
    facts["xen_enabled"] = record["enabled"]
    facts["xen_product"] = software.get("product_brand", "")
    facts["xen_version"] = software.get("product_version", "")
    facts["xen_cpus"] = int(record["cpu_info"].get("cpu_count", 0))
    return facts


class _Guests:
    """The VMs of a pool; templates, snapshots and control domains are left out."""

    def __init__(self, objects: Objects, pool: str):
        self.objects, self.pool = objects, pool
        self.hosts, self.networks, self.srs = (labels(objects, cls) for cls in ("host", "network", "SR"))
        self.vifs, self.vbds, self.vdis = objects.all("VIF"), objects.all("VBD"), objects.all("VDI")
        self.reports = objects.all("VM_guest_metrics")

    def all(self) -> list[Facts]:
        rows = [vm for vm in self.objects.all("VM").values() if not (vm["is_a_template"] or vm["is_a_snapshot"] or vm["is_control_domain"])]
        # most pools have none, and then they are not asked for them
        grouped = any(vm.get("appliance", NULL) != NULL for vm in rows)
        appliances = labels(self.objects, "VM_appliance") if grouped else {}
        return [self._vm(vm, appliances) for vm in rows]

    def _vm(self, vm: Record, appliances: dict[str, str]) -> Facts:
        report = self.reports.get(vm["guest_metrics"], guest.NOTHING)
        facts = _described(vm, "vm", self.pool)
        facts["xen_power_state"] = vm["power_state"].lower()
        facts["xen_resident_on"] = self.hosts.get(vm["resident_on"], "")
        facts["xen_affinity"] = self.hosts.get(vm["affinity"], "")
        facts["xen_appliance"] = appliances.get(vm.get("appliance", NULL), "")
        facts["xen_vcpus"] = vm["VCPUs_at_startup"]
        facts["xen_memory"] = vm["memory_dynamic_max"]
        facts["xen_networks"] = self._networks(vm, guest.addresses(report) if report else {})
        facts["xen_disks"] = self._disks(vm)
        facts["xen_os"] = guest.os(report)
        facts["xen_tools"] = guest.tools(report)
        return facts

    def _networks(self, vm: Record, told: dict[str, list[str]]) -> list[Facts]:
        rows = [self.vifs[ref] for ref in vm["VIFs"] if ref in self.vifs]
        if len(rows) > 1:
            rows.sort(key=_device)
        return [
            {
                "device": vif["device"],
                "network": self.networks.get(vif["network"], ""),
                "mac": vif["MAC"],
                "attached": vif["currently_attached"],
                "addresses": told.get(vif["device"], []),
            }
            for vif in rows
        ]

    def _disks(self, vm: Record) -> list[Facts]:
        rows = [vbd for ref in vm["VBDs"] if (vbd := self.vbds.get(ref)) and vbd["type"] == "Disk" and vbd["VDI"] in self.vdis]
        if len(rows) > 1:
            rows.sort(key=_position)
        return [
            {
                "position": vbd["userdevice"],
                "device": vbd["device"],
                "name": vdi["name_label"],
                "uuid": vdi["uuid"],
                "sr": self.srs.get(vdi["SR"], ""),
                "size": vdi["virtual_size"],
            }
            for vbd in rows
            for vdi in [self.vdis[vbd["VDI"]]]
        ]


def _device(vif: Record) -> tuple[int, str]:
    return guest.device_order(vif["device"])


def _position(vbd: Record) -> tuple[int, str]:
    return guest.device_order(vbd["userdevice"])


# where it answers -------------------------------------------------------------
def address(facts: Facts, kinds: t.Sequence[str], networks: t.Sequence[str]) -> str:
    """The address to reach it at; "" if there is none.

    kinds: ipv4, ipv6, name, in the order they are to be tried. networks: only addresses there, in their order; "*" stands for those not
    named, and no list for all. A host has one address, that of its management interface.
    """
    if facts["xen_type"] == "host":
        return t.cast(str, facts["xen_address"])
    found = _reachable(facts["xen_networks"], networks)
    for kind in kinds:
        if kind == "name":
            return t.cast(str, facts["xen_name"])
        for candidate in found:
            if guest.family(candidate) == kind:
                return candidate
    return ""


def _reachable(vifs: t.Sequence[Facts], networks: t.Sequence[str]) -> list[str]:
    chosen: list[Facts] = []
    for name in networks or [ANY_OTHER]:
        chosen += [vif for vif in vifs if (vif["network"] == name if name != ANY_OTHER else vif["network"] not in networks)]
    return [a for vif in chosen for a in vif["addresses"] if not a.startswith(guest.LINK_LOCAL)]


# what it is called and where it belongs ---------------------------------------
def unambiguous(names: t.Sequence[str], rows: t.Sequence[Facts]) -> tuple[list[str], list[str]]:
    """The names, with the uuid after those that several have or that are empty; and which ones several have."""
    count = Counter(names)
    unique = [name if name and count[name] == 1 else "-".join(filter(None, [name, facts["xen_uuid"]])) for name, facts in zip(names, rows)]
    return unique, sorted(name for name, times in count.items() if times > 1 and name)


# group of -> the variable, with the text or texts that name the groups
GROUPED_BY: dict[str, t.Callable[[Facts], t.Iterable[str]]] = {
    "pool": lambda facts: [facts["xen_pool"]],
    "host": lambda facts: [facts.get("xen_resident_on", "")],
    "power_state": lambda facts: [facts.get("xen_power_state", "")],
    "tag": lambda facts: facts["xen_tags"],
    "folder": lambda facts: [facts["xen_folder"].strip("/")],
    "os": lambda facts: [facts["xen_os"].get("distro", "")] if "xen_os" in facts else [],
    "network": lambda facts: [vif["network"] for vif in facts.get("xen_networks", ())],
    "appliance": lambda facts: [facts.get("xen_appliance", "")],
}


def groups(facts: Facts, by: t.Sequence[str]) -> list[tuple[str, str]]:
    """What groups it belongs to: pairs of a kind and a text, such as ("tag", "web")."""
    return [(kind, text) for kind in by for text in GROUPED_BY[kind](facts) if text]


def ancestors(kind: str, text: str) -> list[str]:
    """The texts of the group and of those it lies in, itself first: folders lie in folders."""
    if kind != "folder":
        return [text]
    parts = [part for part in text.split("/") if part]
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
