# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether another host can run a domain: the rules, apart from how they are asked."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.xl.migrate import copies, fit
from ansible_collections.domzero.xen.plugins.module_utils.xl.migrate.ends import Disk, End, disk_of, same

CONFIG: dict[str, t.Any] = {
    "c_info": {"type": "pvh", "name": "web"},
    "b_info": {"max_memkb": 2 << 20, "target_memkb": 1 << 20, "max_vcpus": 2},
}
INFO = {"host": "b", "xen_major": 4, "xen_minor": 17, "xen_version": "4.17.7", "free_memory": 2048, "xen_commandline": "dom0_mem=1G"}
TABLE = "Name ID Mem VCPUs State Time(s)\nDomain-0                                     0  1024     2     r-----     1.0\n"


def end(**more: t.Any) -> End:
    told = {
        "boot": "1",
        "user": "0",
        "xl": True,
        "info": INFO,
        "table": TABLE,
        "long": "[]",
        "conf": "",
        "config": None,
        "autostart": False,
    }
    return End(**{**told, "disks": {}, "bridges": frozenset(), **more})  # type: ignore[arg-type]


def told(config: dict[str, t.Any] | None = None, here: End | None = None, there: End | None = None, *, trusted: bool = False) -> str:
    """Why it cannot; empty where it can."""
    try:
        fit.check("web", "b", CONFIG if config is None else config, here or end(), there or end(), trusted=trusted)
    except fit.InvalidChange as e:
        return str(e)
    return ""


def test_what_fits_is_let_go() -> None:
    assert told() == ""


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({"xl": False}, "There is no xl on b."),
        ({"user": "1000"}, "The login on b is not root's"),
        ({"table": ""}, "b does not run Xen, or its xl does not work"),
        ({"info": {**INFO, "xen_minor": 14, "xen_version": "4.14.6"}}, "Xen on b is 4.14.6, older than 4.17.7 here"),
        ({"info": {**INFO, "free_memory": 1000}}, "It needs 1035 MiB of memory, and b has 1000 MiB free."),
        ({"info": {**INFO, "outstanding_claims": 2000}}, "b has 48 MiB free"),
    ],
)
def test_what_is_wrong_with_the_other_host_is_told(there: dict[str, t.Any], reason: str) -> None:
    assert reason in told(there=end(**there))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    config = {**CONFIG, "disks": [{"vdev": "xvda", "pdev_path": "/dev/x"}], "nics": [{"devid": 0, "bridge": "br0"}]}
    said = told(config, there=end(info={**INFO, "free_memory": 10}))
    assert "10 MiB free" in said and "Its disk /dev/x is not on b" in said and "Its bridge br0 is not on b." in said


@pytest.mark.parametrize(
    ("conf", "commandline", "gives"),
    [
        ("", "placeholder", True),
        ("", "dom0_mem=1G", False),
        ('autoballoon="off"\n', "placeholder", False),
        ("autoballoon=1\n", "dom0_mem=1G", True),
        ("#autoballoon=1\n", "dom0_mem=1G", False),
    ],
)
def test_a_dom0_that_gives_memory_only_brings_a_warning(conf: str, commandline: str, gives: bool) -> None:
    there = end(conf=conf, info={**INFO, "free_memory": 10, "xen_commandline": commandline})
    assert (told(there=there) == "") == gives
    if gives:
        assert "autoballoon" in fit.warnings("b", CONFIG, end(), there)[0]


@pytest.mark.parametrize(
    ("caps", "kind", "refused"),
    [
        (["pv", "hvm", "hap"], "pv", True),
        (["pv", "hvm", "hap", "shadow"], "pv", False),
        (["hvm", "hvm_directio"], "pv", False),  # Xen before 4.15, which does not say
        (["pv", "hvm", "hap"], "pvh", False),
    ],
)
def test_a_pv_domain_needs_shadow_paging(caps: list[str], kind: str, refused: bool) -> None:
    config = {**CONFIG, "c_info": {"type": kind, "name": "web"}}
    assert ("no shadow paging" in told(config, here=end(info={**INFO, "virt_caps": caps}))) == refused


def test_a_domain_that_is_bound_to_its_host_is_told() -> None:
    assert "PCI device" in told({**CONFIG, "pcidevs": [{"dev": 3}]})
    assert "nomigrate" in told({**CONFIG, "b_info": {**CONFIG["b_info"], "disable_migrate": "True"}})


@pytest.mark.parametrize(
    ("mine", "theirs", "one"),
    [
        ((("WWN", "0x1"),), (("WWN", "0x1"),), True),
        ((("WWN", "0x1"),), (("WWN", "0x2"),), False),
        ((("LV", "a"), ("SERIAL", "x")), (("LV", "a"),), True),
        ((("WWN", "0x1"),), (("LV", "a"),), None),
        ((), (), None),
    ],
)
def test_one_storage_is_known_by_its_marks(mine: t.Any, theirs: t.Any, one: bool | None) -> None:
    assert same(Disk(True, 1, mine), Disk(True, 1, theirs)) is one
    config = {**CONFIG, "disks": [{"vdev": "xvda", "pdev_path": "/dev/x"}]}
    here, there = end(disks={"/dev/x": Disk(True, 1, mine)}), end(disks={"/dev/x": Disk(True, 1, theirs)})
    assert (told(config, here, there) == "") is (one is True)
    assert told(config, here, there, trusted=True) == ""


def test_what_the_other_host_says_of_a_disk_is_read() -> None:
    assert disk_of("") == Disk(False)
    lvm = 'kind=block special file\nsize=0\ninode=7\nsize=16777216\nWWN=""\nSERIAL=""\nPARTUUID=""\nLV="vg lv"\n'
    assert disk_of(lvm) == Disk(True, 16777216, (("LV", "vg lv"),))
    nfs = 'kind=regular file\nsize=10\ninode=7\nFSTYPE="nfs4"\nUUID=""\nSOURCE="nas:/xen"\n'
    assert disk_of(nfs) == Disk(True, 10, (("file system", "nfs4"), ("inode", "7")))


RUNS, SUSPENDED, WAITS = copies.Seen(3, "-b----"), copies.Seen(4, "---ss-"), copies.Seen(5, "--p---")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((RUNS, None, None, None), ""),
        ((None, None, RUNS, None), ""),
        ((None, SUSPENDED, RUNS, None), ""),  # finished by the next run
        ((None, None, None, None), "runs neither"),
        ((RUNS, None, RUNS, None), "is on this host and on b"),
        ((RUNS, None, None, WAITS), "`xl destroy web--incoming` on b and run the task again. It still runs here."),
        ((None, SUSPENDED, None, WAITS), "only then `xl destroy web--migratedaway` here"),
        ((None, SUSPENDED, None, None), "nothing of it is on b"),
        ((SUSPENDED, None, None, None), "`xl resume web`"),
        ((copies.Seen(3, "---s--"), None, None, None), "shutting down"),
    ],
)
def test_what_an_earlier_migration_left_is_told_with_what_to_do(found: t.Any, words: str) -> None:
    refused = copies.refused("web", "b", copies.Where(*found))
    assert (words in str(refused)) if words else refused is None
    assert copies.outcome("web", "b", copies.Where(*found))
