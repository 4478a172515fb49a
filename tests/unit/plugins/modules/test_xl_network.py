# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's network is changed with real devices in a namespace. What is planned, and the way back, have tests of their own."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .debian_lab import converged, host, shell, thrice


def network(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_network": options}


BRIDGED = network(bridges=[{"name": "xenbr0", "ports": ["eth0"]}])
# the route cannot be: ifup fails, and the way back is gone
CUT = network(
    bridges=[{"name": "xenbr0", "ports": ["eth0"]}, {"name": "xenbr1", "ports": ["eth1"], "addresses": ["10.5.0.1/24"], "routes": []}]
)


@pytest.mark.slow(whole=True)
def test_the_address_moves_onto_the_bridge_and_back(tmp_path: Path) -> None:
    seen = shell("ip -br address; ip route; cat /etc/network/interfaces")
    back = network(nics=[{"name": "eth0"}])
    told = host(tmp_path, *thrice(BRIDGED), seen, *thrice(back), seen)
    done = converged(*told[:3])
    assert done["addresses"] == {"xenbr0": ["10.0.0.2/24"]} and done["manager"] == "ifupdown"
    assert done["backup"].startswith("/var/lib/domzero-xen/network/changes/") and "pending" not in done
    assert "default via 10.0.0.1 dev xenbr0" in told[3]["stdout"] and "#domzero.xen# auto eth0" in told[3]["stdout"]
    converged(*told[4:7])
    assert "default via 10.0.0.1 dev eth0" in told[7]["stdout"] and "xenbr0 " not in told[7]["stdout"]


@pytest.mark.slow(whole=True)
def test_a_device_that_does_not_come_up_takes_the_change_back(tmp_path: Path) -> None:
    # eth1 is lost between the look and the change: what ifupdown would do with it fails
    broken = "sed -i 's/^def up.interface: str. -> int:/&\\n    if interface == \"xenbr1\":\\n        return 1/'"
    programs = "cp -r $(dirname $(dirname $(which ifup))) /srv/programs; mkdir /srv/x; mv /srv/programs /srv/x/debian_programs"
    mount = "mount --bind /srv/x/debian_programs $(dirname $(dirname $(which ifup)))"
    breaking = f"{programs}; {broken} /srv/x/debian_programs/programs.py; {mount}"
    seen = shell("ip -br address; ip route; cat /etc/network/interfaces; ls /etc/network/interfaces.d")
    told = host(tmp_path, seen, shell(breaking), CUT, seen, shell("cat /var/lib/domzero-xen/network/changes/*/log"))
    assert told[2]["failed"] and "The network was put back as it was: ifup --force xenbr1 failed" in told[2]["msg"]
    assert told[3]["stdout"].replace("\n", "").find("10.0.0.2/24") > 0 and "xenbr" not in told[3]["stdout"]
    assert "auto eth0\niface eth0 inet static" in told[3]["stdout"]
    assert "taken back" in told[4]["stdout"]


def test_what_cannot_be_is_refused_alike_in_check_mode(tmp_path: Path) -> None:
    lost = network(bridges=[{"name": "xenbr0", "ports": ["eth0"], "addresses": []}])
    missing = network(bridges=[{"name": "xenbr0", "ports": ["eth9"]}])
    told = host(tmp_path, {**lost, "check_mode": True}, lost, {**missing, "check_mode": True}, missing)
    assert told[0]["msg"] == told[1]["msg"] and "eth0 has the default route (10.0.0.2/24) and becomes a port of xenbr0" in told[0]["msg"]
    assert told[2]["msg"] == told[3]["msg"] and "xenbr0 needs eth9" in told[2]["msg"] and "eth0, eth1" in told[2]["msg"]


def test_files_alone_are_for_the_next_start(tmp_path: Path) -> None:
    later = network(apply=False, bridges=[{"name": "xenbr0", "ports": ["eth0"]}])
    told = host(tmp_path, *thrice(later), shell("ip -br address show eth0; cat /etc/network/interfaces.d/domzero-xen"))
    done = converged(*told[:3])
    assert done["commands"] == [] and "/etc/network/interfaces" in done["files"]
    assert "10.0.0.2/24" in told[3]["stdout"] and "bridge_ports eth0" in told[3]["stdout"]
