# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.debian_machine.machine import Machine, Result, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def test_a_machine_that_can_be_a_dom0_passes_and_is_told(machine: Machine) -> None:
    passed = machine.module(
        "xl_host_preflight", boot={"dom0_mem": "256M"}, conf={"settings": {"autoballoon": "off"}}, packages=["xen-system-amd64", "lvm2"]
    )
    assert passed["problems"] == [] and passed["changed"] is False and passed["can_ask_apt"] and not passed["predicting"]
    assert passed["missing_packages"] == ["lvm2"]
    assert passed["host"]["hvm"] and not passed["host"]["under_xen"] and passed["host"]["dom0_kernels"] == ["6.1.0-56-amd64"]


def test_under_xen_what_xl_says_counts(machine: Machine) -> None:
    machine.boot("2")
    passed = machine.module("xl_host_preflight", boot={"dom0_mem": "1G"}, require_hvm=True)
    assert passed["host"]["memory_mib"] == 4095 and passed["host"]["hvm"] and passed["host"]["under_xen"]
    assert "reasons" not in passed.get("msg", "")
    assert "1 GiB for Dom0" in machine.module("xl_host_preflight", boot={"dom0_mem": "1G"}, guest_memory="3.5 GiB")["msg"]


def test_all_that_is_missing_is_told_at_once_with_mistakes_in_the_options(machine: Machine) -> None:
    machine.write("etc/os-release", 'PRETTY_NAME="Some Linux"\nID=some\n')
    machine.write("boot/config-6.1.0-56-amd64", "")
    asked: Result = {"boot": {"dom0_mem": "1024"}, "conf": {"settings": {"autobaloon": 1}, "xendomains": {"stop_timeout": 0}}}
    refused = machine.module("xl_host_preflight", guest_memory="1000 TiB", **asked)
    assert refused["failed"] and refused["msg"].startswith("For 6 reasons this cannot be done here:\n- Some Linux was not tested")
    for told in (
        "No kernel in /boot",
        "1000 TiB for guests",
        "dom0_mem cannot be '1024'",
        "no setting autobaloon",
        "stop_timeout of xendomains",
    ):
        assert told in refused["msg"]
    assert len(refused["problems"]) == 6
