# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domU from its first start to its end, on a real Xen."""

from __future__ import annotations

import typing as t

import pytest

from .dom0 import Dom0

pytestmark = pytest.mark.core

NAME = "domain-a"
UUID = "6b0c4a5e-8d1f-4c3a-9e57-0d1a2b3c4d5e"
DISK = {"target": "/dev/vg0/domain-a", "vdev": "xvda", "format": "raw", "access": "rw"}
DATA = {"target": "/dev/vg0/domain-a-data", "vdev": "xvdb", "format": "raw", "access": "rw"}
NIC = {"mac": "00:16:3e:00:0a:01", "bridge": "xenbr0"}
DESCRIBED: dict[str, t.Any] = {
    "name": NAME,
    "uuid": UUID,
    "type": "pvh",
    "kernel": "/vmlinuz",
    "ramdisk": "/root/domu-initrd.gz",
    "extra": "console=hvc0 hn=domain-a ip4=10.99.0.41/24",
    "memory": 128,
    "maxmem": 192,
    "vcpus": 1,
    "maxvcpus": 2,
    "disk": [DISK],
    "vif": [NIC],
    "shutdown_timeout": 120,
}


def domain(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_domain": {"name": NAME, **options}}


@pytest.fixture(scope="module", autouse=True)
def volumes(dom0: Dom0) -> t.Iterator[None]:
    files = "/etc/xen/domain-[ab].cfg* /etc/xen/auto/domain-[ab].cfg /var/lib/xen/save/domain-a"
    remove = f"xl destroy domain-a; xl destroy domain-b; lvremove -fy vg0/domain-a vg0/domain-a-data; rm -f {files}"
    dom0.sh(remove, check=False)
    dom0.sh(
        "lvcreate -y -L 16M -n domain-a vg0 && lvcreate -y -L 16M -n domain-a-data vg0 && rm -f /var/log/xen/console/guest-domain-a.log"
    )
    yield
    dom0.sh(remove, check=False)


def test_a_domain_is_described_and_started(dom0: Dom0) -> None:
    done = dom0.converges(domain(**{**DESCRIBED, "autostart": True, "state": "running"}))
    assert done["commands"][-1] == "xl create /etc/xen/domain-a.cfg"
    assert done["power_state"] == "running"
    assert dom0.sh("readlink /etc/xen/auto/domain-a.cfg").strip() == "/etc/xen/domain-a.cfg"
    dom0.until("grep -q DOMU-READY /var/log/xen/console/guest-domain-a.log")
    dom0.converges({"domzero.xen.xl_domain": done["domain"]}, changed=False)  # handed back, it changes nothing


def test_memory_weight_and_pinning_change_while_it_runs(dom0: Dom0) -> None:
    done = dom0.converges(domain(memory="160 MiB", cpu_weight=512, cap=50, cpus="1", vcpus=2))
    assert [command for command in done["commands"] if command.startswith("xl")] == [
        "xl mem-set domain-a 160", "xl vcpu-set domain-a 2", "xl sched-credit2 -d domain-a -c 50 -w 512", "xl vcpu-pin domain-a all 1",
    ]  # fmt: skip
    assert any("vCPUs online" in one for one in done["warnings"]), "a guest that does not bring its vCPU online is told of"
    dom0.until("xl list domain-a | grep -q ' 160 '")
    assert dom0.sh("xl sched-credit2 -d domain-a").split()[-2:] == ["512", "50"]
    dom0.converges(domain(cpus="", cpu_weight=256, cap=0, vcpus=1, memory=128))  # half a processor for two would boot for minutes
    assert "all / all" in dom0.sh("xl vcpu-list domain-a")


def test_the_most_memory_grows_while_it_runs(dom0: Dom0) -> None:
    done = dom0.converges(domain(maxmem=224))
    assert done["commands"][-1] == "xl mem-max domain-a 224"


def test_disks_and_network_interfaces_come_and_go_while_it_runs(dom0: Dom0) -> None:
    second = {"mac": "00:16:3e:00:0a:02", "bridge": "xenbr0"}
    done = dom0.converges(domain(disk=[DISK, DATA], vif=[NIC, second]))
    assert len(dom0.sh("xl block-list domain-a").splitlines()) == 3
    assert second["mac"] in dom0.sh("xl network-list domain-a")
    done = dom0.converges(domain(disk=[DISK], vif=[NIC]))
    assert done["commands"][-2:] == ["xl block-detach domain-a xvdb", "xl network-detach domain-a 1"]
    assert len(dom0.sh("xl block-list domain-a").splitlines()) == 2


def test_a_domain_is_paused_and_goes_on(dom0: Dom0) -> None:
    assert dom0.converges(domain(state="paused"))["commands"] == ["xl pause domain-a"]
    assert dom0.converges(domain(state="running"))["commands"] == ["xl unpause domain-a"]


def test_what_needs_a_restart_is_told_and_done_when_it_is_allowed(dom0: Dom0) -> None:
    longer = DESCRIBED["extra"] + " quiet"
    done = dom0.converges(domain(extra=longer))
    assert [one.split(":")[0] for one in done["needs_restart"]] == ["extra"]
    done = dom0.converges(domain(extra=longer, restart=True, shutdown_timeout=120))
    start = ["xl create /etc/xen/domain-a.cfg", "rm /etc/xen/.domain-a.restart"]
    assert done["commands"] == ["write /etc/xen/.domain-a.restart", "xl shutdown -w domain-a", *start]
    assert done["needs_restart"] == []
    ready = "test $(grep -c DOMU-READY /var/log/xen/console/guest-domain-a.log) ="
    dom0.until(f"{ready} 2")
    # what a run leaves that is killed in between
    dom0.sh("xl destroy domain-a && echo running > /etc/xen/.domain-a.restart")
    assert dom0.converges(domain())["commands"] == start
    # a guest that is still booting may refuse to be frozen
    dom0.until(f"{ready} 3")


def test_a_domain_is_saved_and_restored(dom0: Dom0) -> None:
    done = dom0.converges(domain(state="saved"))
    assert done["commands"][-1] == "xl save domain-a /var/lib/xen/save/domain-a"
    refused = dom0.fails(domain(state="running"))
    assert "could not be restored any more" in refused["msg"]
    done = dom0.converges(domain(state="restored"))
    assert done["commands"] == ["xl restore /var/lib/xen/save/domain-a", "rm /var/lib/xen/save/domain-a"]
    assert done["power_state"] == "running"


def test_a_domain_is_renamed_while_it_runs(dom0: Dom0) -> None:
    done = dom0.converges({"domzero.xen.xl_domain": {"name": "domain-b", "uuid": UUID}})
    assert done["commands"][-1] == "xl rename domain-a domain-b"
    assert "domain-b.cfg" in dom0.sh("ls /etc/xen /etc/xen/auto")
    assert dom0.sh("ls /etc/xen/domain-a.cfg", check=False).endswith("No such file or directory\n")
    dom0.converges({"domzero.xen.xl_domain": {"name": "domain-a", "uuid": UUID}})


WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "a bridge that is not there": ({"vif": [{"bridge": "nosuch"}]}, "The bridge nosuch of domain-b"),
    "a kernel that is not there": ({"kernel": "/boot/nosuch"}, "The kernel of domain-b, /boot/nosuch, is not on this host"),
    "a disk that is not there": (
        {"disk": [{"target": "/dev/vg0/nosuch", "vdev": "xvda"}]},
        "The disk xvda of domain-b, /dev/vg0/nosuch, is not",
    ),
    "a disk that another one writes": ({"disk": [DISK]}, "is written by domain-a, which runs"),
    "too much memory": ({"memory": "1 TiB"}, "MiB are free"),
    "a MAC that is in use": ({"vif": [NIC]}, "is that of domain-a, which runs"),
    "a MAC that is none": ({"vif": [{"mac": "zz"}]}, "'zz' is no mac"),
    "a key that xl passes over": ({"extra_config": {"memroy": 12}}, "Did you mean memory?"),
    "more vCPUs than it can have": ({"vcpus": 3, "maxvcpus": 2}, "maxvcpus < vcpus"),
    "less maxmem than memory": ({"memory": 128, "maxmem": 64}, "maxmem (64 MiB) is less than memory"),
    "no state to restore": ({"state": "restored"}, "No saved state of domain-b"),
    "a disk without a name": ({"disk": ["/dev/vg0/domain-a"]}, "vdev must be given"),
}


def test_what_is_wrong_is_told_before_anything_changes(dom0: Dom0) -> None:
    plain = {"name": "domain-b", "type": "pvh", "kernel": "/vmlinuz", "memory": 64, "state": "running"}
    tasks = [{**domain(**{**plain, **wrong}), "ignore_errors": True} for wrong, _told in WRONG.values()]
    for (what, (_wrong, told)), result in zip(WRONG.items(), dom0.tasks(tasks), strict=True):
        assert result["_outcome"] == "ignored", what
        assert told in result["msg"], (what, result["msg"])
        assert not result["commands_done"], what
    assert "domain-b" not in dom0.sh("xl list; ls /etc/xen")


def test_a_file_that_xl_cannot_read_leaves_the_earlier_one(dom0: Dom0) -> None:
    before = dom0.sh("cat /etc/xen/domain-a.cfg")
    refused = dom0.fails({"domzero.xen.xl_domain": {"config_text": "name = 'domain-a'\nkernel =\n"}})
    assert "config_text:2" in refused["msg"]
    refused = dom0.fails({"domzero.xen.xl_domain": {"config_text": "name = 'domain-a'\nmemory = 64\n"}})
    assert "Neither kernel nor bootloader specified" in refused["msg"]
    assert dom0.sh("cat /etc/xen/domain-a.cfg") == before


def test_a_domain_shuts_down_and_is_not_started_twice(dom0: Dom0) -> None:
    assert dom0.converges(domain(state="stopped", shutdown_timeout=120))["commands"] == ["xl shutdown -w domain-a"]
    assert dom0.converges(domain(state="destroyed"), changed=False)["power_state"] == "stopped"


def test_comments_of_a_file_survive_and_its_domain_goes_with_it(dom0: Dom0) -> None:
    dom0.put(
        "# ours\nname = 'domain-b'  # of the shop\ntype = 'pv'\nkernel = '/vmlinuz'\nramdisk = '/root/domu-initrd.gz'\nmemory = 64\n",
        "/root/domain-b.cfg",
    )
    done = dom0.converges({"domzero.xen.xl_domain": {"config": "/root/domain-b.cfg", "memory": 128, "state": "running"}})
    assert done["domain"]["memory"] == 128
    assert dom0.sh("head -n2 /etc/xen/domain-b.cfg") == "# ours\nname = 'domain-b'  # of the shop\n"
    done = dom0.converges({"domzero.xen.xl_domain": {"name": "domain-b", "state": "destroyed"}})
    assert done["commands"] == ["xl destroy domain-b"]
    done = dom0.converges({"domzero.xen.xl_domain": {"name": "domain-b", "state": "absent"}})
    assert "domain-b.cfg.~1~" in done["backup_file"]
    dom0.sh("rm -f /root/domain-b.cfg")
