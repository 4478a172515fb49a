# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of a disk has changed since a snapshot, as its host keeps account (xen-api: ocaml/xapi/xapi_vdi.ml, list_changed_blocks)."""

from __future__ import annotations

import base64
import typing as t

from ...errors import InvalidChange
from ...refs import NULL, Objects, Record
from ...storage import Storage

BLOCK = 1 << 16  # bytes that a bit of the answer stands for
METADATA = "cbt_metadata"  # VDI.type of a snapshot whose data is gone


def later(objects: Objects, since: tuple[str, Record]) -> dict[str, Record]:
    """The disk that a snapshot is of, and its snapshots since. Raises InvalidChange for one from which nothing can be told."""
    ref, base = since
    if not base["is_a_snapshot"]:
        raise InvalidChange(f"Disk {base['name_label']!r} is no snapshot.", hint="Changes are told from a snapshot on.")
    if not (base.get("cbt_enabled") or base["type"] == METADATA):
        raise InvalidChange(
            f"What has changed since snapshot {base['name_label']!r} is not known: its disk's changes were not tracked when it was taken.",
            hint="Set cbt: true (xen_vdi) and take another snapshot.",
        )
    rows, of = objects.all("VDI"), base["snapshot_of"]
    same = {r: v for r, v in rows.items() if r != ref and r != NULL and of in (r, v["snapshot_of"]) and v.get("cbt_enabled")}
    return {r: v for r, v in same.items() if r == of or v["snapshot_time"] > base["snapshot_time"]}


def changed(objects: Objects, since: tuple[str, Record], vdi: tuple[str, Record]) -> dict[str, t.Any] | None:
    """Bytes, in whole blocks; None for a disk that a VM has now. Raises ApiError."""
    ref, record = vdi
    if Storage(objects).users(ref, attached=True):
        return None
    answer = base64.b64decode(objects.session.call("VDI.list_changed_blocks", since[0], ref))
    count = bin(int.from_bytes(answer, "big")).count("1")
    return {"since": since[1]["uuid"], "size": min(count * BLOCK, int(record["virtual_size"]))}
