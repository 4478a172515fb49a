# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CD drive of a VM and what is in it. Rules: xen-api ocaml/xapi/xapi_vbd.ml, xapi_vbd_helpers.ml."""

from __future__ import annotations

import typing as t

from ... import disks, hosts
from ...errors import Ambiguous, InvalidChange, NotFound
from ...plan import Plan
from ...refs import NULL, Record, told_names
from ...storage import Storage
from .part import Part, Subject

EMPTY = {"iso": "", "sr": ""}
PLACE = 3  # where a template of the host has its drive


class Cd(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "cd": {
            "type": "dict",
            "options": {"iso": {"type": "str"}, "sr": {"type": "str"}, "tools": {"type": "bool"}},
            "mutually_exclusive": [["iso", "tools"]],
        }
    }

    # observing ----------------------------------------------------------------------
    @staticmethod
    def drive(subject: Subject) -> str:
        """The first CD drive; "" for none."""
        drives = sorted((disks.place_of(vbd), ref) for ref, vbd in subject.vbds.items() if vbd["type"] == "CD")
        return drives[0][1] if drives else ""

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        drive = self.drive(subject)
        return {"cd": self._told(subject.vbds[drive]["VDI"]) if drive else None}

    def _told(self, vdi: str) -> dict[str, str]:
        if vdi == NULL or vdi not in self.objects.all("VDI"):
            return dict(EMPTY)
        record = self.objects.get("VDI", vdi)
        return {"iso": record["name_label"], "sr": self.objects.label("SR", record["SR"])}

    # wanting ------------------------------------------------------------------------
    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given, drive = self.params.get("cd"), self.drive(subject)
        if given is None:
            return {"cd": have["cd"]}
        if given.get("iso") == "" or not (given.get("iso") or given.get("tools")):
            return {"cd": dict(EMPTY)}
        there = subject.vbds[drive]["VDI"] if drive else NULL
        disc = self._disc(given, there)
        if disc != there:
            self._refuse_unseen(disc, subject)
        return {"cd": self._told(disc)}

    def _disc(self, given: Record, there: str) -> str:
        """Raises NotFound, Ambiguous with the SRs."""
        text = given.get("iso") or "the tools"
        found = self._discs(given)
        if given.get("sr"):
            sr = self.objects.resolve("SR", given["sr"])
            found = [ref for ref in found if self.objects.get("VDI", ref)["SR"] == sr]
        if not found:
            where = f"SR {given['sr']!r}" if given.get("sr") else "any ISO SR"
            raise NotFound(
                f"There is no CD {text!r} in {where} (VM {self.label!r}).",
                hint=f"{self._near(text)}A file that is new is known after a scan of its SR (xen_sr).",
            )
        if there in found:
            return there
        if len(found) > 1:
            names = ", ".join(sorted(repr(self.objects.label("SR", self.objects.get("VDI", ref)["SR"])) for ref in found))
            raise Ambiguous(f"There are {len(found)} CDs {text!r}, in the SRs {names}.", hint="Tell them apart with sr, or give the uuid.")
        return found[0]

    def _near(self, text: str) -> str:
        """Those there are, with a space behind."""
        srs = self.objects.all("SR")
        discs = [r["name_label"] for r in self.objects.all("VDI").values() if r["SR"] in srs and srs[r["SR"]]["content_type"] == "iso"]
        return f"{told_names(text, sorted(filter(None, discs)))} " if any(discs) else ""

    def _discs(self, given: Record) -> list[str]:
        """What lies in ISO libraries and drives of hosts, by uuid or name; of the tools the one there is."""
        srs = self.objects.all("SR")
        rows = {ref: r for ref, r in self.objects.all("VDI").items() if r["SR"] in srs and srs[r["SR"]]["content_type"] == "iso"}
        if given.get("tools"):
            return [ref for ref, r in rows.items() if r.get("is_tools_iso") or srs[r["SR"]].get("is_tools_sr")]
        text = given["iso"]
        return [ref for ref, r in rows.items() if r["uuid"] == text] or [ref for ref, r in rows.items() if r["name_label"] == text]

    def _refuse_unseen(self, disc: str, subject: Subject) -> None:
        """Raises InvalidChange for a CD that the VM's host cannot reach."""
        storage, sr = Storage(self.objects), self.objects.get("VDI", disc)["SR"]
        storage.refuse_detached(sr)
        host = subject.record["resident_on"]
        if subject.at in ("Running", "Paused") and host not in storage.hosts_of(sr):
            raise InvalidChange(
                f"VM {self.label!r} runs on host {hosts.name_of(self.objects, host)!r}, which has not attached SR {storage.name(sr)!r}.",
                hint="Take a CD from an SR that all hosts have.",
            )

    # changing -----------------------------------------------------------------------
    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        if subject.at == "Halted" or have["cd"] == want["cd"]:
            return []
        if have["cd"] is None:
            return ["get a CD drive"]
        return ["change its CD"] if subject.at == "Suspended" else []

    def change(self, plan: Plan, subject: Subject) -> None:
        have, want = plan.before["cd"], plan.after["cd"]
        if have == want:
            return
        disc = self._disc(self.params["cd"], NULL) if want != EMPTY else NULL
        if have is None:
            self._add_drive(plan, subject, disc)
            return
        drive = subject.device(plan, "VBD", self.drive(subject))
        if have != EMPTY:
            plan.add("VBD.eject", drive, what=f"eject CD {have['iso']!r} of VM {self.label!r}", slow=True)
        if disc != NULL:
            plan.add("VBD.insert", drive, disc, what=f"insert CD {want['iso']!r} into VM {self.label!r}", slow=True)

    def _add_drive(self, plan: Plan, subject: Subject, disc: str) -> None:
        taken = {disks.place_of(vbd) for vbd in subject.vbds.values()} | {entry["position"] for entry in plan.after.get("disks", ())}
        place = PLACE if PLACE not in taken else disks.free_place(taken, self.label)
        record = disks.vbd_record(subject.ref, disc, place, "ro", bootable=False, type="CD", empty=disc == NULL)
        plan.add("VBD.create", record, what=f"give VM {self.label!r} a CD drive")
