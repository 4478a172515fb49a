# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody else's tasks do the work on a host; here it is only rebooted, if asked, and noted as done."""

from __future__ import annotations

import typing as t

from ...host_return import wants_reboot
from ...plan import Plan
from .. import marks
from .method import NEVER, Due, Method


class Command(Method):
    """Due is who does not have the mark of this upgrade. Every host is evacuated, unless it is never to be rebooted."""

    name = "command"
    ordered = False
    installs = False

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        upgrade = self.upgrade()
        out = {}
        for ref in refs:
            record = self.objects.get("host", ref)
            if ref not in self.finished and (not upgrade or marks.upgraded(record) != upgrade):
                wants = bool(wants_reboot(record))
                out[ref] = Due("the tasks given are to be run on it", self.reboot != NEVER, wants)
        return out

    def finish(self, plan: Plan, ref: str) -> None:
        self.mark(plan, ref)
