# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a pool are rebooted one after another, and every VM is back where it was."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .conftest import Ran, Variables
from .meanwhile import finished, told
from .pool_to_upgrade import PoolToUpgrade

pytestmark = pytest.mark.slow

PLAY = """
- hosts: xen_pools
  gather_facts: false
  roles:
    - role: domzero.xen.pool_rolling_reboot
"""


class PoolToReboot(PoolToUpgrade):
    def known(self) -> Variables:
        coordinator, *_members = self.sim.hosts
        return {
            "pool_rolling_reboot_hostname": coordinator.url,
            "pool_rolling_reboot_password": "xapi-test",
            "pool_rolling_reboot_fingerprint": [host.fingerprint_sha256 for host in self.sim.hosts],
        }

    def reboot(self, *arguments: str, **variables: t.Any) -> Ran:
        (self.folder / "reboot.yml").write_text(PLAY)
        return self.run(str(self.folder / "reboot"), *arguments, **variables)


@pytest.fixture
def pool(tmp_path: Path) -> t.Iterator[PoolToReboot]:
    found = PoolToReboot(tmp_path, "reboot", special=True, protected=True)
    yield found
    found.sim.stop()


def booted(pool: PoolToReboot) -> dict[str, str]:
    return {name: host["other_config"]["boot_time"] for name, host in pool.records("host").items()}


def test_all_hosts_are_rebooted_and_every_vm_comes_back(pool: PoolToReboot) -> None:
    before = booted(pool)
    ran = pool.reboot(pool_rolling_reboot_unmovable="shutdown")
    assert ran.code == 0, ran.output
    assert [name for name, time in booted(pool).items() if time == before[name]] == []
    assert pool.changes().count("host.reboot") == 4
    assert pool.on() == pool.homes
    finished(pool)


def test_check_mode_tells_the_plan_or_what_is_in_the_way(pool: PoolToReboot) -> None:
    refused, ran = (
        pool.reboot("--check"),
        pool.reboot("--check", pool_rolling_reboot_unmovable="suspend", pool_rolling_reboot_hosts=["lab1"]),
    )
    assert refused.code != 0
    assert "special-pci" in told(refused.output)
    assert ran.code == 0, ran.output
    assert "lab1" in ran.output and ran.changed > 0
    assert pool.changes() == []


def test_some_hosts_alone(pool: PoolToReboot) -> None:
    before = booted(pool)
    ran = pool.reboot(pool_rolling_reboot_unmovable="shutdown", pool_rolling_reboot_hosts=["lab2"])
    assert ran.code == 0, ran.output
    assert [name for name, time in booted(pool).items() if time != before[name]] == ["lab2"]
    assert pool.on() == pool.homes
    finished(pool)
