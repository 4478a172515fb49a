# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is found wrong with a backup: the file, the place in it, and whether it is damaged or could only not be looked at."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from ..errors import XenError
from ..formats.compression import Damaged, unread


@dataclass(frozen=True)
class Finding:
    """file: its name in the backup's folder; where: the place in it, "" for all of it; unreadable: nobody knows whether it is damaged."""

    file: str
    where: str
    problem: str
    unreadable: bool = False

    def __str__(self) -> str:
        return f"{self.file}{f' ({self.where})' if self.where else ''}: {self.problem}"

    def told(self) -> dict[str, t.Any]:
        return asdict(self)


class Findings(list[Finding]):
    """Everything that is wrong, in the order it was found."""

    def add(self, file: str, where: str, problem: str) -> None:
        self.append(Finding(file, where, problem.rstrip(".")))

    def could_not_look(self, file: str, where: str, why: str) -> None:
        self.append(Finding(file, where, why.rstrip("."), unreadable=True))

    def failed(self, file: str, where: str, error: OSError) -> None:
        """A file that is not there is damage; what the disk, the network or its rights keep from us is not."""
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            self.add(file, where, "it is missing")
        else:
            self.could_not_look(file, where, f"it cannot be read: {error.strerror or error}")

    def of(self, file: str, where: str = "", path: str = "") -> _Watch:
        """with findings.of(name): what is raised while a file is looked at becomes a finding; path: not repeated in the sentence."""
        return _Watch(self, file, where, path)

    @property
    def damage(self) -> list[Finding]:
        return [finding for finding in self if not finding.unreadable]


class _Watch:
    def __init__(self, findings: Findings, file: str, where: str, path: str):
        self._findings, self._file, self._where, self._path = findings, file, where, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if cause := unread(error):
            self._findings.failed(self._file, self._where, cause)
        elif isinstance(error, Damaged):
            self._findings.add(self._file, self._where, _without(error.message, self._path))
        elif isinstance(error, XenError):  # such as a command that is not installed
            self._findings.could_not_look(self._file, self._where, f"it could not be checked: {error}")
        else:
            return False
        return True


def _without(message: str, path: str) -> str:
    for lead in (f"{path} is no sound export: ", f"{path}: "):
        if path and message.startswith(lead):
            return message[len(lead) :]
    return message
