# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real host said (tests/data/xl), said again by the simulated one: the same lines and exit statuses."""

from __future__ import annotations

import re
import subprocess
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.xl_simulator.running import XlHost

DATA = Path(__file__).resolve().parents[2] / "data/xl"
BASE = 'type = "pv"\nname = "e1"\nkernel = "/vmlinuz"\nramdisk = "/root/domu-initrd.gz"\nmemory = 128\n'
PV0 = 'type = "pv"\nname = "pv0"\nkernel = "/vmlinuz"\nramdisk = "/root/domu-initrd.gz"\nextra = "console=hvc0 hn=pv0"\nmemory = 128\n'
PVH = 'type = "pvh"\nname = "pvh1"\nkernel = "/vmlinuz"\nramdisk = "/root/domu-initrd.gz"\nextra = "console=hvc0 hn=pvh1"\nmemory = 192\n'
# What /etc/xen/e.cfg held at each `xl create` of the recording of errors.
WRONG = [
    BASE.replace("/vmlinuz", "/boot/nosuch"),
    BASE + 'vif = ["bridge=nosuchbr"]\n',
    BASE + 'disk = ["phy:/dev/vg0/nosuch,xvda,w"]\n',
    BASE.replace("128", "3500"),
    BASE.replace("e1", "pv0"),
    'type = "pv"\nname = "e1"\n\n\nmemory =\n',
    'type = "pv"\nname = "e1"\n\n\nmemory =\n',
    BASE + "nosuchkey = 1\n",
    BASE.replace('name = "e1"', ""),
    'type = "pv"\nname = "e1"\nmemory = 128\n',
    BASE + "vcpus = 2\nmaxvcpus = 1\n",
    BASE + 'disk = ["bogus-disk-spec"]\n',
    BASE + 'vif = ["mac=zz,bridge=xenbr0"]\n',
    BASE,
]
MASKS = [
    (r"(?m)^(\S+ +\d+ +\d+ +\d+ +[rbpscSwd-]{6}) +\d+\.\d", r"\1 TIME"),  # xl list
    (r"(?:r-----|-b----|------) TIME", "running TIME"),
    (r"(?m)^(\S+ +\d+ +\d+) +[\d-]+ +(\S+) +\d+\.\d", r"\1 CPU \2 TIME"),  # xl vcpu-list; where and how it just ran
    (r"(?m)^(\S+ +\d+ +\d+ CPU) (?:r--|-b-|---) ", r"\1 online "),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\[\d+\] exited", "[PID] exited"),
    (r"00:16:3e:(?!aa:00|00:00)[0-9a-f:]{8}", "MAC"),
    (r"mfn 0x[0-9a-f]+", "mfn"),
    (r"info 0x3/0x0/\d+", "info"),
    (r"(?m)^(\d+ +\d+ +\d+ +\d+) +\d+ +\d+ +/", r"\1 /"),  # xl block-list: event channel and ring
    (r"-1 +\d+/\d+ +/", "-1 /"),  # xl network-list
    (r"(Frames: \d+/\d+ +)\d+%", r"\1"),
    (r"Domain-0 .*\n", ""),  # other recordings have another Dom0, and other domains beside
    (r"(?m)^(?:domu-a|volume-d|volume-f) .*\n", ""),
    (r"(?m)^free_memory.*\n|^cpu_mhz.*\n|^xen_commandline.*\n", ""),
]


@dataclass
class Told:
    command: str
    out: str = ""
    err: str = ""
    status: int = 0


def read(path: Path) -> list[Told]:
    """A transcript; what stands between the end of a command and the next one is nobody's."""
    told: list[Told] = []
    ended = True
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("$ "):
            told.append(Told(line[2:].rstrip("\n")))
            ended = False
        elif ended:
            continue
        elif match := re.fullmatch(r"\[rc=(\d+) \d+ms\]\n?", line):
            told[-1].status, ended = int(match[1]), True
        elif line.startswith("[stderr] "):
            told[-1].err += line[len("[stderr] ") :]
        else:
            told[-1].out += line
    return told


@dataclass
class Scene:
    """A recording, and what was so before it began. `files`: configurations; `each`: what is written into one before each create."""

    recording: str
    next_domid: int = 1
    files: dict[str, str] = field(default_factory=dict)
    running: tuple[tuple[str, int], ...] = ()  # files of domains, with their numbers
    each: tuple[str, list[str]] = ("", [])
    without: str = "^$"  # commands that nobody simulates
    info: dict[str, str] = field(default_factory=dict)


LAB = {path.name: path.read_text() for path in sorted((DATA / "lab/configs").glob("*.cfg"))}
SMALL = {"pv.cfg": LAB["pv.cfg"].replace("memory=104", "memory=64").replace("maxmem=136", "maxmem=96")}
PV1 = (DATA / "outputs/t4-lvm-bridge-transcript.out").read_text().split("$ ", 1)[0]  # begins with the file
PV3 = PV1.replace("pv1", "pv3").replace("00:11", "00:33").replace("10.99.0.11", "10.99.0.13")
PV3 = "\n".join(line for line in PV3.splitlines() if not line.startswith("disk")) + "\n"
BALLOONING = {"xen_commandline": "placeholder"}
BOTH = {"pv0.cfg": PV0, "pv1.cfg": PV1}
SCENES = {
    "errors": Scene("outputs/errors-transcript.out", 7, BOTH, (("pv0.cfg", 3),), ("e.cfg", WRONG), without="^xl migrate"),
    "life": Scene("outputs/lifecycle-transcript.out", 5, BOTH, (("pv0.cfg", 3), ("pv1.cfg", 4)), without="^(ping|true|xl config-update)"),
    "life2": Scene("outputs/lifecycle2/transcript.out", 16, {"pv3.cfg": PV3, "pv4.cfg": PV3.replace("pv3", "pv4")}),
    "disks and bridges": Scene("outputs/t4-lvm-bridge-transcript.out", 4, BOTH, (("pv0.cfg", 3),), without="^(?!xl )"),
    "create in the lab": Scene(
        "lab/create.transcript", 3, {**LAB, **SMALL}, without="n(2|3).cfg|^xl create -p|^xenstore-list /local", info=BALLOONING
    ),
    "devices in the lab": Scene("lab/devices.transcript", 14, LAB, (("pv.cfg", 13),), without="^(sleep|head|rm)", info=BALLOONING),
    "migration": Scene("outputs/migrate2/transcript.out", 1, {"pvh.cfg": PVH}),
    # the domain of that recording was not yet ready, which is told of no vCPU as running
    "tuning in the lab": Scene("lab/tuning.transcript", 24, LAB, (("pv.cfg", 23),), without="vcpu-list", info=BALLOONING),
}


def masked(text: str) -> str:
    for pattern, by in MASKS:
        text = re.sub(pattern, by, text)
    return text


@pytest.fixture
def host(tmp_path: Path) -> XlHost:
    (tmp_path / "files").mkdir()
    return XlHost(tmp_path)


def prepare(host: XlHost, scene: Scene, moved: t.Callable[[str], str]) -> Path:
    folder = host.folder.parent / "files"
    for name, text in scene.files.items():
        (folder / name).write_text(moved(text))
    for name in ("domu-initrd.gz", "file.img", "d.img", "e.img"):
        (folder / name).touch()
    with host.change() as state:
        state["info"] |= scene.info
    for name, number in scene.running:
        with host.change() as state:
            state["next_domid"] = number
        assert host.xl("create", str(folder / name)).returncode == 0
    with host.change() as state:
        state["next_domid"] = scene.next_domid
    return folder


@pytest.mark.parametrize("name", SCENES)
def test_what_a_real_host_said_is_said_again(host: XlHost, name: str) -> None:
    scene = SCENES[name]
    folder = host.folder.parent / "files"

    def moved(text: str) -> str:
        return re.sub(r"/etc/xen/(?!scripts)|/root/(?:info/)?", f"{folder}/", text)

    prepare(host, scene, moved)
    host.beside("192.168.77.2")
    file, contents = scene.each
    upcoming = list(contents)
    for step in read(DATA / scene.recording):
        if re.search(scene.without, step.command):
            continue
        if file and re.search(f"xl create (-n )?\\S*{file}", step.command):
            (folder / file).write_text(moved(upcoming.pop(0)))
        done = subprocess.run(["bash", "-c", moved(step.command)], env=host.env, cwd=folder, capture_output=True, text=True, check=False)
        if "crash.cfg" in step.command:
            host.crashes("info-crash")
        told, expected = (done.stdout, done.stderr, done.returncode), (moved(step.out), moved(step.err), step.status)
        assert [masked(str(one)) for one in told] == [masked(str(one)) for one in expected], step.command
