# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a VM of four GiB, as .xva and as VHD, with SHA-256 and on the disk when it ends, against curl of the same endpoint."""

from __future__ import annotations

import shutil
import typing as t

from . import transfers

FORMS: dict[str, dict[str, t.Any]] = {"xva": {"mode": "full"}, "vhd": {"mode": "incremental", "full_every": 1}}


def measure() -> t.Iterator[dict[str, t.Any]]:
    with transfers.lab() as lab:
        for form, options in FORMS.items():
            ours, theirs = [], []
            for _round in range(transfers.ROUNDS):
                theirs.append(_curl(lab, form))
                ours.append(_backup(lab, options))
            yield {"form": form, "bytes": transfers.SIZE, **transfers.compared(ours, theirs)}


def _curl(lab: transfers.Lab, form: str) -> transfers.Run:
    target = lab.folder / "big"
    vbd = lab.session.call("VM.get_VBDs", lab.vm)[0]
    query = {"ref": lab.vm} if form == "xva" else {"vdi": lab.session.call("VBD.get_VDI", vbd), "format": "vhd"}
    path = "/export" if form == "xva" else "/export_raw_vdi"
    try:
        return lab.curl(path, "--output", str(target), written=str(target), **query)
    finally:
        target.unlink(missing_ok=True)


def _backup(lab: transfers.Lab, options: dict[str, t.Any]) -> transfers.Run:
    repository = lab.folder / "repository"
    repository.mkdir()
    try:
        return lab.module("xen_backup", repository=str(repository), kind="vm", name="big", **options)
    finally:
        shutil.rmtree(repository)
