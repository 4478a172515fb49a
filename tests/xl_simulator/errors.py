# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class NotSimulated(Exception):
    """Nobody has recorded what a real host says to this."""


class Failed(Exception):
    """The command ends with this status and these lines on its standard error."""

    def __init__(self, status: int, *lines: str):
        self.status, self.lines = status, lines
        super().__init__(*lines)
