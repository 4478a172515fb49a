# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of sizes, for any sizes: plans are made on values, and their commands are carried out on values."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from hypothesis import assume, event, given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.plan_image import plan_image
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.plan_lvm import cow_most, plan_lvm
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.wanted import Wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.what import BLANK, Content, Group, Image, Logical, Now, Use

MIB = 1 << 20
EXTENT = 4 * MIB
EXTENTS = st.integers(1, 200)
BLOCK = 4096


def bytes_in(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low * MIB, high * MIB)


@st.composite
def contents(draw: st.DrawFn, size: int) -> Content:
    kind = draw(st.sampled_from(["ext4", "xfs", "swap", "empty", "data", "gpt"]))
    own = draw(st.integers(size // 2, size)) // BLOCK * BLOCK
    if kind == "ext4":
        return Content("ext4", "old", "", size=own, block=BLOCK, least=draw(st.integers(0, own)))
    if kind in ("xfs", "swap"):
        return Content(kind, "old", "uuid", size=own, block=BLOCK)
    return {"empty": BLANK, "data": Content(), "gpt": Content(partitions="gpt")}[kind]


@st.composite
def wishes(draw: st.DrawFn, **place: t.Any) -> Wanted:
    fs = draw(st.sampled_from([None, "ext4", "xfs", "swap"]))
    size = draw(st.none() | bytes_in(1, 900))
    return Wanted(
        size=size, fs=fs, label=draw(st.sampled_from([None, "new"])) if fs else None, shrink=draw(st.booleans()),
        resize_fs=draw(st.booleans()), **place,
    )  # fmt: skip


def grown_content(content: Content, command: tuple[str, ...], size: int) -> Content:
    """After that command on a volume of this size."""
    if command[0].startswith("mkfs") or (command[0] == "mkswap" and "-U" not in command):
        label = command[command.index("-L") + 1] if "-L" in command else ""
        return Content("swap" if command[0] == "mkswap" else command[0][5:], label, "uuid", size=size // BLOCK * BLOCK, block=BLOCK)
    if command[0] == "resize2fs":
        return replace(content, size=int(command[-1][:-1]) * 1024 if len(command) == 3 else size // BLOCK * BLOCK)
    if command[0] == "mkswap" and command[-1].isdigit():
        return replace(content, size=int(command[-1]) * 1024)
    if command[0] in ("unshare", "mkswap"):
        return replace(content, size=size // BLOCK * BLOCK)
    return replace(content, label="new") if command[0] in ("e2label", "xfs_admin", "swaplabel") else content


def carried_out_on_lvm(now: Now, wanted: Wanted, commands: t.Iterable[tuple[str, ...]]) -> Now:
    volumes, group, content = dict(now.volumes), now.group or Group("vg0", EXTENT, 0, 0), now.content
    for command in commands:
        if command[0] == "lvcreate":
            size = int(command[command.index("--size") + 1][:-1])
            assert size <= group.free and size % EXTENT == 0
            volumes["web"], content = Logical("vg0", "web", "/dev/vg0/web", size, virtual=size), BLANK
            group = replace(group, free=group.free - size)
        elif command[0] in ("lvextend", "lvreduce"):
            size, own = int(command[command.index("--size") + 1][:-1]), volumes["web"]
            assert size % EXTENT == 0 and size - own.size <= group.free
            assert (command[0] == "lvextend") == (size > own.size)
            if command[0] == "lvreduce":
                assert wanted.shrink
                assert content.size <= size
            volumes["web"], group = replace(own, size=size, virtual=size), replace(group, free=group.free - size + own.size)
        else:
            content = grown_content(content, command, volumes["web"].size)
    return replace(now, volumes=volumes, group=group, content=content)


@given(data=st.data(), there=st.booleans(), free=st.integers(0, 250), extents=EXTENTS)
def test_a_plan_for_a_logical_volume_does_what_is_asked_once(data: st.DataObject, there: bool, free: int, extents: int) -> None:
    size = extents * EXTENT
    volumes = {"web": Logical("vg0", "web", "/dev/vg0/web", size, virtual=size)} if there else {}
    content = data.draw(contents(size)) if there else BLANK
    now = Now(group=Group("vg0", EXTENT, 1000 * EXTENT, free * EXTENT), volumes=volumes, content=content)
    wanted = data.draw(wishes(group="vg0", name="web"))
    try:
        planned = plan_lvm(now, wanted)
    except XenError as e:
        told = e.message
    else:
        told = ""
    if told:
        event("refused")
        assert told.endswith(".")
        return
    event("planned")
    then = carried_out_on_lvm(now, wanted, [step.argv for step in planned.steps])
    own = then.volumes["web"]
    assert planned.after["size"] == own.size
    assert (planned.after["fs"], planned.after["label"]) == (
        then.content.type or ("gpt partitions" if content.partitions else ""),
        then.content.label,
    )
    if wanted.size is not None:
        assert wanted.size <= own.size < wanted.size + EXTENT
    if wanted.fs:
        assert then.content.type == wanted.fs
    if there and content.type:
        assert then.content.type == content.type  # never written over
    assert plan_lvm(then, replace(wanted, fs_options=())).steps == ()


@given(data=st.data(), there=st.booleans(), kind=st.sampled_from(["raw", "qcow2", "vhd"]), size=bytes_in(1, 600))
def test_a_plan_for_an_image_does_what_is_asked_once(data: st.DataObject, there: bool, kind: str, size: int) -> None:
    size = size // 512 * 512
    content = data.draw(contents(size)) if there else BLANK
    now = Now(image=Image("/srv/a", kind, size) if there else None, content=content, room=10**12)
    wanted = data.draw(wishes(path="/srv/a", format=kind))
    try:
        planned = plan_image(now, wanted)
    except XenError as e:
        told = e.message
    else:
        told = ""
    if told:
        event("refused")
        assert told.endswith(".")
        return
    event("planned")
    commands = [step.argv for step in planned.steps]
    touched = [command for command in commands if command[-1] == "/srv/a" or "/srv/a" in command[-2:]]
    if not there or (kind != "raw" and len(commands) > 1):  # made beside it, and put in its place at the end
        assert commands[-1] == ("mv", "-f", "-T", "/srv/a.partial", "/srv/a")
        assert [command for command in touched if command[0] not in ("mv", "qemu-img") and command[-1] != "/srv/a.partial"] == []
    cut = [place for place, command in enumerate(commands) if "--shrink" in command]
    shrunk = [place for place, command in enumerate(commands) if command[0] == "resize2fs" and len(command) == 3]
    assert not cut or wanted.shrink
    assert not shrunk or shrunk[0] < cut[0]
    after = planned.after
    if wanted.size is not None:
        assert wanted.size <= after["size"] < wanted.size + 512
    old = content if there and content.type else Content(block=BLOCK)
    held = replace(old, type=after["fs"], label=after["label"], size=after["fs_size"])
    then = replace(now, image=Image("/srv/a", kind, after["size"]), content=held)
    assume(after["fs"] in ("ext4", "xfs", "swap"))
    assert plan_image(then, wanted).steps == ()


@given(origin=EXTENTS, asked=bytes_in(1, 2000))
def test_the_room_of_a_snapshot_settles(origin: int, asked: int) -> None:
    """What LVM would cut down is not asked for, so that the next run has nothing to do."""
    size = origin * EXTENT
    web = Logical("vg0", "web", "/dev/vg0/web", size, virtual=size)
    now = Now(group=Group("vg0", EXTENT, 10**4 * EXTENT, 10**4 * EXTENT), volumes={"web": web})
    wanted = Wanted(group="vg0", name="before", snapshot_of="web", size=asked)
    planned = plan_lvm(now, wanted)
    room = planned.after["size"]
    assert room <= cow_most(size, EXTENT)
    before = Logical("vg0", "before", "/dev/vg0/before", room, "snapshot", virtual=size, origin="web")
    assert plan_lvm(replace(now, volumes={"web": web, "before": before}), wanted).steps == ()


def test_the_most_room_of_a_snapshot_is_what_lvm_says() -> None:
    """As lvm2 2.03.16 reduced 1 GiB to."""
    assert cow_most(100 * MIB, EXTENT) == 104 * MIB
    assert cow_most(200 * MIB, EXTENT) == 204 * MIB
    assert cow_most(128 * MIB, EXTENT) == 132 * MIB


@given(kind=st.sampled_from(["domain", "mount", "swap", "process", "device", "open"]), shrink=st.booleans(), size=EXTENTS)
def test_nothing_in_use_is_removed_or_made_smaller(kind: str, shrink: bool, size: int) -> None:
    own = Logical("vg0", "web", "/dev/vg0/web", 100 * EXTENT, virtual=100 * EXTENT)
    now = Now(group=Group("vg0", EXTENT, 1000 * EXTENT, 900 * EXTENT), volumes={"web": own}, uses=(Use(kind, "x", "somebody has it"),))
    image = Now(image=Image("/srv/a", "raw", 100 * EXTENT), uses=now.uses, room=10**12)
    for wanted, planner, there in ((Wanted(group="vg0", name="web"), plan_lvm, now), (Wanted(path="/srv/a"), plan_image, image)):
        for asked in (replace(wanted, absent=True), replace(wanted, size=size * EXTENT, shrink=shrink)):
            try:
                steps = planner(there, asked).steps
            except XenError:
                continue
            assert not [step for step in steps if step.argv[0] in ("lvremove", "lvreduce", "rm") or "--shrink" in step.argv]
