# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role dom0 on a machine of files. That it reboots into a real Xen is told in tests/nested_xen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.debian_machine.machine import PROGRAMS, Machine, why_not
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

from .conftest import Ran

pytestmark = [pytest.mark.slow(whole=True), pytest.mark.skipif(bool(why_not()), reason=why_not())]
ASKED: dict[str, t.Any] = {
    "dom0_mem": "1 GiB", "dom0_console": ["com1"], "dom0_com1": "115200,8n1", "dom0_autoballoon": "off", "dom0_vif_bridge": "xenbr1",
    "dom0_xl_conf": {"claim_mode": True}, "dom0_xendomains": {"save": "", "restore": False, "stop_timeout": 60},
}  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def apply(machine: Machine, *arguments: str, **variables: t.Any) -> Ran:
    """Run the playbook on the machine, as root without sudo."""
    inventory = {
        "ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": str(PROGRAMS / "python-there"),
    }  # fmt: skip
    hosts = {"dom0s": {"hosts": {"machine": inventory}}}
    (machine.folder.parent / "hosts.json").write_text(json.dumps(hosts))
    (machine.folder.parent / "variables.json").write_text(json.dumps({**ASKED, **variables}))
    given = ["-i", machine.folder.parent / "hosts.json", "-e", f"@{machine.folder.parent}/variables.json"]
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), *given, *arguments, CHECKOUT / "playbooks/dom0.yml"],
        env={**os.environ, "DEBIAN_MACHINE": str(machine.folder), "DEBIAN_MACHINE_PYTHON": sys.executable},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout + done.stderr)


def files(machine: Machine) -> dict[str, str]:
    """All that the role could touch."""
    places = ("boot", "etc/default", "etc/xen", "etc/systemd")
    found = [path for place in places for path in (machine.folder / place).rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): path.read_text(errors="replace") for path in found}


def test_the_machine_is_set_up_and_what_waits_for_a_reboot_is_told(machine: Machine) -> None:
    first = apply(machine)
    assert first.code == 0, first.output
    assert first.changed == 2  # the menu, and the settings of xl
    assert "needs a reboot: The machine does not run under Xen. Reboot it, or run this again with dom0_reboot: true." in first.output
    assert machine.reboot().hypervisor == ["dom0_mem=1G,max:1G", "console=com1", "com1=115200,8n1"]
    assert 'vif.default.bridge = "xenbr1"' in machine.read("etc/xen/xl.conf")
    second = apply(machine)
    assert (second.code, second.changed) == (0, 0), second.output
    assert "needs a reboot" not in second.output


def test_check_mode_changes_nothing_on_a_machine_without_xen(machine: Machine) -> None:
    for name in ("boot/xen-4.17-amd64.gz", "etc/xen/xl.conf", "etc/default/xendomains"):
        (machine.folder / name).unlink()
    machine.installed("grub-pc")
    menu = machine.read("boot/grub/grub.cfg")
    machine.write("boot/grub/grub.cfg", menu[: menu.index("menuentry 'Debian GNU/Linux, with Xen hypervisor'")])
    before = files(machine)
    checked = apply(machine, "--check", dom0_hvm=True)
    assert checked.code == 0, checked.output
    assert checked.changed == 3
    assert "xen-system-amd64, qemu-system-xen would be installed." in checked.output
    assert "There is no hypervisor in /boot yet" in checked.output
    assert files(machine) == before


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"dom0_mem": "1024", "dom0_guest_memory": "1 TiB", "dom0_xl_conf": {"autobaloon": "off"}, "dom0_xendomains": {"save": "here"}},
            "For 4 reasons this cannot be done here",
        ),
        ({"dom0_governor": "fast"}, "dom0_governor cannot be fast. Give one of performance"),
        ({"dom0_scheduling": {"ratelimit_us": 5}}, "dom0_scheduling.ratelimit_us cannot be 5. Give 100 to 500000."),
    ],
)
def test_wrong_variables_are_told_before_anything_is_touched(machine: Machine, wrong: dict[str, t.Any], told: str) -> None:
    before = files(machine)
    refused = apply(machine, **wrong)
    assert refused.code != 0
    assert told in " ".join(refused.output.split())
    assert files(machine) == before


def test_a_machine_whose_guests_may_not_end_boots_as_before(machine: Machine) -> None:
    assert apply(machine).code == 0
    machine.reboot()
    machine.write("guests", json.dumps([{"domid": 0}, {"domid": 1, "config": {"c_info": {"name": "web1"}}}]))
    before = files(machine)
    refused = apply(machine, dom0_reboot=True, dom0_max_vcpus="2")
    assert refused.code != 0
    assert "guests run: web1. Move them away" in " ".join(refused.output.split())
    assert files(machine) == before, "a power cut finds neither Linux alone nor parameters that nobody tried"


@pytest.mark.parametrize("tag", ["dom0_storage", "dom0_performance"])
def test_a_part_can_be_run_alone(machine: Machine, tag: str) -> None:
    asked = {"dom0_storage": {"image_directories": [{"path": "/srv/guests"}]}, "dom0_scheduling": {"dom0_weight": 512}}
    ran = apply(machine, "--check", "--tags", tag, **asked)
    assert ran.code == 0, ran.output


def test_off_is_no_truth_value_to_xl(machine: Machine) -> None:
    ran = apply(machine, "--tags", "dom0_xl_conf", dom0_autoballoon=False)
    assert ran.code == 0, ran.output
    assert 'autoballoon = "off"' in machine.read("etc/xen/xl.conf") or 'autoballoon="off"' in machine.read("etc/xen/xl.conf")
