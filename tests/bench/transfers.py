# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with a VM of four GiB, and its way to a file and back: by a module in a process of its own, and by curl."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import typing as t
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

GIB = int(os.environ.get("BENCH_BYTES", 1 << 30))  # less for a look at the bench itself
SIZE = 4 * GIB
ROUNDS = 3
NULL = "OpaqueRef:NULL"
# a process of its own, since a process counts the memory of the one it was forked from as its own
STOPWATCH = """
import os, subprocess, sys, time
started = time.monotonic()
process = subprocess.Popen(sys.argv[1:])
_pid, status, usage = os.wait4(process.pid, 0)
ended = time.monotonic()
if os.environ.get("SYNC"):
    subprocess.run(["sync", os.environ["SYNC"]])
print()
print(ended - started, usage.ru_maxrss, time.monotonic() - started)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Run(t.NamedTuple):
    """seconds; peak: the most memory the process had, in MiB; synced: seconds until what it wrote was on the disk."""

    seconds: float
    peak: float
    synced: float


class Lab:
    """big is a halted VM with one full disk. folder: on the same disk for everybody."""

    def __init__(self, sim: InProcess, folder: Path):
        self.sim, self.folder, self.host = sim, folder, sim.hosts[0]
        self.session = Session(Endpoint.parse(self.host.url, fingerprints=(self.host.fingerprint_sha256,)))
        self.session.log_in(sim.username, sim.password)
        db = sim.world.pools[0].db
        self.sr = str(db.find("SR", name_label="Local storage")[0])
        self.vm = str(self.session.call("VM.clone", db.find("VM", name_label="Other install media")[0], "big"))
        self.session.call("VM.provision", self.vm)
        plain = {"sharable": False, "read_only": False, "other_config": {}, "type": "user"}
        vdi = self.session.call("VDI.create", {"name_label": "big", "SR": self.sr, "virtual_size": SIZE, **plain})
        drive = {"VM": self.vm, "VDI": vdi, "userdevice": "0", "bootable": True, "mode": "RW", "type": "Disk", "unpluggable": True}
        qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
        self.session.call("VBD.create", {**drive, **qos, "empty": False, "other_config": {}})
        sim.disks.fill(str(db.get("VDI", vdi)["uuid"]), 0, SIZE, "bench")

    def remove(self, name: str) -> None:
        """VMs of that name with their disks."""
        rows = self.session.call("VM.get_all_records")
        vbds = self.session.call("VBD.get_all_records")
        for ref, row in rows.items():
            if row["name_label"] == name:
                for vbd in row["VBDs"]:
                    if vbds[vbd]["VDI"] != NULL:
                        self.session.call("VDI.destroy", vbds[vbd]["VDI"])
                self.session.call("VM.destroy", ref)

    def module(self, module: str, /, **params: t.Any) -> Run:
        """The module as an ordinary one: a process of its own."""
        login = {"hostname": self.host.url, "username": self.sim.username, "password": self.sim.password}
        given = {**login, "fingerprint": [self.host.fingerprint_sha256], **params}
        file = self.folder / "arguments.json"
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": given}))
        return self.timed(sys.executable, "-m", f"ansible_collections.domzero.xen.plugins.modules.{module}", str(file))

    def curl(self, path: str, /, *options: str, written: str = "", **query: str) -> Run:
        """written: the file, which a module has on the disk when it ends and curl has not."""
        arguments = "&".join(f"{key}={value}" for key, value in {"session_id": self.session.handle, **query}.items())
        return self.timed("curl", "--silent", "--fail", "--insecure", *options, f"{self.host.url}{path}?{arguments}", written=written)

    @staticmethod
    def timed(*command: str, written: str = "") -> Run:
        os.sync()  # nobody pays for what the one before has left to be written
        environment = {**os.environ, "SYNC": written}
        done = subprocess.run([sys.executable, "-c", STOPWATCH, *command], capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        seconds, peak, synced = done.stdout.splitlines()[-1].split()
        return Run(float(seconds), float(peak) / 1024, float(synced))


@contextmanager
def lab() -> t.Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="xen-bench-") as folder, InProcess(site.build(site.of_hosts(1), speed=0), watch=False) as sim:
        made = Lab(sim, Path(folder))
        try:
            yield made
        finally:
            made.session.log_out()


def compared(ours: t.Sequence[Run], theirs: t.Sequence[Run]) -> dict[str, t.Any]:
    """ratio: of the throughputs, by the medians of runs that took turns, both with what they wrote on the disk."""
    mine, curls = (statistics.median(run.synced for run in runs) for runs in (ours, theirs))
    unsynced = statistics.median(run.seconds for run in theirs)
    return {
        "mib_per_s": round(SIZE / mine / (1 << 20), 1),
        "curl_mib_per_s": round(SIZE / curls / (1 << 20), 1),
        "ratio": round(curls / mine, 3),
        "ratio_curl_unsynced": round(unsynced / mine, 3),
        "peak_mib": round(max(run.peak for run in ours), 1),
    }
