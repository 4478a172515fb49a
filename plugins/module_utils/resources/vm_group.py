# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VM groups: VMs that are placed with regard to each other."""

from __future__ import annotations

import typing as t

from ..client import Session
from ..fields import Field, Table
from ..members import Members
from ..plan import Later, Plan
from ..refs import Record
from ..resource import Found, Resource

SINCE = "XenServer 8.4 and XCP-ng 8.3 (xapi 24.19)"


class VmGroup(Resource):
    plural = "vm_groups"
    table = Table(
        "VM_group",
        (
            Field("name_label", "name"),
            Field("name_description", "description", default=""),
            Field("placement", "placement", default="normal", choices=("normal", "anti_affinity"), writable=False),
        ),
    )
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "vms": {"type": "list", "elements": "str"},
        "take_over": {"type": "bool", "default": False},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["name", "uuid"]]}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.members = Members(self.objects, "VM_group", "groups", "VM group")

    def candidates(self) -> dict[str, Record]:
        return self.members.owners(SINCE)

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {**super().observe(found), "vms": self.members.of(found.record)}

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        given = self.params.get("vms")
        return {**super().desire(before), "vms": before.get("vms", []) if given is None else self.members.wanted(given)}

    def facts(self, found: Found) -> dict[str, t.Any]:
        """Where they run now."""
        hosts: dict[str, list[str]] = {}
        for ref in found.record["VMs"]:
            vm = self.objects.all("VM").get(ref)
            if vm and vm["resident_on"] in self.objects.all("host"):
                hosts.setdefault(self.objects.label("host", vm["resident_on"]), []).append(self.members.vms.label(ref))
        return {"running_on": {host: sorted(vms) for host, vms in sorted(hosts.items())}}

    def create(self, plan: Plan) -> Later:
        ref = super().create(plan)
        self._join(plan, ref)
        return ref

    def update(self, plan: Plan, found: Found) -> None:
        super().update(plan, found)
        self.members.plan_leaving(plan, plan.before["vms"], plan.after["vms"], self.label)
        self._join(plan, found.ref)

    def _join(self, plan: Plan, ref: str | Later) -> None:
        joining = set(plan.after["vms"]) - set(plan.before.get("vms", []))
        self.members.plan_joining(plan, ref, joining, self.label, take_over=self.params["take_over"])
