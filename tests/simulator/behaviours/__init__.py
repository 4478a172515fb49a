# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not follow from the data model: one file per XenAPI class, each message registered by its name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import typing as t

Behaviour = t.Callable[..., t.Any]
BEHAVIOURS: dict[str, Behaviour] = {}
F = t.TypeVar("F", bound=Behaviour)


def message(name: str) -> t.Callable[[F], F]:
    """Registers the behaviour of one message, or of one class's internal one; ``@message("VLAN.create")``."""

    def register(function: F) -> F:
        if name in BEHAVIOURS:
            raise ValueError(f"two behaviours for {name}")
        BEHAVIOURS[name] = function
        return function

    return register


@functools.cache
def load() -> dict[str, Behaviour]:
    """Imports every file of this folder, once."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return BEHAVIOURS
