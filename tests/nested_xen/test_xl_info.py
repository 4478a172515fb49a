# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Xen and its domains are said to be."""

from __future__ import annotations

import typing as t

import pytest

from .dom0 import Dom0

NAME = "info-a"
CONFIG = """# looked at
name = "info-a"
type = "pvh"
kernel = "/vmlinuz"
ramdisk = "/root/domu-initrd.gz"
extra = "console=hvc0 hn=info-a"
memory = 112
vcpus = 1
maxvcpus = 2
cpu_weight = 300
vif = ["mac=00:16:3e:00:0b:01,bridge=xenbr0"]
disk = ["/dev/vg0/info-a,raw,xvda,rw"]
"""
LOOK: dict[str, t.Any] = {"domzero.xen.xl_info": {}}


@pytest.fixture(scope="module", autouse=True)
def files(dom0: Dom0) -> t.Iterator[None]:
    remove = "xl destroy info-a; rm -f /etc/xen/info-[ab].cfg /etc/xen/auto/info-a.cfg; lvremove -fy vg0/info-a"
    dom0.sh(remove, check=False)
    dom0.sh("lvcreate -y -L 16M -n info-a vg0; mkdir -p /etc/xen/auto; ln -sfn /etc/xen/info-a.cfg /etc/xen/auto/info-a.cfg")
    dom0.put(CONFIG, "/etc/xen/info-a.cfg")
    dom0.put(CONFIG.replace(NAME, "info-b"), "/etc/xen/info-b.cfg")
    yield
    dom0.sh(remove, check=False)


def domains(told: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {one["name"]: one for one in told["domains"]}


def test_a_domain_that_runs_is_told_beside_one_that_only_has_a_file(dom0: Dom0) -> None:
    dom0.sh("xl create /etc/xen/info-a.cfg", timeout=300)
    told = dom0.converges(LOOK, changed=False)
    host, found = told["host"], domains(told)
    assert host["xen_major"] == 4 and host["nr_cpus"] == 2 and host["dom0"]["memory"] >= 1000 and "hvm" in host["virt_caps"]
    assert [pool["name"] for pool in told["cpupools"]] == ["Pool-0"]
    weights = {one["name"]: one["weight"] for one in told["schedulers"][0]["domains"]}
    assert weights["Domain-0"] == 256 and weights[NAME] == 300
    running, defined = found[NAME], found["info-b"]
    assert (running["power_state"], running["type"], running["memory"], running["domain"]["autostart"]) == ("running", "pvh", 112, True)
    assert [vcpu["number"] for vcpu in running["vcpus"]] == [0, 1]
    (disk,), (nic,) = running["disks"], running["nics"]
    assert (disk["vdev"], disk["target"], disk["access"]) == ("xvda", "/dev/vg0/info-a", "rw")
    assert (nic["mac"], nic["bridge"], nic["vifname"]) == ("00:16:3e:00:0b:01", "xenbr0", f"vif{running['domid']}.0")
    assert running["console"]["tty"].startswith("/dev/pts/")
    assert (defined["power_state"], defined["domid"], defined["config_file"]) == ("stopped", None, "/etc/xen/info-b.cfg")


def test_what_is_told_can_be_handed_back_and_xenstore_is_read(dom0: Dom0) -> None:
    looked, stored, missing = dom0.tasks(
        [
            {**LOOK, "register": "looked"},
            {"domzero.xen.xl_info": {"gather": ["xenstore"], "xenstore_path": "/tool"}},
            {"domzero.xen.xl_info": {"gather": ["domains"], "name": "nosuch"}},
        ]
    )
    assert "xenstored" in stored["xenstore"] and missing["domains"] == []
    dom0.converges({"domzero.xen.xl_domain": {**domains(looked)[NAME]["domain"], "state": "running"}}, changed=False)


def test_a_domain_that_is_paused_and_one_whose_kernel_panicked_are_told(dom0: Dom0) -> None:
    dom0.sh("xl pause info-a")
    assert domains(dom0.task(LOOK))[NAME]["power_state"] == "paused"
    dom0.sh("xl destroy info-a")
    dom0.put(CONFIG.replace("hn=info-a", "rdinit=/nosuch root=/dev/nosuch") + 'on_crash = "preserve"\n', "/etc/xen/info-a.cfg")
    dom0.sh("xl create /etc/xen/info-a.cfg", timeout=300)
    dom0.until("xl list info-a | grep -q sc-")
    crashed = domains(dom0.task(LOOK))[NAME]
    assert (crashed["power_state"], crashed["shutdown_reason"]) == ("crashed", "crash")


def test_a_path_that_is_not_in_xenstore_is_refused(dom0: Dom0) -> None:
    failed = dom0.fails({"domzero.xen.xl_info": {"gather": ["xenstore"], "xenstore_path": "/nosuch"}})
    assert "There is no /nosuch in xenstore." in failed["msg"]
