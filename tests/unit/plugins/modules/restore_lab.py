# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with a VM whose backups are restored."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.resources.restore.description import RESTORED, RESTORING

from ..conftest import Result
from .backup_lab import Backups
from .transfer_lab import MIB

__all__ = ["MIB", "RESTORED", "RESTORING", "Restores"]
MARKED = ["http/put_import", "VM.add_to_other_config", "task.destroy"]


class Restores(Backups):
    """web01 (see Estate) and what is restored of it."""

    def restores(self, *, check: bool = False, **params: t.Any) -> Result:
        return self._run("xen_restore", check=check, **{"repository": str(self.folder), "name": "web01", **params})

    def loses(self, vm: str = "") -> None:
        """The VM and its disks go, with the snapshots of its backups."""
        ref = vm or self.web01
        for snapshot in self.record(ref)["snapshots"]:
            self.loses(snapshot)
        for vbd in self.record(ref)["VBDs"]:
            if self.record(vbd, "VBD")["type"] == "Disk":
                self.call("VDI.destroy", self.record(vbd, "VBD")["VDI"])
        self.call("VM.destroy", ref)

    def one(self, name: str) -> str:
        return str(self.db.one("VM", name_label=name, is_a_snapshot=False))

    def marks(self) -> list[str]:
        """Objects on which something is left to be done."""
        rows = [row for cls in ("VM", "VDI") for row in self.db.all(cls).values()]
        return [row["name_label"] for row in rows if RESTORING in row["other_config"]]

    def nics(self, name: str) -> dict[str, tuple[str, str]]:
        """Network and MAC by device."""
        rows = [self.record(ref, "VIF") for ref in self.record(self.one(name))["VIFs"]]
        return {row["device"]: (self.record(row["network"], "network")["name_label"], row["MAC"]) for row in rows}
