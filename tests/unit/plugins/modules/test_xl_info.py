# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated host and its domains are said to be."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.xl.info.source import Source
from ansible_collections.domzero.xen.plugins.module_utils.xl.tool import Tool
from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused, XlHost, xl_host

WEB = """# the web server
name = "web"
type = "pvh"
kernel = "/vmlinuz"
memory = 128
maxmem = 192
vcpus = 1
maxvcpus = 2
uuid = "c53ce769-4f23-4e2a-8d43-c8f16e4b1b82"
vif = ["mac=00:16:3e:00:00:11,bridge=xenbr0"]
disk = ["/dev/vg0/pv1-disk,raw,xvda,rw"]
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the modules for xl need root")


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[XlHost]:
    with xl_host(tmp_path) as host:
        with host.change() as state:
            state["bridges"].append("lo")
        (configs(host) / "auto").mkdir(parents=True)
        yield host


def configs(host: XlHost) -> Path:
    return host.folder.parent / "xen"


def defined(host: XlHost, name: str = "web", text: str = WEB) -> Path:
    path = configs(host) / f"{name}.cfg"
    path.write_text(text)
    return path


def starts(host: XlHost, name: str = "web", text: str = WEB) -> None:
    done = host.xl("create", str(defined(host, name, text)))
    assert done.returncode == 0, done.stderr


def info(host: XlHost, **options: t.Any) -> dict[str, t.Any]:
    told = host.module("xl_info", config_dir=str(configs(host)), **options)
    assert told["changed"] is False and host.calls(changing=True) == []
    return told


def test_the_host_is_told(host: XlHost) -> None:
    told = info(host, gather=["host"])
    assert told["host"]["xen_version"] == "4.17.7" and told["host"]["free_memory"] == 3028 and told["host"]["nr_cpus"] == 2
    assert "hvm" in told["host"]["virt_caps"] and told["host"]["xen_commandline"].startswith("placeholder dom0_mem=1024M")
    assert told["host"]["cpu_topology"] == [{"cpu": 0, "core": 0, "socket": 0, "node": 0}, {"cpu": 1, "core": 1, "socket": 0, "node": 0}]
    assert told["host"]["dom0"]["memory"] == 1024 and told["host"]["dom0"]["vcpus"] == 2
    assert told["domains"] == told["cpupools"] == told["schedulers"] == [] and told["xenstore"] == {}


def test_a_domain_that_runs_is_told_with_its_devices(host: XlHost) -> None:
    starts(host)
    (web,) = info(host)["domains"]
    assert (web["name"], web["power_state"], web["domid"], web["type"], web["memory"], web["pool"]) == (
        "web",
        "running",
        1,
        "pvh",
        128,
        "Pool-0",
    )
    assert web["config_file"] == str(configs(host) / "web.cfg") and web["uuid"] == "c53ce769-4f23-4e2a-8d43-c8f16e4b1b82"
    assert [(vcpu["number"], vcpu["online"], vcpu["hard"]) for vcpu in web["vcpus"]] == [(0, True, "all"), (1, False, "all")]
    (disk,), (nic,) = web["disks"], web["nics"]
    assert disk == {
        "vdev": "xvda",
        "devid": 51712,
        "target": "/dev/vg0/pv1-disk",
        "format": "raw",
        "access": "rw",
        "cdrom": False,
        "state": "connected",
        "backend": "/local/domain/0/backend/vbd/1/51712",
    }
    assert (nic["mac"], nic["bridge"], nic["vifname"], nic["state"]) == ("00:16:3e:00:00:11", "xenbr0", "vif1.0", "connected")
    assert web["console"] == {"type": "xenconsoled", "tty": "/dev/pts/0"} and web["uptime"] < 60


def test_a_domain_that_only_has_a_file_is_told(host: XlHost) -> None:
    (configs(host) / "auto/web.cfg").symlink_to(defined(host))
    (web,) = info(host)["domains"]
    assert (web["power_state"], web["domid"], web["domain"]["autostart"], web["domain"]["memory"]) == ("stopped", None, True, 128)


def test_a_domain_without_a_file_is_told_from_what_runs(host: XlHost) -> None:
    starts(host)
    (configs(host) / "web.cfg").unlink()
    (web,) = info(host)["domains"]
    assert web["config_file"] == "" and web["domain"]["memory"] == 128 and web["domain"]["vif"][0]["bridge"] == "xenbr0"


def test_what_is_told_of_a_domain_can_be_handed_back(host: XlHost, tmp_path: Path) -> None:
    kernel, disk = tmp_path / "vmlinuz", tmp_path / "disk.img"
    kernel.write_bytes(b"kernel")
    disk.write_bytes(b"disk")
    starts(host, text=WEB.replace("/vmlinuz", str(kernel)).replace("/dev/vg0/pv1-disk", str(disk)).replace("xenbr0", "lo"))
    (web,) = info(host)["domains"]
    again = host.module("xl_domain", config_dir=str(configs(host)), state="running", **web["domain"])
    assert again["changed"] is False and again["commands"] == []


@pytest.mark.parametrize(
    ("command", "told"),
    [(["pause", "web"], "paused"), (["shutdown", "web"], "shutdown"), (["unpause", "web"], "running")],
    ids=["paused", "shutdown", "running"],
)
def test_the_state_of_a_domain_is_told(host: XlHost, command: list[str], told: str) -> None:
    starts(host)
    host.xl(*command)
    (web,) = info(host)["domains"]
    assert web["power_state"] == told and web["shutdown_reason"] == ("poweroff" if told == "shutdown" else "")


def test_a_thousand_domains_cost_no_more_calls_than_one(host: XlHost) -> None:
    starts(host)
    host.forget_calls()
    info(host)
    few = host.calls()
    for number in range(3):
        starts(host, f"d{number}", f'name = "d{number}"\ntype = "pvh"\nkernel = "/vmlinuz"\nmemory = 64\n')
    host.forget_calls()
    assert len(info(host)["domains"]) == 4 and host.calls() == few and len(few) == 9


def test_one_domain_is_told_and_one_that_is_not_there_is_none(host: XlHost) -> None:
    starts(host)
    defined(host, "mail", 'name = "mail"\nmemory = 64\n')
    assert [each["name"] for each in info(host, name="mail")["domains"]] == ["mail"]
    assert info(host, name="nosuch")["domains"] == [] and info(host, name="Domain-0")["domains"] == []


def test_passwords_are_not_told(host: XlHost) -> None:
    defined(host, text=WEB + 'vnc = 1\nvncpasswd = "secret"\n')
    assert "secret" not in str(info(host))


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_told(host: XlHost) -> None:
    defined(host)
    defined(host, "bad", "name = \n")
    told = host.module_apart("xl_info", config_dir=str(configs(host)))
    assert told and [each["name"] for each in told["domains"]] == ["web"]
    assert "bad.cfg:1: " in str(told["warnings"])


def test_what_a_create_left_that_was_cut_off_is_told(host: XlHost) -> None:
    host.fault("create", "kill", when="within")
    path = defined(host)
    subprocess.run(["sh", "-c", f"xl create {path}; true"], env=host.env, check=False, capture_output=True)
    host.no_faults()
    (web,) = host.module("xl_info", config_dir=str(configs(host)))["domains"]
    assert web["power_state"] == "paused" and web["domain"]["memory"] == 128
    with host.change() as state:
        state["domains"]["1"]["config"]["c_info"]["name"] = "(null)"
    told = host.module("xl_info", config_dir=str(configs(host)))
    assert told["domains"][0]["power_state"] == "stopped" and told["warnings"] == [
        "Domain 1 has no name: it is being made or taken away, or was left so; `xl destroy 1` ends it."
    ]


def test_pools_and_schedulers_are_told(host: XlHost) -> None:
    starts(host)
    told = info(host, gather=["cpupools", "schedulers"])
    assert told["cpupools"] == [{"name": "Pool-0", "scheduler": "credit2", "active": True, "domains": 2, "cpus": [0, 1]}]
    (pool,) = told["schedulers"]
    assert (pool["scheduler"], pool["pool"], pool["parameters"]) == ("credit2", "Pool-0", {"ratelimit": "1000us"})
    assert pool["domains"] == [
        {"name": "Domain-0", "domid": 0, "weight": 256, "cap": 0},
        {"name": "web", "domid": 1, "weight": 256, "cap": 0},
    ]


def test_xenstore_is_told_below_a_path(host: XlHost) -> None:
    assert info(host, gather=["xenstore"], xenstore_path="/tool")["xenstore"] == {"xenstored": "/usr/lib/xen-4.17/bin/oxenstored"}
    assert info(host, gather=["xenstore"])["xenstore"]["local"]["domain"]["0"]["name"] == "Domain-0"


def test_a_path_that_is_not_in_xenstore_is_told(host: XlHost) -> None:
    with pytest.raises(Refused, match="There is no /nosuch in xenstore"):
        info(host, gather=["xenstore"], xenstore_path="/nosuch")


def test_a_program_that_hangs_is_ended(host: XlHost) -> None:
    host.fault("list", "hang")
    with pytest.raises(Refused, match="xl list -c did not finish within 1 seconds"):
        info(host, timeout=1)


def test_what_xl_fails_with_is_told(host: XlHost) -> None:
    host.fault("info", "fail", message="xencall: error: Could not obtain handle on privileged command interface: No such file or directory")
    with pytest.raises(Refused, match=r"xl info -n failed: .*privileged command interface"):
        info(host)


def test_passwords_in_xenstore_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "xenstore-ls"
    program.write_text("#!/bin/sh\nprintf '%s\\n' '/vm/1/vncpasswd = \"secret\"' '/vm/1/name = \"web\"'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert Source(Tool()).subtree("/vm") == {"1": {"vncpasswd": "********", "name": "web"}}
