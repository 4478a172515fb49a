# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that switch themselves off or reboot."""

from __future__ import annotations

import pytest

from .conversation import Asked, build


@pytest.fixture
def ask() -> Asked:
    return Asked(build(1).pools[0].coordinator)


def started(ask: Asked, **data: str) -> str:
    vm = str(ask("VM.clone", ask("VM.get_by_name_label", "Other install media")[0], "web1"))
    ask("VM.provision", vm)
    ask("VM.set_xenstore_data", vm, {f"vm-data/{key.replace('_', '-')}": value for key, value in data.items()})
    ask("VM.start", vm, False, False)
    return vm


def later(ask: Asked, vm: str) -> str:
    machine = ask.machine
    with machine.world.lock:
        machine.world._agenda.pass_time(60)
    return str(ask("VM.get_power_state", vm))


def test_a_guest_that_switches_itself_off_is_halted(ask: Asked) -> None:
    assert later(ask, started(ask, sim_poweroff="30")) == "Halted"


def test_a_guest_that_reboots_goes_on_unless_that_ends_it(ask: Asked) -> None:
    vm = started(ask, sim_reboot="30")
    assert later(ask, vm) == "Running"
    ask("VM.hard_shutdown", vm)
    ask("VM.set_actions_after_reboot", vm, "destroy")
    ask("VM.start", vm, False, False)
    assert later(ask, vm) == "Halted"


def test_a_guest_without_a_word_of_it_runs_on(ask: Asked) -> None:
    assert later(ask, started(ask)) == "Running"
