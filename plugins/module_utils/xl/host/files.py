# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small files of a machine's configuration: read, and written so that there is always a whole one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from ...errors import XenError


def text_of(path: Path) -> str:
    """What is in it; "" where it is not there. Raises XenError."""
    try:
        return path.read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as e:
        raise XenError(f"{path} cannot be read: {e.strerror}.") from None


def written(path: Path, text: str, *, backup: bool = True) -> str:
    """Write it, keep the earlier one beside it, and return that one's path ("" for none). Raises XenError."""
    kept = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if backup and path.exists():
            kept = f"{path}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
            shutil.copy2(path, kept)
        new = path.with_name(f".{path.name}.new")
        with new.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), (path.stat().st_mode & 0o7777) if path.exists() else 0o644)
        new.replace(path)
    except OSError as e:
        raise XenError(f"{path} cannot be written: {e.strerror}.") from None
    return kept
