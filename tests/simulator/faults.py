# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that go wrong on demand."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .errors import Fault


class Cut(ConnectionResetError):
    """The connection ends without an answer."""


BROKEN = "Xenops_interface.Xenopsd_error([S(Internal_error);S(End_of_file)])"  # what a broken stream looks like
KINDS = ("fail", "slow", "cut-before", "cut-after")


@dataclass(eq=False)
class Trigger:
    """Fires at the n-th matching call from now on; ``method`` None stands for any changing call."""

    kind: str
    method: str | None
    nth: int = 1
    error: list[str] = field(default_factory=list)
    seconds: float = 0.0
    seen: int = 0

    def hit(self, method: str, changing: bool) -> bool:
        """Counts the call; True at the n-th. ``host.call_plugin:update`` stands for calls of that function of a plugin."""
        plain = method.removeprefix("Async.")
        if changing if self.method is None else self.method in (method, plain, method.partition(":")[0], plain.partition(":")[0]):
            self.seen += 1
            return self.seen == self.nth
        return False

    def __str__(self) -> str:
        what = {"fail": f"fails with {' '.join(self.error)}", "slow": f"takes {self.seconds:g} s more"}.get(self.kind, self.kind)
        return f"call {self.nth - self.seen} from now of {self.method or 'any changing method'}: {what}"


class Strike(t.NamedTuple):
    """What befalls one call."""

    fault: Fault | None = None
    seconds: float = 0.0
    cut: bool = False  # the connection ends once the call took effect


class Faults:
    """The faults that wait to happen. Methods count calls from the moment they are asked for."""

    def __init__(self) -> None:
        self.triggers: list[Trigger] = []
        self.absent: set[str] = set()  # machines that don't come back
        self.migrations: list[Trigger] = []  # method stands for the uuid of a VM
        self.unplugged: set[str] = set()  # machines whose next start leaves their storage unplugged
        self.slow_boots: dict[str, float] = {}  # machine -> seconds more that its next boot takes
        self.transfers: list[tuple[str, int]] = []  # HTTP path, and the bytes after which its next transfer is cut
        self.scripts: list[tuple[str, list[str]]] = []  # HTTP path, and the error with which the host's work for it fails

    def add(self, kind: str, method: str | None, *, nth: int = 1, error: t.Sequence[str] = (), seconds: float = 0.0) -> None:
        """fail, slow, cut-before or cut-after at the n-th call of a method (None: of any changing one), counted from now."""
        if kind not in KINDS:
            raise LookupError(f"no fault {kind}; there are {', '.join(KINDS)}")
        self.triggers.append(Trigger(kind, method, nth, list(error), seconds))

    def fail(self, method: str, *, nth: int = 1, error: t.Sequence[str]) -> None:
        """The n-th call of a method fails with this code and parameters, without effect."""
        self.add("fail", method, nth=nth, error=error)

    def slow(self, method: str, seconds: float, *, nth: int = 1) -> None:
        """The n-th call of a method takes that many virtual seconds more."""
        self.add("slow", method, nth=nth, seconds=seconds)

    def cut_before(self, method: str, *, nth: int = 1) -> None:
        """The connection ends at the n-th call of a method, which has no effect."""
        self.add("cut-before", method, nth=nth)

    def cut_after(self, method: str, *, nth: int = 1) -> None:
        """The connection ends at the n-th call of a method, after it took effect."""
        self.add("cut-after", method, nth=nth)

    def cut_before_change(self, nth: int) -> None:
        """Like cut_before, for the n-th changing call of any method."""
        self.add("cut-before", None, nth=nth)

    def cut_after_change(self, nth: int) -> None:
        """Like cut_after, for the n-th changing call of any method."""
        self.add("cut-after", None, nth=nth)

    def cut_transfer(self, path: str, size: int) -> None:
        """The connection of the next transfer on an HTTP path ends after that many bytes of its body, in whichever direction it goes."""
        self.transfers.append((path, size))

    def transfer_limit(self, path: str) -> int | None:
        """After how many bytes the transfer that begins is cut."""
        found = next((fault for fault in self.transfers if fault[0] == path), None)
        if found is None:
            return None
        self.transfers.remove(found)
        return found[1]

    def fail_transfer(self, path: str, code: str, *params: str) -> None:
        """The host's part of the next transfer on an HTTP path fails in the middle (``/host_backup``, ``/host_restore``)."""
        self.scripts.append((path, [code, *params]))

    def transfer_fault(self, path: str) -> Fault | None:
        """What is to break the transfer that begins."""
        found = next((fault for fault in self.scripts if fault[0] == path), None)
        if found is None:
            return None
        self.scripts.remove(found)
        return Fault(*found[1])

    def fail_migration(self, code: str, *params: str, vm: str = "", nth: int = 1) -> None:
        """The n-th live migration from now (of the VM with that uuid) breaks in the middle; the guest goes on where it was.

        VM_MIGRATE_FAILED without parameters gets those xapi would give it, other codes the VM's reference.
        """
        self.migrations.append(Trigger("migration", vm or None, nth, [code, *params]))

    def migration_fault(self, uuid: str, *names: str) -> Fault | None:
        """What is to break this migration; names are the references of VM, source and target."""
        fired = [trigger for trigger in self.migrations if trigger.hit(uuid, changing=True)]
        self.migrations = [trigger for trigger in self.migrations if trigger not in fired]
        if not fired:
            return None
        code, *params = fired[0].error
        usual = (*names, BROKEN) if code == "VM_MIGRATE_FAILED" else names[:1]
        return Fault(code, *(params or usual))

    def leave_unplugged(self, machine: str) -> None:
        """The host's next start ends without its storage: no PBD is plugged."""
        self.unplugged.add(machine)

    def keep_down(self, machine: str) -> None:
        """The host does not come back from its next reboot or power-on."""
        self.absent.add(machine)

    def slow_boot(self, machine: str, seconds: float) -> None:
        """The host's next boot takes that many virtual seconds more."""
        self.slow_boots[machine] = seconds

    def stays_down(self, machine: str) -> bool:
        """Whether that was asked for."""
        return machine in self.absent

    def listed(self) -> list[str]:
        """What is still to happen, in words."""
        breaks = [f"migration {m.nth - m.seen} from now of {m.method or 'any VM'}: {' '.join(m.error)}" for m in self.migrations]
        breaks += [f"the next boot of {name} takes {seconds:g} s more" for name, seconds in self.slow_boots.items()]
        breaks += [f"the next start of {name} leaves its storage unplugged" for name in sorted(self.unplugged)]
        cuts = [f"the next transfer on {path} ends after {size} bytes" for path, size in self.transfers]
        cuts += [f"the next transfer on {path} fails with {' '.join(error)}" for path, error in self.scripts]
        return [*map(str, self.triggers), *breaks, *cuts, *(f"{name} does not come back" for name in sorted(self.absent))]

    def clear(self) -> None:
        """Nothing goes wrong any more; hosts that stayed away may be powered on again."""
        self.triggers.clear()
        self.migrations.clear()
        self.slow_boots.clear()
        self.unplugged.clear()
        self.transfers.clear()
        self.scripts.clear()
        self.absent.clear()

    def strike(self, method: str, changing: bool) -> Strike:
        """What happens to this call; method with its Async. if it has one, and a plugin's function after a colon.

        Raises Cut when it is not to begin at all.
        """
        fired = [trigger for trigger in self.triggers if trigger.hit(method, changing)]
        self.triggers = [trigger for trigger in self.triggers if trigger not in fired]
        kinds = {trigger.kind for trigger in fired}
        if "cut-before" in kinds:
            raise Cut(f"{method} was cut off before it took effect")
        failing = [trigger.error for trigger in fired if trigger.kind == "fail"]
        return Strike(Fault(*failing[0]) if failing else None, sum(trigger.seconds for trigger in fired), "cut-after" in kinds)
