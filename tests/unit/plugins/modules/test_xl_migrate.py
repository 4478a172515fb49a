# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain moves between two simulated hosts: what must be right at both ends, and what is told when it is not."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused, XlHost, xl_host

BOOT = "/proc/sys/kernel/random/boot_id"
pytestmark = [
    pytest.mark.slow(whole=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="the modules for xl need root, and so do mounts of the other host's own"),
]


class Site:
    """Two hosts, a and b, which have their own folder of configs and share the one of disks."""

    def __init__(self, a: XlHost, b: XlHost, folder: Path):
        self.a, self.b, self.folder = a, b, folder
        self.configs = folder / "xen"
        self.there = folder / "xen-of-b"
        (self.configs / "auto").mkdir(parents=True)
        self.there.mkdir()
        self.disk = folder / "disk.img"
        self.disk.write_bytes(b"\0" * 4096)
        (folder / "boot-of-b").write_text("b\n")
        with a.change() as state:
            state["bridges"].append("lo")
        with b.change() as state:
            state["bridges"].append("lo")
            state["mounts"] = {str(self.configs): str(self.there), BOOT: str(folder / "boot-of-b")}

    def starts(self, name: str = "web", *, kind: str = "pvh", bridge: str = "lo", memory: int = 64, more: str = "") -> Path:
        config = self.configs / f"{name}.cfg"
        config.write_text(
            f'# kept as it is\nname = "{name}"\ntype = "{kind}"\nkernel = "/vmlinuz"\nmemory = {memory}\n'
            f'vif = ["bridge={bridge}"]\ndisk = ["{self.disk},raw,xvda,rw"]\n{more}'
        )
        done = self.a.xl("create", str(config))
        assert done.returncode == 0, done.stderr
        return config

    def options(self, **more: t.Any) -> dict[str, t.Any]:
        return {"name": "web", "destination": "b", "config_dir": str(self.configs), **more}

    def move(self, *, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return self.a.module("xl_migrate", check=check, **self.options(**more))

    def refusal(self, **more: t.Any) -> str:
        """What a task fails with, which says the same in check mode and changes nothing."""
        with pytest.raises(Refused) as predicted:
            self.move(check=True, **more)
        with pytest.raises(Refused) as refused:
            self.move(**more)
        assert str(predicted.value) == str(refused.value)
        assert self.a.calls(changing=True) == [] and self.b.calls(changing=True) == []
        return str(refused.value)


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    with xl_host(tmp_path, "a") as a:
        yield Site(a, a.beside("b"), tmp_path)


def test_a_domain_moves_with_its_file(site: Site) -> None:
    config = site.starts()
    (site.configs / "auto/web.cfg").symlink_to(config)
    text = config.read_text()
    done = site.a.converges("xl_migrate", **site.options())
    assert done["changed"] and done["moved"] and done["domain"]["host"] == "b"
    assert done["diff"] == {"before": {"host": "a"}, "after": {"host": "b"}}
    assert site.a.domain("web") is None and site.b.domain("web")["domid"] == done["domain"]["domid"]
    assert (site.there / "web.cfg").read_text() == text and (site.there / "auto/web.cfg").is_symlink()
    assert not config.exists() and (site.configs / "web.cfg.moved").read_text() == text
    assert not (site.configs / "auto/web.cfg").is_symlink()
    assert done["commands"][0] == "xl migrate -s 'ssh -o BatchMode=yes -o ConnectTimeout=30' web root@b"


def test_its_file_stays_where_that_is_asked_for(site: Site) -> None:
    config = site.starts()
    done = site.a.converges("xl_migrate", **site.options(move_config=False))
    assert len(done["commands"]) == 1 and config.exists() and not (site.there / "web.cfg").exists()


def test_the_other_file_there_is_kept(site: Site) -> None:
    site.starts()
    (site.there / "web.cfg").write_text("name = 'older'\n")
    site.move()
    assert (site.there / "web.cfg.before").read_text() == "name = 'older'\n"


def test_how_ssh_is_called_is_said_to_xl_too(site: Site) -> None:
    site.starts()
    done = site.move(check=True, port=2222, user="", ssh_options=["-i", "/root/a key"])
    assert done["commands"][0] == ("xl migrate -s 'ssh -o BatchMode=yes -o ConnectTimeout=30 -p 2222 -i '\"'\"'/root/a key'\"'\"'' web b")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ({"ssh_refuses": "root@b: Permission denied (publickey)."}, "b cannot be reached with ssh: root@b: Permission denied (publickey)."),
        ({"info": {"free_memory": "50"}}, "It needs 66 MiB of memory, and root@b has 50 MiB free."),
        ({"info": {"xen_minor": "14", "xen_version": "4.14.6"}}, "Xen on root@b is 4.14.6, older than 4.17.7 here"),
    ],
    ids=["ssh", "memory", "release"],
)
def test_what_is_wrong_at_the_other_end_is_told_before_anything(site: Site, there: dict[str, t.Any], told: str) -> None:
    site.starts()
    with site.b.change() as state:
        state["info"].update(there.pop("info", {}))
        state.update(there)
    assert told in site.refusal()
    assert site.a.domain("web")


def test_a_host_that_nobody_knows_is_told(site: Site) -> None:
    site.starts()
    assert "root@nosuch cannot be reached with ssh: ssh: Could not resolve hostname nosuch" in site.refusal(destination="nosuch")


def test_a_bridge_that_is_missing_there_is_told(site: Site) -> None:
    with site.a.change() as state:
        state["bridges"].append("br-of-a")
    site.starts(bridge="br-of-a")
    assert "Its bridge br-of-a is not on root@b." in site.refusal()


def test_a_disk_that_is_not_there_is_told(site: Site) -> None:
    site.starts()
    empty = site.folder / "empty"
    empty.mkdir()
    with site.b.change() as state:
        state["mounts"][str(site.disk)] = "/dev/null"
    assert "is 4 KiB here and 0 B on root@b" in site.refusal()


def test_a_disk_of_the_same_name_that_is_another_one_is_told(site: Site) -> None:
    site.starts()
    other = site.folder / "other.img"
    other.write_bytes(b"\1" * 4096)
    with site.b.change() as state:
        state["mounts"][str(site.disk)] = str(other)
    assert f"{site.disk} on root@b is another one of the same size (inode differ), not the same storage." in site.refusal()
    assert site.move(same_disks=True)["moved"]


def test_its_uuid_in_use_there_is_told(site: Site) -> None:
    site.starts(more='uuid = "11111111-2222-3333-4444-555555555555"\n')
    copy = site.folder / "copy.cfg"
    copy.write_text('name = "copy"\ntype = "pvh"\nkernel = "/vmlinuz"\nmemory = 64\nuuid = "11111111-2222-3333-4444-555555555555"\n')
    assert site.b.xl("create", str(copy)).returncode == 0
    assert "Domain copy on root@b has its UUID 11111111-2222-3333-4444-555555555555." in site.refusal()


def test_a_domain_of_that_name_there_is_told(site: Site) -> None:
    config = site.starts()
    assert site.b.xl("create", str(config)).returncode == 0
    assert "web is on this host and on root@b." in site.refusal()


def test_a_pv_domain_does_not_migrate_without_shadow_paging(site: Site) -> None:
    site.starts(kind="pv")
    assert "Xen on this host has no shadow paging" in site.refusal()


def test_a_domain_that_does_not_run_is_told(site: Site) -> None:
    assert "web runs neither on this host nor on root@b." in site.refusal()


def test_to_itself_there_is_nothing_to_do(site: Site) -> None:
    config = site.starts()
    done = site.a.converges("xl_migrate", **site.options(destination="localhost"))
    assert not done["changed"] and config.exists() and done["domain"]["host"] == "a"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_task_that_was_cut_off_at_the_migration_is_finished_by_the_next(site: Site, when: str) -> None:
    site.starts()
    site.a.fault("migrate", "kill", when=when)
    assert site.a.module_apart("xl_migrate", **site.options()) is None
    site.a.no_faults()
    done = site.a.converges("xl_migrate", **site.options())
    assert done["changed"] and done["moved"] == (when == "before")
    assert site.b.domain("web") and (site.there / "web.cfg").exists() and not (site.configs / "web.cfg").exists()


def test_a_migration_that_fails_tells_where_the_domain_is(site: Site) -> None:
    site.starts()
    site.a.fault("migrate", "fail", message="libxl: error: libxl_dom_save.c:115:logdirty: Domain 1:Failed to enable logdirty: -1")
    with pytest.raises(Refused) as refused:
        site.move()
    assert "web still runs on this host (domain 1)." in str(refused.value)
    assert "PV domain migrates only where Xen has shadow paging" in str(refused.value)
    assert refused.value.result["commands_done"] == []


def test_a_migration_that_hangs_is_ended_and_the_domain_looked_for(site: Site) -> None:
    site.starts()
    site.a.fault("migrate", "hang")
    with pytest.raises(Refused) as refused:
        site.move(migration_timeout=1)
    assert "did not finish within 1 seconds" in str(refused.value) and "web still runs on this host" in str(refused.value)


def test_a_copy_left_here_of_a_domain_that_runs_there_is_removed(site: Site) -> None:
    site.starts()
    (site.a.folder / "migration-dies-at-started").touch()
    with pytest.raises(Refused) as refused:
        site.move()
    assert "run the task again to finish" in str(refused.value)
    assert site.a.domain("web--migratedaway") and site.b.domain("web")
    done = site.a.converges("xl_migrate", **site.options())
    assert done["commands"][0] == "xl destroy web--migratedaway" and not done["moved"]
    assert site.a.domain("web--migratedaway") is None


def test_a_domain_suspended_by_a_migration_that_was_cut_off_is_told_with_what_to_do(site: Site) -> None:
    site.starts()
    (site.a.folder / "migration-dies-at-permission").touch()
    with pytest.raises(Refused):
        site.move()
    site.a.forget_calls()
    site.b.forget_calls()
    told = site.refusal()
    assert "web--migratedaway on this host is suspended" in told and "xl destroy web--migratedaway" in told


@pytest.mark.parametrize(("name", "destination"), [("Domain-0", "b"), ("a/b", "b"), ("web", "-oProxyCommand=x")])
def test_names_that_cannot_be_are_refused(site: Site, name: str, destination: str) -> None:
    assert site.refusal(name=name, destination=destination)


def test_another_domain_of_its_name_over_there_gets_no_file(site: Site) -> None:
    config = site.starts(more='uuid = "6b0c4a5e-8d1f-4c3a-9e57-0d1a2b3c4d5e"\n')
    site.a.xl("destroy", "web")
    (site.folder / "other.cfg").write_text(config.read_text().replace("6b0c4a5e", "00000000"))
    assert site.b.xl("create", str(site.folder / "other.cfg")).returncode == 0
    assert "The web on root@b is another domain: its UUID is not that of " in site.refusal()
    assert config.exists()


@pytest.mark.parametrize("destination", ["b; reboot", "b c", "$(reboot)", ""])
def test_what_is_no_host_name_reaches_no_shell(site: Site, destination: str) -> None:
    assert "is no " in site.refusal(destination=destination)


def test_a_link_that_would_start_it_here_too_is_told_of(site: Site) -> None:
    (site.configs / "auto/web.cfg").symlink_to(site.starts())
    for _run in range(2):
        done = site.a.module_apart("xl_migrate", **site.options(move_config=False))
        assert done is not None
        assert [line for line in done["warnings"] if "starts web with this host too" in line]
