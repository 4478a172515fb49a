# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.debian_machine.machine import Machine, Result, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
CONF = {"autoballoon": "off", "vif.default.bridge": "xenbr1"}
DOMAINS: dict[str, t.Any] = {"save": "", "restore": False, "stop_timeout": 60}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def test_settings_are_set_once_and_earlier_files_kept(machine: Machine) -> None:
    asked: Result = {"settings": CONF, "xendomains": DOMAINS}
    predicted = machine.module("xl_conf", check=True, **asked)
    done = machine.module("xl_conf", **asked)
    assert done["commands"] == predicted["commands"] == ["write /etc/xen/xl.conf", "write /etc/default/xendomains"]
    assert done["diff"] == predicted["diff"] and done["settings"] == predicted["settings"] == CONF
    assert done["xendomains"] == predicted["xendomains"] == DOMAINS
    assert [Path(kept).name.startswith(("xl.conf.", "xendomains.")) for kept in done["backup_files"]] == [True, True]
    assert '#autoballoon="auto"\n' in machine.read("etc/xen/xl.conf") and "# where to\n" in machine.read("etc/default/xendomains")
    again = machine.module("xl_conf", **asked)
    assert again["changed"] is False and again["backup_files"] == []
    # what it told may be given back
    assert machine.module("xl_conf", settings=done["settings"], xendomains=done["xendomains"])["changed"] is False


def test_a_machine_without_the_packages_is_foreseen(machine: Machine) -> None:
    (machine.folder / "etc/xen/xl.conf").unlink()
    (machine.folder / "etc/default/xendomains").unlink()
    foreseen = machine.module("xl_conf", check=True, settings=CONF, xendomains=DOMAINS)
    assert foreseen["changed"] and foreseen["settings"] == CONF


def test_a_setting_that_xl_does_not_know_changes_nothing(machine: Machine) -> None:
    refused = machine.module("xl_conf", settings={"autobaloon": "off"}, xendomains=DOMAINS)
    assert "xl.conf has no setting autobaloon." in refused["msg"]
    assert "300" in machine.read("etc/default/xendomains")


def test_a_file_that_xl_cannot_read_is_left_alone_and_named_with_its_line(machine: Machine) -> None:
    machine.write("etc/xen/xl.conf", "# fine\nautoballoon = off\n")
    assert "/etc/xen/xl.conf:2" in machine.module("xl_conf", settings=CONF)["msg"]
    assert machine.read("etc/xen/xl.conf") == "# fine\nautoballoon = off\n"
