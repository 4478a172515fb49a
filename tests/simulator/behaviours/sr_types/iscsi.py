# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SRs on iSCSI: a volume group on one LUN (lvmoiscsi), or each LUN a VDI (iscsi). Checks in the order of xapi-project/sm BaseISCSI.py."""

from __future__ import annotations

from ...sm_errors import backend
from ...sm_xml import ISCSI_PORT, iqns, luns
from ...storage import Place, Server, Target
from .base import Context
from .luns import LunDriver
from .lvm import LunLvm, pick

ANY = "*"


def _port(ctx: Context) -> int:
    text = ctx.device_config.get("port", "") or str(ISCSI_PORT)
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise backend(142)
    return int(text)


def _server(ctx: Context, addresses: list[str]) -> Server:
    """The first of several addresses that answers."""
    for address in addresses[:-1]:
        found = ctx.storage.server_at(address)
        if found and found.targets:
            return ctx.server(address, 141)
    server = ctx.server(addresses[-1], 141)
    if not any(target.port == _port(ctx) for target in server.targets):
        raise backend(141)
    return server


def _login(ctx: Context, target: Target) -> None:
    if target.user and (ctx.device_config.get("chapuser", ""), ctx.secret("chappassword")) != (target.user, target.password):
        raise backend(68, "code is 24")


def targets(ctx: Context) -> list[Target]:
    """The targets device_config names. Errors in order: 95, 97, 140, 142, 141, 96 with the list of targets, 83 with it, 68."""
    text = ctx.option("target", 95)
    initiator = ctx.device_config.get("localIQN") or ctx.machine.host_record()["iscsi_iqn"]
    if not initiator and not ctx.machine.host_record()["other_config"].get("iscsi_iqn"):
        raise backend(97)
    port = _port(ctx)
    server = _server(ctx, [part.strip() for part in text.split(",")])
    iqn = ctx.device_config.get("targetIQN", "")
    if not iqn:
        raise backend(96, output=iqns(server, text))
    found = [target for target in server.targets if iqn in (ANY, target.iqn) and target.port == port]
    if not found:
        raise backend(83, "check target settings", iqns(server, text))
    for target in found:
        _login(ctx, target)
    return found


class LvmOverIscsi(LunLvm):
    """As on any LUN, once the target is found."""

    types: tuple[str, ...] = ("lvmoiscsi",)

    def place(self, ctx: Context) -> Place:
        """107 with the list of all LUNs when none is named (those in use too: print_LUNs), 19 for one the target does not have."""
        found = targets(ctx)
        if not ctx.device_config.get("SCSIid"):
            raise backend(107, output=luns(found))
        return pick(ctx, [lun for target in found for lun in target.luns])


class RawIscsi(LunDriver):
    """Each LUN of a target is a VDI."""

    types: tuple[str, ...] = ("iscsi",)

    def luns(self, ctx: Context) -> list[Place]:
        """All LUNs of the target."""
        return [lun for target in targets(ctx) for lun in target.luns]
