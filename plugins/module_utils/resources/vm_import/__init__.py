# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM from an exported file. It bears a mark, the file's SHA-256 and the wanted name, by which it is found again."""

from __future__ import annotations

import re
import typing as t

from ... import hosts, stream
from ...errors import InvalidChange, OutcomeUnknown, XenError
from ...fields import Table
from ...formats.sizes import readable_size
from ...plan import Later, Plan
from ...refs import Objects, Record
from ...resource import Found, Resource
from ...storage import Storage
from ...vms import Vms
from . import networks, unfinished
from .networks import Nic
from .source import Source

PUT = "http/put_import"  # as xapi calls the permission
MARK = "domzero.xen:import"  # other_config of an imported VM
SEED = "mac_seed"


class VmImport(Resource):
    table = Table("VM", ())
    states = ()
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "src": {"type": "path", "required": True},
        "name": {"type": "str"},
        "sr": {"type": "str"},
        "networks": {"type": "dict", "default": {}},
        "preserve": {"type": "bool", "default": False},
        "verify": {"type": "str", "choices": ["before", "during", "never"], "default": "before"},
        "wait_timeout": {"type": "int", "default": 86400},
    }

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.source = Source(params["src"], params["verify"])
        self._task = ""
        self._unfinished = unfinished.Unfinished()

    @property
    def label(self) -> str:
        return f"VM {self._name!r}"

    @property
    def _name(self) -> str:
        return str(self.params.get("name") or self.source.vm["name_label"])

    @property
    def mark(self) -> str:
        return f"{self.source.sha256()} {self.params.get('name') or ''}".strip()

    # looking --------------------------------------------------------------------------
    def find(self) -> Found | None:
        """The VM that bears the mark, or that an unfinished run left without it. Raises InvalidChange, Damaged."""
        rows = self.objects.all("VM")
        marked = [ref for ref, row in rows.items() if MARK in row["other_config"] and not row["is_a_snapshot"]]
        if not marked and self.source.verify == "before":
            self.source.check()  # it is needed anyway, and tells the SHA-256 on the way
        found = next((ref for ref in marked if rows[ref]["other_config"][MARK] == self.mark), "")
        self._unfinished = unfinished.look_for(self.objects, self._description)
        found = found or self._unfinished.vm
        return Found(found, rows[found]) if found else None

    @property
    def _description(self) -> str:
        return f"{MARK} {self.mark}"

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {
            "name": found.record["name_label"],
            "networks": {vif["device"]: self.objects.label("network", vif["network"]) for vif in self._vifs(found).values()},
        }

    def _vifs(self, found: Found) -> dict[str, Record]:
        rows = self.objects.all("VIF")
        return dict(sorted(((ref, rows[ref]) for ref in found.record["VIFs"] if ref in rows), key=lambda row: str(row[1]["device"])))

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        plan = self._changed(found) if found else self._fresh()
        plan.facts["xva"] = {"src": str(self.source.path), "sha256": self.source.sha256(), "size": self.source.size}
        return plan

    def _changed(self, found: Found) -> Plan:
        """The VM is there; what an unfinished run left to do is done."""
        before = self.observe(found)
        plan = Plan(before, {**before, "name": self.params.get("name") or before["name"]})
        if MARK not in found.record["other_config"]:
            plan.add("VM.add_to_other_config", found.ref, MARK, self.mark, what=f"mark {self.label}")
        self._unfinished.forget(plan)
        if plan.after["name"] != before["name"]:
            plan.add("VM.set_name_label", found.ref, plan.after["name"], what=f"name {self.label}")
        self._move_found(plan, found)
        return plan

    def _move_found(self, plan: Plan, found: Found) -> None:
        mapped = self.params["networks"]
        nics = {nic.device: nic for nic in networks.chosen(self.objects, self.source, mapped)} if mapped else {}
        here, mine = dict(plan.before["networks"]), self._vifs(found)
        for ref, vif in mine.items():
            nic = nics.get(vif["device"])
            if nic and nic.old in mapped and vif["network"] != nic.wanted:
                self._move(plan, ref, nic)
                here[nic.device] = self.objects.label("network", nic.wanted)
        plan.after["networks"] = here
        for ref, row in networks.stand_ins(self.objects).items():
            if row["name_label"] in mapped and set(row["VIFs"]) <= set(mine):
                self._remove_stand_in(plan, ref, row["name_label"])

    def _fresh(self) -> Plan:
        if self.source.verify == "before":
            self.source.check()
        self.source.refuse_bare()
        self._refuse_clash()
        self._refuse_newer()
        storage = Storage(self.objects)
        sr = storage.for_disks(self.params.get("sr"))
        nics = networks.chosen(self.objects, self.source, self.params["networks"])
        after = {"name": self._name, "networks": {nic.device: self.objects.label("network", nic.wanted) for nic in nics}}
        plan = Plan({}, after, warnings=networks.warnings(self.objects, nics))
        plan.warnings += self._room(storage, sr)
        self._unfinished.clear(plan, self.objects, self.label)
        made = networks.make_stand_ins(plan, self.objects, nics)
        vm = plan.add(PUT, sr, what=f"import {self.label} from {self.source.path}", run=self._send)
        plan.add("VM.add_to_other_config", vm, MARK, self.mark, what=f"mark {self.label}")
        plan.add("task.destroy", what="remove the task of the import", run=self._forget_task)
        if self._name != self.source.vm["name_label"]:
            plan.add("VM.set_name_label", vm, self._name, what=f"name {self.label}")
        for nic in nics:
            if nic.wanted != nic.lands:
                self._move(plan, plan.find("VIF", VM=vm, device=nic.device), nic)
        for old, ref in made.items():
            self._remove_stand_in(plan, ref, old)
        return plan

    def _move(self, plan: Plan, vif: str | Later, nic: Nic) -> None:
        plan.add("VIF.move", vif, nic.wanted, what=f"move NIC {nic.device} of {self.label} to another network", slow=True)

    def _remove_stand_in(self, plan: Plan, ref: str | Later, old: str) -> None:
        plan.add("network.destroy", ref, what=f"remove the network {old!r} that was made for the import")

    # refusals -------------------------------------------------------------------------
    def _refuse_clash(self) -> None:
        """Raises InvalidChange where another VM has the name, or what preserve would keep."""
        vms = Vms(self.objects)
        name = self.params.get("name")
        if name and any(row["name_label"] == name for row in vms.all().values()):
            raise InvalidChange(f"There is a VM named {name!r} already, which does not come from this file.", hint="Give another name.")
        if not self.params["preserve"]:
            return
        mine = self.source.vm
        for row in self.objects.all("VM").values():
            if row["uuid"] == mine["uuid"]:
                raise InvalidChange(
                    f"preserve would replace {row['name_label']!r}, which has the uuid {mine['uuid']}.",
                    hint="Remove that VM first, or leave preserve out.",
                )
            seed = mine.get("other_config", {}).get(SEED)
            if seed and row["other_config"].get(SEED) == seed and not row["is_a_snapshot"]:
                raise InvalidChange(
                    f"preserve would make a second VM with the MAC addresses of {row['name_label']!r}.",
                    hint="Remove that VM first, or leave preserve out.", code="DUPLICATE_MAC_SEED", params=[seed],
                )  # fmt: skip

    def _refuse_newer(self) -> None:
        """Raises InvalidChange for a file of a newer release (IMPORT_INCOMPATIBLE_VERSION)."""
        version = self.source.ova.version
        ours = self.objects.get("host", hosts.coordinator(self.objects))["software_version"].get("xapi", "")
        theirs = f"{version.get('xapi_major', '')}.{version.get('xapi_minor', '')}"
        if ours and _numbers(theirs) > _numbers(ours):
            raise InvalidChange(
                f"{self.source.path} comes from a newer release (xapi {theirs}) than this pool's (xapi {ours}).",
                hint="Import it into a pool of that release.", code="IMPORT_INCOMPATIBLE_VERSION",
            )  # fmt: skip

    def _room(self, storage: Storage, sr: str) -> list[str]:
        """Raises InvalidChange where the disks, or for a thin SR their data, do not fit."""
        sizes = sum(self.source.ova.disks().values())
        free, data = storage.free(sr), self.source.data()
        if not storage.is_thick(sr) and free is not None and data > free:
            raise InvalidChange(
                f"The data of {self.source.path} has {readable_size(data)}, {readable_size(free)} are free in "
                f"SR {storage.name(sr)!r}.", hint="Take another SR, or make room.",
            )  # fmt: skip
        return storage.room([(sr, sizes)])

    # carrying out -----------------------------------------------------------------------
    def _send(self, sr: str) -> str:
        query = {"sr_id": sr, "restore": str(bool(self.params["preserve"])).lower()}
        with self.source.opened() as file:
            try:
                moved = stream.upload(
                    self.session, "/import", query, file, self.source.size, what=f"Import of {self._name}", host=self._host_for(sr),
                    timeout=float(self.params["wait_timeout"]), mark=self._description, began=self._begun,
                    sha256=self.source.sha256(),
                )  # fmt: skip
            except OutcomeUnknown:
                raise
            except XenError as e:
                self._tell_what_is_left(e)
                raise
        vms = [moved.result] if isinstance(moved.result, str) else moved.result
        return str(next((ref for ref in vms if not self.session.call("VM.get_is_a_snapshot", ref)), vms[0]))

    def _begun(self, task: str) -> None:
        self._task = task

    def _forget_task(self) -> None:
        self.session.call("task.destroy", self._task)

    def _tell_what_is_left(self, error: XenError) -> None:
        left = unfinished.tidy_up(Objects(self.session), self._task) if self._task else []
        if left:
            error.facts["leftovers"] = left
            error.hint = f"{error.hint} It left in the pool: {', '.join(left)}.".strip()

    def _host_for(self, sr: str) -> str:
        """The address of a host that has the SR, "" if the coordinator has: hosts send an upload on only after its first bytes."""
        seeing = Storage(self.objects).hosts_of(sr)
        if not seeing or hosts.coordinator(self.objects) in seeing:
            return ""
        live = [ref for ref in seeing if hosts.is_live(self.objects, ref)]
        return str(self.objects.get("host", min(live or seeing))["address"])


def _numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)][:2]
