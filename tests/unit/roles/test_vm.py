# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role vm: on the pool and for the VMs that come with the collection, and on a host for what goes wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants, site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conftest import Ran, Site

MEDIA = "Other install media"
SHOP = [
    {"name": "db", "template": MEDIA, "order": 1, "power_state": "running", "appliance": "Shop"},
    {"name": "web1", "template": MEDIA, "order": 2, "power_state": "running", "groups": ["Apart"]},
    {"name": "web2", "template": MEDIA, "order": 2, "power_state": "running", "groups": ["Apart"]},
]
SETS = {"vm_appliances": [{"name": "Shop"}], "vm_groups": [{"name": "Apart", "placement": "anti_affinity"}]}


class Play:
    """The role on a pool of one host."""

    def __init__(self, folder: Path):
        self.sim = InProcess(site.build(site.of_hosts(1), speed=0)).start()
        self.folder = folder

    def __call__(self, *arguments: str, **variables: t.Any) -> Ran:
        host = self.sim.hosts[0]
        reached = {"vm_hostname": host.url, "vm_password": self.sim.password, "vm_fingerprint": [host.fingerprint_sha256]}
        play = {"hosts": "localhost", "gather_facts": False, "vars": {**reached, **variables}, "roles": ["domzero.xen.vm"]}
        (self.folder / "vms.yml").write_text(json.dumps([play]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run([program, str(self.folder / "vms.yml"), *arguments], capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def play(tmp_path: Path) -> t.Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.sim.stop()


def guests(sim: InProcess) -> dict[str, str]:
    """The power state of each VM."""
    with sim.world.lock:
        rows = list(sim.world.pools[0].db.all("VM").values())
    return {r["name_label"]: r["power_state"] for r in rows if not (r["is_a_template"] or r["is_a_snapshot"] or r["is_control_domain"])}


def operations(ran: Ran) -> list[str]:
    """Of each VM, as they were shown (-v)."""
    return re.findall(r'"operations": \[[^]]*\]', ran.output.rpartition("TASK [domzero.xen.vm : VMs]")[2])


def test_the_vms_that_come_with_the_collection_are_made_once_and_their_secrets_not_shown(
    shipped: t.Callable[..., Site], tmp_path: Path
) -> None:
    image = tmp_path / "cloud.raw"
    image.write_bytes(bytes(1 << 20))
    lab = shipped("homogeneous", template_build_image=str(image))
    assert lab.run("pool_build").code == 0
    mark = lab.sim.mark()
    told = lab.run("vms", "--check")
    assert (told.code, told.changed) == (0, 4), told.output  # the template, the appliance, the group, the VMs
    assert lab.sim.calls(mark) == []
    first = lab.run("vms", "-vvv", "--diff")
    assert (first.code, first.changed) == (0, 4), first.output
    assert "nginx" not in first.output
    assert guests(lab.sim) == {"db01": "Running", "web01": "Running", "web02": "Running", "build01": "Halted"}
    mark = lab.sim.mark()
    second = lab.run("vms")
    assert (second.code, second.changed) == (0, 0), second.output
    assert lab.sim.calls(mark) == []
    assert invariants.check(lab.sim.world) == []


def test_check_mode_tells_every_call(play: Play) -> None:
    mark = play.sim.mark()
    predicted = play("--check", "-v", vm_vms=SHOP, **SETS)
    assert (predicted.code, predicted.changed) == (0, 3), predicted.output
    assert play.sim.calls(mark) == []
    done = play("-v", vm_vms=SHOP, **SETS)
    assert (done.code, done.changed) == (0, 3), done.output
    assert len(operations(done)) == len(SHOP)
    assert operations(done) == operations(predicted)


def test_all_that_is_wrong_is_told_before_anything_is_changed(play: Play) -> None:
    wrong = [
        {"name": "one", "template": "Plan 9"},
        {"name": "two", "template": MEDIA, "disks": [{"size": "5 Gigs"}]},
        {"name": "three", "template": MEDIA, "nics": [{"network": "nowhere"}]},
        {"name": "four", "template": MEDIA, "power_stat": "running"},
    ]
    ran = play(vm_vms=wrong, **SETS)
    assert ran.code != 0
    said = " ".join(ran.output.split())
    for part in ("Plan 9", "5 Gigs", "nowhere", "power_stat", "'one'", "'two'", "'three'", "'four'"):
        assert part in said, f"{part}: {ran.output}"
    assert play.sim.calls() == []


@pytest.mark.slow(whole=True)
def test_a_vm_that_fails_is_named_and_the_next_run_goes_on(play: Play) -> None:
    play.sim.faults.fail("VM.start", error=["HOST_NOT_ENOUGH_FREE_MEMORY", "4294967296", "1024"])
    ran = play(vm_vms=SHOP, **SETS)
    assert ran.code != 0
    assert "'db'" in ran.output
    assert "Not begun: web1, web2" in " ".join(ran.output.split())
    assert guests(play.sim) == {"db": "Halted"}
    assert play(vm_vms=SHOP, **SETS).code == 0
    assert guests(play.sim) == {"db": "Running", "web1": "Running", "web2": "Running"}


@pytest.mark.slow(whole=True)
def test_vms_that_are_to_go_go(play: Play) -> None:
    assert play(vm_vms=SHOP, **SETS).code == 0
    gone = [{"name": name, "allow_disruption": True, "force": True, "shutdown_timeout": 1} for name in ("web1", "web2", "web3")]
    ran = play(vm_absent=gone)
    assert (ran.code, ran.changed) == (0, 1), ran.output
    assert list(guests(play.sim)) == ["db"]
    assert play(vm_absent=gone).changed == 0
