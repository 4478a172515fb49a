# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a host that are more than a field. Rules: xen-api ocaml/xapi/xapi_host.ml."""

from __future__ import annotations

import string
import typing as t

from .. import operations
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL
from . import message
from .subject import enable_on

if t.TYPE_CHECKING:
    from ..dispatch import Call

HOSTNAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-.")
LONGEST_HOSTNAME = 253
NEXT_DISPLAY = {
    "enable": {"disabled": "enable_on_reboot", "disable_on_reboot": "enabled"},
    "disable": {"enabled": "disable_on_reboot", "enable_on_reboot": "disabled"},
}


@message("host.set_hostname_live")
def set_hostname_live(call: Call, host: str, hostname: str) -> None:
    """Raises HOST_NAME_INVALID [reason]."""
    at_host(call, host)
    if not hostname:
        raise Fault("HOST_NAME_INVALID", "hostname empty")
    if len(hostname) > LONGEST_HOSTNAME:
        raise Fault("HOST_NAME_INVALID", "hostname is too long")
    if not set(hostname) <= HOSTNAME_CHARACTERS:
        raise Fault("HOST_NAME_INVALID", "hostname contains invalid characters")
    call.db.set("host", host, hostname=hostname)


@message("host.syslog_reconfigure")
def syslog_reconfigure(call: Call, host: str) -> None:
    """host.logging takes effect."""
    at_host(call, host)


@message("host.set_multipathing")
def set_multipathing(call: Call, host: str, value: bool) -> None:
    """The old key in other_config follows."""
    at_host(call, host)
    call.db.set("host", host, multipathing=value)
    call.db.add_to_map("host", host, "other_config", "multipathing", str(value).lower())


@message("host.set_iscsi_iqn")
def set_iscsi_iqn(call: Call, host: str, value: str) -> None:
    """The old key in other_config follows."""
    at_host(call, host)
    if not value:
        raise Fault("INVALID_VALUE", "value", value)
    call.db.set("host", host, iscsi_iqn=value)
    call.db.add_to_map("host", host, "other_config", "iscsi_iqn", value)


@message("host.set_power_on_mode")
def set_power_on_mode(call: Call, self: str, power_on_mode: str, power_on_config: dict[str, str]) -> None:
    """Secrets the old configuration named and the new one does not are destroyed."""
    db = call.db
    old = db.get("host", self)["power_on_config"]
    db.set("host", self, power_on_mode=power_on_mode, power_on_config=power_on_config)
    operations.refresh_host(db, self)
    for key, value in old.items():
        if key.endswith("_secret") and value not in power_on_config.values():
            for secret in db.find("secret", uuid=value):
                db.destroy("secret", secret)


@message("host.enable_display")
def enable_display(call: Call, host: str) -> str:
    """Takes effect with the next boot."""
    return _display(call, host, "enable")


@message("host.disable_display")
def disable_display(call: Call, host: str) -> str:
    """Takes effect with the next boot."""
    return _display(call, host, "disable")


def _display(call: Call, host: str, change: str) -> str:
    now = call.db.get("host", host)["display"]
    call.db.set("host", host, display=NEXT_DISPLAY[change].get(now, now))
    return str(call.db.get("host", host)["display"])


@message("host.set_https_only")
def set_https_only(call: Call, self: str, value: bool) -> None:
    """Whether port 80 answers."""
    at_host(call, self)
    call.db.set("host", self, https_only=value)


@message("host.set_ssl_legacy")
def set_ssl_legacy(call: Call, self: str, value: bool) -> None:
    """Only switching it off is still possible."""
    if value:
        raise Fault("VALUE_NOT_SUPPORTED", "value", "true", "legacy TLS was removed")
    call.db.set("host", self, ssl_legacy=False)


@message("host.set_numa_affinity_policy")
def set_numa_affinity_policy(call: Call, self: str, value: str) -> None:
    """For guests that start from now on."""
    call.db.set("host", self, numa_affinity_policy=value)


@message("host.set_max_cstate")
def set_max_cstate(call: Call, self: str, value: str) -> None:
    """One or two numbers joined by a comma, or nothing for no limit."""
    parts = value.split(",") if value else []
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise Fault("INVALID_VALUE", "max_cstate", value)
    call.db.set("host", self, max_cstate=value)


@message("host.set_uefi_certificates")
def set_uefi_certificates(call: Call, host: str, value: str) -> None:
    """Stored as it is."""
    call.db.set("host", host, uefi_certificates=value)


@message("host.apply_edition")
def apply_edition(call: Call, host: str, edition: str, force: bool) -> None:
    """Raises INVALID_EDITION [edition]."""
    if edition not in call.db.get("host", host)["editions"]:
        raise Fault("INVALID_EDITION", edition)
    call.db.set("host", host, edition=edition)


@message("host.enable_external_auth")
def enable_external_auth(call: Call, host: str, config: dict[str, str], service_name: str, auth_type: str) -> None:
    """Raises AUTH_UNKNOWN_TYPE [type], AUTH_ALREADY_ENABLED [type, service]."""
    enable_on(call, host, config, service_name, auth_type)


@message("host.disable_external_auth")
def disable_external_auth(call: Call, host: str, config: dict[str, str], force: bool) -> None:
    """Without one there is nothing to do."""
    call.db.set("host", host, external_auth_type="", external_auth_service_name="", external_auth_configuration={})


@message("host.enable_local_storage_caching")
def enable_local_storage_caching(call: Call, host: str, sr: str) -> None:
    """A local ext SR of a disabled host."""
    db = call.db
    record = db.get("SR", sr)
    if not any(db.get("PBD", pbd)["host"] == host and db.get("PBD", pbd)["currently_attached"] for pbd in record["PBDs"]):
        raise Fault("HOST_CANNOT_SEE_SR", host, sr)
    if record["type"] != "ext" or record["shared"]:
        raise Fault("SR_OPERATION_NOT_SUPPORTED", sr)
    if db.get("host", host)["enabled"]:
        raise Fault("HOST_NOT_DISABLED")
    db.set("host", host, local_cache_sr=sr)
    db.set("SR", sr, local_cache_enabled=True)


@message("host.disable_local_storage_caching")
def disable_local_storage_caching(call: Call, host: str) -> None:
    """On a disabled host."""
    db = call.db
    if db.get("host", host)["enabled"]:
        raise Fault("HOST_NOT_DISABLED")
    sr = db.get("host", host)["local_cache_sr"]
    if db.exists("SR", sr):
        db.set("SR", sr, local_cache_enabled=False)
    db.set("host", host, local_cache_sr=NULL)
