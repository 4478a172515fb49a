# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One of the two sides of a join, the host or the pool: what its records say about it."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...errors import ApiError
from ...refs import Objects, Record


class Side:
    """A pool as its coordinator tells it; a host that is to join is the coordinator of its own.

    coming: how many hosts join before it in the same task; ha_goes: whether the task turns high availability off first.
    """

    def __init__(self, objects: Objects, *, coming: int = 0, ha_goes: bool = False):
        self.objects, self.coming, self.ha_goes = objects, coming, ha_goes

    def all(self, cls: str) -> dict[str, Record]:
        """Records of a class, none where the release does not have it."""
        try:
            return self.objects.all(cls)
        except ApiError as e:
            if e.code != "MESSAGE_METHOD_UNKNOWN":
                raise
            return {}

    def rows(self, cls: str) -> list[Record]:
        return list(self.all(cls).values())

    @property
    def pool(self) -> Record:
        return hosts.pool_of(self.objects)[1]

    @property
    def ref(self) -> str:
        return hosts.coordinator(self.objects)

    @property
    def host(self) -> Record:
        """The coordinator, or the host itself."""
        return self.objects.get("host", self.ref)

    def software(self, key: str) -> str:
        return t.cast(str, self.host["software_version"].get(key, ""))

    @property
    def brand(self) -> str:
        """What tells products apart: the brand, or the platform where there is none."""
        return self.software("product_brand") or self.software("platform_name")

    @property
    def cpu_info(self) -> Record:
        """The pool's, or the coordinator's in releases where pools have none."""
        return t.cast(Record, self.pool.get("cpu_info") or self.host.get("cpu_info", {}))

    @property
    def ha(self) -> bool:
        return bool(self.pool["ha_enabled"]) and not self.ha_goes

    @property
    def management(self) -> Record | None:
        """The PIF of the coordinator's management interface."""
        return next((pif for pif in self.rows("PIF") if pif["host"] == self.ref and pif["management"]), None)

    @property
    def management_vlan(self) -> str:
        pif = self.management
        return "none" if pif is None or int(pif["VLAN"]) < 0 else str(pif["VLAN"])

    def device(self, pif: str) -> str:
        record = self.all("PIF").get(pif)
        return str(record["device"]) if record else pif

    def vms(self, test: t.Callable[[Record], object]) -> list[str]:
        return sorted(vm["name_label"] for vm in self.rows("VM") if not vm["is_control_domain"] and test(vm))

    def purposes(self) -> set[str]:
        """Which kinds of network block devices its networks carry."""
        return {p for network in self.rows("network") for p in network.get("purpose", ()) if p in ("nbd", "insecure_nbd")}

    def sdn_controllers(self) -> list[str]:
        rows = sorted(f"{c['protocol']}:{c['address']}:{c['port']}" for c in self.rows("SDN_controller"))
        old = self.pool.get("vswitch_controller")  # before there were objects for them
        return rows or ([old] if old else [])

    def binding_updates(self) -> list[str]:
        """Installed updates that all hosts of a pool must have, by name."""
        applied = self.host.get("updates", ())
        rows = [u for ref, u in self.all("pool_update").items() if ref in applied and u.get("enforce_homogeneity")]
        return sorted(f"{u['name_label']} ({u['uuid']})" for u in rows)

    def ca_certificates(self) -> dict[str, str]:
        """Fingerprints by name."""
        return {c["name"]: fingerprint_of(c) for c in self.rows("Certificate") if c.get("type") == "ca"}

    def drivers(self) -> dict[str, Record]:
        """Storage drivers by SR type."""
        return {sm["type"]: sm for sm in self.rows("SM")}


def fingerprint_of(certificate: Record) -> str:
    """SHA-256; older releases have no other."""
    return str(certificate.get("fingerprint_sha256") or certificate.get("fingerprint", ""))
