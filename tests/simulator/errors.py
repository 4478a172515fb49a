# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways a call can fail, and a request of the simulator itself."""

from __future__ import annotations


class Fault(Exception):
    """An XenAPI error: its code, then its parameters, all strings (``Fault("HANDLE_INVALID", "VM", ref)``)."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = tuple(str(p) for p in params)

    @property
    def description(self) -> list[str]:
        """Code and parameters as they travel."""
        return [self.code, *self.params]


class NotSimulated(Exception):
    """The model knows the message, the simulator does not yet; the client reads ``NOT_IMPLEMENTED``."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method

    def as_fault(self) -> Fault:
        """What a client gets to see."""
        return Fault("NOT_IMPLEMENTED", f"{self.method} is not simulated")


class Refusal(Exception):
    """A request of ``ctl`` that can't be met, in one sentence."""
