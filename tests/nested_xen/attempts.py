# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tests that may fail once: the machine may be busy, and an emulated one notices."""

from __future__ import annotations

import os
import time
import typing as t
from itertools import groupby

import pytest
from _pytest.runner import runtestprotocol  # made for this: pytest-rerunfailures, which knows only single tests, uses it too

Say = t.Callable[[str], None]
Reports = list[pytest.TestReport]


def run(session: pytest.Session, say: Say, *, again: bool) -> None:
    """The loop over the tests, a file at a time; with `again` a file of which a test fails is run once more before that counts.

    After NESTED_XEN_MINUTES no further test is begun; those left are skipped, and say so.
    """
    files = [list(items) for _path, items in groupby(session.items, key=lambda item: item.path)]
    minutes = float(os.environ.get("NESTED_XEN_MINUTES") or "inf")
    end = time.monotonic() + 60 * minutes
    not_run = pytest.mark.skip(reason=f"NOT RUN: the {minutes:g} minutes of NESTED_XEN_MINUTES are over")
    for place, items in enumerate(files):
        start = time.monotonic()
        following = files[place + 1][0] if place + 1 < len(files) else None
        attempt_file(items, following, say, again=again, end=end, not_run=not_run)
        say(f"{items[0].path.name}: {time.monotonic() - start:.0f} s")
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


def attempt_file(
    items: list[pytest.Item], following: pytest.Item | None, say: Say, *, again: bool, end: float, not_run: pytest.MarkDecorator
) -> None:
    """Run the tests of a file, and report each of them once. `following` is the first test of the next file.

    What began before `end` and failed is run again also after it: a failure never counts as time that was over.
    """
    log = items[0].config.hook.pytest_runtest_logreport
    passed: set[str] = set()
    for place, item in enumerate(items):
        if time.monotonic() > end:
            item.add_marker(not_run)
        after = items[place + 1] if place + 1 < len(items) else following
        reports = protocol(item, after)
        if again and any(report.failed for report in reports):
            tell(say, item, reports)
            item.session._setupstate.teardown_exact(None)
            break
        passed.add(item.nodeid)
        for report in reports:
            log(report=report)
    else:
        return
    for place, item in enumerate(items):
        reports = protocol(item, items[place + 1] if place + 1 < len(items) else following)
        for report in reports:
            # what passed was reported
            if report.failed or item.nodeid not in passed:
                log(report=report)


def protocol(item: pytest.Item, after: pytest.Item | None) -> Reports:
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=after)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    item.config.pluginmanager.getplugin("terminalreporter").flush()  # a log shows how far it has come
    return reports


def tell(say: Say, item: pytest.Item, reports: Reports) -> None:
    """Why a file is run again."""
    for report in reports:
        if report.failed:
            sections = "".join(f"\n--- {name}\n{text}" for name, text in report.sections)
            say(f"FAILED ONCE, in {report.when}: {item.nodeid}\n{report.longreprtext}{sections}")
    say(f"FAILED ONCE: {item.nodeid}. {item.path.name} is run again from its snapshot, and only that counts.")
