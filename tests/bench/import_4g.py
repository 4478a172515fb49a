# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of four GiB into a VM against curl to the same endpoint: checked while it is sent, and checked before."""

from __future__ import annotations

import typing as t

from . import transfers


def measure() -> t.Iterator[dict[str, t.Any]]:
    with transfers.lab() as lab:
        source = lab.folder / "big.xva"
        lab.module("xen_vm_export", name="big", dest=str(source))
        lab.remove("big")
        runs: dict[str, list[transfers.Run]] = {"curl": [], "during": [], "before": []}
        for _round in range(transfers.ROUNDS):
            runs["curl"].append(lab.curl("/import", "--upload-file", str(source), sr_id=lab.sr))
            lab.remove("big")
            for verify in ("during", "before"):
                runs[verify].append(lab.module("xen_vm_import", src=str(source), sr=_name(lab), verify=verify))
                lab.remove("big")
        first = transfers.compared(runs["before"], runs["curl"])
        during = transfers.compared(runs["during"], runs["curl"])
        yield {"bytes": transfers.SIZE, "verify": "during", **during, "ratio_verify_before": first["ratio"]}


def _name(lab: transfers.Lab) -> str:
    return str(lab.session.call("SR.get_uuid", lab.sr))
