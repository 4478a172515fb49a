# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as lines to read in the evening."""

from __future__ import annotations

import typing as t

from ..formats.sizes import readable_size

Row = t.Mapping[str, t.Any]


def upgrade(told: Row, coordinator: str) -> list[str]:
    """told: a result with due, skipped, problems, left, plan and cost (None where there is no plan)."""
    out = [*_due(told["due"], coordinator), *(f"{host} is left out: {why}." for host, why in told["skipped"].items())]
    if told["problems"]:
        return [*out, "There is no plan:", *(f"  {problem}" for problem in told["problems"])]
    out += [f"{row['disc']} is ejected from the drive of {row['vm']} meanwhile." for row in told["discs"]]
    for number, wave in enumerate(told["plan"]["waves"], 1):
        title = f"Wave {number}: {', '.join(wave['hosts'])}, about {_time(wave['minutes'])}"
        out += ["", title, *_moves(wave["moves"]), *_stops(wave["stops"], wave["starts"])]
    if told["plan"]["home"]:
        out += ["", "At the end", *_moves(told["plan"]["home"])]
    return [*out, "", *_cost(told["cost"]), *told["left"]]


def evacuation(told: Row, host: str) -> list[str]:
    """told: a result with problems, moves, stops and cost."""
    if told["problems"]:
        return [f"Host {host} cannot be emptied:", *(f"  {problem}" for problem in told["problems"])]
    moves, stops, cost = told["moves"], told["stops"], told["cost"]
    return [f"Host {host} is emptied in about {_time(cost['minutes'])}", *_moves(moves), *_stops(stops, []), "", *_cost(cost)]


def _due(due: Row, coordinator: str) -> list[str]:
    if not due:
        return ["No host is due."]
    width = max(map(len, due))
    out = [f"{len(due)} host{'s are' if len(due) > 1 else ' is'} due:"]
    for host, row in due.items():
        does = "reboot" if row["reboot"] else "its VMs stay" if not row["evacuate"] else "no reboot"
        leads = ", coordinator" if host == coordinator else ""
        out.append(f"  {host:<{width}}  {row['why'].rstrip('.')} ({does}{leads})")
    return out


def _moves(moves: t.Sequence[Row]) -> list[str]:
    name, source = (max((len(row[key]) for row in moves), default=0) for key in ("vm", "from"))
    target = max((len(row["to"]) for row in moves), default=0)
    return [f"  {row['vm']:<{name}}  {row['from']:<{source}} -> {row['to']:<{target}}  {readable_size(row['memory']):>9}" for row in moves]


def _stops(stops: t.Sequence[Row], starts: t.Sequence[Row]) -> list[str]:
    """VMs that are down while their host is, and why; then those that are down already."""
    wakes = {row["vm"]: row for row in starts}
    out = []
    for row in stops:
        after = f", {wakes.pop(row['vm'])['action']} afterwards" if row["vm"] in wakes else ""
        out.append(f"  {row['vm']}: {row['action']} on {row['host']}{after}. {row['why']}".rstrip())
    return [*out, *(f"  {row['vm']}: {row['action']} on {row['host']} afterwards." for row in wakes.values())]


def _cost(cost: Row) -> list[str]:
    bound, down = cost["bound"], cost["downtime"]
    if not cost["moves"]:
        first = "No VM moves"
    else:
        times = {1: "once", 2: "twice"}.get(cost["most_moved"], f"{cost['most_moved']} times")
        first = (
            f"{cost['moves']} migrations, no VM more than {times}, {readable_size(cost['memory'])}"
            f" (no plan does with less than {bound['moves']} and {readable_size(bound['memory'])})"
        )
    out = [f"{first}; about {_time(cost['minutes'])}."]
    return [*out, *(f"{vm} is down for about {_time(time)}." for vm, time in down.items())]


def _time(minutes: float) -> str:
    if minutes < 100:
        return f"{minutes:g} minutes"
    return f"{int(minutes // 60)} h {round(minutes % 60)} min"
