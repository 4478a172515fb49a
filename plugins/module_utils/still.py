# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool that stands still while many things are looked at."""

from __future__ import annotations

import typing as t

from .client import Session
from .mirror import Mirror, Table
from .vms import is_guest

Options = t.Mapping[str, t.Any]
COMING = {"VM_appliance": "appliances", "VM_group": "groups"}


class Still(Mirror):
    """Nothing changes while a list is looked at: what one entry has read the next need not, and nobody asks for news.

    What others make before is there already, and what goes before is gone. coming: the names by the option of the task.
    """

    def __init__(self, session: Session, coming: Options):
        super().__init__(session)
        self._coming = coming
        self._seen: dict[str, Table] = {}

    def catch_up(self) -> None:
        pass

    def table(self, cls: str) -> Table:
        if cls not in self._seen:
            rows = super().table(cls)
            there = {r.get("name_label") for r in rows.values()} if cls in COMING else set()
            new = [str(name) for name in self._coming.get(COMING.get(cls, "")) or () if name not in there]
            self._seen[cls] = {**rows, **{f"{cls}/{name}": {"uuid": f"{cls}/{name}", "name_label": name, "VMs": []} for name in new}}
        return self._seen[cls]

    def without(self, leaving: t.Collection[str]) -> None:
        """VMs go, by uuid or name, with their memory and their MAC addresses."""
        rows = self.table("VM")
        gone = {ref for ref, vm in rows.items() if is_guest(vm) and (vm["uuid"] in leaving or vm["name_label"] in leaving)}
        self._seen["VM"] = {ref: vm for ref, vm in rows.items() if ref not in gone}
        self._seen["VIF"] = {ref: vif for ref, vif in self.table("VIF").items() if vif["VM"] not in gone}
