# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why there is no plan, in words an administrator can act on."""

from __future__ import annotations

import typing as t

from .board import Board
from .packing import tightest

MOST_NAMED = 5


def impossible(board: Board, todo: t.Sequence[int]) -> str:
    """What rules out every plan and can be seen before one is looked for: a VM, a group, or too little memory. Empty if nothing does."""
    found = [*_homeless(board, todo), *_crowded(board, todo)] or [*_tied(board, todo)]
    more = f" And {len(found) - MOST_NAMED} more." if len(found) > MOST_NAMED else ""
    return " ".join(found[:MOST_NAMED]) + more if found else _full(board, todo)


def not_found(board: Board, host: int, *, certain: bool) -> str:
    """For a pool in which there is memory enough, but not in one piece. host: the one that could not be emptied; board: at the start.

    certain: whether all ways were tried, and not only the likely ones.
    """
    vms, name = board.movers(host), board.pool.hosts[host].id
    others = [h for h in board.hosts() if h != host and board.usable[h]]
    room = sum(max(0, board.free[h]) for h in others)
    says = f"Host {name} cannot be emptied" if certain else f"No way was found to empty host {name}"
    text = f"{says}: its VMs take {gib(board.load(host))}, and the other hosts have {gib(room)} free, but not in the right pieces."
    if vms and others:
        hole, where = max((_hole(board, host, h), -h) for h in others)
        largest, need = board.pool.vms[vms[0]].id, board.size[vms[0]]
        if hole < need:
            most = f"the largest hole that can be made is {gib(hole)} on host {board.pool.hosts[-where].id}"
            text += f" VM {largest} needs {gib(need)}; {most}."
        else:
            text += f" Room can be made for {largest}, the largest with {gib(need)}, but not for all of them."
    bound = [board.pool.vms[v].id for v in vms if board.allowed[v] is not None or (board.strict and board.group[v] >= 0)]
    if bound:
        text += f" Not every host will do for {', '.join(bound[:MOST_NAMED])}{' and others' if len(bound) > MOST_NAMED else ''}."
    return text + " Shut a VM down, or make some smaller."


def _reachable(board: Board, todo: t.Sequence[int], source: int, before: int) -> list[int]:
    """Hosts that VMs of the source may be moved to at some time before another (or itself) is upgraded, memory aside."""
    coming = {*todo, *board.in_place} if before != board.coordinator else set[int]()
    return [h for h in board.hosts() if h != source and (h in coming or (board.usable[h] and board.rank[h] >= board.rank[source]))]


def _homeless(board: Board, todo: t.Sequence[int]) -> t.Iterator[str]:
    """VMs that no other host could ever take."""
    for h in todo:
        reachable = _reachable(board, todo, h, h)
        for v in board.movers(h):
            allowed = board.allowed[v]
            able = [other for other in reachable if allowed is None or other in allowed]
            says = f"VM {board.pool.vms[v].id} on host {board.pool.hosts[h].id}"
            if not able:
                older = any(board.usable[other] and board.rank[other] < board.rank[h] for other in board.hosts())
                why = ": a VM is never moved to an older version" if older and allowed is None else ""
                yield f"{says} may run on no other host that is up{why}. Shut it down."
                continue
            best = max(able, key=lambda other: (board.capacity[other], -other))
            if board.capacity[best] < board.size[v]:
                hole = f"the largest hole that can be made is {gib(board.capacity[best])} on host {board.pool.hosts[best].id}"
                yield f"{says} needs {gib(board.size[v])}; {hole}. Shut it down, or make it smaller."


def _tied(board: Board, todo: t.Sequence[int]) -> t.Iterator[str]:
    """VMs that together need more memory than the few hosts have on which they may run while one is empty."""
    may: dict[int, frozenset[int]] = {}
    for v, allowed in enumerate(board.allowed):
        if allowed is not None and board.pool.vms[v].movable:
            may[v] = allowed | {board.at[v]}
    for h in todo:
        for places in sorted({hosts - {h} for hosts in may.values()}, key=sorted):
            vms = sorted(v for v, hosts in may.items() if hosts - {h} <= places)
            need, room = sum(board.size[v] for v in vms), sum(board.capacity[other] for other in places)
            if need > room:
                names = ", ".join(board.pool.vms[v].id for v in vms[:MOST_NAMED]) + (" and others" if len(vms) > MOST_NAMED else "")
                where = " and ".join(board.pool.hosts[other].id for other in sorted(places)) or "no host"
                yield (
                    f"Host {board.pool.hosts[h].id} cannot be emptied: {names} take {gib(need)} and may run only on {where} meanwhile, "
                    f"with {gib(room)} for VMs. Shut one of them down, or let it run on other hosts."
                )
                break


def _crowded(board: Board, todo: t.Sequence[int]) -> t.Iterator[str]:
    """Groups with more members than there are hosts for them while one is upgraded.

    A member is only moved to a host without another, so the hosts a group is on never become fewer.
    """
    for members in board.members if board.strict else ():
        blocked = []
        for h in todo:
            leaving = members.get(h, set()) & board.on[h]
            taken = {other for other, vms in members.items() if vms and other != h}
            if leaving and len(taken) + len(leaving) > len(
                taken.union(*(_able(board, todo, v, h) for vms in members.values() for v in vms)) - {h}
            ):
                blocked.append(board.pool.hosts[h].id)
        if blocked:
            names = ", ".join(sorted(board.pool.vms[v].id for vms in members.values() for v in vms))
            yield (
                f"{names} have to be on different hosts, and there are too few for that while {' or '.join(blocked)} is upgraded. "
                "Shut one of them down, or let anti_affinity be soft."
            )


def _able(board: Board, todo: t.Sequence[int], vm: int, before: int) -> set[int]:
    allowed = board.allowed[vm]
    return {h for h in _reachable(board, todo, board.at[vm], before) if allowed is None or h in allowed}


def _full(board: Board, todo: t.Sequence[int]) -> str:
    """Memory: short by so much. What is free on all hosts but one stays the same until that one is upgraded."""
    short = []
    for h in todo:
        room = sum(max(0, board.free[other]) for other in _reachable(board, todo, h, h))
        if board.load(h) > room:
            short.append((board.load(h) - room, -h, room))
    if not short:
        return ""
    missing, where, room = max(short)
    return (
        f"Host {board.pool.hosts[-where].id} cannot be emptied: its VMs take {gib(board.load(-where))}, and the other hosts have "
        f"{gib(room)} free in all. Memory is short by {gib(missing)}: shut VMs down, or add a host."
    )


def _hole(board: Board, source: int, host: int) -> int:
    """About the most that can be made free on a host while the source is emptied: what its VMs leave that fit elsewhere."""
    mark = board.mark()
    elsewhere = [h for h in board.hosts() if h not in (host, source)]
    for v in board.movers(host):
        target = tightest(board, v, elsewhere)
        if target is not None:
            board.move(v, target)
    free = board.free[host]
    board.back(mark)
    return free


def gib(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB".replace(".0 ", " ")
