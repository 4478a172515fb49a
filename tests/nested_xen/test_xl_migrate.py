# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PVH domain moves between two real Xen hosts while it runs, and back. PV ones cannot: Debian's Xen has no shadow paging."""

from __future__ import annotations

import typing as t

import pytest

from .dom0 import Dom0

CONFIG = """# moves
name = "info-m"
type = "pvh"
kernel = "/vmlinuz"
ramdisk = "/root/domu-initrd.gz"
extra = "console=hvc0 hn=info-m"
memory = 128
"""
SSH = ["-o", "StrictHostKeyChecking=no"]


def move(name: str = "info-m", to: str = "10.98.0.2", **options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_migrate": {"name": name, "destination": to, "ssh_options": SSH, **options}}


@pytest.fixture(scope="module", autouse=True)
def domains(dom0: Dom0) -> None:
    """Three that cannot move, and one that can."""
    dom0.sh("mkdir -p /etc/xen/auto; ip link add br-here type bridge; lvcreate -y -L 8M -n info-d vg0")
    dom0.put(CONFIG, "/etc/xen/info-m.cfg")
    dom0.put(CONFIG.replace("info-m", "info-pv").replace("pvh", "pv"), "/etc/xen/info-pv.cfg")
    dom0.put(
        CONFIG.replace("info-m", "info-d") + 'vif = ["bridge=br-here"]\ndisk = ["/dev/vg0/info-d,raw,xvda,rw"]\n', "/etc/xen/info-d.cfg"
    )
    for name in ("info-m", "info-pv", "info-d"):
        dom0.sh(f"xl create /etc/xen/{name}.cfg", timeout=300)


def test_what_cannot_move_is_refused_before_anything(dom0: Dom0, other: Dom0) -> None:
    other.sh("lvremove -fy vg0/info-d", check=False)
    assert "Xen on this host has no shadow paging" in dom0.fails(move("info-pv"))["msg"]
    told = dom0.fails(move("info-d"))["msg"]
    assert "Its disk /dev/vg0/info-d is not on root@10.98.0.2" in told and "Its bridge br-here is not on root@10.98.0.2" in told
    assert "cannot be reached with ssh" in dom0.fails(move(to="10.98.0.99", ssh_options=[*SSH, "-o", "ConnectTimeout=5"]))["msg"]
    assert "runs neither on this host nor on" in dom0.fails(move("nosuch"))["msg"]
    assert {"info-m", "info-pv", "info-d"} <= set(dom0.sh("xl list").split())


def test_a_domain_moves_while_it_runs_and_takes_its_file_along(dom0: Dom0, other: Dom0) -> None:
    other.sh("xl destroy info-m; rm -f /etc/xen/info-m.cfg", check=False)
    done = dom0.converges(move(timeout=300))
    assert done["moved"] and done["domain"]["host"] == "xenother"
    assert "info-m" in other.sh("xl list") and "info-m " not in dom0.sh("xl list")
    assert other.sh("cat /etc/xen/info-m.cfg") == CONFIG and "info-m.cfg.moved" in dom0.sh("ls /etc/xen")


def test_it_comes_back(dom0: Dom0, other: Dom0) -> None:
    done = other.task(move(to="10.98.0.1", timeout=300))
    assert done["moved"]
    assert "info-m" in dom0.sh("xl list") and "info-m " not in other.sh("xl list")
    assert dom0.sh("cat /etc/xen/info-m.cfg") == CONFIG
