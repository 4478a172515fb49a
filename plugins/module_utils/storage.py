# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Storage repositories as disks see them: which one is meant, what its driver can do, how much is free, which VMs use a disk.

Rules: xen-api ocaml/xapi/xapi_vdi.ml, sm drivers vhdutil.py, LVHDSR.py, FileSR.py.
"""

from __future__ import annotations

import typing as t

from . import hosts
from .errors import InvalidChange
from .formats.sizes import readable_size
from .refs import NULL, Objects, Record

MIB = 1 << 20
TINY = 64 << 10  # what nobody means but who forgets the unit
LARGEST_VHD = 2040 << 30
# what the driver stores a disk as, by sm_config's vdi_type; aio is tapdisk's driver for raw images
FORMATS = {"vhd": "vhd", "aio": "raw", "raw": "raw", "qcow2": "qcow2"}
VHD_TYPES = ("ext", "xfs", "nfs", "smb", "file", "zfs", "cephfs", "glusterfs", "moosefs", "linstor", "largeblock", "lvm")
RAW_EXTENT, VHD_BLOCK = 4 * MIB, 2 * MIB


class Storage:
    """Questions about SRs and disks, answered from the bulk reads of Objects. Keeps nothing itself."""

    def __init__(self, objects: Objects):
        self.objects = objects

    # SRs ----------------------------------------------------------------------
    def sr(self, ref: str) -> Record:
        return self.objects.get("SR", ref)

    def name(self, ref: str) -> str:
        return self.objects.label("SR", ref)

    def for_disks(self, text: str | None) -> str:
        """The SR of that name or uuid, or the pool's default; one that disks can be made in. Raises NotFound, Ambiguous, InvalidChange."""
        ref = self.objects.resolve("SR", text) if text else self._default()
        if not self.has_disks(ref):
            raise InvalidChange(f"SR {self.name(ref)!r} cannot hold disks of VMs: it is of type {self.sr(ref)['type']}.")
        self.refuse_detached(ref)
        return ref

    def _default(self) -> str:
        ref = t.cast(str, hosts.pool_of(self.objects)[1]["default_SR"])
        if ref == NULL or ref not in self.objects.all("SR"):
            raise InvalidChange("The pool has no default SR, and the task names none.", hint="Give sr.")
        return ref

    def has_disks(self, ref: str) -> bool:
        """Whether VMs' disks can be made there (no ISO library, no drives of a host)."""
        record = self.sr(ref)
        return record["content_type"] != "iso" and record["type"] not in ("iso", "udev") and not record.get("is_tools_sr")

    def refuse_detached(self, ref: str) -> None:
        """Raises InvalidChange where no host has the SR attached."""
        if not any(pbd["SR"] == ref and pbd["currently_attached"] for pbd in self.objects.all("PBD").values()):
            raise InvalidChange(f"SR {self.name(ref)!r} is not attached to any host.", hint="Attach it first (xen_sr).")

    def hosts_of(self, ref: str) -> set[str]:
        """The hosts that have the SR attached."""
        return {pbd["host"] for pbd in self.objects.all("PBD").values() if pbd["SR"] == ref and pbd["currently_attached"]}

    def features(self, ref: str) -> set[str]:
        """What the driver of an SR can do: VDI_SNAPSHOT, VDI_RESIZE_ONLINE and so on."""
        kind = self.sr(ref)["type"]
        found: set[str] = set()
        for driver in self.objects.all("SM").values():
            if driver["type"] == kind:
                # releases before 6.2 have only the list
                found.update(driver.get("features") or driver.get("capabilities") or ())
        return found

    def is_thick(self, ref: str) -> bool:
        """Whether a disk takes all its space from the beginning: volumes, unless sm_config says otherwise."""
        record = self.sr(ref)
        if record["type"] == "linstor":
            return bool(record["sm_config"].get("provisioning") == "thick")
        return str(record["type"]).startswith("lv") and record["sm_config"].get("allocation") != "thin"

    def free(self, ref: str) -> int | None:
        """Bytes; None where xapi does not know (yet)."""
        record = self.sr(ref)
        size, used = int(record["physical_size"]), int(record["physical_utilisation"])
        return max(0, size - used) if size > 0 and used >= 0 else None

    def room(self, needs: t.Iterable[tuple[str, int]]) -> list[str]:
        """Whether disks fit, by SR and size in bytes: warnings about thin SRs. Raises InvalidChange for a thick one without the space."""
        total: dict[str, int] = {}
        for ref, size in needs:
            total[ref] = total.get(ref, 0) + size
        warnings = []
        for ref, size in total.items():
            free = self.free(ref)
            if free is None or size <= free:
                continue
            told = f"{readable_size(size)} are wanted in SR {self.name(ref)!r}, {readable_size(free)} are free."
            if self.is_thick(ref):
                raise InvalidChange(told, hint="Take another SR, or make room: a disk there takes all its space from the beginning.")
            warnings.append(f"{told} The disks are thin: the SR will be full before they are.")
        return warnings

    # disks --------------------------------------------------------------------
    def image_format(self, vdi: Record) -> str:
        """What the driver stores a disk as: vhd, raw or qcow2."""
        config, kind = vdi.get("sm_config", {}), str(self.sr(vdi["SR"])["type"])
        told = config.get("vdi_type") or config.get("image-format") or config.get("type")
        if told in FORMATS:
            return FORMATS[told]
        return "vhd" if kind.startswith(VHD_TYPES) else "raw"

    def rounded(self, sr: str, size: int, image_format: str) -> int:
        """The size a disk of so many bytes gets (vhdutil.py, LVHDSR.py)."""
        unit = RAW_EXTENT if image_format == "raw" and str(self.sr(sr)["type"]).startswith("lv") else VHD_BLOCK
        return max(unit, -(-size // unit) * unit)

    def refuse_size(self, size: int, image_format: str, label: str) -> None:
        """Raises InvalidChange for a size no disk can have."""
        if size < TINY:
            raise InvalidChange(f"The size of disk {label!r} is {size} bytes.", hint="Give a size with its unit, such as 20 GiB.")
        if image_format == "vhd" and size > LARGEST_VHD:
            raise InvalidChange(
                f"Disk {label!r} cannot be {readable_size(size)} large: a VHD holds {readable_size(LARGEST_VHD)} at most.",
                hint="Use image_format: raw, or several disks.",
            )

    # who uses a disk ------------------------------------------------------------
    def vbds(self, vdi: str) -> dict[str, Record]:
        """The VBDs of a disk, those of control domains left out: hosts attach disks for a while to work on them."""
        rows, vms = self.objects.all("VBD"), self.objects.all("VM")
        mine = {ref: rows[ref] for ref in self.objects.get("VDI", vdi)["VBDs"] if ref in rows}
        return {ref: vbd for ref, vbd in mine.items() if vbd["VM"] in vms and not vms[vbd["VM"]]["is_control_domain"]}

    def held(self, vdi: str) -> tuple[str, str] | None:
        """A VM that is suspended or paused and has the disk: its name and state."""
        vms = self.objects.all("VM")
        users = [vms[vbd["VM"]] for vbd in self.vbds(vdi).values() if vbd["currently_attached"]]
        return next(((vm["name_label"], vm["power_state"].lower()) for vm in users if vm["power_state"] in ("Suspended", "Paused")), None)

    def users(self, vdi: str, *, attached: bool = False) -> list[str]:
        """Names of the VMs a disk belongs to; attached: only those that have it now."""
        vms = self.objects.all("VM")
        return sorted(vms[vbd["VM"]]["name_label"] for vbd in self.vbds(vdi).values() if vbd["currently_attached"] or not attached)
