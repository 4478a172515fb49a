# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of Debian that commands are run in, natively."""

from __future__ import annotations

import os
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

# /proc is mounted in a mount namespace of its own and goes away with it
INSIDE = 'mount -t proc proc "$1/proc" && exec chroot "$@"'


class BuildFailed(RuntimeError):
    """An image can't be made."""


def run(*command: str | Path, stdin: str = "", env: t.Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """A command on this machine; what it wrote to stdout. Raises BuildFailed with the end of what it said."""
    words = [str(word) for word in command]
    more = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", **(env or {})}
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, errors="replace", env={**os.environ, **more}, cwd=cwd, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildFailed(f"{' '.join(words[:6])} ended with {done.returncode}:\n{said}")
    return done.stdout


@dataclass(frozen=True)
class Chroot:
    root: Path

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command in the tree; what it wrote to stdout. Raises BuildFailed."""
        return run("unshare", "--mount", "sh", "-c", INSIDE, "sh", self.root, *command, stdin=stdin)

    def install(self, *packages: str, recommends: bool = False, download_only: bool = False) -> None:
        options = ["--download-only"] if download_only else []
        self.run("apt-get", "install", "-y", *options, *([] if recommends else ["--no-install-recommends"]), *packages)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file in the tree; `path` is relative."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
