# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.pace import Pace, duration


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_remaining_time_follow_from_what_has_gone_by() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.told("export", 0.0, 0) == "0%"
    clock.now = 60
    assert pace.told("export", 0.25, 60 << 20) == "25%, 1 MiB/s, 3 min 0 s left"
    assert pace.told("another", 0.5) == "50%"
    clock.now = 240
    assert pace.told("export", 1.0, 240 << 20) == "100%, 1 MiB/s"


def test_what_begins_again_is_counted_anew() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.told("export", 0.9, 90)
    clock.now = 10
    assert pace.told("export", 0.0, 0) == "0%"
    clock.now = 20
    assert pace.told("export", 0.5) == "50%, 10 s left"


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (7500, "2 h 5 min")])
def test_durations_are_read_easily(seconds: float, told: str) -> None:
    assert duration(seconds) == told
