# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host: one JSON file in a folder, read and written under a lock, so that several commands may run at once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t
from pathlib import Path

Json = dict[str, t.Any]
INFO = """host: xenhost
release: 6.1.0-56-amd64
version: #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)
machine: x86_64
nr_cpus: 2
max_cpu_id: 1
nr_nodes: 1
cores_per_socket: 2
threads_per_core: 1
cpu_mhz: 2596.124
hw_caps: 178bf3fd:80982201:20100800:00000007:00000000:00000000:00000000:00000000
virt_caps: pv hvm hap gnttab-v1 gnttab-v2
total_memory: 4095
free_memory: 3028
sharing_freed_memory: 0
sharing_used_memory: 0
outstanding_claims: 0
free_cpus: 0
xen_major: 4
xen_minor: 17
xen_extra: .7
xen_version: 4.17.7
xen_caps: xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 \n\
xen_scheduler: credit2
xen_pagesize: 4096
platform_params: virt_start=0xffff800000000000
xen_changeset: \n\
xen_commandline: placeholder dom0_mem=1024M,max:1024M dom0_max_vcpus=2 console=com1 com1=115200,8n1
cc_compiler: x86_64-linux-gnu-gcc (Debian 12.2.0-14+deb12u1) 12.2.0
cc_compile_by: pkg-xen-devel
cc_compile_domain: lists.alioth.debian.org
cc_compile_date: Wed Nov  4 16:52:28 UTC 2026
build_id: 151b373fd64b321593bf987fd923cd10dabadac4
xend_config_format: 4"""
FILES = ["/vmlinuz", "/root/domu-initrd.gz", "/dev/vg0/pv1-disk", "/dev/vg0/pv1-data", "/root/file.img"]


def fresh(name: str = "xenhost") -> Json:
    """A host without domUs, as it was recorded. `files` and `bridges` are there although the machine of the test has none."""
    info = dict(line.split(": ", 1) for line in INFO.split("\n"))
    return {
        "info": {**info, "host": name}, "next_domid": 1, "started": time.time(), "domains": {}, "files": FILES, "bridges": ["xenbr0"],
        "mounts": {}, "guests": {}, "cpupools": [{"name": "Pool-0", "sched": "credit2", "cpus": [0, 1]}], "counts": {},
        "stale_vifs": [], "memory_of_dom0": 1024, "ptys": 0,
    }  # fmt: skip


class Host:
    """`with host.locked() as state:` reads, and writes what was changed."""

    def __init__(self, folder: Path):
        self.folder, self.name = folder, folder.name

    @property
    def file(self) -> Path:
        return self.folder / "state.json"

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[Json]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads(self.file.read_text()) if self.file.exists() else fresh(self.name)
            before = json.dumps(state)
            try:
                yield state
            finally:  # what a command did before it failed stays done
                after = json.dumps(state)
                if after != before or not self.file.exists():
                    written = self.file.with_suffix(".new")
                    written.write_text(after)
                    written.replace(self.file)

    def beside(self, name: str) -> Host | None:
        """The host of that name in the same folder; localhost is this one."""
        if name in ("localhost", "127.0.0.1", self.name):
            return self
        other = self.folder.parent / name
        return Host(other) if other.is_dir() else None


def here() -> Host:
    folder = os.environ.get("XL_SIM_STATE")
    if not folder:
        raise SystemExit("xl-sim: XL_SIM_STATE names the folder of the host's state; see tests/xl_simulator/README.md")
    return Host(Path(folder))


def domain_named(state: Json, said: str) -> Json | None:
    """By name or number, as libxl_domain_qualifier_to_domid."""
    for domain in state["domains"].values():
        if str(domain["domid"]) == said or domain["config"]["c_info"]["name"] == said:
            return t.cast("Json", domain)
    return None


def there(state: Json, path: str) -> bool:
    return path in state["files"] or Path(path).exists()


def free_memory(state: Json) -> int:
    """MiB."""
    used = sum(int(domain["memkb"]) for domain in state["domains"].values()) // 1024
    return int(state["info"]["free_memory"]) - used
