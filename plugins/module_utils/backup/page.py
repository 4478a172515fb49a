# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report (report.py) as one page of HTML that needs nothing but itself: no script, no network."""

from __future__ import annotations

import typing as t
from html import escape
from string import Template

from ..formats.sizes import readable_size

Told = t.Mapping[str, t.Any]
SHOWN = 40  # bars of one thing, the newest ones
HIGH, LOW = 32, 3  # pixels of a bar
OLD = 2 * 86400  # seconds after which an age is shown in another colour
UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backups of $title</title>
<style>
:root { color-scheme: light dark; --bar: #3a7ca5; --whole: #16425b; --good: #2a7a3b; --bad: #b3261e; --old: #b26a00; --line: #8884; }
@media (prefers-color-scheme: dark) { :root { --bar: #6fb1d6; --whole: #b9dcf0; --good: #7bd08d; --bad: #ff8a80; --old: #ffb74d; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem 1rem .35rem 0; vertical-align: bottom; } td:first-child { min-width: 10rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .old { color: var(--old); }
.bars { display: inline-flex; align-items: flex-end; gap: 2px; height: ${high}px; }
.bars i { background: var(--bar); flex: none; width: 5px; }
.bars i.whole { background: var(--whole); } .bars i.bad { background: var(--bad); }
.share { background: var(--line); height: 6px; min-width: 9rem; } .share i { background: var(--bar); display: block; height: 6px; }
.share i.old { background: var(--old); } small { opacity: .75; }
</style>
</head>
<body>
<h1>Backups of $title</h1>
<p class="$verdict"><strong>$sentence</strong> <small>$made</small></p>
$problems
<p>$size in all; $free free.</p>
<table>
<thead>
<tr><th>What</th><th>Age of the newest</th><th>Sizes, the newest on the right</th><th>All of them</th><th>State</th></tr>
</thead>
<tbody>
$rows
</tbody>
</table>
<p><small>Dark bars are whole backups, the others build on those before them. An age is of the last backup that can be restored.</small></p>
</body>
</html>
""")


def page(report: Told) -> str:
    """The whole file. Every name and sentence is escaped."""
    titles = ", ".join(pool["name"] or pool["uuid"] for pool in report["pools"]) or "nothing yet"
    failed = [row for row in report["run"] if row.get("failed")]
    sentences = [str(row.get("msg", "")) for row in failed] + [str(problem) for problem in report["problems"]]
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    oldest = max((subject["age"] or 0 for subject in report["subjects"]), default=0)
    largest = max((int(subject["size"]) for subject in report["subjects"]), default=0)
    return PAGE.substitute(
        title=escape(titles),
        verdict="good" if report["ok"] else "bad",
        sentence=escape(_sentence(report, failed)),
        made=escape(str(report["made"])),
        problems=f'<ul class="bad">{listed}</ul>' if listed else "",
        size=escape(readable_size(report["size"])),
        free=escape(readable_size(report["free"])),
        high=HIGH,
        rows="\n".join(_row(subject, oldest, largest) for subject in report["subjects"]),
    )


def _sentence(report: Told, failed: t.Sequence[Told]) -> str:
    tried = len(report["run"])
    if not tried:
        return "What is there." if report["ok"] else "Something is wrong."
    if failed:
        return f"{len(failed)} of {tried} failed."
    return f"All {tried} are saved." if report["ok"] else f"All {tried} are saved, but something is wrong."


def _row(subject: Told, oldest: int, largest: int) -> str:
    name = f"{escape(str(subject['name'] or subject['uuid']))} <small>{escape(str(subject['kind']))}</small>"
    count = f"{subject['count']} backup{'s' if subject['count'] != 1 else ''}"
    everything = f"{escape(readable_size(subject['size']))} <small>{count}</small>{_share(int(subject['size']), largest)}"
    cells = (name, _age(subject["age"], oldest), _bars(subject["backups"][-SHOWN:]), everything, _state(subject))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _share(part: int, whole: int, kind: str = "") -> str:
    return f'<div class="share"><i{kind} style="width: {100 * part / whole if whole else 0:.0f}%"></i></div>'


def _age(age: int | None, oldest: int) -> str:
    if age is None:
        return '<span class="bad">none</span>'
    kind = ' class="old"' if age > OLD else ""
    return f"<span{kind}>{readable_age(age)}</span>{_share(age, oldest, kind)}"


def readable_age(seconds: int) -> str:
    """ "3 days", "1 hour", "now"."""
    for length, unit in UNITS:
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "now"


def _bars(backups: t.Sequence[Told]) -> str:
    largest = max((int(backup["size"] or 0) for backup in backups), default=0)
    return f'<div class="bars">{"".join(_bar(backup, largest) for backup in backups)}</div>'


def _bar(backup: Told, largest: int) -> str:
    size = int(backup["size"] or 0)
    height = max(LOW, round(HIGH * size / largest)) if largest else LOW
    kind = "bad" if backup["state"] != "good" else "" if backup["parent"] else "whole"
    about = f"{backup['created'] or backup['stamp']}, {readable_size(size)}, {backup['state']}"
    return f'<i class="{kind}" style="height: {height}px" title="{escape(about)}"></i>'


def _state(subject: Told) -> str:
    """What is wrong, or how the newest was looked at."""
    wrong = [f"{backup['stamp']}: {backup['problem'] or backup['state']}" for backup in subject["backups"] if backup["state"] != "good"]
    if wrong:
        return f'<span class="bad">{"<br>".join(escape(text) for text in wrong[-3:])}</span>'
    if not subject["backups"]:
        return '<span class="bad">no backup</span>'
    verdict = subject["backups"][-1]["verified"]
    return f'<span class="good">good</span> <small>{escape(_verified(verdict))}</small>'


def _verified(verdict: Told | None) -> str:
    words = {"checksum": "checksums checked", "structure": "structure checked", "boot": "started once"}
    return words.get(str(verdict["level"]), "") if verdict else "not checked"
