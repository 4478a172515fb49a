# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote shell and console of hosts, one or all of them. Rules: xen-api ocaml/xapi/xapi_host.ml, xapi_pool.ml."""

from __future__ import annotations

import typing as t

from ..clock import iso
from ..errors import Fault
from ..hosts import at_host
from ..world import scheduled
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import World

LONGEST_TIMEOUT = 2 * 24 * 3600


@scheduled("ssh expires")
def ssh_expires(world: World, machine: str, expiry: str) -> None:
    """Unless the end was put off meanwhile."""
    host = world.machines[machine]
    db = host.pool.db
    if db.exists("host", host.host_ref) and host.host_record()["ssh_expiry"] == expiry:
        db.set("host", host.host_ref, ssh_enabled=False)


@message("host.enable_ssh")
def enable_ssh(call: Call, self: str) -> None:
    """For ssh_enabled_timeout seconds, or for good; by hand ends the automatic mode."""
    at_host(call, self)
    timeout = call.db.get("host", self)["ssh_enabled_timeout"]
    expiry = iso(call.world.clock.now() + timeout) if timeout else iso(0)
    call.db.set("host", self, ssh_enabled=True, ssh_auto_mode=False, ssh_expiry=expiry)
    if timeout:
        call.world.after(timeout, "ssh expires", machine=call.world.machine_of(call.pool, self).name, expiry=expiry)


@message("host.disable_ssh")
def disable_ssh(call: Call, self: str) -> None:
    """By hand ends the automatic mode."""
    at_host(call, self)
    call.db.set("host", self, ssh_enabled=False, ssh_auto_mode=False, ssh_expiry=call.world.clock.iso())


@message("host.set_ssh_enabled_timeout")
def set_ssh_enabled_timeout(call: Call, self: str, value: int) -> None:
    """Seconds, 0 for no end; raises INVALID_VALUE."""
    at_host(call, self)
    if not 0 <= value <= LONGEST_TIMEOUT:
        raise Fault("INVALID_VALUE", "ssh_enabled_timeout", str(value))
    call.db.set("host", self, ssh_enabled_timeout=value)
    if call.db.get("host", self)["ssh_enabled"]:
        expiry = iso(call.world.clock.now() + value) if value else iso(0)
        call.db.set("host", self, ssh_expiry=expiry)
        if value:
            call.world.after(value, "ssh expires", machine=call.world.machine_of(call.pool, self).name, expiry=expiry)


@message("host.set_console_idle_timeout")
def set_console_idle_timeout(call: Call, self: str, value: int) -> None:
    """Seconds, 0 for never; raises INVALID_VALUE."""
    at_host(call, self)
    if value < 0:
        raise Fault("INVALID_VALUE", "console_idle_timeout", str(value))
    call.db.set("host", self, console_idle_timeout=value)


@message("host.set_ssh_auto_mode")
def set_ssh_auto_mode(call: Call, self: str, value: bool) -> None:
    """In automatic mode the shell is only there while the toolstack is not."""
    at_host(call, self)
    call.db.set("host", self, ssh_auto_mode=value)


def _everywhere(call: Call, method: str, failure: str, *params: t.Any) -> None:
    """All hosts are tried; raises one error that names those that failed."""
    failed = []
    for host in call.db.all("host"):
        try:
            call.call(method, host, *params)
        except Fault as fault:
            if fault.code == "INVALID_VALUE":
                raise
            failed.append(host)
    if failed:
        raise Fault(failure, *failed)


@message("pool.enable_ssh")
def pool_enable_ssh(call: Call, self: str) -> None:
    """On every host; raises ENABLE_SSH_PARTIALLY_FAILED [hosts]."""
    _everywhere(call, "host.enable_ssh", "ENABLE_SSH_PARTIALLY_FAILED")


@message("pool.disable_ssh")
def pool_disable_ssh(call: Call, self: str) -> None:
    """On every host; raises DISABLE_SSH_PARTIALLY_FAILED [hosts]."""
    _everywhere(call, "host.disable_ssh", "DISABLE_SSH_PARTIALLY_FAILED")


@message("pool.set_ssh_enabled_timeout")
def pool_set_ssh_enabled_timeout(call: Call, self: str, value: int) -> None:
    """On every host; raises SET_SSH_TIMEOUT_PARTIALLY_FAILED [hosts]."""
    _everywhere(call, "host.set_ssh_enabled_timeout", "SET_SSH_TIMEOUT_PARTIALLY_FAILED", value)


@message("pool.set_console_idle_timeout")
def pool_set_console_idle_timeout(call: Call, self: str, value: int) -> None:
    """On every host; raises SET_CONSOLE_TIMEOUT_PARTIALLY_FAILED [hosts]."""
    _everywhere(call, "host.set_console_idle_timeout", "SET_CONSOLE_TIMEOUT_PARTIALLY_FAILED", value)


@message("pool.set_ssh_auto_mode")
def pool_set_ssh_auto_mode(call: Call, self: str, value: bool) -> None:
    """On every host; raises SET_SSH_AUTO_MODE_PARTIALLY_FAILED [hosts]."""
    _everywhere(call, "host.set_ssh_auto_mode", "SET_SSH_AUTO_MODE_PARTIALLY_FAILED", value)
