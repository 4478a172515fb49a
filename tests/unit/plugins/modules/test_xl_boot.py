# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xl_boot on a machine of files: what it writes, how that machine boots then, and what it says of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.debian_machine.machine import Machine, Result, why_not

IDENT = "11111111-2222-3333-4444-555555555555"
XEN, LINUX = f"xen-gnulinux-simple-{IDENT}", f"gnulinux-simple-{IDENT}"
ASKED: Result = {"dom0_mem": "1 GiB", "dom0_max_vcpus": "2", "console": ["com1"], "com1": "115200,8n1", "try_first": True}
FILE = "etc/default/grub.d/zz-dom0.cfg"

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def converges(machine: Machine, **options: t.Any) -> Result:
    """Check mode, real, again."""
    predicted = machine.module("xl_boot", check=True, **options)
    done = machine.module("xl_boot", **options)
    told = ("changed", "commands", "diff", "boot", "needs_reboot")
    assert {key: predicted.get(key) for key in told} == {key: done.get(key) for key in told}, predicted.get("msg") or done.get("msg")
    again = machine.module("xl_boot", **options)
    assert again["changed"] is False and again["commands"] == []
    return done


def test_a_machine_is_tried_under_xen_once_and_kept_there(machine: Machine) -> None:
    first = converges(machine, **ASKED)
    assert first["commands"] == [
        "write /etc/default/grub.d/zz-dom0.cfg", "update-grub", f"grub-set-default {LINUX}", f"grub-reboot {XEN}"
    ]  # fmt: skip
    assert first["needs_reboot"] == ["The machine does not run under Xen."]
    assert first["boot"]["default"] == "Debian GNU/Linux"
    assert machine.reboot().path == XEN
    second = converges(machine, **ASKED)
    assert second["commands"] == [f"grub-set-default {XEN}"] and second["needs_reboot"] == []
    assert second["boot"]["under_xen"] and second["boot"]["running_hypervisor"][0] == "dom0_mem=1G,max:1G"
    assert machine.reboot().path == XEN
    assert machine.module("xl_boot", **ASKED)["changed"] is False


def test_a_xen_that_does_not_come_up_leads_back_to_linux(machine: Machine) -> None:
    machine.module("xl_boot", **ASKED)
    assert machine.reboot(crashes=lambda entry: entry.hypervisor is not None).path == LINUX
    seen = machine.module("xl_boot", **ASKED, require=True)
    assert seen["failed"] and "The machine does not run under Xen." in seen["msg"]
    assert seen["needs_reboot"] == ["The machine does not run under Xen."]
    assert machine.reboot().path == LINUX
    assert machine.module("xl_boot", **ASKED)["commands"] == [f"grub-reboot {XEN}"]


def test_a_changed_parameter_waits_for_a_reboot(machine: Machine) -> None:
    machine.module("xl_boot", **ASKED)
    machine.reboot()
    machine.module("xl_boot", **ASKED)
    changed = converges(machine, **{**ASKED, "dom0_mem": "2 GiB", "try_first": False})
    assert changed["needs_reboot"] == ["The hypervisor runs with dom0_mem=1G,max:1G, not with dom0_mem=2G,max:2G."]
    assert changed["commands"] == ["write /etc/default/grub.d/zz-dom0.cfg", "update-grub"]
    assert changed["boot"]["default"] == "Debian GNU/Linux, with Xen hypervisor"
    assert [file.read_text().count("dom0_mem=1G,") for file in (machine.folder / "etc/default/grub.d").glob("*~")] == [1]


def test_guests_that_a_reboot_would_end_are_told(machine: Machine) -> None:
    machine.module("xl_boot", **ASKED)
    machine.reboot()
    machine.write(
        "guests", '[{"domid": 0, "config": {"c_info": {"name": "Domain-0"}}}, {"domid": 3, "config": {"c_info": {"name": "web"}}}]'
    )
    assert machine.module("xl_boot", **ASKED)["guests"] == []
    assert machine.module("xl_boot", **{**ASKED, "dom0_vcpus_pin": True})["guests"] == ["web"]


def test_what_grub_cannot_take_back_becomes_the_default_at_once(machine: Machine) -> None:
    machine.write("filesystem", "lvm ext2")
    done = converges(machine, **ASKED)
    assert done["commands"][2:] == [f"grub-set-default {XEN}"]
    assert done["needs_reboot"]
    told = machine.module("xl_boot", **ASKED)["warnings"]
    assert told == [
        "Xen becomes the default at once: /boot/grub is on lvm, which GRUB cannot write to, so nothing can be booted only once."
    ]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_was_cut_off_is_finished_by_the_next(machine: Machine, after: int) -> None:
    whole = machine.module("xl_boot", check=True, **ASKED)["commands"]
    broken = ["update-grub", "grub-set-default", "grub-reboot"][after - 1]
    machine.write(f"bin/{broken}", "#!/bin/sh\nexit 9\n")
    (machine.folder / f"bin/{broken}").chmod(0o755)
    machine.first_on_path = machine.folder / "bin"
    failed = machine.module("xl_boot", **ASKED)
    assert failed["failed"] and broken in failed["msg"]
    assert failed["commands_done"] == whole[:after]
    machine.first_on_path = None
    assert machine.module("xl_boot", **ASKED)["commands"] == whole[after:]
    assert machine.reboot().path == XEN


def test_a_file_that_has_the_last_word_is_told(machine: Machine) -> None:
    machine.write("etc/default/grub.d/zzz.cfg", "GRUB_DEFAULT=0\n")
    refused = machine.module("xl_boot", **ASKED)
    assert "has another default than GRUB_DEFAULT=saved" in refused["msg"] and "Another file of /etc/default/grub.d" in refused["msg"]


def test_a_parameter_that_another_file_gives_too_is_told(machine: Machine) -> None:
    machine.write("etc/default/grub.d/aa.cfg", "GRUB_CMDLINE_XEN=dom0_mem=512M\n")
    machine.module("xl_boot", **ASKED)
    assert "Another file gives the hypervisor dom0_mem=512M too; the last one counts." in machine.module("xl_boot", **ASKED)["warnings"]


def test_without_a_hypervisor_there_is_nothing_to_boot(machine: Machine) -> None:
    (machine.folder / "boot/xen-4.17-amd64.gz").unlink()
    assert "There is no hypervisor in /boot. Install xen-system-amd64." in machine.module("xl_boot", **ASKED)["msg"]
    foreseen = machine.module("xl_boot", check=True, **ASKED)
    assert foreseen["changed"] and foreseen["warnings"] == ["There is no hypervisor in /boot yet; what follows supposes one."]


def test_a_machine_without_grub_is_refused(machine: Machine) -> None:
    (machine.folder / "boot/grub/grub.cfg").unlink()
    assert "This machine does not boot by GRUB" in machine.module("xl_boot", **ASKED)["msg"]


def test_wrong_parameters_change_nothing(machine: Machine) -> None:
    refused = machine.module("xl_boot", dom0_mem="1024")
    assert "dom0_mem cannot be '1024'. Give a unit, as in 1024M." in refused["msg"]
    assert not (machine.folder / FILE).exists()
