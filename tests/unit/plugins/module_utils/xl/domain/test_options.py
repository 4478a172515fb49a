# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option is written into the file, and read from it again as it was given."""

from __future__ import annotations

import typing as t
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.xl.cfg import Cfg
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain import settings
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.options import Option
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain.table import TABLE
from ansible_collections.domzero.xen.tests.nested_xen.xl_domain_options import CONFIGS

WORD = st.text(st.characters(codec="ascii", categories=("L", "N", "P"), exclude_characters=""), min_size=1, max_size=12)
# A device of each kind, in the vocabulary of the module; those of the nested suite are others.
DEVICES: dict[str, list[t.Any]] = {
    "disk": [{"target": "/dev/vg0/web", "vdev": "xvda", "format": "raw", "access": "rw"}, {"vdev": "hdc", "devtype": "cdrom"}],
    "vif": [{"mac": "00:16:3e:00:00:01", "bridge": "xenbr0", "rate": "10Mb/s"}, {"bridge": "xenbr1", "type": "ioemu", "model": "e1000"}],
    "vfb": [{"vnc": True, "vnclisten": "127.0.0.1", "vncdisplay": 3, "keymap": "de"}],
    "vkb": [{"backend_type": "linux", "feature_abs_pointer": True}],
    "vtpm": [{"backend": "vtpmmgr", "uuid": "6b0c4a5e-8d1f-4c3a-9e57-0d1a2b3c4d5e"}],
    "p9": [{"tag": "share", "path": "/srv", "security_model": "none"}],
    "pvcalls": [{"backend": "net"}],
    "channel": [{"name": "org.example.agent.1", "connection": "pty"}],
    "vdispl": [{"backend": "gfx", "connectors": "id0:1920x1080"}],
    "virtio": [{"type": "virtio,device22", "transport": "mmio"}],
    "usbctrl": [{"type": "qusb", "version": 2, "ports": 8}],
    "usbdev": [{"type": "hostdev", "hostbus": 1, "hostaddr": 3}],
    "pci": [{"bdf": "0000:03:00.0", "permissive": True}],
}


def values(option: Option) -> st.SearchStrategy[t.Any]:
    if option.choices:
        return st.sampled_from(option.choices)
    lists = st.lists(WORD, min_size=1, max_size=4)
    kinds: dict[str, st.SearchStrategy[t.Any]] = {
        "str": WORD, "int": st.integers(-(2**31), 2**31), "bool": st.booleans(), "mib": st.integers(1, 2**30), "strings": lists,
        "ints": st.lists(st.integers(0, 2**16), min_size=1, max_size=4), "words": st.one_of(WORD, lists),
        "raw_list": st.lists(lists, min_size=1, max_size=3),
    }  # fmt: skip
    return st.just(DEVICES[option.name]) if option.type == "devices" else kinds[option.type]


@pytest.mark.parametrize("option", TABLE, ids=lambda option: option.name)
@given(data=st.data())
def test_an_option_is_written_and_read_back(option: Option, data: st.DataObject) -> None:
    value = data.draw(values(option))
    cfg = Cfg.parse("name = 'web'  # of the shop\n")
    settings.put(cfg, settings.given({option.name: value}))
    again = Cfg.parse(str(cfg))
    assert settings.value_told(option.name, again.get(option.name)) == value
    before = str(again)
    settings.put(again, settings.given(settings.told(again, None)))
    assert str(again) == before, "handed back, it changes nothing"
    settings.put(again, {option.name: None})
    assert str(again) == "name = 'web'  # of the shop\n"


def test_every_option_is_in_the_table_once() -> None:
    assert [name for name, number in Counter(option.name for option in TABLE).items() if number > 1] == []


def test_every_option_is_used_on_a_real_xen() -> None:
    used = {key for config in CONFIGS.values() for key in config.options}
    assert {option.name for option in TABLE} - used == set()


@pytest.mark.parametrize(
    ("given_", "mib"),
    [("512", 512), (512, 512), ("1 GiB", 1024), ("1g", 1024), ("2048 MiB", 2048), ("1TiB", 1024 * 1024), ("1048576 KiB", 1024)],
)
def test_memory_is_mib_or_a_size(given_: t.Any, mib: int) -> None:
    assert settings.given({"memory": given_}) == {"memory": mib}


@pytest.mark.parametrize("wrong", ["lots", "1.5 KiB", "-3"])
def test_what_is_no_size_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidChange, match="memory"):
        settings.given({"memory": wrong})


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("memory = 0x80\n", {"memory": 128}),
        ("memory = '128'\n", {"memory": 128}),
        ('vcpus = "2" ; maxvcpus = 2\n', {"vcpus": 2, "maxvcpus": 2}),
        ("cpus = [ '0', '1' ]\n", {"cpus": ["0", "1"]}),
        ("disk = [ 'phy:/dev/vg0/web,xvda,w' ]\n", {"disk": [{"target": "/dev/vg0/web", "vdev": "xvda"}]}),
        ("vif = [ 'MAC=00:16:3E:00:00:01' ]\n".replace("MAC=", "mac="), {"vif": [{"mac": "00:16:3e:00:00:01"}]}),
        ("localtime = 1\n", {"localtime": True}),
    ],
)
def test_what_the_file_says_in_another_way_stays_as_it_is(text: str, options: dict[str, t.Any]) -> None:
    cfg = Cfg.parse(text)
    settings.put(cfg, settings.given(options))
    assert str(cfg) == text


def test_of_a_list_only_what_changes_is_written_anew() -> None:
    cfg = Cfg.parse("disk = [\n  'phy:/dev/vg0/web,xvda,w',  # system\n  'phy:/dev/vg0/old,xvdb,w',\n]\n")
    settings.put(cfg, settings.given({"disk": [{"target": "/dev/vg0/web", "vdev": "xvda"}, {"target": "/dev/vg0/new", "vdev": "xvdb"}]}))
    assert str(cfg) == "disk = [\n  'phy:/dev/vg0/web,xvda,w',  # system\n  'vdev=xvdb,target=/dev/vg0/new',\n]\n"


@pytest.mark.parametrize(
    ("extra", "told"),
    [({"memory": 3}, "is an option of its own"), ({"memroy": 3}, "Did you mean memory?"), ({"period": {"a": 1}}, "not understood")],
)
def test_extra_config_is_for_what_is_no_option(extra: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InvalidChange) as refused:
        settings.given({"extra_config": extra})
    assert told in str(refused.value)


def test_extra_config_takes_keys_and_takes_them_out() -> None:
    cfg = Cfg.parse("vcpus = 2\nlatency = 1\n")
    settings.put(
        cfg, settings.given({"extra_config": {"vcpus": "", "latency": None, "period": 100, "llc_colors": ["0-3"], "future": True}})
    )
    assert str(cfg) == "period = 100\nllc_colors = [ '0-3' ]\nfuture = 1\n"


def test_keys_that_xl_passes_over_are_told() -> None:
    told = settings.unknown_keys(Cfg.parse("memroy = 3\nbuilder = 'hvm'\nmemory = 3\nzzz = 1\n", "/etc/xen/web.cfg"))
    assert told == [
        "/etc/xen/web.cfg: xl is not known to read the key memroy. Did you mean memory?",
        "/etc/xen/web.cfg: xl is not known to read the key zzz.",
    ]


def test_passwords_are_not_told() -> None:
    cfg = Cfg.parse("name='web'\nvncpasswd='secret'\nspicepasswd='secret'\nvfb=['vnc=1,vncpasswd=secret']\n")
    assert settings.told(cfg, None) == {"name": "web"}


def test_what_runs_without_a_file_is_told_in_the_same_words() -> None:
    config = {
        "c_info": {"type": "pvh", "name": "web", "uuid": "6b0c4a5e-8d1f-4c3a-9e57-0d1a2b3c4d5e"},
        "b_info": {
            "max_vcpus": 2, "avail_vcpus": [0], "max_memkb": 262144, "target_memkb": 131072, "cmdline": "ro", "kernel": "/vmlinuz",
            "sched_params": {"sched": "credit2", "weight": 256, "cap": 0}, "nested_hvm": "False",
        },
        "disks": [{"pdev_path": "/dev/vg0/web", "vdev": "xvda", "format": "raw", "readwrite": 1}],
        "nics": [{"devid": 0, "mac": "00:16:3e:00:00:01", "bridge": "xenbr0", "nictype": "vif"}], "on_soft_reset": "soft_reset",
    }  # fmt: skip
    assert settings.told(None, config) == {
        "name": "web", "type": "pvh", "uuid": "6b0c4a5e-8d1f-4c3a-9e57-0d1a2b3c4d5e", "kernel": "/vmlinuz", "cmdline": "ro",
        "on_soft_reset": "soft-reset",
        "vcpus": 1, "maxvcpus": 2, "cpu_weight": 256, "cap": 0, "memory": 128, "maxmem": 256, "nestedhvm": False,
        "disk": [{"vdev": "xvda", "format": "raw", "access": "rw", "target": "/dev/vg0/web"}],
        "vif": [{"mac": "00:16:3e:00:00:01", "bridge": "xenbr0"}],
    }  # fmt: skip
