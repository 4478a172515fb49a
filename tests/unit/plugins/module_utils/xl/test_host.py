# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine has to be for Xen, and the settings of its toolstack."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.fit import Need, judge
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.machine import SECURE_BOOT, Machine, read
from ansible_collections.domzero.xen.plugins.module_utils.xl.host.settings import (
    XENDOMAINS,
    checked_settings,
    checked_xendomains,
    settings_in,
    told_xendomains,
    variables_in,
    with_settings,
    with_variables,
)

GIB = 1 << 30
GOOD = Machine(
    distribution="debian", version="12", name="Debian GNU/Linux 12 (bookworm)", architecture="x86_64", flags=frozenset({"lm", "svm"}),
    memory=4 * GIB, free={"/": GIB, "/usr": GIB, "/var": GIB, "/boot": GIB}, grub=True, dom0_kernels=("6.1.0-56-amd64",), systemd=True,
    packages=frozenset({"xen-system-amd64"}),
)  # fmt: skip
NEED = Need(dom0_memory=GIB, guest_memory=GIB, disk=300 << 20, packages=("xen-system-amd64",))


def test_a_machine_that_has_everything_is_let_pass() -> None:
    assert judge(GOOD, NEED) == ([], [], [])


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ({"distribution": "ubuntu", "version": "24.04", "name": "Ubuntu 24.04"}, "Ubuntu 24.04 was not tested"),
        ({"version": "11"}, "was not tested"),
        ({"architecture": "aarch64"}, "aarch64 is not x86_64"),
        ({"flags": frozenset({"svm", "fpu"})}, "does not run 64 bits"),
        ({"memory": GIB}, r"has 1 GiB of memory, and 1 GiB for Dom0, 1 GiB for guests and 64 MiB for Xen are 2.062 GiB"),
        ({"secure_boot": True}, "Secure Boot is on"),
        ({"grub": False}, "does not boot by GRUB .*: install grub-pc"),
        ({"grub": False, "efi": True}, "install grub-efi-amd64"),
        ({"dom0_kernels": ()}, "install linux-image-amd64"),
        ({"container": True}, "This is a container"),
        ({"systemd": False}, "does not run systemd"),
        ({"hypervisor": "Xen"}, "itself a guest of Xen"),
        ({"kvm": 3}, "Virtual machines of KVM run here"),
        ({"packages": frozenset(), "free": {"/usr": 1 << 20, "/var": GIB, "/boot": GIB}}, "/usr has 1 MiB free"),
    ],
)
def test_what_a_machine_lacks_is_told_with_what_to_do(lacks: dict[str, t.Any], told: str) -> None:
    (problem,) = judge(dataclasses.replace(GOOD, **lacks), NEED).problems
    assert re.search(told, problem)
    assert ":" in problem  # and then what to do


def test_everything_that_is_missing_is_told_at_once() -> None:
    assert len(judge(Machine(), NEED).problems) >= 8


def test_a_processor_without_virtualisation_is_a_warning_unless_it_is_needed() -> None:
    machine = dataclasses.replace(GOOD, flags=frozenset({"lm"}))
    judged = judge(machine, NEED)
    assert not judged.problems and "PVH and HVM guests cannot run" in judged.warnings[0]
    assert "Turn on VT-x" in judge(machine, NEED._replace(hvm=True)).problems[0]


def test_under_xen_the_hypervisor_is_asked_about_memory_and_processor() -> None:
    dom0 = dataclasses.replace(GOOD, dom0=True, memory=GIB, flags=frozenset({"lm"}))
    assert judge(dom0, NEED, 4 * GIB, True) == ([], [], [])


def test_an_untested_system_may_be_allowed() -> None:
    machine = dataclasses.replace(GOOD, distribution="ubuntu", version="24.04")
    assert judge(machine, NEED._replace(untested=True)).problems == []


def test_disk_space_matters_only_where_something_is_installed() -> None:
    full = dataclasses.replace(GOOD, free={})
    assert judge(full, NEED).problems == []
    assert judge(full, NEED._replace(packages=("xen-system-amd64", "qemu-system-xen"))).lacking == ["qemu-system-xen"]


def test_a_nested_machine_is_told() -> None:
    assert "itself a guest (of QEMU)" in judge(dataclasses.replace(GOOD, hypervisor="QEMU"), NEED).warnings[0]


def files(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_machine_is_read_from_its_files(tmp_path: Path) -> None:
    files(
        tmp_path, **{
            "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
            "proc/cpuinfo": "processor\t: 0\nflags\t\t: lm vmx hypervisor\n\nprocessor\t: 1\nflags\t\t: lm\n",
            "proc/meminfo": "MemTotal:        4014340 kB\nMemFree: 1 kB\n",
            "boot/vmlinuz-6.12": "", "boot/config-6.12": "# CONFIG_XEN_PV is not set\nCONFIG_XEN_DOM0=y\n",
            "boot/vmlinuz-6.12-cloud": "", "boot/config-6.12-cloud": "# CONFIG_XEN_DOM0 is not set\n",
            "boot/grub/grub.cfg": "menuentry", "sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/module/kvm_intel/refcnt": "2\n",
            "run/systemd/system/x": "",
            "var/lib/dpkg/status": "Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n",
        },
    )  # fmt: skip
    (tmp_path / SECURE_BOOT).parent.mkdir(parents=True)
    (tmp_path / SECURE_BOOT).write_bytes(b"\x06\0\0\0\x01")
    machine = read(tmp_path, dom0=False, update_grub=True)
    assert (machine.distribution, machine.version, machine.name) == ("debian", "13", "Debian GNU/Linux 13 (trixie)")
    assert machine.flags == {"lm", "vmx", "hypervisor"} and machine.memory == 4014340 * 1024
    assert machine.dom0_kernels == ("6.12",) and machine.grub and machine.systemd and machine.efi and machine.secure_boot
    assert machine.hypervisor == "QEMU" and machine.kvm == 2 and machine.packages == {"a"} and not machine.container


def test_a_guest_of_xen_is_known_by_its_hypervisor(tmp_path: Path) -> None:
    files(tmp_path, **{"sys/hypervisor/type": "xen\n"})
    assert read(tmp_path, dom0=False, update_grub=False).hypervisor == "Xen"
    assert read(tmp_path, dom0=True, update_grub=False).hypervisor == ""


# --- xl.conf


def test_settings_stand_as_xl_takes_them() -> None:
    told = checked_settings(
        {
            "autoballoon": False,
            "claim_mode": "no",
            "vif.default.bridge": "br1",
            "max_grant_frames": "64",
            "vm.cpumask": "0-3,^1",
            "lockfile": "",
        }
    )
    assert told == {
        "autoballoon": "off", "claim_mode": 0, "vif.default.bridge": "br1", "max_grant_frames": 64, "vm.cpumask": "0-3,^1", "lockfile": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"autobaloon": "off"}, "xl.conf has no setting autobaloon. There are domid_policy, autoballoon"),
        ({"autoballoon": "maybe"}, "Give one of auto, on, off"),
        ({"claim_mode": "perhaps"}, "claim_mode cannot be"),
        ({"max_grant_frames": "many"}, "Give a number"),
        ({"lockfile": "xl.lock"}, "Give the whole path"),
        ({"vm.cpumask": "some"}, "Give processors"),
        ({"vif.default.bridge": 'a"b'}, "without quotation marks"),
        ({"vif.default.bridge": ["a"]}, "without quotation marks"),
    ],
)
def test_a_setting_that_xl_would_not_take_is_refused(settings: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange) as refused:
        checked_settings(settings)
    assert told in str(refused.value)


def test_comments_and_other_settings_of_xl_conf_stay() -> None:
    before = '# mine\nclaim_mode=0 # why\nlockfile="/run/xl"\n#autoballoon="auto"\n'
    after = with_settings(before, checked_settings({"autoballoon": "on", "lockfile": ""}), "xl.conf")
    assert "# mine\nclaim_mode=0 # why\n" in after and '#autoballoon="auto"\n' in after
    assert settings_in(after, "xl.conf") == {"autoballoon": "on", "claim_mode": 0}
    assert with_settings(after, checked_settings({"autoballoon": "on", "lockfile": ""}), "xl.conf") == after


# --- xendomains


def test_restore_is_written_as_its_script_asks_for_it() -> None:
    """The script asks whether XENDOMAINS_RESTORE is empty, so that "false" would restore."""
    assert checked_xendomains({"restore": False})["XENDOMAINS_RESTORE"] == ""
    assert checked_xendomains({"restore": "yes"})["XENDOMAINS_RESTORE"] == "true"


@pytest.mark.parametrize(
    "wrong", [{"save": "here"}, {"stop_timeout": 0}, {"stop_timeout": True}, {"restore": "later"}, {"sav": ""}, {"migrate": "a\nb"}]
)
def test_what_xendomains_would_misunderstand_is_refused(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidChange, match="xendomains"):
        checked_xendomains(wrong)


TEXTS = st.text(st.characters(codec="ascii", exclude_characters="\n\0"), max_size=12)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(XENDOMAINS.values())), TEXTS))
def test_a_shell_reads_back_what_was_written(wanted: dict[str, str]) -> None:
    before = "# a comment\nXENDOMAINS_SAVE=/old # kept\nOTHER=1\nXENDOMAINS_SAVE=/older"
    after = with_variables(before, wanted)
    assert after.startswith("# a comment\n") and "\nOTHER=1\n" in after
    assert {name: variables_in(after)[name] for name in wanted} == wanted
    assert with_variables(after, wanted) == after


@pytest.mark.parametrize("value", ["", "/srv/a b", "it's", 'say "so"', "$HOME `id`", "a#b", " x "])
def test_a_real_shell_does_too(value: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(with_variables("XENDOMAINS_MIGRATE=old\n", {"XENDOMAINS_MIGRATE": value}))
    said = subprocess.run(
        ["sh", "-c", '. "$0"; printf %s "$XENDOMAINS_MIGRATE"', tmp_path / "f"], capture_output=True, text=True, check=True
    )
    assert said.stdout == value


def test_what_xendomains_does_is_told_in_the_words_of_the_options() -> None:
    told = told_xendomains("XENDOMAINS_SAVE=/var/lib/xen/save\nXENDOMAINS_RESTORE=true\nXENDOMAINS_STOP_MAXWAIT=300\n")
    assert told == {"save": "/var/lib/xen/save", "restore": True, "stop_timeout": 300}
