# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed before or after any of its commands is finished by the next."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.unit.plugins.modules.xl_domain_lab import UUID, Lab, lab
from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused

TASKS: dict[str, t.Callable[[Lab], dict[str, t.Any]]] = {
    "what runs is changed": lambda xen: {
        "memory": 300, "maxmem": 512, "cpu_weight": 300, "cpus": "0", "vif": [{"mac": "00:16:3e:10:00:09", "bridge": "lo"}],
        "disk": [xen.disk("data", "xvda"), xen.disk("web", "xvdb")],
    },
    "it is renamed": lambda xen: {"name": "shop", "uuid": UUID, "memory": 150},
    "it is restarted": lambda xen: {"kernel": str(xen.folder / "vmlinuz-new"), "restart": True, "state": "running"},
    "it is restarted, whatever its state": lambda xen: {"kernel": str(xen.folder / "vmlinuz-new"), "restart": True},
    "it goes": lambda xen: {"state": "absent"},
}  # fmt: skip


@pytest.fixture
def xen(tmp_path: Path) -> t.Iterator[Lab]:
    with lab(tmp_path) as made:
        made.once(**made.web, state="running", autostart=True)
        yield made


def left(xen: Lab, options: dict[str, t.Any]) -> None:
    """The next run finishes it, and the one after it has nothing to do."""
    xen.host.no_faults()
    xen.once(**options)
    again = xen.once(**options)
    assert again["commands"] == []
    assert again["needs_restart"] == []
    assert (again["power_state"] == "stopped") == (options.get("state") in ("absent", "saved"))
    assert list(xen.etc.glob(".*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("task", TASKS)
def test_a_run_that_was_killed_is_finished_by_the_next(tmp_path: Path, task: str, when: str) -> None:
    for nth in range(1, 20):
        (tmp_path / str(nth)).mkdir()
        with lab(tmp_path / str(nth)) as xen:
            xen.once(**xen.web, state="running", autostart=True)
            options = TASKS[task](xen)
            xen.host.fault("changing", "kill", nth=nth, when=when)
            killed = xen.cut(**options) is None
            left(xen, options)
        if not killed:
            assert nth > 1, "nothing was killed"
            return
    pytest.fail("it never came to its end")


def test_a_restart_that_was_killed_between_end_and_start_is_finished(xen: Lab) -> None:
    options = TASKS["it is restarted"](xen)
    xen.host.fault("shutdown", "kill", when="after")
    assert xen.cut(**options) is None
    left(xen, options)
    assert xen.host.domain("web")["config"]["b_info"]["kernel"].endswith("vmlinuz-new")


@pytest.mark.parametrize("state", ["running", "paused"])
def test_what_ran_before_a_restart_whose_start_failed_runs_again(xen: Lab, state: str) -> None:
    xen.once(state=state)
    options = {"kernel": str(xen.folder / "vmlinuz-new"), "restart": True}
    xen.host.fault("create", "fail", nth=2, message="not now")  # the first is the dry run
    with pytest.raises(Refused, match="not now"):
        xen.once(**options)
    xen.host.no_faults()
    assert xen.host.domain("web") is None
    done = xen.do(memory=150)
    assert xen.xl(done) == [f"xl create {'-p ' if state == 'paused' else ''}xen/web.cfg"]
    assert done["power_state"] == state
    assert "An earlier run ended in the middle of a restart of web; it is started now." in done["warnings"]
    assert list(xen.etc.glob(".*")) == []


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_who_says_what_it_is_to_be_does_not_get_the_end_of_a_restart(xen: Lab, state: str) -> None:
    xen.host.fault("shutdown", "kill", when="after")
    assert xen.cut(kernel=str(xen.folder / "vmlinuz-new"), restart=True) is None
    xen.host.no_faults()
    done = xen.do(state=state)
    assert (xen.xl(done), done["power_state"]) == ([], "stopped")
    assert list(xen.etc.glob(".*")) == []


@pytest.mark.slow(whole=True)
def test_an_xl_that_hangs_is_ended_and_named(xen: Lab) -> None:
    xen.host.fault("mem-set", "hang")
    with pytest.raises(Refused, match="xl mem-set web 150 did not finish within 3 seconds") as refused:
        xen.once(memory=150, timeout=3)
    assert refused.value.result["commands_done"][-1].startswith("write ")
    left(xen, {"memory": 150})


@pytest.mark.slow(whole=True)
def test_of_a_start_that_hangs_nothing_is_left(xen: Lab) -> None:
    xen.once(state="destroyed")
    xen.host.fault("create", "hang", nth=2, when="after")  # the first is the dry run
    with pytest.raises(Refused, match="did not finish within 6 seconds"):
        xen.once(state="running", timeout=6)
    xen.host.no_faults()
    assert xen.host.domain("web") is None
    assert xen.once(state="running")["power_state"] == "running"


@pytest.mark.slow(whole=True)
@pytest.mark.parametrize("guest", ["deaf", "stuck"])
def test_a_guest_that_does_not_shut_down_is_told_of_and_destroyed_only_when_that_is_allowed(xen: Lab, guest: str) -> None:
    xen.host.guest("web", guest)
    with pytest.raises(Refused, match="web did not shut down"):
        xen.once(state="stopped", shutdown_timeout=2)
    assert xen.once(state="present")["power_state"] == "running"
    done = xen.once(state="stopped", shutdown_timeout=2, force=True)
    assert xen.xl(done) == ["xl shutdown -w web"]
    assert done["power_state"] == "stopped"


def test_an_interface_whose_script_fails_leaves_nothing_behind(xen: Lab) -> None:
    with xen.host.change() as state:
        state["bridges"].remove("lo")
    with pytest.raises(Refused, match="Could not find bridge device lo"):
        xen.once(vif=[*xen.web["vif"], {"mac": "00:16:3e:10:00:02", "bridge": "lo"}])
    assert len(xen.host.xl("network-list", "web").stdout.splitlines()) == 2
    with xen.host.change() as state:
        state["bridges"].append("lo")
    left(xen, {"vif": [*xen.web["vif"], {"mac": "00:16:3e:10:00:02", "bridge": "lo"}]})
    assert xen.once(state="saved")["power_state"] == "stopped"
    assert xen.once(state="restored")["power_state"] == "running"


def test_a_state_that_could_not_be_saved_is_no_state(xen: Lab) -> None:
    xen.host.fault("save", "fail", message="no space")
    with pytest.raises(Refused, match="no space"):
        xen.once(state="saved")
    assert xen.once()["power_state"] == "running"
    assert not (xen.folder / "saved/web").exists()
    left(xen, {"state": "saved"})
