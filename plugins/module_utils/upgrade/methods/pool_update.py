# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""To come."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from .method import Due, Method


class PoolUpdate(Method):
    name = "pool_update"

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        raise InvalidChange("Method pool_update is not there yet.")
