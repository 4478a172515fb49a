# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was written is read once more, where the task says verify."""

from __future__ import annotations

import os
import typing as t

from ...backup.verify import from_disk
from ...errors import InvalidChange
from ...formats.compression import Damaged
from ...refs import Record


def refuse(params: Record) -> None:
    """Raises InvalidChange."""
    if params["verify"] and params.get("encryption"):
        raise InvalidChange("What is encrypted cannot be read back here.", hint="Use xen_backup_verify with the identity.")


def same(file: t.Any) -> None:
    """The file (under its temporary name) is on the disk as it came; what the system remembers of it does not count.

    Raises Damaged, OSError.
    """
    fd = os.open(file.temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        found = from_disk(fd)
    finally:
        os.close(fd)
    if found != file.sha256:
        raise Damaged(f"{file.temporary} reads as something else than was written.", hint="Check the disk it is on.")
