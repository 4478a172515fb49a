# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: vgs, lvs, lvcreate, lvextend, lvreduce, lvremove, lvchange. What they say is what lvm2 2.03.16 said."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import typing as t
from pathlib import Path

from .state import Refused, State

Volume = dict[str, t.Any]
HALF_DONE = 5  # LVM's ECMD_FAILED


def main(argv: list[str]) -> int:
    command = argv[1]
    with State.opened() as state:
        state.log(argv[1:])
        try:
            {**REPORTS, **CHANGES}[command](state, parsed(command, argv[2:]))
        except Refused as e:
            print(f"  {e}", file=sys.stderr)
            return HALF_DONE
    return 0


def parsed(command: str, argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=command, allow_abbrev=False)
    for option in ("--yes", "--force", "--snapshot", "--nosuffix"):
        parser.add_argument(option, action="store_true")
    for option in (
        "--name",
        "--size",
        "--virtualsize",
        "--thinpool",
        "--type",
        "--addtag",
        "--deltag",
        "--setactivationskip",
        "--reportformat",
        "--units",
        "--options",
    ):
        parser.add_argument(option)
    parser.add_argument("place", nargs="*")
    return parser.parse_args(argv)


# reports ----------------------------------------------------------------------------
def report(what: str, rows: list[dict[str, str]], options: argparse.Namespace) -> None:
    if options.reportformat != "json" or options.units != "b" or not options.nosuffix:
        raise Refused("lvm-sim: not simulated: any report but --reportformat json --units b --nosuffix")
    names = options.options.split(",")
    print(json.dumps({"report": [{what: [{name: row[name] for name in names} for row in rows]}]}, indent=2))


def vgs(state: State, options: argparse.Namespace) -> None:
    rows = []
    for name, group in state.groups.items():
        sizes = {"vg_extent_size": group["extent"], "vg_size": group["size"], "vg_free": state.free(name)}
        rows.append({"vg_name": name, **{key: str(value) for key, value in sizes.items()}})
    report("vg", rows, options)


def lvs(state: State, options: argparse.Namespace) -> None:
    rows = [row(state, vg, name, lv) for vg, group in state.groups.items() for name, lv in sorted(group["lvs"].items())]
    report("lv", rows, options)


def row(state: State, vg: str, name: str, lv: Volume) -> dict[str, str]:
    attr = attributes(name, lv, state.group(vg))
    return {
        "vg_name": vg,
        "lv_name": name,
        "lv_path": str(state.device(vg, name)) if lv["kind"] != "pool" else "",
        "lv_attr": attr,
        "lv_size": str(lv["size"]),
        "origin_size": str(lv["virtual"]) if attr[0] in "so" else "",
        "pool_lv": lv["pool"],
        "origin": lv["origin"],
        "lv_tags": ",".join(lv["tags"]),
        "data_percent": "" if lv["kind"] == "thick" else f"{lv['full']:.2f}",
    }


def attributes(name: str, lv: Volume, group: dict[str, t.Any]) -> str:
    below = any(other["kind"] == "snapshot" and other["origin"] == name for other in group["lvs"].values())
    kind = {"thick": "o" if below else "-", "snapshot": "s", "thin": "V", "pool": "t"}[lv["kind"]]
    health = "I" if lv["lost"] else "a" if lv["active"] else "-"
    target = {"thick": "s" if below else "-", "snapshot": "s"}.get(lv["kind"], "t")
    return f"{kind}wi-{health}{'o' if lv['open'] else '-'}{target}{'z' if target == 't' else '-'}--"


# changes ----------------------------------------------------------------------------
def lvcreate(state: State, options: argparse.Namespace) -> None:
    vg, _slash, of = options.place[0].partition("/")
    group = state.group(vg)
    if options.name in group["lvs"]:
        raise Refused(f'Logical volume "{options.name}" already exists in volume group "{vg}"')
    made = {
        "kind": "thick", "size": 0, "virtual": 0, "pool": "", "origin": "", "tags": [options.addtag] if options.addtag else [], "full": 0.0,
        "lost": False, "active": True, "open": False,
    }  # fmt: skip
    device = state.device(vg, options.name)
    if options.snapshot:
        snapshot(state, vg, of, made, options)
    elif options.type == "thin":
        if group["lvs"].get(options.thinpool, {}).get("kind") != "pool":
            raise Refused(f'Failed to find logical volume "{vg}/{options.thinpool}"')
        made.update(kind="thin", pool=options.thinpool, size=state.rounded(vg, options.virtualsize))
        create(device, made["size"])
    else:
        made.update(kind="pool" if options.type == "thin-pool" else "thick", size=state.rounded(vg, options.size))
        state.take(vg, made["size"])
        if made["kind"] == "thick":
            create(device, made["size"])
    made["virtual"] = made["virtual"] or made["size"]
    group["lvs"][options.name] = made
    print(f'  Logical volume "{options.name}" created.')


def snapshot(state: State, vg: str, of: str, made: Volume, options: argparse.Namespace) -> None:
    origin = state.volume(vg, of)
    if origin["kind"] == "thin" and not options.size:
        made.update(kind="thin", pool=origin["pool"], origin=of, size=origin["size"])
        if options.setactivationskip != "n":
            made["active"] = False
    else:
        made.update(kind="snapshot", origin=of, size=state.rounded(vg, options.size), virtual=origin["size"])
        state.take(vg, made["size"])
    subprocess.run(["cp", "--sparse=always", state.device(vg, of), state.device(vg, options.name)], check=True)


def create(device: Path, size: int) -> None:
    """A disk is rarely empty: what follows the first 4 KiB, which LVM clears, is what somebody had there."""
    device.parent.mkdir(parents=True, exist_ok=True)
    with open(device, "wb") as file:
        file.truncate(size)
        file.seek(4096)
        file.write(b"old data" * 512)


def lvextend(state: State, options: argparse.Namespace) -> None:
    resize(state, options, larger=True)


def lvreduce(state: State, options: argparse.Namespace) -> None:
    resize(state, options, larger=False)


def resize(state: State, options: argparse.Namespace, *, larger: bool) -> None:
    vg, _slash, name = options.place[0].partition("/")
    lv, size = state.volume(vg, name), state.rounded(vg, options.size)
    if any(other["kind"] == "snapshot" and other["origin"] == name for other in state.group(vg)["lvs"].values()):
        raise Refused("Snapshot origin volumes can be resized only while inactive: try lvchange -an.")
    if size == lv["size"] or (size > lv["size"]) != larger:
        raise Refused(
            f"New size given ({size >> 22} extents) not {'larger' if larger else 'less'} than existing size ({lv['size'] >> 22} extents)"
        )
    if lv["kind"] in ("thick", "snapshot", "pool"):
        state.take(vg, size - lv["size"])
    lv["size"] = size
    if lv["kind"] in ("thick", "thin"):
        lv["virtual"] = size
        with open(state.device(vg, name), "r+b") as file:
            file.truncate(size)
    print(f"  Logical volume {vg}/{name} successfully resized.")


def lvremove(state: State, options: argparse.Namespace) -> None:
    vg, _slash, name = options.place[0].partition("/")
    lv = state.volume(vg, name)
    if lv["open"]:
        raise Refused(f"Logical volume {vg}/{name} in use.")
    lvs_of = state.group(vg)["lvs"]
    depending = [other for other, row in lvs_of.items() if (row["kind"], row["origin"]) == ("snapshot", name)]
    for gone in [name, *depending]:
        del lvs_of[gone]
        state.device(vg, gone).unlink(missing_ok=True)
        print(f'  Logical volume "{gone}" successfully removed.')


def lvchange(state: State, options: argparse.Namespace) -> None:
    vg, _slash, name = options.place[0].partition("/")
    lv = state.volume(vg, name)
    lv["tags"] = [tag for tag in lv["tags"] if tag != options.deltag] + ([options.addtag] if options.addtag else [])
    print(f"  Logical volume {vg}/{name} changed.")


REPORTS = {"vgs": vgs, "lvs": lvs}
CHANGES = {"lvcreate": lvcreate, "lvextend": lvextend, "lvreduce": lvreduce, "lvremove": lvremove, "lvchange": lvchange}
