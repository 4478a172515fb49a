# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads LVM, all groups and volumes at once."""

from __future__ import annotations

import json
import typing as t

from ...errors import NotFound, XenError
from .host import Host
from .wanted import devices
from .what import Group, Logical

VGS = ("vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "--options", "vg_name,vg_extent_size,vg_size,vg_free")
LVS = (
    "lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "--options",
    "vg_name,lv_name,lv_path,lv_attr,lv_size,origin_size,pool_lv,origin,lv_tags,data_percent",
)  # fmt: skip
# the first letter of lv_attr, lvs(8)
KINDS = {"-": "thick", "o": "thick", "s": "snapshot", "S": "snapshot", "V": "thin", "t": "pool"}


def rows(text: str, what: str) -> list[dict[str, str]]:
    """Raises XenError for what is not a report of LVM."""
    try:
        return [row for report in json.loads(text)["report"] for row in report.get(what, [])]
    except (ValueError, KeyError, TypeError):
        raise XenError(f"{what}s told what is no report of LVM: {text[:80]!r}.", hint="Is it lvm2 of 2015 or later?") from None


def groups(text: str) -> dict[str, Group]:
    found = {}
    for row in rows(text, "vg"):
        extent, whole, free = (int(row[key]) for key in ("vg_extent_size", "vg_size", "vg_free"))
        found[row["vg_name"]] = Group(row["vg_name"], extent, whole, free, devices())
    return found


def volumes(text: str) -> dict[tuple[str, str], Logical]:
    """By group and name."""
    return {(row["vg_name"], row["lv_name"]): _volume(row) for row in rows(text, "lv")}


def _volume(row: t.Mapping[str, str]) -> Logical:
    attr, size = row["lv_attr"].ljust(10, "-"), int(row["lv_size"])
    kind = KINDS.get(attr[0], "other")
    return Logical(
        row["vg_name"], row["lv_name"], row["lv_path"], size, kind, int(row["origin_size"] or 0) if kind == "snapshot" else size,
        row["pool_lv"], row["origin"], tuple(filter(None, row["lv_tags"].split(","))), active=attr[4] in "aI", open=attr[5] == "o",
        lost=kind == "snapshot" and attr[4] == "I", full=float(row["data_percent"] or 0), zeroed=attr[7] == "z",
    )  # fmt: skip


def read_group(host: Host, name: str) -> tuple[Group, dict[str, Logical]]:
    """A group with its volumes, by name. Raises NotFound that names the groups there are."""
    host.need(("vgs", "lvs", "lvcreate"), "lvm2", "logical volumes")
    found = groups(host.answer(*VGS))
    if name not in found:
        there = f"There are: {', '.join(sorted(found))}." if found else "This host has none; vgcreate makes one."
        raise NotFound(f"There is no volume group {name}.", hint=there)
    return found[name], {lv: volume for (vg, lv), volume in volumes(host.answer(*LVS)).items() if vg == name}
