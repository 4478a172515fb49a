# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much a host bears and a VM needs, and which host is older (xen-api: ocaml/xapi/memory_check.ml, helpers.ml). Sizes are bytes."""

from __future__ import annotations

import re

from . import hosts
from .refs import Objects, Record
from .vms import guests

VERSIONS = ("platform_version", "xapi_build", "xen")  # of host.software_version


def memory_needed(vm: Record) -> int:
    """Bytes a host must have free for it."""
    start = vm["memory_static_max"] if vm.get("domain_type") == "pv_in_pvh" else vm["memory_dynamic_min"]
    return int(start) + int(vm["memory_overhead"])


def memory_capacity(objects: Objects, host: str) -> int:
    """Bytes of a host that hypervisor and control domain leave to guests."""
    total = int(hosts.metrics(objects, host).get("memory_total", 0)) - int(objects.get("host", host)["memory_overhead"])
    domains = [vm for vm in objects.all("VM").values() if vm["is_control_domain"] and vm["resident_on"] == host]
    return max(0, total - sum(memory_held(vm) for vm in domains))


def memory_free(objects: Objects, host: str) -> int:
    """Bytes left for one more guest; those there or on their way count with the least they may have."""
    there = [vm for vm in guests(objects).values() if host in (vm["resident_on"], vm["scheduled_to_be_resident_on"])]
    return max(0, memory_capacity(objects, host) - sum(memory_held(vm) for vm in there))


def memory_held(vm: Record) -> int:
    """Bytes that a VM on a host counts for: the least it may have."""
    return int(vm["memory_dynamic_min"]) + int(vm["memory_overhead"])


def is_older(host: Record, than: Record) -> bool:
    """Whether any part of a host's software is older; guests go to equal or newer hosts only."""
    pairs = ((host["software_version"].get(key, ""), than["software_version"].get(key, "")) for key in VERSIONS)
    return any(left and right and _version(left) < _version(right) for left, right in pairs)


def versions(host: Record) -> tuple[tuple[int, ...], ...]:
    """A host's versions, the one that counts most first; what is newer in all of them is greater."""
    return tuple(tuple(_version(host["software_version"].get(key, ""))) for key in VERSIONS)


def _version(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]
