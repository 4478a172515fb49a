# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical volumes, volume groups and thin pools in a file."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import typing as t

State = dict[str, t.Any]
EXTENT = 4 << 20
COMMANDS = ("pvs", "vgs", "lvs", "pvcreate", "vgcreate", "vgextend", "pvresize", "vgremove", "pvremove", "lvcreate", "lvextend")


def run(name: str, arguments: list[str], state: State) -> int:
    pvs, vgs = state.setdefault("pvs", {}), state.setdefault("vgs", {})
    words = [word for word in arguments if not word.startswith("-")]
    if name in ("pvs", "vgs", "lvs"):
        rows = {"pvs": of_pvs, "vgs": of_vgs, "lvs": of_lvs}[name](pvs, vgs)
        print(json.dumps({"report": [{name[:-1]: rows}]}))
    elif name == "pvcreate":
        pvs[words[-1]] = {"vg": "", "size": size_of(words[-1])}
    elif name == "pvresize":
        pvs[words[-1]]["size"] = size_of(words[-1])
    elif name in ("vgcreate", "vgextend"):
        if name == "vgcreate":
            vgs[words[0]] = {}
        for path in words[1:]:
            pvs[path]["vg"] = words[0]
    elif name == "vgremove":
        del vgs[words[0]]
        for volume in pvs.values():
            volume["vg"] = "" if volume["vg"] == words[0] else volume["vg"]
    elif name == "pvremove":
        del pvs[words[-1]]
    else:
        return pool(name, arguments, pvs, vgs)
    return 0


def pool(name: str, arguments: list[str], pvs: State, vgs: State) -> int:
    options = dict(itertools.pairwise(arguments))
    vg, volume = (arguments[-1], options["--name"]) if name == "lvcreate" else arguments[-1].split("/")
    free = sum(one["size"] // EXTENT * EXTENT for one in pvs.values() if one["vg"] == vg) - sum(vgs[vg].values())
    size = int(options["--size"].rstrip("b")) if "--size" in options else free * int(options["--extents"].split("%")[0]) // 100
    size = -(-size // EXTENT) * EXTENT
    if size - vgs[vg].get(volume, 0) > free:
        print(f'  Volume group "{vg}" has insufficient free space.', file=sys.stderr)
        return 5
    vgs[vg][volume] = size
    return 0


def size_of(path: str) -> int:
    return int(subprocess.run(["blockdev", "--getsize64", path], capture_output=True, text=True, check=True).stdout)


def of_pvs(pvs: State, vgs: State) -> list[dict[str, str]]:
    return [
        {
            "pv_name": path,
            "vg_name": one["vg"],
            "pv_size": str(one["size"] // EXTENT * EXTENT),
            "dev_size": str(size_of(path)),
            "pe_start": str(1 << 20),
        }
        for path, one in pvs.items()
    ]


def of_vgs(pvs: State, vgs: State) -> list[dict[str, str]]:
    rows = []
    for name, volumes in vgs.items():
        size = sum(one["size"] // EXTENT * EXTENT for one in pvs.values() if one["vg"] == name)
        free = str(size - sum(volumes.values()))
        rows.append({"vg_name": name, "vg_size": str(size), "vg_free": free, "vg_extent_size": str(EXTENT)})
    return rows


def of_lvs(pvs: State, vgs: State) -> list[dict[str, str]]:
    return [
        {"vg_name": name, "lv_name": volume, "lv_size": str(size), "lv_attr": "twi-a-tz--"}
        for name, volumes in vgs.items()
        for volume, size in volumes.items()
    ]
