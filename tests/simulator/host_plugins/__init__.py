# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins of hosts (host.call_plugin): one file per plugin, each function registered by plugin and name.

Errors that are not API failures come as XENAPI_PLUGIN_FAILURE [function, exception, text] (xen-api: XenAPIPlugin.py).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import typing as t

from ..errors import Fault
from ..guests import NO_HYPERVISOR

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import Machine

Function = t.Callable[["Call", "Machine", dict[str, str]], str]
FUNCTIONS: dict[str, dict[str, Function]] = {}
XCP_NG = ("updater.py",)  # those that come with XCP-ng alone
READING = frozenset(  # functions that change nothing
    [("updater.py", name) for name in ("check_update", "query_installed", "get_proxies")]
    + [("prepare_host_upgrade.py", name) for name in ("testUrl", "getVersion", "testSafe2Upgrade", "getDom0DefaultMemory")]
)
F = t.TypeVar("F", bound=Function)


def function(plugin: str, name: str = "") -> t.Callable[[F], F]:
    """Registers a function of a plugin; its name is the Python function's unless given."""

    def register(made: F) -> F:
        FUNCTIONS.setdefault(plugin, {})[name or made.__name__] = made
        return made

    return register


@functools.cache
def load() -> None:
    """Imports every file of this folder, once."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def broken(name: str, text: str) -> Fault:
    """What a plugin's plain exception looks like."""
    return Fault("XENAPI_PLUGIN_FAILURE", name, "Exception", text)


def call(asked: Call, machine: Machine, plugin: str, name: str, args: dict[str, str]) -> str:
    """Raises XENAPI_MISSING_PLUGIN [plugin], UNKNOWN_XENAPI_PLUGIN_FUNCTION [function]."""
    load()
    found = FUNCTIONS.get(plugin)
    foreign = plugin in XCP_NG and machine.product["software_version"].get("product_brand") != "XCP-ng"
    if found is None or foreign or machine.state.get(NO_HYPERVISOR):
        raise Fault("XENAPI_MISSING_PLUGIN", plugin)
    if name not in found:
        raise Fault("UNKNOWN_XENAPI_PLUGIN_FUNCTION", name)
    return found[name](asked, machine, args)
