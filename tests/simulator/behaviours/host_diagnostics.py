# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells about its inside: there is little inside a simulated one (xen-api: ocaml/xapi/xapi_host.ml)."""

from __future__ import annotations

from ..dispatch import Call
from ..errors import Fault
from ..hosts import at_host
from ..schema import message_names
from . import message
from .host_information import DATA_SOURCES


@message("host.list_methods")
def list_methods(call: Call) -> list[str]:
    """All messages of the release, with their Async forms."""
    return message_names(call.world.schema)


@message("host.dmesg")
def dmesg(call: Call, host: str) -> str:
    """The hypervisor has nothing to say."""
    at_host(call, host)
    return ""


@message("host.dmesg_clear")
def dmesg_clear(call: Call, host: str) -> str:
    """The same, and nothing to clear."""
    return dmesg(call, host)


@message("host.get_log")
def get_log(call: Call, host: str) -> str:
    """Nothing is logged."""
    return dmesg(call, host)


@message("host.send_debug_keys")
def send_debug_keys(call: Call, host: str, keys: str) -> None:
    """Whatever the keys, nothing follows."""
    at_host(call, host)


@message("host.get_system_status_capabilities")
def get_system_status_capabilities(call: Call, host: str) -> str:
    """No reports are made."""
    at_host(call, host)
    return '<?xml version="1.0"?><system-status-capabilities></system-status-capabilities>'


@message("host.query_data_source")
def query_data_source(call: Call, host: str, data_source: str) -> float:
    """Always 0. Raises INTERNAL_ERROR for a source nobody knows."""
    at_host(call, host)
    if data_source not in {name for name, _text, _unit in DATA_SOURCES}:
        raise Fault("INTERNAL_ERROR", f'Failure("No such data source: {data_source}")')
    return 0.0


@message("host.forget_data_source_archives")
def forget_data_source_archives(call: Call, host: str, data_source: str) -> None:
    """Nothing is kept anyway."""
    at_host(call, host)
