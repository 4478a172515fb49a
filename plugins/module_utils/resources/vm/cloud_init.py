# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drive a guest reads its first configuration from: made here, replaced as a whole when the configuration is another.

Its disk bears the uuid of its VM and, once it is written, the digest of what was given. Texts are never shown: they hold passwords.
"""

from __future__ import annotations

import io
import typing as t

from ... import disks, stream
from ...errors import InvalidChange
from ...formats import nocloud
from ...plan import Later, Plan
from ...refs import Record
from ...storage import Storage
from .part import Part, Subject

if t.TYPE_CHECKING:
    from . import Vm

DIGEST = f"{disks.CONFIG_DRIVE}/digest"
UPLOAD = "http/put_import_raw_vdi"  # as xapi calls the permission
PLACE = 15  # behind the disks; devices up to there are known to all releases
TEXTS = ("user_data", "meta_data", "network_config")
ABSENT: dict[str, t.Any] = {"state": "absent"}
Drive = tuple[str, Record]  # the VBD and the record of its disk


class CloudInit(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "cloud_init": {
            "type": "dict",
            "options": {
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                **{text: {"type": "raw"} for text in TEXTS},
                "digest": {"type": "str"},
                "sr": {"type": "str"},
            },
        }
    }

    def __init__(self, vm: Vm):
        super().__init__(vm)
        self.storage = Storage(vm.objects)
        self.config: nocloud.Config | None = None
        given = self.params.get("cloud_init") or {}
        if any(given.get(text) is not None for text in TEXTS):
            user_data, meta_data, network_config = (given.get(text) for text in TEXTS)
            self.config = nocloud.config(user_data, meta_data, network_config, f"of VM {self.label!r}")
            # an ordinary module tells its parameters
            for text in TEXTS:
                given[text] = None

    @property
    def given(self) -> Record | None:
        return t.cast("Record | None", self.params.get("cloud_init"))

    # observing ----------------------------------------------------------------------
    def drive(self, subject: Subject) -> Drive | None:
        rows = self.objects.all("VDI")
        for ref, vbd in subject.vbds.items():
            if vbd["type"] == "Disk" and vbd["VDI"] in rows and disks.CONFIG_DRIVE in rows[vbd["VDI"]]["other_config"]:
                return ref, rows[vbd["VDI"]]
        return None

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        found = self.drive(subject)
        return {"cloud_init": self._told(subject, found[1]) if found else dict(ABSENT)}

    def _told(self, subject: Subject, vdi: Record) -> dict[str, t.Any]:
        """Without a digest where the drive is another VM's: of the source of a clone."""
        own = not subject.new and vdi["other_config"][disks.CONFIG_DRIVE] == subject.record["uuid"]
        return {"state": "present", "digest": vdi["other_config"].get(DIGEST, "") if own else "", "sr": self.storage.name(vdi["SR"])}

    # wanting ------------------------------------------------------------------------
    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given, there = self.given, have["cloud_init"]
        if given is None:
            return {"cloud_init": there}
        if given["state"] == "absent":
            return {"cloud_init": dict(ABSENT)}
        sr = self._sr(given, there, subject)
        if self.config:
            return {"cloud_init": {"state": "present", "digest": self.config.digest, "sr": sr}}
        if there["state"] == "absent" or given.get("digest") not in (None, "", there["digest"]) or sr != there["sr"]:
            raise InvalidChange(
                f"The task does not say what the cloud-init drive of VM {self.label!r} is to hold.",
                hint="Give user_data; a digest alone only says that the drive is as it was.",
            )
        return {"cloud_init": there}

    def _sr(self, given: Record, there: Record, subject: Subject) -> str:
        """Where the task says, else where it is, else beside the first disk."""
        named = given.get("sr") or (None if subject.new else there.get("sr")) or self.params.get("sr") or self._beside(subject)
        return self.storage.name(self.storage.for_disks(named))

    def _beside(self, subject: Subject) -> str | None:
        rows = self.objects.all("VDI")
        mine = sorted((disks.place_of(v), rows[v["VDI"]]["SR"]) for v in subject.vbds.values() if v["type"] == "Disk" and v["VDI"] in rows)
        return self.storage.sr(mine[0][1])["uuid"] if mine else None

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        if subject.at == "Halted" or have["cloud_init"] == want["cloud_init"]:
            return []
        return ["change its cloud-init drive"] if disks.hotplug_refusal(self.objects, subject.record) else []

    # changing -----------------------------------------------------------------------
    def change(self, plan: Plan, subject: Subject) -> None:
        if self.given is None:
            return
        have, want, begun = plan.before["cloud_init"], plan.after["cloud_init"], self._begun(subject)
        made: str | Later = ""
        if want != have and want["state"] == "present":
            made = self._made(plan, subject, want, begun)
        if want != have and (found := self.drive(subject)):
            self._take_away(plan, subject, found)
        if made:
            self._attach(plan, subject, made)
        for ref in begun:
            if ref != made:
                plan.add("VDI.destroy", ref, what=f"remove a cloud-init drive that was begun for VM {self.label!r}", slow=True)

    def _begun(self, subject: Subject) -> dict[str, Record]:
        """Drives that an interrupted run made for this VM and did not attach."""
        if subject.new:
            return {}
        uuid = subject.record["uuid"]
        return {
            ref: vdi
            for ref, vdi in self.objects.all("VDI").items()
            if vdi["other_config"].get(disks.CONFIG_DRIVE) == uuid and not vdi["is_a_snapshot"] and not self.storage.vbds(ref)
        }

    def _made(self, plan: Plan, subject: Subject, want: Record, begun: t.Mapping[str, Record]) -> str | Later:
        """The disk, written."""
        sr, config = self.objects.resolve("SR", want["sr"]), t.cast(nocloud.Config, self.config)
        for ref, vdi in begun.items():
            if vdi["other_config"].get(DIGEST) == config.digest and vdi["SR"] == sr:
                return ref
        uuid: str | Later = plan.find("VM", "uuid", name_label=subject.label) if subject.new else subject.record["uuid"]
        what = f"the cloud-init drive of VM {self.label!r}"
        size = len(config.image("0" * 36, self.label))
        record = {
            "name_label": f"{self.label} cloud-init", "name_description": "", "SR": sr, "virtual_size": size, "type": "user",
            "sharable": False, "read_only": False, "other_config": {disks.CONFIG_DRIVE: uuid}, "xenstore_data": {}, "sm_config": {},
            "tags": [],
        }  # fmt: skip
        vdi_ref = plan.add("VDI.create", record, what=f"create {what}", slow=True)
        plan.add(UPLOAD, vdi_ref, uuid, what=f"write {what}", run=self._upload)
        plan.add("VDI.add_to_other_config", vdi_ref, DIGEST, config.digest, what=f"mark {what} as written")
        return vdi_ref

    def _upload(self, vdi: str, uuid: str) -> None:
        data = t.cast(nocloud.Config, self.config).image(uuid, self.label)
        what = f"Upload of the cloud-init drive of VM {self.label}"
        stream.upload(self.vm.session, "/import_raw_vdi", {"vdi": vdi, "format": "raw"}, io.BytesIO(data), len(data), what=what)

    def _take_away(self, plan: Plan, subject: Subject, found: Drive) -> None:
        ref, _vdi = found
        vbd, what = subject.vbds[ref], f"remove the cloud-init drive of VM {self.label!r}"
        if subject.at == "Running" and not subject.new and vbd["currently_attached"]:
            plan.add("VBD.unplug", subject.device(plan, "VBD", ref), what=what, slow=True)
        if not subject.new and len(self.storage.vbds(vbd["VDI"])) > 1:
            plan.add("VBD.destroy", ref, what=what)
            return
        # its VBD goes with it
        plan.add("VDI.destroy", subject.device(plan, "VBD", ref, "VDI"), what=what, slow=True)

    def _attach(self, plan: Plan, subject: Subject, vdi: str | Later) -> None:
        found = self.drive(subject)
        taken = {disks.place_of(vbd) for ref, vbd in subject.vbds.items() if not found or ref != found[0]}
        taken |= {disk["position"] for disk in plan.after.get("disks", ())}
        place = PLACE if PLACE not in taken else disks.free_place(taken, self.label)
        # a disk of an HVM guest cannot be read-only
        mode = "rw" if disks.is_hvm(subject.record) else "ro"
        what = f"attach the cloud-init drive to VM {self.label!r}"
        drive = disks.vbd_record(subject.ref, vdi, place, mode, bootable=False, other_config={disks.OWNER: ""})
        vbd = plan.add("VBD.create", drive, what=what)
        if subject.at == "Running":
            plan.add("VBD.plug", vbd, what=what, slow=True)

    # removing -----------------------------------------------------------------------
    def remove(self, plan: Plan, subject: Subject) -> None:
        mine = list(self._begun(subject))
        if (found := self.drive(subject)) and len(self.storage.vbds(subject.vbds[found[0]]["VDI"])) == 1:
            mine.append(subject.vbds[found[0]]["VDI"])
        for ref in mine:
            plan.add("VDI.destroy", ref, what=f"remove the cloud-init drive of VM {self.label!r}", slow=True)
