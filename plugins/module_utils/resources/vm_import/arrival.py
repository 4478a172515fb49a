# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM that comes over the wire as an .xva, wherever that is made: it bears a mark by which it is found again."""

from __future__ import annotations

import re
import typing as t

from ... import hosts, stream
from ...errors import InvalidChange, OutcomeUnknown, XenError
from ...fields import Table
from ...formats.ova import Ova
from ...formats.sizes import readable_size
from ...plan import Later, Operation, Plan
from ...refs import Objects, Record
from ...resource import Found, Resource
from ...storage import Storage
from ...tasks import quietly
from ...vms import Vms
from . import networks, unfinished
from .networks import Nic

PUT = "http/put_import"  # as xapi calls the permission
SEED = "mac_seed"


class Incoming(t.Protocol):
    """Where a VM comes from. told: as it is called in messages; ova, vm, nics: the description; size: bytes of what opened() gives."""

    @property
    def told(self) -> str: ...

    @property
    def ova(self) -> Ova: ...

    @property
    def vm(self) -> Record: ...

    @property
    def nics(self) -> t.Sequence[Record]: ...

    @property
    def size(self) -> int: ...

    def refuse_bad(self) -> None:
        """Raises Damaged, InvalidChange for what cannot be imported."""

    def data(self) -> int:
        """About how many bytes the disks take where zeros take nothing."""

    def opened(self) -> t.ContextManager[t.Any]:
        """A path, or what can be read."""


class Arrival(Resource):
    """What all imports of a VM have in common. source: where it comes from; key_of_mark: of other_config; origin: what it comes from."""

    key_of_mark: t.ClassVar[str]
    origin: t.ClassVar[str]
    verb: t.ClassVar[str] = "import"
    table = Table("VM", ())
    states = ()
    source: Incoming

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self._task = ""
        self._unfinished = unfinished.Unfinished()
        self._networks: list[str] = []  # those made for the time of the import

    @property
    def label(self) -> str:
        return f"VM {self._name!r}"

    @property
    def wanted_name(self) -> str:
        """What the task wants it to be called, "" if it does not say."""
        return str(self.params.get("name") or "")

    @property
    def _name(self) -> str:
        return self.wanted_name or str(self.source.vm["name_label"])

    @property
    def mark(self) -> str:
        """The mark of the VM that the task means."""
        raise NotImplementedError

    def digest(self) -> str:
        """SHA-256 of what is sent; another text where nobody needs it."""
        raise NotImplementedError

    # looking --------------------------------------------------------------------------
    @property
    def description(self) -> str:
        """Of the task of the upload: by it the next run knows what became of it."""
        return f"{self.key_of_mark} {self.mark}"

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {
            "name": found.record["name_label"],
            "networks": {vif["device"]: self.objects.label("network", vif["network"]) for vif in self.vifs(found).values()},
        }

    def vifs(self, found: Found) -> dict[str, Record]:
        rows = self.objects.all("VIF")
        return dict(sorted(((ref, rows[ref]) for ref in found.record["VIFs"] if ref in rows), key=lambda row: str(row[1]["device"])))

    # planning -------------------------------------------------------------------------
    def move_found(self, plan: Plan, found: Found) -> None:
        """NICs that are not where the task wants them yet."""
        mapped = self.params["networks"]
        nics = {nic.device: nic for nic in networks.chosen(self.objects, self.source, mapped)} if mapped else {}
        here, mine = dict(plan.before["networks"]), self.vifs(found)
        for ref, vif in mine.items():
            nic = nics.get(vif["device"])
            if nic and nic.old in mapped and vif["network"] != nic.wanted:
                self._move(plan, ref, nic)
                here[nic.device] = self.objects.label("network", nic.wanted)
        plan.after["networks"] = here
        names = {self.stand_in(str(old)) for old in mapped}
        for ref, row in networks.stand_ins(self.objects).items():
            if row["name_label"] in names and set(row["VIFs"]) <= set(mine):
                self._remove_stand_in(plan, ref, row["name_label"])

    def fresh(self) -> Plan:
        """The VM is not there."""
        self.source.refuse_bad()
        self.refuse_clash()
        self._refuse_newer()
        storage = Storage(self.objects)
        sr = self.target(storage)
        nics = networks.chosen(self.objects, self.source, self.params["networks"])
        after = {"name": self._name, "networks": {nic.device: self.objects.label("network", nic.wanted) for nic in nics}}
        plan = Plan({}, after, warnings=networks.warnings(self.objects, nics))
        plan.warnings += self._room(storage, sr)
        self.clear(plan)
        made = networks.make_stand_ins(plan, self.objects, self.missing(nics))
        vm = plan.add(PUT, sr, what=f"{self.verb} {self.label} from {self.source.told}", run=self._send)
        self.mark_it(plan, vm)
        plan.add("task.destroy", what="remove the task of the import", run=self._forget_task)
        if self._name != self.source.vm["name_label"]:
            plan.add("VM.set_name_label", vm, self._name, what=f"name {self.label}")
        for nic in nics:
            if nic.wanted != nic.lands:
                self._move(plan, plan.find("VIF", VM=vm, device=nic.device), nic)
        for old, ref in made.items():
            self._remove_stand_in(plan, ref, old)
        self.finish(plan, vm, sr)
        return plan

    def stand_in(self, old: str) -> str:
        """The name of the network that is made for the time of the import in the place of one the pool has not."""
        return old

    def missing(self, nics: t.Iterable[Nic]) -> set[str]:
        """The names under which the import looks for networks that the pool has not."""
        return {self.stand_in(nic.old) for nic in nics if not nic.lands}

    def target(self, storage: Storage) -> str:
        """The SR its disks get onto. Raises NotFound, Ambiguous, InvalidChange."""
        return storage.for_disks(self.params.get("sr"))

    def mark_it(self, plan: Plan, vm: str | Later) -> None:
        plan.add("VM.add_to_other_config", vm, self.key_of_mark, self.mark, what=f"mark {self.label}")

    def clear(self, plan: Plan) -> None:
        """What earlier runs left goes."""
        self._unfinished.clear(plan, self.objects, self.label)

    def finish(self, plan: Plan, vm: str | Later, sr: str) -> None:
        """What is left to do once the VM is there."""

    def _move(self, plan: Plan, vif: str | Later, nic: Nic) -> None:
        plan.add("VIF.move", vif, nic.wanted, what=f"move NIC {nic.device} of {self.label} to another network", slow=True)

    def _remove_stand_in(self, plan: Plan, ref: str | Later, old: str) -> None:
        plan.add("network.destroy", ref, what=f"remove the network {old!r} that was made for the import")

    # refusals -------------------------------------------------------------------------
    def refuse_clash(self) -> None:
        """Raises InvalidChange where another VM has the name, or what preserve would keep."""
        name = self.wanted_name
        if name and any(row["name_label"] == name for row in Vms(self.objects).all().values()):
            raise InvalidChange(
                f"There is a VM named {name!r} already, which does not come from this {self.origin}.", hint="Give another name."
            )
        if self.params["preserve"]:
            self.refuse_twins(self.objects.all("VM"))

    def refuse_twins(self, vms: t.Mapping[str, Record]) -> None:
        """Raises InvalidChange where one of these has the uuid or the MAC addresses already."""
        mine = self.source.vm
        for row in vms.values():
            if row["uuid"] == mine["uuid"]:
                self.refuse_same(row)
            seed = mine.get("other_config", {}).get(SEED)
            if seed and row["other_config"].get(SEED) == seed and not row["is_a_snapshot"]:
                self.refuse_twin(row, seed)

    def refuse_same(self, vm: Record) -> None:
        raise InvalidChange(
            f"preserve would replace {vm['name_label']!r}, which has the uuid {vm['uuid']}.",
            hint="Remove that VM first, or leave preserve out.",
        )

    def refuse_twin(self, vm: Record, seed: str) -> None:
        raise InvalidChange(
            f"preserve would make a second VM with the MAC addresses of {vm['name_label']!r}.",
            hint="Remove that VM first, or leave preserve out.", code="DUPLICATE_MAC_SEED", params=[seed],
        )  # fmt: skip

    def _refuse_newer(self) -> None:
        """Raises InvalidChange for what comes from a newer release (IMPORT_INCOMPATIBLE_VERSION)."""
        version = self.source.ova.version
        ours = self.objects.get("host", hosts.coordinator(self.objects))["software_version"].get("xapi", "")
        theirs = f"{version.get('xapi_major', '')}.{version.get('xapi_minor', '')}"
        if ours and _numbers(theirs) > _numbers(ours):
            raise InvalidChange(
                f"{self.source.told} comes from a newer release (xapi {theirs}) than this pool's (xapi {ours}).",
                hint="Import it into a pool of that release.", code="IMPORT_INCOMPATIBLE_VERSION",
            )  # fmt: skip

    def _room(self, storage: Storage, sr: str) -> list[str]:
        """Raises InvalidChange where the disks, or for a thin SR their data, do not fit."""
        sizes = sum(self.source.ova.disks().values())
        free, data = storage.free(sr), self.source.data()
        if not storage.is_thick(sr) and free is not None and data > free:
            raise InvalidChange(
                f"The data of {self.source.told} has {readable_size(data)}, {readable_size(free)} are free in "
                f"SR {storage.name(sr)!r}.", hint="Take another SR, or make room.",
            )  # fmt: skip
        return storage.room([(sr, sizes)])

    # carrying out -----------------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        result = super().call(operation, params)
        if operation.method == "network.create":
            self._networks.append(str(result))
        return result

    def _send(self, sr: str) -> str:
        query = {"sr_id": sr, "restore": str(bool(self.params["preserve"])).lower()}
        try:
            with self.source.opened() as file:
                moved = stream.upload(
                    self.session, "/import", query, file, self.source.size, what=f"Import of {self._name}", host=host_for(self.objects, sr),
                    timeout=float(self.params["wait_timeout"]), mark=self.description, began=self._begun, sha256=self.digest(),
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
        for network in self._networks:
            quietly(self.session, "network.destroy", network)
        if left:
            error.facts["leftovers"] = left
            error.hint = f"{error.hint} It left in the pool: {', '.join(left)}.".strip()


def host_for(objects: Objects, sr: str) -> str:
    """The address of a host that has the SR, "" if the coordinator has: hosts send an upload on only after its first bytes."""
    seeing = Storage(objects).hosts_of(sr)
    if not seeing or hosts.coordinator(objects) in seeing:
        return ""
    live = [ref for ref in seeing if hosts.is_live(objects, ref)]
    return str(objects.get("host", min(live or seeing))["address"])


def _numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)][:2]
