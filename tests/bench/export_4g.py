# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM of four GiB into a file, with its SHA-256 and on the disk when it ends, against curl of the same endpoint."""

from __future__ import annotations

import typing as t

from . import transfers


def measure() -> t.Iterator[dict[str, t.Any]]:
    with transfers.lab() as lab:
        target = lab.folder / "big.xva"
        ours, theirs = [], []
        for _round in range(transfers.ROUNDS):
            target.unlink(missing_ok=True)
            theirs.append(lab.curl("/export", "--output", str(target), ref=lab.vm, written=str(target)))
            target.unlink()
            ours.append(lab.module("xen_vm_export", name="big", dest=str(target), force=True))
        yield {"bytes": transfers.SIZE, **transfers.compared(ours, theirs)}
