# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file whose data the disk does not give back."""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t
from pathlib import Path


@contextlib.contextmanager
def lost_data(file: Path, work: Path) -> t.Iterator[bool]:
    """The file lies on a file system of its own, whose device has lost most of its blocks; False where nothing can be mounted."""
    image, place = work / "device", work / "mounted"
    data = file.read_bytes()
    with image.open("wb") as made:
        made.truncate(len(data) + (24 << 20))
    place.mkdir()
    with contextlib.ExitStack() as stack:
        try:
            subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", str(image)], check=True, capture_output=True)
            subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield False
            return
        stack.callback(subprocess.run, ["umount", "-l", str(place)], check=False, capture_output=True)
        (place / file.name).write_bytes(data)
        os.sync()
        file.unlink()
        file.touch()
        subprocess.run(["mount", "--bind", str(place / file.name), str(file)], check=True)
        try:
            os.truncate(image, 4 << 20)
            yield True
        finally:
            subprocess.run(["umount", "-l", str(file)], check=True)
            file.write_bytes(data)
