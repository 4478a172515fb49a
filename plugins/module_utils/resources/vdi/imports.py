# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file on the machine the task runs on becomes a virtual disk (xen-api: ocaml/xapi/import_raw_vdi.ml).

The disk bears the file's SHA-256 from the beginning, first as a mark that its content is still to come: a run that is cut off leaves
a disk that the next one knows and fills again.
"""

from __future__ import annotations

import typing as t

from ... import disks, stream
from ...errors import InvalidChange, XenError
from ...fields import Table
from ...formats.sizes import readable_size, size
from ...plan import Later, Plan
from ...refs import Record
from ...resource import Found, Resource
from .resource import Vdi
from .source import Source

PUT = "http/put_import_raw_vdi"  # as xapi calls the permission


class VdiImport(Resource):
    table = Table("VDI", ())
    states = ()
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "src": {"type": "path", "required": True},
        "parents": {"type": "list", "elements": "path"},
        "name": {"type": "str"},
        "sr": {"type": "str"},
        "description": {"type": "str"},
        "size": {"type": "str"},
        "checksum": {"type": "str"},
        "overwrite": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 86400},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["name", "uuid"]]}

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.vdis = Vdi(session, {**params, "state": "present", "move": False, "snapshot_of": None})
        self.objects = self.vdis.objects
        self.source = Source(params["src"], params.get("parents") or [], params.get("checksum") or "")

    @classmethod
    def key(cls) -> str:
        return "vdi"

    # looking --------------------------------------------------------------------------
    def find(self) -> Found | None:
        return self.vdis.find()

    def observe(self, found: Found) -> dict[str, t.Any]:
        record = found.record
        return {
            "name": record["name_label"], "description": record["name_description"], "sr": self.objects.label("SR", record["SR"]),
            "size": int(record["virtual_size"]), "sha256": "" if disks.IMPORTING in record["other_config"] else self._imported(record),
        }  # fmt: skip

    @staticmethod
    def _imported(record: Record) -> str:
        return str(record["other_config"].get(disks.IMPORTED, ""))

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        plan = self._over(found) if found else self._new()
        plan.facts["format"] = self.source.image.format
        return plan

    def _least(self) -> int:
        image = self.source.image
        given = size(self.params["size"]) if self.params.get("size") else image.virtual_size
        if given < image.virtual_size:
            raise InvalidChange(
                f"The size {readable_size(given)} is less than the {readable_size(image.virtual_size)} of the disk in {self.params['src']}."
            )
        return given

    def _new(self) -> Plan:
        label, storage, digest = self.vdis.label, self.vdis.storage, self.source.sha256
        if not self.params.get("name"):
            raise InvalidChange("A disk that is not there yet needs a name.")
        sr = storage.for_disks(self.params.get("sr"))
        least = self._least()
        storage.refuse_size(least, storage.image_format({"SR": sr, "sm_config": {}}), label)
        least = storage.rounded(sr, least, "vhd")
        after = {
            "name": label,
            "description": self.params.get("description") or "",
            "sr": storage.name(sr),
            "size": least,
            "sha256": digest,
        }
        plan = Plan({}, after, warnings=storage.room([(sr, least)]))
        record: dict[str, t.Any] = {
            "name_label": label, "name_description": after["description"], "SR": sr, "virtual_size": least, "type": "user",
            "sharable": False, "read_only": False, "tags": [], "xenstore_data": {}, "sm_config": {},
            "other_config": {disks.IMPORTING: digest},
        }  # fmt: skip
        self._fill(plan, plan.add("VDI.create", record, what=f"create disk {label!r}", slow=True), finished=False)
        return plan

    def _over(self, found: Found) -> Plan:
        before, digest, record = self.observe(found), self.source.sha256, found.record
        after, config = {**before, "sha256": digest}, record["other_config"]
        if self.params.get("description") is not None:
            after["description"] = self.params["description"]
        plan = Plan(before, after)
        grown = self.vdis.storage.rounded(record["SR"], self._least(), "vhd")
        if before["sha256"] != digest:
            self._refuse_over(found)
            after["size"] = max(before["size"], grown)
            self._mark_begun(plan, found, digest)
            if after["size"] != before["size"]:
                disks.grow(plan, found.ref, after["size"], self.vdis.label, online=False)
            self._fill(plan, found.ref, finished=self._imported(record) == digest and config.get(disks.IMPORTING) == digest)
        if before["description"] != after["description"]:
            plan.add("VDI.set_name_description", found.ref, after["description"], what=f"describe disk {self.vdis.label!r}")
        return plan

    def _mark_begun(self, plan: Plan, found: Found, digest: str) -> None:
        config, label = found.record["other_config"], self.vdis.label
        if config.get(disks.IMPORTING) != digest:
            disks.mark(plan, found.ref, disks.IMPORTING, digest, disks.IMPORTING in config, label)
        if disks.IMPORTED in config and self._imported(found.record) != digest:
            disks.mark(plan, found.ref, disks.IMPORTED, None, True, label)

    def _fill(self, plan: Plan, vdi: str | Later, *, finished: bool) -> None:
        label, digest = self.vdis.label, self.source.sha256
        if not finished:
            plan.add(PUT, vdi, what=f"write {self.params['src']} to disk {label!r}", run=self._send)
            disks.mark(plan, vdi, disks.IMPORTED, digest, False, label)
        disks.mark(plan, vdi, disks.IMPORTING, None, True, label)

    def _refuse_over(self, found: Found) -> None:
        """Raises InvalidChange for a disk whose content is not to be written over, or is in use."""
        label, storage = self.vdis.label, self.vdis.storage
        if not self.params["overwrite"] and disks.IMPORTING not in found.record["other_config"]:
            raise InvalidChange(
                f"Disk {label!r} is there already, and its content is not that of {self.params['src']}.",
                hint="Set overwrite: true to write over it, or give another name.",
            )
        users = storage.users(found.ref, attached=True)
        if users:
            raise InvalidChange(f"Disk {label!r} is in use by VM {users[0]!r}.", hint="Halt the VM or detach the disk first.")
        if found.record["read_only"]:
            raise InvalidChange(f"Disk {label!r} is read-only.")

    # carrying out -----------------------------------------------------------------------
    def _send(self, vdi: str) -> None:
        try:
            with self.source.opened() as sent:
                query, timeout = {"vdi": vdi, "format": sent.format}, float(self.params["wait_timeout"])
                what = f"Import of disk {self.vdis.label}"
                moved = stream.upload(self.session, "/import_raw_vdi", query, sent.source, sent.size, what=what, timeout=timeout)
            if sent.whole and moved.sha256 != self.source.sha256:
                raise XenError(f"{self.source.path} was changed while it was sent.")
        except XenError as e:
            e.hint = f"{e.hint} Disk {self.vdis.label!r} is not complete: run the task again, or remove it (xen_vdi).".strip()
            raise
