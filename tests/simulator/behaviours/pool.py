# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a pool that are more than a field. Rules: xen-api ocaml/xapi/xapi_pool.ml."""

from __future__ import annotations

import typing as t
import uuid

from .. import operations
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

MOST_THREADS = 1000


@message("pool.enable_tls_verification")
def enable_tls_verification(call: Call) -> None:
    """On every host, each of which must answer."""
    with operations.running_in_pool(call, "tls_verification_enable"):
        for host in call.db.all("host"):
            at_host(call, host)
        for host in call.db.all("host"):
            call.db.set("host", host, tls_verification_enabled=True)
        call.db.set("pool", call.pool.pool_ref, tls_verification_enabled=True)


@message("host.emergency_disable_tls_verification")
def emergency_disable_tls_verification(call: Call) -> None:
    """Of the host that was asked."""
    call.db.set("host", call.machine.host_ref, tls_verification_enabled=False)


@message("host.emergency_reenable_tls_verification")
def emergency_reenable_tls_verification(call: Call) -> None:
    """Of the host that was asked; raises TLS_VERIFICATION_NOT_ENABLED_IN_POOL."""
    if not call.pool.pool["tls_verification_enabled"]:
        raise Fault("TLS_VERIFICATION_NOT_ENABLED_IN_POOL")
    call.db.set("host", call.machine.host_ref, tls_verification_enabled=True)


@message("host.emergency_clear_mandatory_guidance")
def emergency_clear_mandatory_guidance(call: Call) -> None:
    """Of the host that was asked."""
    call.db.set("host", call.machine.host_ref, pending_guidances=[])


@message("pool.set_https_only")
def set_https_only(call: Call, self: str, value: bool) -> None:
    """On every host."""
    for host in call.db.all("host"):
        call.call("host.set_https_only", host, value)


@message("pool.disable_ssl_legacy")
def disable_ssl_legacy(call: Call, self: str) -> None:
    """On every host."""
    for host in call.db.all("host"):
        call.call("host.set_ssl_legacy", host, False)


@message("pool.apply_edition")
def apply_edition(call: Call, self: str, edition: str) -> None:
    """On every host."""
    for host in call.db.all("host"):
        call.call("host.apply_edition", host, edition, False)


@message("pool.get_license_state")
def get_license_state(call: Call, self: str) -> dict[str, str]:
    """Edition and expiry; nothing expires here."""
    return {"edition": call.pool.coordinator.host_record()["edition"], "expiry": "never"}


@message("pool.has_extension")
def has_extension(call: Call, self: str, name: str) -> bool:
    """No extension is installed."""
    return False


@message("pool.add_to_guest_agent_config")
def add_to_guest_agent_config(call: Call, self: str, key: str, value: str) -> None:
    """A key that is there is an error, as in every map."""
    if key in call.db.get("pool", self)["guest_agent_config"]:
        raise Fault("MAP_DUPLICATE_KEY", "pool", "guest_agent_config", self, key)
    call.db.add_to_map("pool", self, "guest_agent_config", key, value)


@message("pool.remove_from_guest_agent_config")
def remove_from_guest_agent_config(call: Call, self: str, key: str) -> None:
    """One that is not there is no error."""
    call.db.remove_from_map("pool", self, "guest_agent_config", key)


def _bounded(call: Call, self: str, field: str, value: int, lowest: int, highest: int = MOST_THREADS) -> None:
    if not lowest <= value <= highest:
        raise Fault("INVALID_VALUE", field, str(value))
    call.db.set("pool", self, **{field: value})


@message("pool.set_local_auth_max_threads")
def set_local_auth_max_threads(call: Call, self: str, value: int) -> None:
    """At least 1."""
    _bounded(call, self, "local_auth_max_threads", value, 1)


@message("pool.set_ext_auth_max_threads")
def set_ext_auth_max_threads(call: Call, self: str, value: int) -> None:
    """At least 1."""
    _bounded(call, self, "ext_auth_max_threads", value, 1)


@message("pool.set_ext_auth_cache_enabled")
def set_ext_auth_cache_enabled(call: Call, self: str, value: bool) -> None:
    """For directories."""
    call.db.set("pool", self, ext_auth_cache_enabled=value)


@message("pool.set_ext_auth_cache_size")
def set_ext_auth_cache_size(call: Call, self: str, value: int) -> None:
    """At least 1."""
    _bounded(call, self, "ext_auth_cache_size", value, 1, 1 << 31)


@message("pool.set_ext_auth_cache_expiry")
def set_ext_auth_cache_expiry(call: Call, self: str, value: int) -> None:
    """Seconds, at least 1."""
    _bounded(call, self, "ext_auth_cache_expiry", value, 1, 1 << 31)


@message("pool.set_uefi_certificates")
def set_uefi_certificates(call: Call, self: str, value: str) -> None:
    """Stored as it is."""
    call.db.set("pool", self, uefi_certificates=value)


@message("pool.set_custom_uefi_certificates")
def set_custom_uefi_certificates(call: Call, self: str, value: str) -> None:
    """Stored as it is."""
    call.db.set("pool", self, custom_uefi_certificates=value)


@message("pool.get_guest_secureboot_readiness")
def get_guest_secureboot_readiness(call: Call, self: str) -> str:
    """Ready with certificates of the pool."""
    pool = call.db.get("pool", self)
    return "ready" if pool["custom_uefi_certificates"] or pool["uefi_certificates"] else "not_ready"


@message("pool.reset_telemetry_uuid")
def reset_telemetry_uuid(call: Call, self: str) -> None:
    """A new secret takes the old one's place."""
    old = call.db.get("pool", self)["telemetry_uuid"]
    call.db.set("pool", self, telemetry_uuid=call.db.create("secret", value=str(uuid.uuid4())))
    if call.db.exists("secret", old):
        call.db.destroy("secret", old)


@message("pool.set_telemetry_next_collection")
def set_telemetry_next_collection(call: Call, self: str, value: str) -> None:
    """A date."""
    call.db.set("pool", self, telemetry_next_collection=value)


@message("pool.enable_local_storage_caching")
def enable_local_storage_caching(call: Call, self: str) -> None:
    """On each host's local ext SR; raises HOSTS_FAILED_TO_ENABLE_CACHING [hosts]."""
    failed = []
    for host, record in call.db.all("host").items():
        srs = [call.db.get("PBD", pbd)["SR"] for pbd in record["PBDs"]]
        local = [sr for sr in srs if call.db.get("SR", sr)["type"] == "ext" and not call.db.get("SR", sr)["shared"]]
        try:
            call.call("host.enable_local_storage_caching", host, local[0] if local else NULL)
        except Fault:
            failed.append(host)
    if failed:
        raise Fault("HOSTS_FAILED_TO_ENABLE_CACHING", *failed)


@message("pool.disable_local_storage_caching")
def disable_local_storage_caching(call: Call, self: str) -> None:
    """Raises HOSTS_FAILED_TO_DISABLE_CACHING [hosts]."""
    failed = []
    for host in call.db.all("host"):
        try:
            call.call("host.disable_local_storage_caching", host)
        except Fault:
            failed.append(host)
    if failed:
        raise Fault("HOSTS_FAILED_TO_DISABLE_CACHING", *failed)


@message("pool.detect_nonhomogeneous_external_auth")
def detect_nonhomogeneous_external_auth(call: Call, pool: str) -> None:
    """Directories are not simulated, so hosts never differ in them."""


@message("pool.deconfigure_wlb")
def deconfigure_wlb(call: Call) -> None:
    """The pool forgets its workload balancing server."""
    call.db.set("pool", call.pool.pool_ref, wlb_url="", wlb_username="", wlb_enabled=False)


@message("pool.retrieve_wlb_configuration")
def retrieve_wlb_configuration(call: Call) -> dict[str, str]:
    """Raises WLB_NOT_INITIALIZED: there is no server."""
    raise Fault("WLB_NOT_INITIALIZED")


@message("pool.retrieve_wlb_recommendations")
def retrieve_wlb_recommendations(call: Call) -> dict[str, list[str]]:
    """Raises WLB_NOT_INITIALIZED: there is no server."""
    raise Fault("WLB_NOT_INITIALIZED")
