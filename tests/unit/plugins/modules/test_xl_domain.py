# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.unit.plugins.modules.xl_domain_lab import UUID, Lab, lab
from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused


@pytest.fixture
def xen(tmp_path: Path) -> t.Iterator[Lab]:
    with lab(tmp_path) as made:
        yield made


@pytest.fixture
def web(xen: Lab) -> Lab:
    """With the domain web, which runs."""
    xen.once(**xen.web, state="running")
    xen.host.forget_calls()
    return xen


def test_a_domain_is_described_started_and_starts_with_the_host(xen: Lab) -> None:
    done = xen.do(**xen.web, state="running", autostart=True)
    assert xen.xl(done) == ["xl create xen/web.cfg"]
    assert done["power_state"] == "running"
    assert (xen.etc / "auto/web.cfg").readlink() == xen.etc / "web.cfg"
    assert (xen.etc / "web.cfg").stat().st_mode & 0o777 == 0o600
    assert done["diff"][0]["after"] == xen.file


def test_what_is_told_can_be_handed_back(web: Lab) -> None:
    told = web.once()["domain"]
    assert told["memory"] == 128
    assert web.do(**told)["changed"] is False


def test_a_file_alone_starts_nothing(xen: Lab) -> None:
    done = xen.do(**xen.web)
    assert done["commands"] == [f"write {xen.etc}/web.cfg"]
    assert (done["domid"], done["power_state"]) == (None, "stopped")


def test_comments_and_unknown_keys_stay_and_the_earlier_file_is_kept(xen: Lab) -> None:
    text = f"# ours\nname = 'web'  # of the shop\nkernel = '{xen.folder}/vmlinuz'\nmemory = 64 # little\nzzz = 1\n"
    (xen.etc / "web.cfg").write_text(text)
    done = xen.do(memory=96)
    assert xen.file == text.replace("64", "96")
    assert Path(done["backup_file"]).read_text() == text
    assert any("is not known to read the key zzz" in one for one in done["warnings"])


def test_a_domain_of_a_file_and_of_a_text(xen: Lab) -> None:
    text = f"name = 'web'\nkernel = '{xen.folder}/vmlinuz'\nmemory = 64\n"
    (xen.folder / "build.cfg").write_text(text)
    xen.do(name=None, config=str(xen.folder / "build.cfg"), vcpus=2)
    assert xen.file == text + "vcpus = 2\n"
    xen.do(name=None, config_text=text)
    assert xen.file == text


def test_memory_vcpus_weight_and_pinning_change_while_it_runs(web: Lab) -> None:
    done = web.do(memory="200 MiB", vcpus=2, cpu_weight=512, cap=50, cpus="0")
    assert web.xl(done) == ["xl mem-set web 200", "xl vcpu-set web 2", "xl sched-credit2 -d web -c 50 -w 512", "xl vcpu-pin web all 0"]
    assert done["diff"][1]["before"]["memory"] == 128
    assert done["diff"][1]["after"]["memory"] == 200
    assert any("bring the others online" in one for one in done["warnings"])
    done = web.do(extra_config={"cpus": ""}, maxmem=512, memory=300)
    assert web.xl(done) == ["xl mem-max web 512", "xl mem-set web 300", "xl vcpu-pin web all all"]


def test_disks_and_interfaces_come_and_go_while_it_runs(web: Lab) -> None:
    data, second = web.disk("data", "xvdb"), {"mac": "00:16:3e:10:00:02", "bridge": "lo"}
    done = web.do(disk=[*web.web["disk"], data], vif=[*web.web["vif"], second])
    assert web.xl(done) == [
        "xl block-attach web vdev=xvdb,format=raw,access=rw,target=data.img", "xl network-attach web mac=00:16:3e:10:00:02 bridge=lo",
    ]  # fmt: skip
    done = web.do(disk=web.web["disk"], vif=web.web["vif"])
    assert web.xl(done) == ["xl block-detach web xvdb", "xl network-detach web 1"]


def test_an_interface_that_changes_is_replaced(web: Lab) -> None:
    done = web.do(vif=[{**web.web["vif"][0], "ip": "10.0.0.1"}])
    assert web.xl(done) == ["xl network-detach web 0", "xl network-attach web mac=00:16:3e:10:00:01 bridge=lo ip=10.0.0.1"]


def test_what_needs_a_restart_is_told_until_it_was_restarted(web: Lab) -> None:
    new = str(web.folder / "vmlinuz-new")
    done = web.do(kernel=new, state="running")
    assert web.xl(done) == []
    assert done["needs_restart"] == [f"kernel: web runs with {web.folder}/vmlinuz; {new} comes with a restart."]
    assert web.once(kernel=new)["needs_restart"] == done["needs_restart"]
    done = web.do(kernel=new, state="running", restart=True)
    assert web.xl(done) == ["xl shutdown -w web", "xl create xen/web.cfg"]
    assert done["needs_restart"] == []


def test_nothing_changes_in_what_runs_unless_it_is_to(web: Lab) -> None:
    done = web.do(memory=150, live=False)
    assert web.xl(done) == []
    assert done["needs_restart"] == ["give web 150 MiB is left to a restart (live: false)."]
    assert "memory = 150" in web.file


def test_a_domain_is_renamed_with_its_file_and_its_link(web: Lab) -> None:
    web.once(autostart=True)
    done = web.do(name="shop", uuid=UUID)
    assert web.xl(done) == ["xl rename web shop"]
    assert sorted(path.name for path in web.etc.rglob("*.cfg")) == ["shop.cfg", "shop.cfg"]
    assert 'name = "shop"' in (web.etc / "shop.cfg").read_text()


@pytest.mark.parametrize(("state", "command"), [("paused", "xl pause web"), ("saved", "xl save web saved/web")])
def test_a_new_name_that_is_left_to_a_restart_is_not_used_before(web: Lab, state: str, command: str) -> None:
    assert web.xl(web.do(name="shop", uuid=UUID, live=False, state=state)) == [command]


def test_a_domain_that_runs_without_a_file_can_be_paused_and_ended(web: Lab) -> None:
    (web.etc / "web.cfg").unlink()
    assert web.xl(web.do(state="paused")) == ["xl pause web"]
    assert web.xl(web.do(state="destroyed")) == ["xl destroy web"]


def test_a_password_is_in_no_result(xen: Lab) -> None:
    done = xen.once(**xen.web, vncpasswd="geheim", vfb=[{"vnc": True, "vncpasswd": "geheim"}])
    assert "geheim" in xen.file
    assert "geheim" not in str(done)
    (xen.etc / "web.cfg").write_text(xen.file.replace("geheim", "anders"))
    assert "anders" not in str(xen.once(memory=130))


STATES: list[tuple[list[str], str, list[str]]] = [
    ([], "running", ["xl create xen/web.cfg"]),
    ([], "paused", ["xl create -p xen/web.cfg"]),
    (["running"], "paused", ["xl pause web"]),
    (["running", "paused"], "running", ["xl unpause web"]),
    (["running"], "stopped", ["xl shutdown -w web"]),
    (["paused"], "stopped", ["xl unpause web", "xl shutdown -w web"]),
    (["running"], "destroyed", ["xl destroy web"]),
    ([], "stopped", []),
    ([], "destroyed", []),
    (["running"], "saved", ["xl save web saved/web"]),
    (["paused"], "saved", ["xl unpause web", "xl save web saved/web"]),
    (["running", "saved"], "saved", []),
    (["running", "saved"], "restored", ["xl restore saved/web"]),
    (["running"], "restored", []),
    (["running", "saved"], "stopped", []),
    (["running"], "absent", ["xl shutdown -w web"]),
    ([], "absent", []),
]


@pytest.mark.parametrize(("path", "state", "told"), STATES, ids=lambda value: "-".join(value) if isinstance(value, list) else value)
def test_from_each_state_to_the_next(xen: Lab, path: list[str], state: str, told: list[str]) -> None:
    xen.once(**xen.web)
    for step in path:
        xen.once(state=step)
    done = xen.do(state=state)
    assert xen.xl(done) == told
    if state == "absent":
        assert [entry.name for entry in xen.etc.iterdir()] == ["web.cfg.~1~"]


def test_a_saved_state_is_gone_when_it_was_restored_unless_it_is_kept(xen: Lab) -> None:
    xen.once(**xen.web, state="running")
    saved = xen.folder / "saved/web"
    xen.once(state="saved")
    xen.do(state="restored", keep_saved=True)
    assert saved.exists()
    xen.do(state="restored")
    assert not saved.exists()


def test_a_start_does_not_pass_over_a_saved_state(xen: Lab) -> None:
    xen.once(**xen.web, state="running")
    xen.once(state="saved")
    with pytest.raises(Refused, match="could not be restored any more"):
        xen.once(state="running")
    assert xen.xl(xen.do(state="running", force=True)) == ["xl create xen/web.cfg"]
    assert not (xen.folder / "saved/web").exists()


def test_a_file_of_somebody_else_is_not_overwritten_by_a_saved_state(web: Lab) -> None:
    (web.folder / "saved").mkdir()
    (web.folder / "saved/web").write_text("letters")
    with pytest.raises(Refused, match="is no saved state of web"):
        web.once(state="saved")
    web.once(state="stopped")
    with pytest.raises(Refused, match="No saved state of web"):
        web.once(state="restored")
