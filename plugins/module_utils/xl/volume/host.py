# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dom0, as far as volumes need it: its programs are asked here, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import typing as t

from ...errors import InvalidChange, XenError
from ..tool import PLACES, Tool

# LVM complains of file descriptors it is given, and its users read that as an error
QUIET = {"LVM_SUPPRESS_FD_WARNINGS": "1"}


class Host:
    def __init__(self, tool: Tool):
        self.tool = tool
        os.environ.update(QUIET)

    def run(self, *command: str, timeout: float | None = None) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        done = self.tool.command(command, timeout=timeout, check=False)
        return done.status, done.out, done.err

    def answer(self, *command: str) -> str:
        """Raises XenError with what the command says if it fails."""
        status, out, err = self.run(*command)
        if status:
            raise XenError(f"{' '.join(command)} failed: {' '.join((err or out).split())}")
        return out

    def need(self, tools: t.Iterable[str], package: str, what: str) -> None:
        """Raises InvalidChange that names the package of a missing program."""
        missing = [tool for tool in tools if not shutil.which(tool) and not shutil.which(tool, path=os.pathsep.join(PLACES))]
        if missing:
            raise InvalidChange(f"This host has no {' and no '.join(missing)}, needed for {what}.", hint=f"Install {package}.")


def read_text(path: str) -> str:
    """An empty text where there is no such file, or it ceased to be."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
