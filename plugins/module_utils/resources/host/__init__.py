# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of a pool: its settings, maintenance, power. How it comes into a pool and leaves it is the pool's."""

from __future__ import annotations

import typing as t

from ... import hosts, tasks
from ...client import Session
from ...errors import InvalidChange, NotFound, OutcomeUnknown
from ...fields import Field, Table
from ...host_return import boot_time, wants_reboot
from ...plan import Operation, Plan
from ...refs import Record
from ...resource import Found, Resource
from . import power, settings

# these calls are passed on to the host itself, all others only write into the pool's database
ITSELF = {
    f"host.{call}"
    for call in (
        "set_iscsi_iqn", "set_multipathing", "set_hostname_live", "set_https_only", "set_timezone", "set_ntp_mode",
        "set_ntp_custom_servers", "set_ssh_enabled_timeout", "set_console_idle_timeout", "set_ssh_auto_mode", "enable_ssh", "disable_ssh",
        "syslog_reconfigure", "enable_display", "disable_display", "enable_local_storage_caching", "disable_local_storage_caching",
        "enable", "disable", "evacuate", "set_numa_affinity_policy",
    )
}  # fmt: skip


class Host(Resource):
    plural = "hosts"
    states = ()
    rules = {"required_one_of": [["name", "uuid", "address"]]}
    table = Table(
        "host",
        (
            Field("name_label", "name"),
            Field("name_description", "description", default=""),
            Field("tags", "tags", "tags", default=()),
            Field("suspend_image_sr", "suspend_image_sr", "ref", ref="SR"),
            Field("crash_dump_sr", "crash_dump_sr", "ref", ref="SR"),
            Field("iscsi_iqn", "iscsi_iqn", default=""),
            Field("multipathing", "multipathing", "bool", default=False),
            Field("guest_VCPUs_params", "guest_vcpus_params", "dict", default={}),
            Field("hostname", "dom0_hostname", setter="set_hostname_live"),
            Field("timezone", "timezone"),
            Field("https_only", "https_only", "bool"),
            Field("numa_affinity_policy", "numa_affinity_policy", choices=("any", "best_effort", "default_policy")),
            Field("ssh_enabled_timeout", "ssh_enabled_timeout", "int"),
            Field("console_idle_timeout", "console_idle_timeout", "int"),
        ),
    )
    options = {
        "address": {"type": "str"},
        "other_config": {"type": "dict"},
        "logging": {"type": "dict"},
        "syslog_destination": {"type": "str"},
        "local_cache_sr": {"type": "str"},
        "display": {"type": "str", "choices": list(settings.NEXT_DISPLAY)},
        "ntp_mode": {"type": "str", "choices": ["DHCP", "Custom", "Factory", "Disabled"]},
        "ntp_custom_servers": {"type": "list", "elements": "str"},
        "ssh_enabled": {"type": "bool"},
        "ssh_auto_mode": {"type": "bool"},
        "power_on_mode": {"type": "str"},
        "power_on_config": {"type": "dict"},
        "power_on_password": {"type": "str", "no_log": True},
        "update_password": {"type": "str", "choices": ["always", "on_create"], "default": "on_create", "no_log": False},
        "enabled": {"type": "bool"},
        "evacuate": {"type": "bool", "default": False},
        "unmovable": {"type": "str", "choices": ["fail", "shutdown", "suspend"], "default": "fail"},
        "remember": {"type": "bool", "default": False},
        "bring_back": {"type": "bool", "default": False},
        "network": {"type": "str"},
        "power_state": {"type": "str", "choices": [power.RUNNING, power.HALTED]},
        "reboot": {"type": "str", "choices": ["never", "required", "always"], "default": "never"},
        "allow_disruption": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 1800},
    }

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self._power = power.Power(session, params)

    @property
    def label(self) -> str:
        return str(self.params.get("name") or self.params.get("address") or self.params.get("uuid") or "")

    def find(self) -> Found:
        """By uuid, else by address, else by name; with the first two the name is what it is to be called. Raises NotFound, Ambiguous."""
        ref: str | None
        if self.params.get("uuid"):
            ref = next(iter(self.objects.named("host", self.params["uuid"])), None)
        elif self.params.get("address"):
            ref = hosts.one_at(self.objects, self.params["address"])
        else:
            ref = self.objects.resolve("host", self.params["name"])
        if ref is None:
            known = ", ".join(sorted(f"{h['name_label']} ({h['address']})" for h in self.objects.all("host").values()))
            given = self.params.get("uuid") or self.params.get("address")
            raise NotFound(f"No host of the pool is {given}.", hint=f"There are: {known}.")
        return Found(ref, self.objects.get("host", ref))

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {
            **super().observe(found),
            **settings.observed(self.objects, found.record),
            "address": found.record["address"],
            "enabled": found.record["enabled"],
            "power_state": power.state_of(self.objects, found.ref),
        }

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {
            **before,
            **super().desire(before),
            **settings.desired(self.objects, before, self.params, self.label),
            **self._power.desired(before, self.label),
        }

    def update(self, plan: Plan, found: Found) -> None:
        label = hosts.name_of(self.objects, found.ref)
        in_maintenance = self._power.first(plan, self.objects, found, label)
        moves = plan.before["timezone"] is not None and plan.before["timezone"] != plan.after["timezone"]
        if moves and plan.before["power_state"] == power.RUNNING:
            settings.known_time_zone(self.objects, found, plan.after["timezone"], label)
        self.table.changes(plan, found.ref, self.objects, found.record, label)
        settings.plan_changes(plan, self.objects, found, label, self.params, in_maintenance=in_maintenance)
        self._power.last(plan, self.objects, found, label)
        if self._power.asked:
            plan.after["display"] = settings.AFTER_BOOT.get(plan.after["display"], plan.after["display"])
        if plan.before["power_state"] == plan.after["power_state"] == power.HALTED:
            for operation in plan.operations:
                if operation.method in ITSELF:
                    raise InvalidChange(
                        f"Host {label!r} is down, so the task could not {operation.what}.",
                        hint="Set power_state: running.",
                        code="HOST_OFFLINE",
                    )

    # carrying out -----------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        if operation.method == "host.enable":
            return tasks.wait_until("its start-up to end", lambda: self._enable(params), timeout=self.params["wait_timeout"])
        try:
            return super().call(operation, params)
        except OutcomeUnknown:
            # the coordinator may be gone before it has answered; the step after this one looks
            if operation.method == "host.shutdown" and params[0] == hosts.coordinator(self.objects):
                return None
            raise

    def _enable(self, params: t.Sequence[t.Any]) -> bool:
        self.session.call("host.enable", *params)
        return True

    # telling ------------------------------------------------------------------------
    def facts(self, found: Found) -> dict[str, t.Any]:
        record, version, cpus = found.record, found.record["software_version"], found.record.get("cpu_info", {})
        return {
            "live": hosts.is_live(self.objects, found.ref),
            "coordinator": found.ref == hosts.coordinator(self.objects),
            "product_brand": version.get("product_brand", ""),
            "product_version": version.get("product_version", ""),
            "platform_version": version.get("platform_version", ""),
            "xapi_build": version.get("xapi_build") or version.get("xapi", ""),
            "api_version": f"{record['API_version_major']}.{record['API_version_minor']}",
            "edition": record["edition"],
            "memory_total": int(hosts.metrics(self.objects, found.ref).get("memory_total", 0)),
            "cpus": {"count": int(cpus.get("cpu_count", 0)), "sockets": int(cpus.get("socket_count", 0))}
            | {key: cpus.get(key, "") for key in ("vendor", "modelname")},
            "boot_time": boot_time(record),
            "guests": hosts.guests(self.objects, found.ref),
            "reboot_reasons": wants_reboot(record),
            "pending_guidances": sorted(record.get("pending_guidances", ())),
        }
