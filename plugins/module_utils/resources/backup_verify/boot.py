# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does the VM of a backup start? A copy of it is made without NICs, started, waited for and removed, whatever comes of it."""

from __future__ import annotations

import functools
import typing as t

from ... import guest, hosts
from ...errors import ApiError, Timeout, XenError
from ...formats.compression import Damaged, unread
from ...plan import Later, Operation, Plan
from ...refs import Objects, Record
from ...resource import Found, achieve, predict
from ..restore.checking import Checks
from ..restore.source import BackupSource
from ..restore.vm import VmRestore
from . import stale

if t.TYPE_CHECKING:
    from ...backup.stored import Backup
    from ...client import Session

# what is the guest's own fault when it is started; all else is the pool's, and no word about the backup
OF_THE_GUEST = {"BOOTLOADER_FAILED", "UNKNOWN_BOOTLOADER", "VM_CRASHED"}
HERE_ONLY = ("auto_poweron", "pci")  # other_config: started with the host, and devices that a host has once
NETWORK = "{0} network"


class Fell(XenError):
    """The guest was started and ended by itself."""


class Awake(BackupSource):
    """A VM that was suspended starts anew: what it had in memory knows NICs that are not there."""

    @property
    def sleeps(self) -> bool:
        return False


class BootTest(VmRestore):
    """params: those of a restore, and boot_test. Nothing of it is there afterwards; the next run removes what a killed one left."""

    started = False

    @classmethod
    def of(cls, session: Session, backup: Backup, params: Record) -> BootTest:
        subject, boot = backup.subject, params["boot_test"]
        given = {
            "repository": params["repository"], "kind": "vm", "pool": subject.pool_uuid, "name": subject.uuid, "backup": backup.stamp,
            "sr": boot["sr"], "networks": {}, "preserve": False, "new_name": stale.name_of(subject, backup.stamp), "start": False,
            "disks": None, "bare": True, "verify": "never", "identity": params.get("identity"), "wait_timeout": 86400, "boot_test": boot,
        }  # fmt: skip
        return cls(session, given)

    @property
    def boot(self) -> Record:
        return t.cast("Record", self.params["boot_test"])

    @functools.cached_property
    def backup(self) -> Backup:
        """Also one that an earlier test found to be bad: this one may say otherwise."""
        return self.subject.get(self.params["backup"])

    @functools.cached_property
    def source(self) -> BackupSource:  # type: ignore[override]
        return Awake(
            self.backup, self.told, self.disks, mark=self.mark, name=self.wanted_name, bare=True,
            identity=str(self.params.get("identity") or ""), verify="never", checks=Checks(self.subject, self.backup),
        )  # fmt: skip

    # planning -------------------------------------------------------------------------
    def find(self) -> Found | None:
        """Never: what is there of it is left over. What became of earlier uploads is asked."""
        super().find()
        self._unfinished.vm = ""
        return None

    def plan(self, found: Found | None) -> Plan:
        plan = self.fresh()
        plan.silent = True
        return plan

    def refuse_clash(self) -> None:
        """What has the name is left over, and goes."""

    def clear(self, plan: Plan) -> None:
        left = stale.look_for(self.objects, self.subject, self._unfinished.tasks)
        stale.plan_removal(plan, left, str(self.subject))

    def finish(self, plan: Plan, vm: str | Later, sr: str) -> None:
        super().finish(plan, vm, sr)
        self._tame(plan, vm)
        network = self._cards(plan, vm) if self.boot["wait_for"] == "address" else None
        self._start(plan, vm)
        disks = [plan.find("VBD", "VDI", VM=vm, userdevice=disk.device) for disk in self.disks]
        plan.add("VM.hard_shutdown", vm, what=f"switch {self.label} off", slow=True)
        for vdi in disks:
            plan.add("VDI.destroy", vdi, what=f"remove a disk of {self.label}", slow=True)
        plan.add("VM.destroy", vm, what=f"remove {self.label}", slow=True)
        if network:
            plan.add("network.destroy", network, what=f"remove the network of {self.label}")

    def _tame(self, plan: Plan, vm: str | Later) -> None:
        """Nothing starts it but us, and nothing keeps us from removing it."""
        made = self.source.vm
        if made.get("blocked_operations"):
            plan.add("VM.set_blocked_operations", vm, {}, what=f"unblock {self.label}")
        for key in HERE_ONLY:
            if key in made.get("other_config", {}):
                plan.add("VM.remove_from_other_config", vm, key, what=f"take {key} from {self.label}")
        if made.get("ha_restart_priority"):
            plan.add("VM.set_ha_restart_priority", vm, "", what=f"take {self.label} out of high availability")

    def _cards(self, plan: Plan, vm: str | Later) -> Later:
        """Its NICs, on a network that leads nowhere, as the guest knows them."""
        name = NETWORK.format(self._name)
        record = {"name_label": name, "name_description": "", "MTU": 1500, "other_config": {}, "tags": []}
        network = plan.add("network.create", record, what=f"make a network for {self.label}")
        rows: list[Record] = self.manifest.details.get("networks") or [{"device": "0", "mac": ""}]
        for row in rows:
            card = {"VM": vm, "network": network, "device": row["device"], "MAC": row["mac"], "MTU": 1500, "other_config": {}}
            qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
            plan.add("VIF.create", {**card, **qos}, what=f"put NIC {row['device']} of {self.label} on it")
        return network

    def _start(self, plan: Plan, vm: str | Later) -> None:
        wanted, boot = self.boot["wait_for"], self.boot
        if boot.get("host"):
            plan.add("VM.start_on", vm, hosts.resolve(self.objects, boot["host"]), False, False, what=f"start {self.label}", slow=True)
        else:
            plan.add("VM.start", vm, False, False, what=f"start {self.label}", slow=True)
        if wanted != "none":
            what = f"{self.label} to tell {'of its tools' if wanted == 'tools' else 'an address'}"
            plan.wait(what, self._is_up, vm, timeout=float(boot["timeout"]))

    # carrying out -----------------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        result = super().call(operation, params)
        self.started = self.started or operation.method in ("VM.start", "VM.start_on")
        return result

    def _is_up(self, ref: str) -> bool | str:
        """Raises Fell."""
        vm = self.session.call("VM.get_record", ref)
        if vm["power_state"] != "Running":
            raise Fell(f"{self.label} was started, and is {vm['power_state'].lower()} since.")
        try:
            metrics = self.session.call("VM_guest_metrics.get_record", vm["guest_metrics"])
        except ApiError:
            metrics = {}  # there are none yet
        if self.boot["wait_for"] == "tools":
            return bool(guest.tools(metrics)["detected"]) or "it runs, and its tools have not been heard of"
        told = [address for found in guest.addresses(metrics).values() for address in found]
        good = [address for address in told if not address.startswith(guest.LINK_LOCAL)]
        return bool(good) or f"it runs, and has told {', '.join(told) or 'no address'}"

    def run(self, *, check: bool) -> tuple[list[str], str]:
        """The calls, and why the backup is bad ("" = it is not). Raises XenError for what is no fault of the backup."""
        try:
            return (predict if check else achieve)(self)["operations"], ""
        except BaseException as e:
            if check:
                raise
            left = self._tidy()
            if isinstance(e, XenError) and (why := self._of_the_guest(e)):
                return e.done, f"{why}{f' {left}' if left else ''}"
            if isinstance(e, XenError) and left:
                e.hint = f"{e.hint} {left}".strip()
            raise

    def _of_the_guest(self, error: XenError) -> str:
        if unread(error):
            return ""  # such as too many open files
        if isinstance(error, (Damaged, Fell)) or (self.started and isinstance(error, Timeout)):
            return error.message
        return error.message if error.code in OF_THE_GUEST else ""

    def _tidy(self) -> str:
        """What could not be removed, in a sentence."""
        try:
            left = stale.remove(Objects(self.session), self.subject)
        except XenError as e:
            return f"What it left in the pool is removed by the next boot test of {self.subject}: {e.message}"
        return f"It left {', '.join(left)} in the pool, which the next boot test of {self.subject} removes." if left else ""


def start(session: Session, backup: Backup, params: Record, check: bool) -> tuple[list[str], str]:
    """As BootTest.run, when nobody else tests the same VM. Raises XenError."""
    if check:
        return BootTest.of(session, backup, params).run(check=True)
    with stale.alone(backup.subject):
        return BootTest.of(session, backup, params).run(check=False)
