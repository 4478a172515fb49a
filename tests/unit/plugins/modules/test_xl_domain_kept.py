# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of a domain is lost: not one that is suspended or moves, not one of the same name, not a file that was put elsewhere."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Timeout, XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain import doing
from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step, carry_out
from ansible_collections.domzero.xen.plugins.module_utils.xl.tool import Tool
from ansible_collections.domzero.xen.tests.unit.plugins.modules.xl_domain_lab import UUID, Lab, lab
from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused

SUSPEND = 2


@pytest.fixture
def xen(tmp_path: Path) -> t.Iterator[Lab]:
    with lab(tmp_path) as made:
        made.once(**made.web, state="running", autostart=True)
        made.host.forget_calls()
        yield made


def altered(xen: Lab, **what: t.Any) -> None:
    """The domain of the host, as something else left it."""
    with xen.host.change() as state:
        domain = next(one for one in state["domains"].values())
        domain["config"]["c_info"]["name"] = what.pop("name", "web")
        domain["config"]["c_info"]["uuid"] = what.pop("uuid", UUID)
        domain.update(what)


@pytest.mark.parametrize("check", [True, False], ids=["check mode", "real"])
@pytest.mark.parametrize("state", ["running", "paused", "stopped", "restored", "absent"])
def test_a_domain_that_a_save_left_suspended_is_told_of_and_kept(xen: Lab, state: str, check: bool) -> None:
    altered(xen, reason=SUSPEND)
    with pytest.raises(Refused, match="web is suspended, as by a save or a migration that was cut off"):
        xen.once(state=state, memory=130, _ansible_check_mode=check)
    assert xen.host.calls(changing=True) == []
    assert (xen.etc / "web.cfg").exists()


def test_a_domain_that_is_suspended_can_be_destroyed(xen: Lab) -> None:
    altered(xen, reason=SUSPEND)
    assert xen.xl(xen.once(state="destroyed")) == ["xl destroy web"]


@pytest.mark.parametrize("name", ["web--migratedaway", "web--incoming"])
@pytest.mark.parametrize("state", ["present", "running", "stopped", "destroyed", "absent"])
def test_a_domain_that_moves_is_left_alone(xen: Lab, state: str, name: str) -> None:
    altered(xen, name=name)
    with pytest.raises(Refused, match=f"{name} is on this host: a migration of web runs, or was cut off"):
        xen.once(state=state)
    assert xen.host.calls(changing=True) == []


def test_another_domain_of_its_name_keeps_the_file_from_going(xen: Lab) -> None:
    altered(xen, uuid="00000000-8d1f-4c3a-9e57-0d1a2b3c4d5e")
    with pytest.raises(Refused, match="A domain web runs that is another one"):
        xen.once(state="absent")
    assert (xen.etc / "web.cfg").exists()


@pytest.mark.slow(whole=True)
def test_a_guest_that_does_not_shut_down_is_not_started_twice_under_its_new_name(xen: Lab) -> None:
    xen.host.guest("web", "stuck")
    task = {"name": "shop", "uuid": UUID, "kernel": str(xen.folder / "vmlinuz-new"), "restart": True, "state": "running"}
    with pytest.raises(Refused, match="web did not shut down within 2 seconds"):
        xen.once(**task, shutdown_timeout=2)
    assert xen.host.domain("shop") is None
    assert xen.host.domain("web") is not None
    done = xen.once(**task, shutdown_timeout=2, force=True)
    assert done["warnings"] == ["web did not shut down in time and was destroyed."]
    assert (xen.host.domain("web"), done["power_state"]) == (None, "running")


def test_a_domain_that_somebody_else_started_meanwhile_runs_on(xen: Lab) -> None:
    xen.once(state="destroyed")
    xen.host.fault("create", "fail", nth=2, when="after", status=3, message="web already exists")
    with pytest.raises(Refused, match="xl create"):
        xen.once(state="running")
    assert xen.host.domain("web") is not None


def test_a_saved_state_stays_where_the_domain_does_not_go_on(xen: Lab) -> None:
    """Whether all of it was written is not known, and it may be all that is left of its memory."""
    saved = xen.folder / "state"
    saved.write_text("memory")
    altered(xen, reason=SUSPEND)
    xen.host.fault("save", "hang")
    ways = doing.Doing(Tool("xl", timeout=2), "web", shutdown_timeout=1, force=False, slow_timeout=2)
    with pytest.raises(Timeout):
        carry_out(ways.armed([Step(("xl", "save", "web", str(saved)), "save web")]), ways.tool)
    assert saved.read_text() == "memory"


def test_a_file_that_starts_with_the_host_and_is_nowhere_else_stays(xen: Lab) -> None:
    auto, file = xen.etc / "auto" / "web.cfg", xen.etc / "web.cfg"
    auto.unlink()
    file.rename(auto)
    file.symlink_to(auto)
    for task in ({"autostart": False}, {"state": "absent"}):
        with pytest.raises(Refused, match="is no link, but a file of its own; it is not removed"):
            xen.once(**task)
    assert xen.host.calls(changing=True) == []
    file.unlink()
    file.write_text(auto.read_text())
    assert xen.once(autostart=False)["commands"] == [f"rm {auto}"]


def test_a_file_that_is_a_link_stays_one(xen: Lab) -> None:
    file, shared = xen.etc / "web.cfg", xen.folder / "web-of-both-hosts.cfg"
    file.rename(shared)
    file.symlink_to(shared)
    assert xen.once(cpu_weight=300, live=False)["changed"]
    assert file.is_symlink()
    assert "cpu_weight = 300" in shared.read_text()


def test_a_domain_whose_own_file_was_its_configuration_is_absent_twice(xen: Lab) -> None:
    assert xen.do(config=str(xen.etc / "web.cfg"), state="absent")["changed"]
    with pytest.raises(Refused, match="There is no file"):
        xen.once(config=str(xen.etc / "web.cfg"), state="stopped")


def test_a_domain_that_shares_its_mac_can_be_ended(xen: Lab) -> None:
    other = {"name": "shop", "type": "pvh", "kernel": str(xen.folder / "vmlinuz"), "memory": 64, "state": "running"}
    xen.once(**other, vif=[{"mac": "00:16:3e:10:00:02", "bridge": "lo"}])
    with xen.host.change() as state:
        for domain in state["domains"].values():
            domain["config"]["nics"][0]["mac"] = "00:16:3e:10:00:01"
    with pytest.raises(Refused, match="is that of"):
        xen.once(memory=130)
    assert xen.xl(xen.once(state="destroyed")) == ["xl destroy web"]


def test_a_disk_that_is_full_is_told_with_what_was_done() -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    steps = [Step(("cp", "a", "b"), "keep a", run=lambda: None), Step(("write", "/etc/xen/web.cfg"), "write web.cfg", run=full)]
    with pytest.raises(XenError, match=r"write /etc/xen/web\.cfg failed: No space left on device") as failed:
        carry_out(steps, Tool())
    assert failed.value.done == ["cp a b"]
