# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test driver as it was recorded: it has no state, takes every configuration and every size (xapi-project/sm DummySR.py)."""

from __future__ import annotations

from dataclasses import replace

from ...sm_errors import backend
from ...storage import Disk
from .base import Context, Driver, new_uuid

SIZE = 2_000_000_000_000


class Dummy(Driver):
    """Its disks are the VDI records."""

    types: tuple[str, ...] = ("dummy",)

    def create(self, ctx: Context) -> None:
        """Nothing is written."""

    def attach(self, ctx: Context) -> None:
        """Always works."""

    def delete(self, ctx: Context) -> None:
        """Nothing is there."""

    def rename(self, ctx: Context, **names: str) -> None:
        """There is nowhere to write it."""

    def probe(self, ctx: Context) -> str:
        """The recorded driver stumbles over a missing session."""
        raise backend(202, "['INTERNAL_ERROR', 'Failure(\"Expected string, got \\'N\\'\")']")

    def scan(self, ctx: Context) -> None:
        """No state."""

    def sizes(self, ctx: Context) -> tuple[int, int]:
        """As if 2 TB were there."""
        return SIZE, 0

    def vdi_create(self, ctx: Context, wanted: Disk) -> Disk:
        """Exactly the size that was asked for."""
        uuid = new_uuid()
        note = {"samplekey": "This is a dummy SR VDI"}
        return replace(wanted, uuid=uuid, location=uuid, physical_utilisation=wanted.virtual_size, sm_config={**wanted.sm_config, **note})

    def vdi_delete(self, ctx: Context, location: str) -> None:
        """Only the record goes, and what was written."""
        ctx.shelf.drop(location)

    def vdi_resize(self, ctx: Context, location: str, size: int) -> Disk:
        """Up and down."""
        return Disk("", location, size, size)

    def vdi_snapshot(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """Size 0, to be read only."""
        uuid = new_uuid()
        return replace(wanted, uuid=uuid, location=uuid, virtual_size=0, physical_utilisation=0, read_only=True, sm_config={})

    def vdi_clone(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """Size 0 as well."""
        return replace(self.vdi_snapshot(ctx, location, wanted), read_only=False)

    def vdi_introduce(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """Anything."""
        return wanted

    def vdi_set(self, ctx: Context, location: str, **values: object) -> None:
        """The record is all there is."""
