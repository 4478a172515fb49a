# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing is installed: a host boots anew, for its firmware or because somebody says so."""

from __future__ import annotations

import typing as t

from ...host_return import boot_time
from ...plan import Plan
from .. import marks
from .method import Due, Method, epoch


class Reboot(Method):
    """Due is who has not booted since the option since, or since the upgrade began; without both everyone is."""

    name = "reboot"
    ordered = False

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        upgrade, text = self.upgrade(), str(self.options.get("since") or self.since())
        since = epoch(text) if text else 0.0
        out = {}
        for ref in refs:
            record = self.objects.get("host", ref)
            if ref in self.finished or (upgrade and marks.upgraded(record) == upgrade):
                continue
            if not since or boot_time(record) < since:
                out[ref] = Due(f"it has not booted since {text}" if text else "it is to be rebooted", True, True, install=False)
        return out

    def finish(self, plan: Plan, ref: str) -> None:
        self.mark(plan, ref)
