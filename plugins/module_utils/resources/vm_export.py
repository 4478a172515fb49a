# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM as a file on the machine the task runs on. A VM that runs is exported through a snapshot, which goes again whatever happens.

The way from a snapshot to an export that becomes a VM again: "Virtual machine backup", XenServer's administrator's guide (vm-snapshot,
template-param-set is-a-template=false, vm-export).
"""

from __future__ import annotations

import time
import typing as t

from .. import hosts, stream
from ..errors import InvalidChange, OutcomeUnknown, XenError
from ..fields import Table
from ..formats import manifest, xva
from ..formats.compression import Damaged, compression_of
from ..formats.files import Landing, refuse_bad_target, target_of
from ..formats.manifest import Manifest
from ..plan import Later, Operation, Plan
from ..refs import NULL, Objects, Record
from ..resource import Found, Resource
from ..tasks import quietly
from ..vms import Vms

GET, GET_METADATA = "http/get_export", "http/get_export_metadata"  # as xapi calls the permissions
MARK = "domzero.xen:export"  # other_config of a snapshot that is there only to be exported: its own uuid
SNAPSHOT = "domzero.xen export"  # its name until it has the mark
COMPRESSION = {"none": "false", "gzip": "true", "zstd": "zstd"}


class VmExport(Resource):
    table = Table("VM", ())
    states = ()
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "name": {"type": "str"},
        "dest": {"type": "path", "required": True},
        "compression": {"type": "str", "choices": list(COMPRESSION), "default": "none"},
        "live": {"type": "bool", "default": True},
        "metadata_only": {"type": "bool", "default": False},
        "verify": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 86400},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["name", "uuid"]]}

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.dest = target_of(params["dest"])
        self._snapshot = ""  # ours, while it is there

    @classmethod
    def key(cls) -> str:
        return "export"

    # looking --------------------------------------------------------------------------
    def find(self) -> Found:
        """The VM; by uuid also a template or a snapshot. Raises NotFound, Ambiguous, InvalidChange."""
        uuid, name = self.params.get("uuid"), str(self.params.get("name") or "")
        ref = self.objects.resolve("VM", uuid) if uuid else Vms(self.objects).resolve(name)
        record = self.objects.get("VM", ref)
        if name and uuid and record["name_label"] != name:
            raise InvalidChange(f"VM {uuid} is named {record['name_label']!r}, not {name!r}.")
        if record["is_control_domain"]:
            raise InvalidChange(f"{record['name_label']!r} is a control domain, which cannot be exported.")
        return Found(ref, record)

    def observe(self, found: Found) -> dict[str, t.Any]:
        """What lies at dest, if that is this VM."""
        lies = manifest.of(self.dest)
        if lies is None or lies.uuid != found.record["uuid"] or not manifest.is_whole(self.dest, lies.sha256):
            return {}
        return {"dest": str(self.dest), "uuid": lies.uuid, "compression": lies.compression, "metadata_only": lies.metadata_only}

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {"dest": str(self.dest), "compression": self.params["compression"], "metadata_only": self.params["metadata_only"]}

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        lies = manifest.of(self.dest) if plan.after.get("uuid") else None
        name = {"name": found.record["name_label"]} if found else {}
        told = lies.told() if lies and all(lies.told()[key] == plan.after[key] for key in ("uuid", "compression", "metadata_only")) else {}
        return {**plan.after, **name, **told, "manifest": str(manifest.place(self.dest))}

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        if found is None:
            raise InvalidChange("There is no VM to export.")
        before = self.observe(found)
        plan = Plan(before, {**self.desire(before), "uuid": found.record["uuid"]})
        self._remove_leftovers(plan, found)
        if before == plan.after and not self.params["force"]:
            return plan
        refuse_bad_target(self.dest)
        self._refuse_foreign_file(found)
        if self.params["metadata_only"]:
            plan.add(GET_METADATA, found.ref, what=f"export the description of {self._label(found)}", run=self._fetch(found))
        elif found.record["power_state"] in ("Halted", "Suspended"):
            self._refuse_blocked(found, "export")
            plan.add(GET, found.ref, what=f"export {self._label(found)}", run=self._fetch(found))
        else:
            self._through_a_snapshot(plan, found)
        return plan

    def _label(self, found: Found) -> str:
        return f"VM {found.record['name_label']!r}"

    def _refuse_foreign_file(self, found: Found) -> None:
        if self.dest.exists() and not self.params["force"] and manifest.is_ours(self.dest) != found.record["uuid"]:
            raise InvalidChange(
                f"{self.dest} is there already, and is no export of {self._label(found)} made by this module.",
                hint="Give another dest, or force: true to write over it.",
            )

    def _refuse_blocked(self, found: Found, operation: str) -> None:
        if operation in found.record["blocked_operations"]:
            raise InvalidChange(f"{self._label(found)} blocks the operation {operation}.", hint="Take it out of its blocked_operations.")
        busy = sorted(set(found.record["current_operations"].values()))
        if busy:
            raise InvalidChange(f"{self._label(found)} is busy ({', '.join(busy)}).", hint="Run the task again when that has finished.")

    def _through_a_snapshot(self, plan: Plan, found: Found) -> None:
        label = self._label(found)
        if not self.params["live"]:
            raise InvalidChange(f"{label} is {found.record['power_state']}.", hint="Halt it first, or set live: true.")
        self._refuse_blocked(found, "snapshot")
        snapshot = plan.add("VM.snapshot", found.ref, SNAPSHOT, what=f"take a snapshot of {label}", slow=True)
        if MARK in found.record["other_config"]:
            plan.add("VM.remove_from_other_config", snapshot, MARK, what=f"remove the mark that {label} has inherited")
        plan.add("VM.add_to_other_config", snapshot, MARK, what=f"mark the snapshot of {label}", run=self._mark)
        plan.add("VM.set_is_a_template", snapshot, False, what=f"make the snapshot of {label} a VM")
        plan.add("VM.set_name_label", snapshot, found.record["name_label"], what=f"name the snapshot of {label} as it")
        plan.add(GET, snapshot, what=f"export {label}", run=self._fetch(found))
        gone: list[Later] = []
        for vbd in disks_of(self.objects, found.record):
            gone.append(plan.find("VBD", "VDI", VM=snapshot, userdevice=vbd["userdevice"]))
        for vdi in gone:
            plan.add("VDI.destroy", vdi, what=f"remove a disk of the snapshot of {label}", slow=True)
        plan.add("VM.destroy", snapshot, what=f"remove the snapshot of {label}", slow=True)

    # snapshots that are only there for this ---------------------------------------------
    def _leftovers(self, found: Found) -> dict[str, Record]:
        """Snapshots of the VM that an export took which is over, or broke off. What came out of such an export bears its mark, too,
        and so do the snapshots that somebody takes of that: the mark counts where it is the snapshot's own.
        """
        rows = self.objects.all("VM")
        mine = {ref: row for ref, row in rows.items() if row["is_a_snapshot"] and row["snapshot_of"] == found.ref}
        return {ref: row for ref, row in mine.items() if row["other_config"].get(MARK) == row["uuid"] or row["name_label"] == SNAPSHOT}

    def _remove_leftovers(self, plan: Plan, found: Found) -> None:
        label = self._label(found)
        for ref, record in self._leftovers(found).items():
            if record["current_operations"]:
                raise InvalidChange(f"{label} is being exported by another task.", hint="Wait for it to end.")
            vbds, vdis = self.objects.all("VBD"), self.objects.all("VDI")
            for held in disks_of(self.objects, record):
                users = {vbds[vbd]["VM"] for vbd in vdis[held["VDI"]]["VBDs"] if vbd in vbds}
                if users <= {ref}:
                    plan.add("VDI.destroy", held["VDI"], what=f"remove a disk of an old snapshot of {label}", slow=True)
            plan.add("VM.destroy", ref, what=f"remove the snapshot of {label} that an export left", slow=True)

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        try:
            result = super().call(operation, params)
        except OutcomeUnknown:
            raise  # what is there is looked at, and planned for
        except BaseException:
            self._tidy_up()
            raise
        if operation.method == "VM.snapshot":
            self._snapshot = str(result)
        if operation.method == "VM.destroy" and params[0] == self._snapshot:
            self._snapshot = ""
        return result

    def _tidy_up(self) -> None:
        """The export failed: its snapshot is nobody's. What cannot be removed now is removed by the next run."""
        snapshot, self._snapshot = self._snapshot, ""
        if not snapshot:
            return
        objects = Objects(self.session)
        try:
            disks = disks_of(objects, objects.get("VM", snapshot))
        except XenError:
            return
        for vbd in disks:
            quietly(self.session, "VDI.destroy", vbd["VDI"])
        quietly(self.session, "VM.destroy", snapshot)

    # carrying out -----------------------------------------------------------------------
    def _mark(self, snapshot: str, key: str) -> None:
        self.session.call("VM.add_to_other_config", snapshot, key, str(self.session.call("VM.get_uuid", snapshot)))

    def _fetch(self, found: Found) -> t.Callable[[str], None]:
        path, more = ("/export_metadata", {"export_snapshots": "false"}) if self.params["metadata_only"] else ("/export", {})
        compression = {} if self.params["metadata_only"] else {"use_compression": COMPRESSION[self.params["compression"]]}

        def fetch(ref: str) -> None:
            stream.download(
                self.session, path, {"ref": ref, **compression, **more}, self.dest, what=f"Export of {found.record['name_label']}",
                timeout=float(self.params["wait_timeout"]), seal=lambda file: self._seal(found, file),
            )  # fmt: skip
            manifest.publish(self.dest)

        return fetch

    def _seal(self, found: Found, file: Landing) -> None:
        """Is it what was asked for? Raises Damaged, XenError. Then the manifest is prepared."""
        with file.temporary.open("rb") as came:
            compression = compression_of(came.read(4))
        wanted = "none" if self.params["metadata_only"] else self.params["compression"]
        if compression != wanted:
            raise XenError(
                f"The export of {self._label(found)} came with compression {compression}, not {wanted}.",
                hint="The host's release does not know that compression; choose another one.",
            )
        if self.params["verify"] and xva.verify(file.temporary).sha256 != file.sha256:
            raise Damaged(f"{file.temporary} reads as something else than was written.", hint="Check the disk it is on.")
        made = Manifest(
            uuid=found.record["uuid"],
            name=found.record["name_label"],
            compression=self.params["compression"],
            metadata_only=self.params["metadata_only"],
            size=file.size,
            sha256=file.sha256,
            release=release_of(self.objects),
            exported=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        manifest.announce(self.dest, made)


def disks_of(objects: Objects, vm: Record) -> list[Record]:
    """The VBDs of a VM's disks, in order."""
    rows, vdis = objects.all("VBD"), objects.all("VDI")
    mine = [rows[ref] for ref in vm["VBDs"] if ref in rows]
    found = [vbd for vbd in mine if vbd["type"] == "Disk" and vbd["VDI"] != NULL and vbd["VDI"] in vdis]
    return sorted(found, key=lambda vbd: (len(vbd["userdevice"]), vbd["userdevice"]))


def release_of(objects: Objects) -> dict[str, str]:
    """Brand and versions of the coordinator's release."""
    software = objects.get("host", hosts.coordinator(objects))["software_version"]
    return {key: str(software.get(key, "")) for key in ("product_brand", "product_version", "xapi")}
