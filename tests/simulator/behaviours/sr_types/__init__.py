# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage drivers by type: every class with ``types`` in a file of this folder."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import typing as t

from ...errors import Fault
from .base import Context, Driver

if t.TYPE_CHECKING:
    from ...database import Database

__all__ = ["Context", "Driver", "driver_of", "drivers"]


def _subclasses(cls: type[Driver]) -> t.Iterator[type[Driver]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


@functools.cache
def drivers() -> dict[str, Driver]:
    """One driver for each type."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {name: cls() for cls in _subclasses(Driver) if "types" in vars(cls) for name in cls.types}


def driver_of(db: Database, type_: str) -> Driver:
    """The driver for a type the pool has an SM object of. Raises SR_UNKNOWN_DRIVER [type]."""
    if not db.find("SM", type=type_) or type_ not in drivers():
        raise Fault("SR_UNKNOWN_DRIVER", type_)
    return drivers()[type_]
