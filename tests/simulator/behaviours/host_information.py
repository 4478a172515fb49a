# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells about itself, its clock and its plugins. Rules: xen-api ocaml/xapi/xapi_host.ml, xapi_plugins.ml."""

from __future__ import annotations

import math
import typing as t
import zoneinfo
from datetime import datetime

from .. import host_plugins
from ..errors import Fault, NotSimulated
from ..hosts import at_host
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

# name, description, unit
DATA_SOURCES = (
    ("cpu_avg", "cpu_avg", "(fraction)"),
    ("loadavg", "loadavg", "(fraction)"),
    ("memory_free_kib", "memory_free_kib", "KiB"),
    ("memory_total_kib", "memory_total_kib", "KiB"),
    ("pool_session_count", "Number of sessions", "sessions"),
    ("pool_session_creation_rate", "Number of sessions created per second", "sessions/s"),
    ("pool_task_count", "Number of tasks", "tasks"),
    ("pool_vgpu_migration_rate", "Number of vGPU migrations occurred per second", "migrations/s"),
    ("xapi_allocation_kib", "Memory allocation done by the xapi daemon", "KiB"),
    ("xapi_free_memory_kib", "Free memory available to the xapi daemon", "KiB"),
    ("xapi_live_memory_kib", "Live memory used by xapi daemon", "KiB"),
    ("xapi_memory_usage_kib", "Total memory allocated used by xapi daemon", "KiB"),
    ("xapi_open_fds", "Number of open file descriptors held by xapi", "file descriptors"),
)


@message("host.get_data_sources")
def get_data_sources(call: Call, host: str) -> list[dict[str, t.Any]]:
    """Names and units; the values are always 0."""
    at_host(call, host)
    return [
        {
            "name_label": name, "name_description": text, "enabled": True, "standard": True, "units": unit, "min": 0.0, "max": math.inf,
            "value": 0.0,
        }
        for name, text, unit in DATA_SOURCES
    ]  # fmt: skip


@message("host.record_data_source")
def record_data_source(call: Call, host: str, data_source: str) -> None:
    """All of them are recorded."""
    at_host(call, host)


@message("host.backup_rrds")
def backup_rrds(call: Call, host: str, delay: float) -> None:
    """Nothing to see from outside."""
    at_host(call, host)


@message("host.sync_data")
def sync_data(call: Call, host: str) -> None:
    """Nothing to see from outside."""
    at_host(call, host)


@message("host.refresh_pack_info")
def refresh_pack_info(call: Call, host: str) -> None:
    """No packs are installed while a host runs."""
    at_host(call, host)


@message("host.call_plugin")
def call_plugin(call: Call, host: str, plugin: str, fn: str, args: dict[str, str]) -> str:
    """What the plugin answers. Raises XENAPI_MISSING_PLUGIN [plugin], UNKNOWN_XENAPI_PLUGIN_FUNCTION [function], what it fails with."""
    return host_plugins.call(call, at_host(call, host), plugin, fn, args)


@message("host.has_extension")
def has_extension(call: Call, host: str, name: str) -> bool:
    """No extension is installed."""
    at_host(call, host)
    return False


@message("host.call_extension")
def call_extension(call: Call, host: str, name: str) -> str:
    """No extension is installed."""
    at_host(call, host)
    raise Fault("MESSAGE_METHOD_UNKNOWN", name)


@message("host.get_server_certificate")
def get_server_certificate(call: Call, host: str) -> str:
    """PEM of what the host's endpoint shows; a host that listens nowhere has none."""
    certificate = getattr(at_host(call, host).endpoint, "certificate", None)
    if certificate is None:
        raise NotSimulated("host.get_server_certificate")
    return str(certificate.cert.read_text())


@message("host.get_servertime")
def get_servertime(call: Call, host: str) -> str:
    """The host's clock, UTC."""
    at_host(call, host)
    return call.world.clock.iso()


@message("host.get_server_localtime")
def get_server_localtime(call: Call, host: str) -> str:
    """The host's clock in its time zone, without zone."""
    at_host(call, host)
    zone = call.db.get("host", host)["timezone"]
    local = datetime.fromtimestamp(call.world.clock.now(), zoneinfo.ZoneInfo(zone) if zone in zones() else zoneinfo.ZoneInfo("UTC"))
    return local.strftime("%Y%m%dT%H:%M:%S")


def zones() -> set[str]:
    """The time zones of this computer."""
    return zoneinfo.available_timezones() or {"UTC", "Etc/UTC"}


@message("host.list_timezones")
def list_timezones(call: Call, self: str) -> list[str]:
    """Names host.set_timezone takes."""
    at_host(call, self)
    return sorted(zones())


@message("host.set_timezone")
def set_timezone(call: Call, self: str, value: str) -> None:
    """Raises INVALID_VALUE ["timezone", value]."""
    at_host(call, self)
    if value not in zones():
        raise Fault("INVALID_VALUE", "timezone", value)
    call.db.set("host", self, timezone=value)


@message("host.set_ntp_mode")
def set_ntp_mode(call: Call, self: str, value: str) -> None:
    """Custom needs servers first; raises INVALID_NTP_CONFIG [reason]."""
    at_host(call, self)
    if value == "Custom" and not call.db.get("host", self)["ntp_custom_servers"]:
        raise Fault("INVALID_NTP_CONFIG", "no custom NTP servers are configured")
    call.db.set("host", self, ntp_mode=value)


@message("host.set_ntp_custom_servers")
def set_ntp_custom_servers(call: Call, self: str, value: list[str]) -> None:
    """They are used in mode Custom; raises INVALID_NTP_CONFIG [reason]."""
    at_host(call, self)
    if not value and call.db.get("host", self)["ntp_mode"] == "Custom":
        raise Fault("INVALID_NTP_CONFIG", "mode Custom needs a server")
    if any(not server.strip() or " " in server for server in value):
        raise Fault("INVALID_NTP_CONFIG", "a server name is empty or has a blank in it")
    call.db.set("host", self, ntp_custom_servers=value)


@message("host.get_ntp_servers_status")
def get_ntp_servers_status(call: Call, self: str) -> dict[str, str]:
    """The servers in use, each answering."""
    at_host(call, self)
    record = call.db.get("host", self)
    return dict.fromkeys(record["ntp_custom_servers"] if record["ntp_mode"] == "Custom" else (), "current")


@message("host.get_ntp_synchronized")
def get_ntp_synchronized(call: Call, self: str) -> bool:
    """True unless NTP is off."""
    at_host(call, self)
    return bool(call.db.get("host", self)["ntp_mode"] != "Disabled")


@message("host.set_servertime")
def set_servertime(call: Call, self: str, value: str) -> None:
    """Only without NTP; all simulated hosts share one clock, which stays as it is."""
    at_host(call, self)
    if call.db.get("host", self)["ntp_mode"] != "Disabled":
        raise Fault("NOT_ALLOWED_WHEN_NTP_IS_ENABLED", self)
