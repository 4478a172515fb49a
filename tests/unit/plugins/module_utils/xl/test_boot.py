# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines, GRUB's menu as Debian 12 wrote it, and what follows from them."""

from __future__ import annotations

import subprocess
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.menu import Menu, environment
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.params import WORD, differences, memory, missing, without, words
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.plan import Seen, foreseen, found, plan
from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.wanted import asked_in, wanted
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

RECORDED = (CHECKOUT / "tests/debian_machine/grub.cfg").read_text()
SAVED = RECORDED.replace('set default="Debian GNU/Linux, with Xen hypervisor"', 'set default="${saved_entry}"')
IDENT = "11111111-2222-3333-4444-555555555555"
XEN, LINUX = f"xen-gnulinux-simple-{IDENT}", f"gnulinux-simple-{IDENT}"
NAMES = st.sampled_from(["dom0_mem", "console", "loglvl", "sched", "iommu", "quiet"])
WORDS = st.lists(st.tuples(NAMES, st.sampled_from(["", "=1", "=com1", "=a,b"])).map("".join), max_size=6)


def seen(**changed: t.Any) -> Seen:
    """A machine that has just installed Xen, as the record is, and runs Linux alone."""
    kernel = ["root=UUID=1", "ro"]
    return Seen(text="", menu=Menu(SAVED), environment={}, under_xen=False, hypervisor=[], kernel=kernel)._replace(**changed)


def menu_with(hypervisor: str, kernel: str = "console=hvc0") -> Menu:
    asked = SAVED.replace("dom0_mem=1024M,max:1024M console=com1 com1=115200,8n1", hypervisor)
    return Menu(asked.replace("ro console=hvc0", f"ro {kernel}"))


# --- command lines


def test_what_the_boot_loader_adds_is_no_parameter() -> None:
    assert words("placeholder dom0_mem=1G no-real-mode edd=off BOOT_IMAGE=/vmlinuz quiet") == ["dom0_mem=1G", "quiet"]


@settings(max_examples=50, deadline=None)
@given(WORDS, st.randoms(use_true_random=False))
def test_the_order_of_parameters_with_different_names_does_not_matter(line: list[str], random: t.Any) -> None:
    by_name: dict[str, list[str]] = {}
    for word in line:
        by_name.setdefault(word.partition("=")[0], []).append(word)
    groups = list(by_name.values())
    random.shuffle(groups)
    assert differences(line, [word for group in groups for word in group], "Xen") == []


@settings(max_examples=50, deadline=None)
@given(WORDS, WORDS)
def test_lines_that_differ_are_told(one: list[str], other: list[str]) -> None:
    told = differences(one, other, "Xen")
    assert bool(told) == bool(differences(other, one, "Xen"))
    if sorted(one) != sorted(other):
        assert told


@settings(max_examples=50, deadline=None)
@given(WORDS, WORDS)
def test_what_was_added_can_be_taken_away(line: list[str], added: list[str]) -> None:
    assert without([*line, *added], added) == line
    assert missing([*line, *added], added) == []


def test_differences_are_sentences() -> None:
    told = differences(["dom0_mem=1G", "noreboot"], ["dom0_mem=2G", "sched=credit"], "The hypervisor")
    assert told == [
        "The hypervisor runs with dom0_mem=1G, not with dom0_mem=2G.",
        "The hypervisor runs without sched=credit.",
        "The hypervisor runs with noreboot, which is not in the boot entry any more.",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1024M", "1024M"),
        ("1 GiB", "1G"),
        ("512MiB", "512M"),
        ("2g", "2G"),
        ("10%", "10%"),
        ("512M+5%", "512M+5%"),
        ("1 GiB + 10%", "1G+10%"),
    ],
)
def test_memory_is_told_as_xen_takes_it(text: str, told: str) -> None:
    assert memory(text, "dom0_mem") == told


@pytest.mark.parametrize("text", ["1024", "lots", "1X", "-1M", "5%+512M", "1G+2G", "1G+1%+1%", "", "101%"])
def test_memory_that_xen_would_take_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidChange, match="dom0_mem cannot be"):
        memory(text, "dom0_mem")


# --- what is asked for


def test_every_option_has_its_parameter() -> None:
    asked = wanted({
        "dom0_mem": "1024M", "dom0_mem_min": "512M", "dom0_mem_max": "2 GiB", "dom0_max_vcpus": "1-4", "dom0_vcpus_pin": True,
        "console": ["com1", "vga"], "com1": "115200,8n1", "noreboot": True, "scheduler": "credit",
        "hypervisor_options": {
            "loglvl": "all", "iommu": False, "cpuidle": None, "sync_console": True, "ucode": ["scan", 1], "ivrs_hpet[0]": "00:14.0",
        },
        "kernel_options": ["nomodeset quiet"],
    })  # fmt: skip
    assert asked.hypervisor == [
        "dom0_mem=1024M,min:512M,max:2G", "dom0_max_vcpus=1-4", "dom0_vcpus_pin", "console=com1,vga", "com1=115200,8n1", "noreboot",
        "sched=credit", "loglvl=all", "iommu=false", "sync_console", "ucode=scan", "ucode=1", "ivrs_hpet[0]=00:14.0",
    ]  # fmt: skip
    assert asked.kernel == ["nomodeset", "quiet", "console=hvc0"]


def test_without_a_most_dom0_keeps_its_memory() -> None:
    assert wanted({"dom0_mem": "2G"}).hypervisor == ["dom0_mem=2G,max:2G"]


def test_nothing_asked_for_leaves_the_parameters_of_other_files() -> None:
    assert "CMDLINE" not in wanted({}).text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dom0_mem": "1024"}, "1024M"),
        ({"dom0_mem": "64M"}, "256M or more"),
        ({"dom0_mem_max": "1G"}, "dom0_mem_max need dom0_mem"),
        ({"dom0_mem": "2G", "dom0_mem_max": "1G"}, r"dom0_mem \(2G\) is more than dom0_mem_max \(1G\)"),
        ({"dom0_mem": "1G", "dom0_mem_min": "2G"}, r"dom0_mem_min \(2G\) is more than"),
        ({"dom0_max_vcpus": "many"}, "dom0_max_vcpus cannot be"),
        ({"dom0_max_vcpus": "0"}, "dom0_max_vcpus cannot be"),
        ({"dom0_max_vcpus": "4-1"}, "dom0_max_vcpus cannot be"),
        ({"com1": "fast"}, "com1 cannot be"),
        ({"console": ["com1; rm"]}, "cannot be a parameter"),
        ({"hypervisor_options": {"dom0_mem": "1G"}}, "has an option of its own"),
        ({"hypervisor_options": {"sched": "credit"}}, "Use scheduler"),
        ({"hypervisor_options": {"a b": 1}}, "cannot be the name"),
        ({"hypervisor_options": {"a": {"b": 1}}}, "cannot be a dictionary"),
        ({"hypervisor_options": {"a": "x$(reboot)"}}, "cannot be a parameter"),
        ({"kernel_options": ["a='b'"]}, "cannot be a parameter"),
    ],
)
def test_what_would_not_be_understood_is_refused(options: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        wanted(options)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.from_regex(WORD, fullmatch=True), max_size=5), st.booleans())
def test_a_shell_that_reads_the_file_has_the_parameters(given_words: list[str], replace: bool) -> None:
    asked = wanted({"kernel_options": given_words, "kernel_options_replace": replace, "hypervisor_options": {"loglvl": given_words}})
    assert asked_in(asked.text) == (asked.hypervisor, asked.kernel)


@pytest.mark.parametrize("replace", [False, True])
def test_grub_gets_what_was_asked_for_after_what_others_ask_for(replace: bool, tmp_path: t.Any) -> None:
    asked = wanted({"dom0_mem": "1G", "kernel_options": ["nomodeset"], "kernel_options_replace": replace})
    (tmp_path / "zz.cfg").write_text(asked.text)
    script = f"""GRUB_CMDLINE_LINUX=of=all GRUB_CMDLINE_XEN=loglvl=all; . {tmp_path}/zz.cfg
        echo "$GRUB_CMDLINE_XEN|$GRUB_CMDLINE_LINUX_XEN_REPLACE|$GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT|$GRUB_DEFAULT" """
    said = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True, check=True).stdout.rstrip("\n ").split("|")
    assert said[0].split() == ["loglvl=all", "dom0_mem=1G,max:1G"]
    assert said[1].split() == (["nomodeset"] if replace else ["of=all", "nomodeset"])
    assert said[2:] == ([" ", "saved"] if replace else ["", "saved"])


# --- the menu


def test_the_entries_of_debians_menu_are_found() -> None:
    menu = Menu(RECORDED)
    xen, linux = menu.xen(), menu.linux()
    assert xen and linux
    assert (xen.title, xen.path) == ("Debian GNU/Linux, with Xen hypervisor", XEN)
    assert xen.hypervisor == ["dom0_mem=1024M,max:1024M", "console=com1", "com1=115200,8n1"]
    assert xen.kernel == [f"root=UUID={IDENT}", "ro", "console=hvc0"]
    assert (linux.title, linux.path, linux.hypervisor) == ("Debian GNU/Linux", LINUX, None)
    assert linux.kernel == [f"root=UUID={IDENT}", "ro", "console=ttyS0"]
    assert len(list(menu.entries())) == 8
    assert not menu.saved and Menu(SAVED).saved


@pytest.mark.parametrize(
    ("saved", "title"),
    [
        ("", "Debian GNU/Linux"), ("0", "Debian GNU/Linux"), ("2", "Debian GNU/Linux, with Xen hypervisor"),
        (XEN, "Debian GNU/Linux, with Xen hypervisor"),
        ("Debian GNU/Linux, with Xen hypervisor", "Debian GNU/Linux, with Xen hypervisor"),
        ("1", "Debian GNU/Linux, with Linux 6.1.0-56-amd64"), ("1>1", "Debian GNU/Linux, with Linux 6.1.0-56-amd64 (recovery mode)"),
        (
            f"gnulinux-advanced-{IDENT}>gnulinux-6.1.0-56-amd64-recovery-{IDENT}",
            "Debian GNU/Linux, with Linux 6.1.0-56-amd64 (recovery mode)",
        ),
    ],
)  # fmt: skip
def test_a_saved_entry_is_found_however_it_is_named(saved: str, title: str) -> None:
    entry = Menu(SAVED).find(saved)
    assert entry and entry.title == title


@pytest.mark.parametrize("saved", ["9", "nosuch", "1>9", "0>0", f"{XEN}>0"])
def test_a_saved_entry_that_is_not_there_is_none(saved: str) -> None:
    assert Menu(SAVED).find(saved) is None


def test_every_entry_is_found_by_its_path() -> None:
    # the submenus of Linux and of Xen have one id, and the files of the hypervisor share the ids of their kernels
    entries = [entry for entry in Menu(SAVED).entries() if "xen-hypervisor" not in entry.path]
    assert [Menu(SAVED).find(entry.path).titles for entry in entries] == [entry.titles for entry in entries]  # type: ignore[union-attr]


def test_grubenv_is_read() -> None:
    assert environment("# GRUB Environment Block\nsaved_entry=a=b\nnext_entry=\n####") == {"saved_entry": "a=b", "next_entry": ""}


# --- what follows


def test_a_bare_machine_is_told_to_boot_xen_once_first() -> None:
    planned = plan(seen(menu=menu_with("")), wanted({"dom0_mem": "1G"}), try_first=True)
    assert planned.write and planned.update
    assert (planned.default, planned.once) == (LINUX, XEN)
    assert planned.needs_reboot == ["The machine does not run under Xen."]


def test_without_trying_first_xen_becomes_the_default_at_once() -> None:
    planned = plan(seen(), wanted({}), try_first=False)
    assert (planned.default, planned.once) == (XEN, "")


def test_a_machine_without_xens_packages_is_foreseen() -> None:
    menu = Menu(SAVED[: SAVED.index("menuentry 'Debian GNU/Linux, with Xen hypervisor'")])
    entries = foreseen(seen(menu=menu), wanted({"dom0_mem": "1G", "kernel_options": ["a=1"]}))
    assert (entries.xen, entries.xen_title) == (XEN, "Debian GNU/Linux, with Xen hypervisor")
    assert entries.hypervisor == ["dom0_mem=1G,max:1G"] and entries.kernel[-1] == "a=1"


def running(asked: t.Mapping[str, t.Any], **changed: t.Any) -> Seen:
    """A machine that was told so, and runs with it."""
    told = wanted(asked)
    menu = menu_with(" ".join(told.hypervisor), " ".join(told.kernel))
    xen = menu.xen()
    assert xen and xen.hypervisor is not None and xen.kernel is not None
    known = {"saved_entry": XEN, "next_entry": ""}
    same = seen(text=told.text, menu=menu, environment=known, under_xen=True, hypervisor=xen.hypervisor, kernel=xen.kernel)
    return same._replace(**changed)


def test_a_machine_that_runs_as_asked_needs_nothing() -> None:
    asked = {"dom0_mem": "1G", "kernel_options": ["nomodeset"]}
    planned = plan(running(asked), wanted(asked), try_first=True)
    assert (planned.write, planned.update, planned.default, planned.once, planned.needs_reboot) == (False, False, "", "", [])


def test_what_came_up_under_xen_becomes_the_default() -> None:
    asked = {"dom0_mem": "1G"}
    planned = plan(running(asked, environment={"saved_entry": LINUX}), wanted(asked), try_first=True)
    assert (planned.update, planned.default, planned.once) == (False, XEN, "")


def test_another_memory_waits_for_a_reboot_and_is_tried_first() -> None:
    planned = plan(running({"dom0_mem": "1G"}), wanted({"dom0_mem": "2G"}), try_first=True)
    assert planned.needs_reboot == ["The hypervisor runs with dom0_mem=1G,max:1G, not with dom0_mem=2G,max:2G."]
    assert (planned.write, planned.default, planned.once) == (True, LINUX, XEN)


def test_what_is_not_asked_for_any_more_waits_for_a_reboot() -> None:
    planned = plan(running({"dom0_mem": "1G", "dom0_vcpus_pin": True}), wanted({"dom0_mem": "1G"}), try_first=False)
    assert planned.needs_reboot == ["The hypervisor runs with dom0_vcpus_pin, which is not in the boot entry any more."]


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_what_is_foreseen_is_what_update_grub_makes(before: bool, after: bool) -> None:
    old = {"dom0_mem": "1G", "kernel_options": ["a=1"], "kernel_options_replace": before}
    new = {"dom0_mem": "2G", "kernel_options": ["b=2"], "kernel_options_replace": after}
    machine = running(old)._replace(menu=menu_with("dom0_mem=1G,max:1G", "a=1" if before else "console=ttyS0 a=1"))
    made = menu_with("dom0_mem=2G,max:2G", "b=2" if after else "console=ttyS0 b=2")
    assert foreseen(machine, wanted(new)) == found(made, wanted(new), "zz-dom0.cfg")


def test_a_run_that_was_cut_off_before_update_grub_runs_it() -> None:
    asked = wanted({"dom0_mem": "2G"})
    planned = plan(seen(text=asked.text), asked, try_first=False)
    assert (planned.write, planned.update) == (False, True)


def test_a_menu_in_which_another_file_has_the_last_word_is_refused() -> None:
    with pytest.raises(InvalidChange, match=r"has another default than GRUB_DEFAULT=saved, although /etc/x asks for it\. Another file"):
        found(Menu(RECORDED), wanted({}), "/etc/x")
    with pytest.raises(InvalidChange, match="lacks dom0_mem=2G,max:2G"):
        found(Menu(SAVED), wanted({"dom0_mem": "2G"}), "/etc/x")
    with pytest.raises(InvalidChange, match="no entry for Xen"):
        found(Menu("menuentry 'Debian' {\nlinux /vmlinuz root=/dev/sda\n}\n"), wanted({}), "/etc/x")
