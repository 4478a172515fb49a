# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long the chain is that a virtual disk's data is spread over (sm: a VHD and its parents)."""

from __future__ import annotations

import typing as t

from .refs import NULL, Objects

LIMIT = 30  # images in one chain, the newest included (sm: vhdutil.py MAX_CHAIN_SIZE)
NEAR = 25  # from here on a warning is due
PARENT = "vhd-parent"  # in VDI.sm_config: the uuid of the image below
WAYS_OUT = "Make a full copy (clone: full), move the disks to another SR, or delete snapshots so that the host can coalesce."


class Chains:
    """Chains of the disks of a pool, from one bulk read."""

    def __init__(self, objects: Objects):
        self.objects = objects
        self._by_uuid: dict[str, str] | None = None

    def parents(self, vdi: str) -> list[str]:
        """References of the images below a disk, the nearest first."""
        table = self.objects.all("VDI")
        if self._by_uuid is None:
            self._by_uuid = {record["uuid"]: ref for ref, record in table.items()}
        out: list[str] = []
        while vdi in table:
            vdi = self._by_uuid.get(table[vdi].get("sm_config", {}).get(PARENT, ""), NULL)
            if vdi == NULL or vdi in out:
                break
            out.append(vdi)
        return out

    def length(self, vdi: str) -> int:
        """Images of a disk, itself included; one that xapi knows only by its uuid until the SR is scanned counts too."""
        parents = self.parents(vdi)
        last = self.objects.all("VDI").get(parents[-1] if parents else vdi, {})
        below = last.get("sm_config", {}).get(PARENT, "")
        return 1 + len(parents) + (below != "" and below not in (self._by_uuid or {}))

    def longest(self, vdis: t.Iterable[str]) -> int:
        return max((self.length(vdi) for vdi in vdis), default=0)
