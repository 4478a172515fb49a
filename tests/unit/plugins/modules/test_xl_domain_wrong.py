# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong is told by name, with what to do, before anything is changed; in check mode by the same sentence."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.unit.plugins.modules.xl_domain_lab import Lab, lab
from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused


@pytest.fixture(scope="module")
def xen(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("xen")) as made:
        made.once(**made.web, state="running")
        made.host.forget_calls()
        yield made


OTHER: dict[str, t.Any] = {"name": "shop", "memory": 64, "state": "running"}
WRONG: list[tuple[dict[str, t.Any], str]] = [
    (
        {"vif": [{"bridge": "nosuch"}]},
        "The bridge nosuch of shop's network interface number 0 is not on this host. Make it, or give another bridge.",
    ),
    ({"kernel": "/boot/nosuch"}, "The kernel of shop, /boot/nosuch, is not on this host. Put it there, or give another kernel."),
    ({"ramdisk": "/boot/nosuch"}, "The ramdisk of shop, /boot/nosuch, is not on this host."),
    ({"disk": [{"target": "/dev/vg0/nosuch", "vdev": "xvda"}]}, "The disk xvda of shop, /dev/vg0/nosuch, is not on this host."),
    ({"disk": ["{folder}/web.img,,xvda"]}, "The disk xvda of shop, {folder}/web.img, is written by web, which runs."),
    ({"disk": ["{folder}/web.img"]}, "vdev must be given"),
    ({"memory": "1 TiB"}, "shop needs 1048577 MiB of memory, and "),
    ({"memory": "much"}, "memory: 'much' is not a size. Give MiB as a number, or a size such as 1 GiB."),
    ({"memory": 128, "maxmem": 64}, "shop: maxmem (64 MiB) is less than memory (128 MiB). Give it at least as much."),
    ({"vcpus": 3, "maxvcpus": 2}, "maxvcpus < vcpus"),
    ({"vif": [{"mac": "00:16:3e:10:00:01", "bridge": "lo"}]}, "The MAC 00:16:3e:10:00:01 of shop is that of web, which runs."),
    ({"vif": ["mac=00:16:3e:00:00:05", "mac=00:16:3e:00:00:05"]}, "shop has two network interfaces with the MAC 00:16:3e:00:00:05."),
    ({"vif": [{"mac": "zz"}]}, "'zz' is no mac"),
    ({"vif": [{"macc": "00:16:3e:00:00:05"}]}, "Is mac meant?"),
    ({"extra_config": {"memroy": 3}}, "extra_config: xl does not know the key memroy. Did you mean memory?"),
    ({"name": "web", "uuid": "00000000-8d1f-4c3a-9e57-0d1a2b3c4d5e"}, "A domain web runs that is another one: its UUID is 6b0c4a5e-"),
    ({"name": "Domain-0"}, "Domain-0 is the host itself."),
    ({"name": "17"}, "17 is taken for the number of a domain by xl."),
    ({"name": "../shop"}, "'../shop' cannot be the name of a domain."),
    ({"cmdline": "a\nb"}, "cmdline: a value of xl.cfg has one line only."),
    ({"state": "saved"}, "shop does not run; there is nothing to save."),
    ({"state": "restored"}, "No saved state of shop at "),
    ({"config": "/nosuch.cfg"}, "There is no file /nosuch.cfg."),
    ({"config_text": "kernel =\n"}, "config_text:1"),
    ({"type": "pv", "kernel": ""}, "Neither kernel nor bootloader specified"),
]


@pytest.mark.parametrize("check", [True, False], ids=["check mode", "real"])
@pytest.mark.parametrize(("wrong", "told"), WRONG, ids=lambda value: str(value)[:40])
def test_it_is_told_before_anything_changes(xen: Lab, wrong: dict[str, t.Any], told: str, check: bool) -> None:
    options = {"kernel": str(xen.folder / "vmlinuz"), **OTHER, **filled(wrong, xen)}
    before = sorted(path.name for path in xen.etc.rglob("*"))
    with pytest.raises(Refused) as refused:
        xen.once(_ansible_check_mode=check, **options)
    assert told.replace("{folder}", str(xen.folder)) in refused.value.result["msg"]
    assert refused.value.result["commands_done"] == []
    assert xen.host.calls(changing=True) == []
    assert sorted(path.name for path in xen.etc.rglob("*")) == before


def filled(value: t.Any, xen: Lab) -> t.Any:
    if isinstance(value, dict):
        return {key: filled(one, xen) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, xen) for one in value]
    return value.replace("{folder}", str(xen.folder)) if isinstance(value, str) else value


def test_where_nothing_starts_what_is_missing_is_no_refusal(xen: Lab) -> None:
    done = xen.once(name="later", kernel="/boot/nosuch", memory=64, state="present")
    assert done["power_state"] == "stopped"
    xen.once(name="later", state="absent", backup=False)
    xen.host.forget_calls()


def test_a_domain_that_nobody_described_cannot_start(xen: Lab) -> None:
    with pytest.raises(Refused, match=r"There is no domain nosuch, and no .*/nosuch\.cfg"):
        xen.once(name="nosuch", state="running")
    assert xen.once(name="nosuch", state="stopped")["changed"] is False


def test_a_file_that_xl_cannot_read_is_named_with_its_line(xen: Lab, tmp_path: Path) -> None:
    (tmp_path / "broken.cfg").write_text("name = 'shop'\nmemory = = 3\n")
    with pytest.raises(Refused, match=r"broken\.cfg:2"):
        xen.once(config=str(tmp_path / "broken.cfg"))
