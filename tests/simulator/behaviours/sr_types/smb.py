# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD files on an SMB share (xapi-project/sm SMBSR.py, cifutils.py)."""

from __future__ import annotations

from ...sm_errors import backend
from ...sm_xml import srs
from ...storage import Place
from .base import Context
from .vhd import VhdDriver

MOUNT_FAILED = "mount failed with return code 32"


def split(share: str) -> tuple[str, str]:
    r"""Server and share of ``\\server\share`` or ``//server/share``; two empty strings for anything else."""
    parts = share.replace("\\", "/").split("/")
    return (parts[2], parts[3]) if len(parts) >= 4 and parts[:2] == ["", ""] else ("", "")


def share_of(ctx: Context, text: str, user: str, password: str, failure: int, reason: str = MOUNT_FAILED) -> Place:
    """The share; one error for a server out of reach, an unknown share and a wrong password, as mount has."""
    server_name, share = split(text)
    server = ctx.server(server_name, failure) if server_name else None
    place = server.place("smb", share) if server else None
    allowed = place and (not place.user or (user.rpartition("\\")[2], password) == (place.user, place.password))
    if place is None or not allowed:
        raise backend(failure, reason)
    return place


class Smb(VhdDriver):
    """Shared by all hosts that reach the server."""

    types: tuple[str, ...] = ("smb",)

    def place(self, ctx: Context) -> Place:
        """102 without server, 111 when it cannot be mounted."""
        return share_of(ctx, ctx.option("server", 102), ctx.device_config.get("username", ""), ctx.secret("password"), 111)

    def attach(self, ctx: Context) -> None:
        """111 when the SR's directory is not on the share."""
        if self.key(ctx) not in self.place(ctx).repositories:
            raise backend(111, MOUNT_FAILED)

    def probe(self, ctx: Context) -> str:
        """SRs on the share."""
        return srs(self.place(ctx).repositories.values())
