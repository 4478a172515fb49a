# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pool itself: its settings, who is in it, who coordinates it, high availability, certificates."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...client import Session
from ...errors import InvalidChange, NotFound
from ...fields import Field, Table
from ...plan import Plan
from ...refs import Objects, Record
from ...resource import Found, Resource
from . import certificates, coordinator, ha, members
from .leaving import Leaving
from .side import Side

MEMBER: dict[str, t.Any] = {
    "name": {"type": "str"},
    "address": {"type": "str", "required": True},
    "uuid": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool"},
    "ca_file": {"type": "path"},
    "fingerprint": {"type": "list", "elements": "str"},
    "force": {"type": "bool", "default": False},
}


class Pool(Resource):
    plural = "pools"
    states = ()
    by_name = False
    table = Table(
        "pool",
        (
            Field("name_label", "name", default=""),
            Field("name_description", "description", default=""),
            Field("tags", "tags", "tags", default=()),
            Field("other_config", "other_config", "dict", default={}),
            Field("default_SR", "default_sr", "ref", ref="SR"),
            Field("suspend_image_SR", "suspend_image_sr", "ref", ref="SR"),
            Field("crash_dump_SR", "crash_dump_sr", "ref", ref="SR"),
            Field("migration_compression", "migration_compression", "bool", default=False),
            Field("igmp_snooping_enabled", "igmp_snooping_enabled", "bool", default=False),
            Field("ha_allow_overcommit", "ha_allow_overcommit", "bool", default=False),
        ),
    )
    options = {
        "coordinator": {"type": "str"},
        "tls_verification": {"type": "bool"},
        "ca_certificates": {"type": "list", "elements": "dict", "options": certificates.OPTIONS},
        "members": {"type": "list", "elements": "dict", "options": MEMBER},
        "eject": {"type": "list", "elements": "str"},
        "lose_local_data": {"type": "bool", "default": False},
        "ha": {"type": "dict", "options": ha.OPTIONS},
        "allow_disruption": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 1800},
    }

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self._succession = coordinator.Succession(session)
        self._joining: members.Joining | None = None

    def find(self) -> Found:
        """The pool there is. Raises NotFound when the task means another by its uuid."""
        ref, record = hosts.pool_of(self.objects)
        wanted = self.params.get("uuid")
        if wanted and wanted != record["uuid"]:
            raise NotFound(f"This is pool {self._label(record)!r} with the uuid {record['uuid']}, not {wanted}.", hint="Check hostname.")
        return Found(ref, record)

    def _label(self, record: Record) -> str:
        return record["name_label"] or hosts.name_of(self.objects, record["master"])

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {
            **super().observe(found),
            "coordinator": hosts.name_of(self.objects, found.record["master"]),
            "tls_verification": found.record.get("tls_verification_enabled"),
            "ca_certificates": certificates.observed(Side(self.objects)),
            "members": members.observed(self.objects),
            "ha": ha.observed(self.objects, found.record),
        }

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        after = {**before, **super().desire(before)}
        after["ca_certificates"] = certificates.desired(before["ca_certificates"], self.params.get("ca_certificates"))
        after["ha"] = ha.desired(self.objects, before["ha"], self.params.get("ha"))
        # a release that cannot check certificates does not check them
        if self.params.get("tls_verification") or before["tls_verification"] is not None:
            given = self.params.get("tls_verification")
            after["tls_verification"] = before["tls_verification"] if given is None else given
        return after

    def update(self, plan: Plan, found: Found) -> None:
        """High availability refuses most changes, so what turns it off goes first and what turns it on comes last."""
        before, after, first = plan.before["ha"], plan.after["ha"], hosts.coordinator(self.objects)
        ha.plan_off(plan, before, after)
        self.table.changes(plan, found.ref, self.objects, found.record, self._label(found.record))
        joining = self._joining = members.Joining(self.session, self.objects, self.params, ha_goes=not self._ha_on(plan))
        joining.refuse()
        joining.wait_for_starting(plan)
        joining.plan(plan)
        self._certificates(plan, found)
        chief = self._succession.plan(plan, self.objects, self.params, ha=self._ha_on(plan))
        leaving = Leaving(self.objects, self.params, coordinator=chief, mentioned=joining.mentioned)
        leaving.plan(plan, ha=self._ha_on(plan))
        plan.after["coordinator"] = hosts.name_of(self.objects, chief)
        former = [members.row_of(self.objects.get("host", first))]
        gone = leaving.uuids | {self.objects.get("host", chief)["uuid"]}
        plan.after["members"] = members.without(gone, [*plan.before["members"], *former, *joining.rows])
        ha.plan_on(plan, self.objects, found.ref, before, after)
        self._relabel(plan, joining, leaving)

    def _relabel(self, plan: Plan, joining: members.Joining, leaving: Leaving) -> None:
        """A name stands for an object as long as it is the only one of that name: namesakes may come and go with hosts."""
        coming = [name for candidate in joining.candidates for name in candidate.srs]
        gone = {sr for ref in leaving.refs for sr in hosts.only_there(self.objects, ref)}
        for option in ("default_sr", "suspend_image_sr", "crash_dump_sr"):
            if not (later := self._later("SR", plan.after[option], gone, coming)) and plan.after[option]:
                plan.warnings.append(f"With the hosts that leave goes SR {plan.after[option]!r}, the pool's {option}.")
            plan.after[option] = later
        kept = plan.after["ha"]["heartbeat_srs"]
        plan.after["ha"]["heartbeat_srs"] = [self._later("SR", text, gone, coming) for text in kept]
        newcomers = [candidate.host["name_label"] for candidate in joining.candidates]
        plan.after["coordinator"] = self._later("host", plan.after["coordinator"], set(leaving.refs), newcomers)

    def _later(self, cls: str, text: str, gone: t.Collection[str], coming: t.Sequence[str]) -> str:
        """The name or uuid of an object when others of its class have gone and come; "" if it has gone itself."""
        ref = self.objects.resolve(cls, text) if text else ""
        if not ref or ref in gone:
            return ""
        record = self.objects.get(cls, ref)
        name = t.cast(str, record["name_label"])
        namesakes = sum(ref not in gone for ref in self.objects.named(cls, name)) + coming.count(name)
        return name if name and namesakes == 1 else t.cast(str, record["uuid"])

    def _ha_on(self, plan: Plan) -> bool:
        """Whether it is on while hosts come, go and change places."""
        return plan.before["ha"]["enabled"] and not ha.goes_off(plan.before["ha"], plan.after["ha"])

    def _certificates(self, plan: Plan, found: Found) -> None:
        known = "tls_verification_enabled" in found.record  # both came with the same release
        if not known and any(plan.before[option] != plan.after[option] for option in ("ca_certificates", "tls_verification")):
            raise InvalidChange("This host's release cannot manage CA certificates and their verification.", hint="Leave them out.")
        certificates.plan_changes(plan, plan.before["ca_certificates"], plan.after["ca_certificates"], self.params.get("ca_certificates"))
        if plan.before["tls_verification"] == plan.after["tls_verification"]:
            return
        if not plan.after["tls_verification"]:
            raise InvalidChange(
                "Verification of certificates inside the pool is on and cannot be turned off again for the pool.",
                hint="In an emergency: xe host-emergency-disable-tls-verification on each host.",
            )
        plan.add("pool.enable_tls_verification", what="turn on verification of certificates inside the pool")

    # carrying out ---------------------------------------------------------------
    def session_on(self, host: str) -> Session:
        if self._joining is None:
            raise NotImplementedError(f"nothing is sent to {host} unless it joins")
        return self._joining.session_on(host)

    # telling ----------------------------------------------------------------------
    def facts(self, found: Found) -> dict[str, t.Any]:
        pool, rows = found.record, self.objects.all("host")
        return {
            "hosts": sorted(
                (_host(self.objects, ref, ref == pool["master"]) for ref in rows), key=lambda h: (not h["coordinator"], h["name"])
            ),
            "cpu_info": dict(pool.get("cpu_info", {})),
            "ha_plan_exists_for": int(pool["ha_plan_exists_for"]),
            "ha_overcommitted": pool["ha_overcommitted"],
            "restrictions": sorted(
                key for key, value in pool.get("restrictions", {}).items() if key.startswith("restrict_") and value == "true"
            ),
        }


def _host(objects: Objects, ref: str, chief: bool) -> dict[str, t.Any]:
    host = objects.get("host", ref)
    version = host["software_version"]
    return {
        "name": host["name_label"],
        "uuid": host["uuid"],
        "address": host["address"],
        "coordinator": chief,
        "live": hosts.is_live(objects, ref),
        "enabled": host["enabled"],
        "product_brand": version.get("product_brand", ""),
        "product_version": version.get("product_version", ""),
    }
