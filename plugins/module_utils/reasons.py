# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An obstacle in words: what is in the way and what to do about it."""

from __future__ import annotations

import typing as t

from .refs import Objects, Record


class Reason(t.NamedTuple):
    """One obstacle: XenAPI's code for it, a sentence that names the object, what to do; cd: the drive whose ejection cures it."""

    code: str
    text: str
    remedy: str
    cd: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".rstrip()


Reasons = t.Iterator[Reason]


class Named:
    """The name of an object in quotes, looked up only when it is told: most hosts are asked about many VMs and refuse none."""

    def __init__(self, objects: Objects, cls: str, ref: str):
        self.objects, self.cls, self.ref = objects, cls, ref

    def __str__(self) -> str:
        return repr(self.objects.label(self.cls, self.ref))


def name(vm: Record) -> str:
    return f"VM {vm['name_label'] or vm['uuid']!r}"
