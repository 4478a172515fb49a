# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's control domain from a backup. The host unpacks it onto its second partition, from where the installer restores it.

Sources: xen-api, ocaml/xapi/xapi_host_backup.ml; XenServer's administrator's guide (host-restore).
"""

from __future__ import annotations

import functools
import typing as t

from ... import hosts, stream
from ...errors import InvalidChange, NotFound
from ...fields import Table
from ...plan import Plan
from ...resource import Found
from . import files
from .base import Restore
from .checking import Checks
from .description import RESTORED

FILE = "host.tar"
PATH, PUT = "/host_restore", "http/put_host_restore"  # as xapi calls the permission


class HostRestore(Restore):
    kind = "host"
    table = Table("host", ())
    _what_for = "the control domain of a host is restored whole"

    # looking --------------------------------------------------------------------------
    def find(self) -> Found:
        """The host that gets it: the one the task names (onto), the one it is of, or the one called like it. Raises NotFound, Ambiguous."""
        self.refuse_options("sr", "networks", "preserve", "new_name", "start", "disks", "replace", "remove_replaced", "dry_run")
        rows, who = self.objects.all("host"), self.manifest.subject
        known = [text for text in (who.uuid, who.name) if self.objects.named("host", text)]
        if self.params.get("onto") or known:
            ref = hosts.resolve(self.objects, str(self.params.get("onto") or known[0]))
        else:
            raise NotFound(f"The pool has no host {who.name!r} ({who.uuid}).", hint="Say with onto which host gets it.")
        return Found(ref, rows[ref])

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {"restored": found.record["other_config"].get(RESTORED, "")}

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        found = t.cast("Found", found)
        before = self.observe(found)
        plan = Plan(before, {"restored": self.manifest.id})
        plan.warnings += self.passed_over
        label = found.record["name_label"]
        to_do = [f'Boot host {label!r} from its installation medium and choose "Restore from Backup". Until then it stays as it is.']
        plan.facts.update(backup=self.backup.told(), to_do=to_do)
        if before == plan.after:
            return plan
        if not hosts.is_live(self.objects, found.ref):
            raise InvalidChange(f"Host {label!r} does not answer.", hint="It has to run to take its control domain.")
        part = files.needed(self.backup, FILE)
        if self.params["verify"] != "never":
            Checks(self.subject, self.backup).check([part])
        send = functools.partial(self._upload, part, label, found.record["address"])
        plan.add(PUT, found.ref, what=f"send {self.told} to host {label!r}", run=send)
        if before["restored"]:
            plan.add("host.remove_from_other_config", found.ref, RESTORED, what=f"forget what host {label!r} was sent before")
        plan.add("host.add_to_other_config", found.ref, RESTORED, self.manifest.id, what=f"note what host {label!r} was sent")
        return plan

    def _upload(self, part: files.Part, label: str, address: str, _host: str) -> None:
        with files.plain(part, str(self.params.get("identity") or "")) as path:
            what, timeout = f"Restore of host {label}", float(self.params["wait_timeout"])
            stream.upload(self.session, PATH, {}, path, path.stat().st_size, what=what, host=address, timeout=timeout)

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        return {
            "name": found.record["name_label"] if found else "",
            "uuid": found.record["uuid"] if found else "",
            "restored": plan.after.get("restored") == self.manifest.id,
        }
