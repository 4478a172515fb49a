# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of actions on the VMs of a pool that is to be upgraded, over the wire."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.upgrade import marks
from ansible_collections.domzero.xen.tests.simulator import upgrade_lab

from .moving_lab import GIB, NULL, Lab

Run = t.Callable[..., t.Any]


class Pool(Lab):
    """Four hosts; what the tests ask about VMs by name."""

    def vm_record(self, name: str) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self("VM.get_record", self.one("VM", name)))

    def marks(self, name: str) -> dict[str, str]:
        return {key: value for key, value in self.vm_record(name)["other_config"].items() if key.startswith("domzero.xen:")}

    def at(self, name: str) -> str:
        """The host a VM is on, or its power state."""
        record = self.vm_record(name)
        host = record["resident_on"]
        return str(record["power_state"]) if host == NULL else str(self("host.get_name_label", host))

    def uuid(self, cls: str, name: str) -> str:
        return str(self(f"{cls}.get_uuid", self.one(cls, name)))


def start(simulator: t.Any, session_to: t.Any, **options: t.Any) -> Pool:
    sim = simulator(upgrade_lab.build(**options))
    return Pool(sim, session_to(sim))


@pytest.fixture
def lab(simulator: t.Any, session_to: t.Any) -> Pool:
    return start(simulator, session_to, special=False)


@pytest.fixture
def special(simulator: t.Any, session_to: t.Any) -> Pool:
    return start(simulator, session_to, special=True)


def to(host: str, *vms: str, **more: t.Any) -> list[dict[str, t.Any]]:
    return [{"action": "migrate", "vm": vm, "host": host, **more} for vm in vms]


def test_vms_move_and_their_home_is_remembered(lab: Pool, converges: Run) -> None:
    done = converges("xen_vm_moves", actions=to("lab1", "app0-01", "web0") + to("lab2", "app0-02"), remember_home=True)
    assert [(row["vm"], row["from"], row["to"]) for row in done["moved"]] == [
        ("app0-01", "lab0", "lab1"), ("web0", "lab0", "lab1"), ("app0-02", "lab0", "lab2"),
    ]  # fmt: skip
    assert [lab.at(vm) for vm in ("app0-01", "web0", "app0-02", "app0-03")] == ["lab1", "lab1", "lab2", "lab0"]
    assert lab.marks("app0-01") == {marks.HOME: lab.uuid("host", "lab0")}
    assert done["operations"] == ["VM.add_to_other_config", "VM.pool_migrate"] * 3
    assert done["moved"][0]["memory"] > 8 * GIB
    assert done["diff"] == {
        "before": dict.fromkeys(("app0-01", "web0", "app0-02"), "lab0"),
        "after": {"app0-01": "lab1", "web0": "lab1", "app0-02": "lab2"},
    }
