# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LVM says, as it was recorded, and as the simulated one says it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.lvm import LVS, VGS, groups, volumes
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.plan_lvm import plan_lvm
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.wanted import Wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume.what import BACKUP_TAG, Group, Logical, Now, Source
from ansible_collections.domzero.xen.tests.lvm_simulator.running import lvm

DATA = Path(__file__).parents[3] / "data/lvm"
MIB = 1 << 20


def recorded() -> dict[str, Logical]:
    return {name: lv for (_vg, name), lv in volumes((DATA / "lvs.json").read_text()).items()}


def test_a_group_is_read() -> None:
    assert groups((DATA / "vgs.json").read_text()) == {"vg0": Group("vg0", 4 * MIB, 1023 * 4 * MIB, 773 * 4 * MIB)}


@pytest.mark.parametrize(
    ("name", "kind", "size", "virtual", "origin", "pool"),
    [
        ("volume-x", "thick", 100, 100, "", ""),
        ("volume-s", "snapshot", 104, 100, "volume-x", ""),
        ("volume-z", "snapshot", 8, 100, "volume-y", ""),
        ("volume-tp", "pool", 64, 64, "", ""),
        ("volume-t", "thin", 128, 128, "", "volume-tp"),
        ("volume-ts", "thin", 128, 128, "volume-t", "volume-tp"),
    ],
)
def test_every_kind_of_volume_is_read(name: str, kind: str, size: int, virtual: int, origin: str, pool: str) -> None:
    own = recorded()[name]
    assert (own.kind, own.size, own.virtual, own.origin, own.pool) == (kind, size * MIB, virtual * MIB, origin, pool)
    assert own.active
    assert own.lost == (name == "volume-z")


def test_tags_and_what_is_full_are_read() -> None:
    there = recorded()
    assert there["volume-ts"].tags == (BACKUP_TAG,)
    assert there["volume-tp"].full == there["volume-z"].full == 100.0
    assert there["volume-tp"].open and not there["volume-x"].open
    assert there["volume-tp"].zeroed and not there["volume-x"].zeroed


@pytest.mark.parametrize(("attr", "skipped"), [("twi-aotz--", True), ("twi-aot---", False)])
def test_zeros_are_written_to_a_volume_of_a_pool_that_does_not_zero(attr: str, skipped: bool) -> None:
    text = (DATA / "lvs.json").read_text().replace("twi-aotzD-", attr).replace('"100.00"', '"0.00"')
    own = {name: lv for (_vg, name), lv in volumes(text).items()}
    now = Now(group=Group("vg0", 4 * MIB, 100 * MIB, 100 * MIB), volumes=own, source=Source("/srv/a.img", "raw", 8 * MIB))
    planned = plan_lvm(now, Wanted(group="vg0", name="new", pool="volume-tp", source="/srv/a.img"))
    assert ("--target-is-zero" in planned.steps[1].argv) == skipped


@pytest.mark.parametrize("text", ["", "oops", "[]", '{"report": 3}'])
def test_what_is_no_report_is_told(text: str) -> None:
    with pytest.raises(XenError, match="no report of LVM"):
        volumes(text)


def test_the_simulated_lvm_says_what_the_real_one_said(tmp_path: Path) -> None:
    """The same commands, in the same order."""
    made = [
        ("lvcreate", "--yes", "--type", "thin-pool", "--name", "volume-tp", "--size", f"{64 * MIB}b", "vg0"),
        ("lvcreate", "--yes", "--type", "thin", "--virtualsize", f"{128 * MIB}b", "--thinpool", "volume-tp", "--name", "volume-t", "vg0"),
        ("lvcreate", "--yes", "--addtag", BACKUP_TAG, "--snapshot", "--setactivationskip", "n", "--name", "volume-ts", "vg0/volume-t"),
        ("lvcreate", "--yes", "--name", "volume-x", "--size", f"{100 * MIB}b", "vg0"),
        ("lvcreate", "--yes", "--snapshot", "--size", f"{104 * MIB}b", "--name", "volume-s", "vg0/volume-x"),
        ("lvcreate", "--yes", "--name", "volume-y", "--size", f"{100 * MIB}b", "vg0"),
        ("lvcreate", "--yes", "--snapshot", "--size", f"{8 * MIB}b", "--name", "volume-z", "vg0/volume-y"),
    ]  # fmt: skip
    with lvm(tmp_path) as simulated:
        for command in made:
            subprocess.run(command, check=True, capture_output=True)
        with simulated.change() as state:
            state.volume("vg0", "volume-tp").update(full=100.0, open=True)
            state.volume("vg0", "volume-t").update(full=50.0)
            state.volume("vg0", "volume-z").update(full=100.0, lost=True)
        said = json.loads(subprocess.run(LVS, check=True, capture_output=True, text=True).stdout)["report"][0]["lv"]
        assert set(json.loads(subprocess.run(VGS, check=True, capture_output=True, text=True).stdout)["report"][0]["vg"][0]) == {
            "vg_name", "vg_extent_size", "vg_size", "vg_free",
        }  # fmt: skip
    real = [row for row in json.loads((DATA / "lvs.json").read_text())["report"][0]["lv"] if row["lv_name"].startswith("volume-")]
    assert [trimmed(row) for row in said] == [trimmed(row) for row in real]


def trimmed(row: dict[str, str]) -> dict[str, str]:
    """Without where its device is, and whether LVM asks for more room in a pool."""
    return {**row, "lv_path": row["lv_path"] and row["lv_name"], "lv_attr": row["lv_attr"][:8]}
