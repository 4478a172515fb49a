# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bigger disk, from the pool to the file system: a simulated pool, and a loop device as the disk that the guest sees."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.tools.loop_disk import GPT, LoopDisk, why_not

from .conftest import Ran

pytestmark = pytest.mark.slow

MIB = 1 << 20
SMALL, LARGE = 400 * MIB, 900 * MIB
RESIZES = ("VDI.resize", "VDI.resize_online")
reason = functools.cache(why_not)


class Guest:
    """A VM with a disk in a pool of one host; what it sees of the disk is the loop device."""

    def __init__(self, folder: Path, script: str = GPT):
        self.folder = folder
        self.disk = LoopDisk(folder / "disk.img", SMALL, folder / "data", script=script).up()
        self.sim = InProcess(site.build(site.of_hosts(1), speed=0)).start()
        self._ended = threading.Event()
        self._hypervisor = threading.Thread(target=self._carry_on)
        self.play("prepare", {
            "tasks": [{"domzero.xen.xen_vm": {
                "name": "db", "template": "Other install media", "disks": [{"size": 5 << 30}, {"name": "data", "size": SMALL}],
                "power_state": "running", "xenstore_data": {"vm-data/sim-agent": "10.0.0.60"},
            }}]
        })  # fmt: skip
        self.begun = self.sim.mark()
        self._hypervisor.start()

    def _carry_on(self) -> None:
        """What the pool does to the disk, the guest sees."""
        while not self._ended.wait(0.05):
            for call in self.resizes():
                size = int(call["params"][-1])
                if size > self.disk.size:
                    self.disk.grow(size)
                    self.disk.size = size

    def resizes(self) -> list[dict[str, t.Any]]:
        return [call for call in self.sim.calls(self.begun) if call["method"] in RESIZES]

    def changes(self) -> list[str]:
        return [call["method"] for call in self.sim.calls(self.begun) if not call["method"].startswith("session.")]

    def play(self, name: str, more: dict[str, t.Any], *arguments: str, **variables: t.Any) -> Ran:
        host = self.sim.hosts[0]
        login = {"hostname": host.url, "password": self.sim.password, "fingerprint": [host.fingerprint_sha256]}
        frame = {"hosts": "db", "gather_facts": False, "vars": variables, "module_defaults": {"group/domzero.xen.xen": login}}
        book = self.folder / f"{name}.yml"
        book.write_text(json.dumps([{**frame, **more}]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        inventory = f"db ansible_connection=local ansible_python_interpreter='{sys.executable}'\n"
        (self.folder / "hosts").write_text(inventory)
        command = [program, "-i", str(self.folder / "hosts"), str(book), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout + done.stderr)

    def __call__(self, *arguments: str, **variables: t.Any) -> Ran:
        return self.play("grow", {"roles": ["domzero.xen.guest_disk_grow"]}, *arguments, **self.variables(variables))

    def variables(self, more: dict[str, t.Any]) -> dict[str, t.Any]:
        host = self.sim.hosts[0]
        known = {
            "hostname": host.url, "password": self.sim.password, "fingerprint": [host.fingerprint_sha256], "path": str(self.disk.mount),
            "position": 1, "size": "900 MiB", "timeout": 20, **more,
        }  # fmt: skip
        return {f"guest_disk_grow_{name}": value for name, value in known.items()}

    def refused(self, cases: list[dict[str, t.Any]]) -> Ran:
        """One run for all, which shows what each was refused with."""
        role = {"ansible.builtin.include_role": {"name": "domzero.xen.guest_disk_grow"}}
        done: dict[str, t.Any] = {"ansible.builtin.fail": {"msg": "it was done"}}
        shown = {"ansible.builtin.debug": {"msg": "refused: {{ ansible_failed_result.msg }} :end"}}
        tasks = [{"block": [{**role, "vars": self.variables(case)}, done], "rescue": [shown]} for case in cases]
        return self.play("refused", {"tasks": tasks})

    def storage_grows_online(self) -> None:
        db = self.sim.world.pools[0].db
        for ref, row in db.all("SM").items():
            db.set("SM", ref, features={**row["features"], "VDI_RESIZE_ONLINE": 1})

    def call(self, method: str, *parameters: t.Any) -> t.Any:
        host = self.sim.hosts[0]
        session = Session(Endpoint.parse(host.url, fingerprints=(host.fingerprint_sha256,)))
        session.log_in("root", self.sim.password)
        try:
            return session.call(method, *parameters)
        finally:
            session.log_out()

    def size(self) -> int:
        return int(self.call("VDI.get_virtual_size", self.call("VDI.get_by_name_label", "data")[0]))

    def end(self) -> None:
        self._ended.set()
        if self._hypervisor.is_alive():
            self._hypervisor.join()
        self.sim.stop()
        self.disk.down()


@pytest.fixture
def guest(tmp_path: Path) -> t.Iterator[t.Callable[..., Guest]]:
    made: list[Guest] = []

    def make(**options: t.Any) -> Guest:
        if told := reason():
            pytest.skip(told)
        made.append(Guest(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


def said(ran: Ran) -> str:
    return " ".join(ran.output.split())


def test_a_disk_grows_while_it_is_used_and_the_file_system_with_it(guest: t.Any) -> None:
    db = guest()
    db.storage_grows_online()
    predicted = db("--check", "--diff")
    assert (predicted.code, predicted.changed, db.changes()) == (0, 2, []), predicted.output
    done = db("--diff")
    assert (done.code, done.changed) == (0, 2), done.output
    assert db.changes() == ["VDI.resize_online"]
    assert db.size() == LARGE and db.disk.free() > 800 * MIB
    again = db()
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_vm_whose_storage_cannot_do_that_is_restarted_only_where_it_may_be(guest: t.Any) -> None:
    db = guest()
    refused = db()
    assert refused.code != 0 and "restart VM 'db' to grow disk 'data'" in said(refused)
    assert db.changes() == [] and db.disk.free() < SMALL
    done = db(allow_disruption=True)
    assert (done.code, done.changed) == (0, 2), done.output
    assert [m for m in db.changes() if "config" not in m] == ["VM.clean_shutdown", "VDI.resize", "VM.start"]
    assert db.disk.free() > 800 * MIB
    assert db().changed == 0


def test_a_run_that_was_cut_off_after_the_disk_is_finished(guest: t.Any) -> None:
    db = guest()
    db.storage_grows_online()
    larger = {"name": "db", "disks": [{"position": 1, "size": LARGE}]}
    assert db.play("cut", {"tasks": [{"domzero.xen.xen_vm": larger}]}).code == 0
    assert db.size() == LARGE and db.disk.free() < SMALL
    done = db()
    assert (done.code, done.changed) == (0, 1), done.output
    assert db.changes() == ["VDI.resize_online"] and db.disk.free() > 800 * MIB


WRONG: list[tuple[dict[str, t.Any], str]] = [
    ({"size": "100 MiB"}, "is 400 MiB large, and does not shrink to 100 MiB"),
    ({"size": "large"}, "'large' is not a size"),
    ({"path": "/nowhere"}, "There is no /nowhere in the guest"),
    ({"vm": "web"}, "No VMs are called 'web'"),
    ({"position": 7}, "VM 'db' has no disk in position 7"),
    ({"position": 0}, "VM 'db' has no disk in position 0 with 419430400 bytes"),
    ({"position": None}, "VM 'db' has no disk that it calls loop"),
    ({"size": "900 TiB"}, "a VHD holds"),
]


def test_what_cannot_be_is_told_before_anything_is_changed(guest: t.Any) -> None:
    db = guest()
    db.storage_grows_online()
    ran = db.refused([variables for variables, _told in WRONG])
    assert ran.code == 0, ran.output
    for (variables, told), line in zip(WRONG, re.findall("refused: (.*?) :end", said(ran)), strict=True):
        assert told in line, variables
    assert db.changes() == [] and db.size() == SMALL


def test_a_partition_in_the_middle_is_told_before_the_disk_grows(guest: t.Any) -> None:
    db = guest(script="label: gpt\nsize=350MiB\n,\n")
    db.storage_grows_online()
    ran = db()
    assert ran.code != 0 and "p2 lies between it and the free room at the end of" in said(ran)
    assert db.changes() == [] and db.size() == SMALL
