# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role dom0 on a machine that it made a Dom0: wrong inputs, a parameter that waits for a reboot, and a Xen that does not come back.

That bare Debian becomes a Dom0, and a second run and check mode change nothing, is the Molecule scenario that comes before every story.
"""

from __future__ import annotations

import shlex
import typing as t

import pytest
import yaml

from ansible_collections.domzero.xen.tests.nested_xen.dom0 import Dom0
from ansible_collections.domzero.xen.tests.nested_xen.playbook import Result, TaskFailed
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

Variables = dict[str, t.Any]
GUEST = {"name": "dom0-boot", "type": "pvh", "kernel": "/vmlinuz", "ramdisk": "/root/domu-initrd.gz", "memory": 128, "autostart": True}


@pytest.fixture(scope="module")
def asked(dom0: Dom0) -> Variables:
    """What the machine was made with."""
    variables: Variables = yaml.safe_load((CHECKOUT / "extensions/molecule/dom0/vars/dom0.yml").read_text())
    for elsewhere in ("dom0_network", "dom0_storage"):
        variables.pop(elsewhere, None)
    return {**variables, "dom0_console_command": shlex.join(["tail", "-c", "6000", str(dom0.serial)]), "dom0_update_cache": False}


def result_of(results: list[Result], action: str) -> Result:
    return [result for result in results if result["_action"] == action and result["_outcome"] != "skipped"][-1]


@pytest.mark.core
def test_wrong_inputs_are_told_at_once_and_before_anything_is_touched(dom0: Dom0, asked: Variables) -> None:
    wrong = {"dom0_mem": "1024", "dom0_guest_memory": "64 GiB", "dom0_com1": "fast", "dom0_xl_conf": {"autobaloon": "off"}}
    before = dom0.sh("md5sum /etc/default/grub.d/* /boot/grub/grub.cfg /etc/xen/xl.conf")
    with pytest.raises(TaskFailed) as failed:
        dom0.role("dom0", {**asked, **wrong})
    for told in ("dom0_mem cannot be '1024'. Give a unit, as in 1024M.", "64 GiB for guests", "xl.conf has no setting autobaloon"):
        assert told in failed.value.msg
    assert dom0.sh("md5sum /etc/default/grub.d/* /boot/grub/grub.cfg /etc/xen/xl.conf") == before


def test_settings_of_the_toolstack_and_the_scheduler(dom0: Dom0, asked: Variables) -> None:
    dom0.role_converges(
        "dom0",
        {
            **asked,
            "dom0_autoballoon": "off",
            "dom0_xl_conf": {"claim_mode": True},
            "dom0_xendomains": {"save": "", "restore": False, "stop_timeout": 60, "service_timeout": 600, "enabled": True},
            "dom0_scheduling": {"ratelimit_us": 1500, "dom0_weight": 512},
        },
    )
    assert "ratelimit=1500us" in dom0.sh("xl sched-credit2 -s")
    assert dom0.sh("xl sched-credit2 -d Domain-0").split()[-2:] == ["512", "0"]
    assert "XENDOMAINS_RESTORE=\n" in dom0.sh("grep ^XENDOMAINS /etc/default/xendomains")
    assert "10min" in dom0.sh("systemctl show -p TimeoutStopUSec xendomains")
    assert "claim_mode = 1" in dom0.sh("cat /etc/xen/xl.conf")


def test_a_governor_that_the_hypervisor_cannot_set_is_told(dom0: Dom0, asked: Variables) -> None:
    with pytest.raises(TaskFailed) as failed:
        dom0.role("dom0", {**asked, "dom0_governor": "performance"})
    assert "does not control the frequency of the processors" in failed.value.msg
    assert "failed to get cpufreq parameter" in failed.value.msg


def test_a_reboot_that_is_not_allowed_is_told(dom0: Dom0, asked: Variables) -> None:
    results = dom0.role_converges("dom0", {**asked, "dom0_vcpus_pin": True, "dom0_reboot": False})
    assert result_of(results, "domzero.xen.xl_boot")["needs_reboot"] == ["The hypervisor runs without dom0_vcpus_pin."]
    assert "The hypervisor runs without dom0_vcpus_pin." in result_of(results, "ansible.builtin.debug")["msg"]
    assert "dom0_vcpus_pin" not in dom0.sh("xl info")


@pytest.mark.core
def test_guests_are_not_ended_by_a_reboot(dom0: Dom0, asked: Variables) -> None:
    dom0.task({"domzero.xen.xl_domain": {**GUEST, "state": "running"}})
    with pytest.raises(TaskFailed) as failed:
        dom0.role("dom0", {**asked, "dom0_vcpus_pin": True})
    assert "guests run: dom0-boot." in failed.value.msg
    dom0.task({"domzero.xen.xl_domain": {"name": "dom0-boot", "state": "destroyed"}})


@pytest.mark.core
def test_the_machine_is_rebooted_into_the_changed_parameters_and_starts_its_guest(dom0: Dom0, asked: Variables) -> None:
    results = dom0.role("dom0", {**asked, "dom0_vcpus_pin": True})
    assert result_of(results, "domzero.xen.xl_boot")["needs_reboot"] == []
    assert "dom0_vcpus_pin" in dom0.sh("xl info")
    assert "saved_entry=xen-gnulinux-simple-" in dom0.sh("grub-editenv list")
    dom0.until("xl list dom0-boot", timeout=300)  # which xendomains starts
    again = dom0.role("dom0", {**asked, "dom0_vcpus_pin": True})
    assert not [result["_task"] for result in again if result.get("changed")]
    dom0.tasks([{"domzero.xen.xl_domain": {"name": "dom0-boot", "state": state}} for state in ("destroyed", "absent")])


def test_a_xen_that_does_not_come_back_is_told_and_the_machine_boots_without_it(dom0: Dom0, asked: Variables) -> None:
    breaking = {"dom0_vcpus_pin": True, "dom0_kernel_options": ["console=hvc0", "rdinit=/nosuch"]}
    with pytest.raises(TaskFailed) as failed:
        dom0.role("dom0", {**asked, **breaking})
    told = str(failed.value.results[-1]["msg"])
    assert "is back, but not as asked: The machine does not run under Xen." in told
    assert 'To boot without Xen, choose "Debian GNU/Linux" in GRUB\'s menu' in told
    assert "The console last showed" in told
    assert "xen" not in dom0.sh("cat /sys/hypervisor/type", check=False)
    assert "saved_entry=gnulinux-simple-" in dom0.sh("grub-editenv list")
