# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual disk as a resource: which one a task means, and what it is."""

from __future__ import annotations

import typing as t

from ... import disks, tasks
from ...chains import Chains
from ...client import Session
from ...errors import Ambiguous, InvalidChange, NotFound
from ...fields import text_map
from ...formats.sizes import size
from ...plan import Later, Plan
from ...refs import NULL, Record, told_names
from ...resource import Found, Resource
from ...storage import Storage
from . import tracking
from .attachments import Attachments
from .change import Change, refuse_destroy
from .creation import Creation
from .table import OPTIONS, TABLE

Condition = t.Callable[[Record], bool]


class Vdi(Resource):
    plural = "vdis"
    table = TABLE
    options = OPTIONS
    filters: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "name": {"type": "str"},
        "uuid": {"type": "str"},
        "sr": {"type": "str"},
        "vm": {"type": "str"},
        "snapshots": {"type": "bool", "default": True},
        "changed_since": {"type": "str"},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {
        "required_one_of": [["name", "uuid"]],
        "mutually_exclusive": [["source", "snapshot_of"]],
        "required_by": {"source_sr": ["source"]},
    }

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.storage = Storage(self.objects)
        self.attachments = Attachments(self.objects, self.label)
        self._asked = False

    # finding --------------------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        """What is listed: managed disks, of the SR, VM and kind asked for."""
        rows = {ref: r for ref, r in self.objects.all("VDI").items() if r["managed"]}
        if self.params.get("changed_since"):
            rows = tracking.later(self.objects, self._since())
        if self.params.get("sr"):
            sr = self.objects.resolve("SR", self.params["sr"])
            rows = {ref: r for ref, r in rows.items() if r["SR"] == sr}
        if self.params.get("vm"):
            vm = self.objects.get("VM", self.objects.resolve("VM", self.params["vm"]))
            vbds = self.objects.all("VBD")
            mine = {vbds[vbd]["VDI"] for vbd in vm["VBDs"] if vbd in vbds}
            rows = {ref: r for ref, r in rows.items() if ref in mine}
        return rows if self.params.get("snapshots", True) else {ref: r for ref, r in rows.items() if not r["is_a_snapshot"]}

    def find(self) -> Found | None:
        """Asked again, what a call whose answer was lost still does to the disk is waited for. Raises Ambiguous, NotFound, Timeout."""
        found = self._known()
        if found and self._asked and found.record["current_operations"]:
            uuid = found.record["uuid"]

            def idle() -> bool:
                rows = self.session.call("VDI.get_all_records_where", f'field "uuid" = "{uuid}"')
                return not any(row["current_operations"] for row in rows.values())

            tasks.wait_until(f"what is done to disk {self.label!r} to end", idle, timeout=float(self.params["wait_timeout"]))
            self.objects.forget()
            found = self._known()
        self._asked = True
        return found

    def _known(self) -> Found | None:
        """By uuid, also by the one it had before it was moved; else by name, in the SR given."""
        if self.params.get("uuid"):
            found = self.known(self.params["uuid"])
            if not found and self.params["state"] != "absent":
                raise NotFound(
                    f"No VDI has the uuid {self.params['uuid']}.", hint="Check it, and that hostname is of the pool that has it."
                )
            return Found(*found) if found else None
        found_here = self._named(self.params["name"], self._meant())
        if len(found_here) > 1:
            raise self._ambiguous(self.params["name"], found_here)
        return Found(*next(iter(found_here.items()))) if found_here else None

    def _meant(self) -> Condition:
        """Snapshots have the names of their disks: one is meant only where the task says of which disk."""
        of = self.resolve(self.params["snapshot_of"], lambda r: not r["is_a_snapshot"])[0] if self.params.get("snapshot_of") else NULL
        sr = self.objects.resolve("SR", self.params["sr"]) if self.params.get("sr") and not self.params["move"] else ""
        return lambda r: (r["snapshot_of"] == of if of != NULL else not r["is_a_snapshot"]) and sr in ("", r["SR"])

    def _named(self, name: str, among: Condition) -> dict[str, Record]:
        rows = self.objects.all("VDI")
        uuids = {r["uuid"] for r in rows.values()}
        return {
            ref: r
            for ref, r in rows.items()
            if r["name_label"] == name and r["managed"] and among(r) and r["other_config"].get(disks.MOVING) not in uuids
        }

    def known(self, uuid: str) -> tuple[str, Record] | None:
        rows = self.objects.all("VDI")
        ref = next((ref for ref, r in rows.items() if r["uuid"] == uuid), "") or disks.moved_to(self.objects, uuid)
        return (ref, rows[ref]) if ref else None

    def resolve(self, text: str, among: Condition) -> tuple[str, Record]:
        """Another disk the task names, by uuid or name. Raises NotFound, Ambiguous."""
        by_uuid = self.known(text)
        found = {by_uuid[0]: by_uuid[1]} if by_uuid else self._named(text, lambda r: among(r) and not r["is_a_snapshot"])
        found = found or self._named(text, among)
        if not found:
            names = sorted({r["name_label"] for r in self.objects.all("VDI").values() if r["managed"] and r["name_label"] and among(r)})
            raise NotFound(f"No VDI is named {text!r} or has it as uuid.", hint=told_names(text, names) if names else "")
        if len(found) > 1:
            raise self._ambiguous(text, found)
        return next(iter(found.items()))

    def _ambiguous(self, name: str, found: t.Mapping[str, Record]) -> Ambiguous:
        shown = ", ".join(sorted(f"{r['uuid']} (SR {self.storage.name(r['SR'])!r})" for r in found.values()))
        return Ambiguous(f"{len(found)} disks are named {name!r}: {shown}.", hint="Tell them apart with sr or uuid.")

    def _since(self) -> tuple[str, Record]:
        return self.resolve(self.params["changed_since"], lambda _record: True)

    # observing --------------------------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        r = found.record
        return {
            **super().observe(found),
            "sr": self.storage.name(r["SR"]),
            "size": int(r["virtual_size"]),
            "image_format": self.storage.image_format(r),
            "other_config": disks.theirs(r["other_config"]),
            "cbt": r.get("cbt_enabled"),
            "attached_to": self.attachments.observe(found.ref),
        }

    def facts(self, found: Found) -> dict[str, t.Any]:
        """Read only. parents: uuids of the images below, the nearest first."""
        r, rows = found.record, self.objects.all("VDI")
        chains = Chains(self.objects)
        parents = chains.parents(found.ref)
        since = self._since() if self.params.get("changed_since") else None
        return {
            **({"changed": tracking.changed(self.objects, since, (found.ref, r))} if since else {}),
            "location": r["location"],
            "physical_utilisation": int(r["physical_utilisation"]),
            "parents": [rows[ref]["uuid"] for ref in parents],
            "chain_length": chains.length(found.ref),
            "snapshot_of": rows[r["snapshot_of"]]["uuid"] if r["snapshot_of"] in rows else "",
            "snapshots": sorted(rows[ref]["uuid"] for ref in r["snapshots"] if ref in rows),
            "snapshot": r["is_a_snapshot"],
            "sm_config": dict(r["sm_config"]),
            "sha256": r["other_config"].get(disks.IMPORTED, ""),
        }

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        """A disk that is to be moved has no uuid yet."""
        told = super().result(found, plan)
        if found and told and self.storage.name(found.record["SR"]) != told["sr"]:
            told.pop("uuid", None)
        return told

    # planning ---------------------------------------------------------------------
    def given_size(self) -> int | None:
        """Raises InvalidChange for what is no size."""
        return None if self.params.get("size") is None else size(self.params["size"])

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        after = super().desire(before)
        config = {**before.get("other_config", {}), **text_map(self.params.get("other_config") or {})}
        after["other_config"] = {k: v for k, v in config.items() if v is not None}
        known = next(iter(self.objects.all("VDI").values()), {"cbt_enabled": False})
        have = before.get("cbt", False if "cbt_enabled" in known else None)
        after["cbt"] = have if self.params.get("cbt") is None else bool(self.params["cbt"])
        if before:
            Change(self).desire(before, after)
        else:
            Creation(self).desire(after)
        after["attached_to"] = self.attachments.desire(before.get("attached_to", []), self.params.get("attached_to"))
        self._refuse(before, after)
        return after

    def _refuse(self, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> None:
        features = self.storage.features(self.objects.resolve("SR", after["sr"]))
        reset = after["on_boot"] == "reset" and before.get("on_boot") != "reset"
        if reset and "VDI_RESET_ON_BOOT" not in features:
            raise InvalidChange(f"Disk {self.label!r} cannot be reset at each start: SR {after['sr']!r} does not do that.")
        tracked = bool(after["cbt"]) and not before.get("cbt")
        if tracked and ("VDI_CONFIG_CBT" not in features or after["type"] not in ("user", "system")):
            raise InvalidChange(f"Changes of disk {self.label!r} cannot be tracked: SR {after['sr']!r} or its type does not do that.")
        if tracked and after["on_boot"] == "reset":
            raise InvalidChange(f"Changes of disk {self.label!r} cannot be tracked while it is reset at each start.")

    def refuse_copy(self, ref: str, record: Record) -> None:
        """Raises InvalidChange for a disk that cannot be copied now."""
        writers = self.storage.users(ref, attached=True)
        if "copy" not in record["allowed_operations"] and writers:
            raise InvalidChange(
                f"Disk {record['name_label']!r} cannot be copied while VM {writers[0]!r} writes to it.",
                hint="Halt the VM, or take a snapshot (snapshot_of) and copy that.",
            )

    def create(self, plan: Plan) -> Later:
        made = Creation(self).make(plan)
        if plan.after["cbt"] and not self.params.get("snapshot_of"):
            plan.add("VDI.enable_cbt", made, what=f"track changes of disk {self.label!r}")
        self.attachments.join(plan, made, None)
        return t.cast(Later, made)

    def update(self, plan: Plan, found: Found) -> None:
        Change(self).plan(plan, found)

    def destroy(self, plan: Plan, found: Found) -> None:
        disruptive = refuse_destroy(plan, found, self.label, self.storage.held(found.ref))
        plan.add("VDI.destroy", found.ref, what=f"remove disk {self.label!r}", disruptive=disruptive, slow=True)
