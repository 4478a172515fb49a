# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role domu on a simulated Xen host: volumes and systems are real (image files that are mounted), domains are not."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT
from ansible_collections.domzero.xen.tests.tools.loop_disk import why_not

pytestmark = pytest.mark.slow(whole=True)

WITHIN = CHECKOUT / "tests/xl_simulator/within"
FILES = {
    "etc/os-release": "PRETTY_NAME=Tiny\n", "etc/shadow": "root:*:1::::::\n", "bin/sh": "#!", "usr/sbin/ifup": "#!",
    "boot/vmlinuz-6.1": "kernel", "boot/initrd.img-6.1": "ram disk",
}  # fmt: skip
ROLE = {"name": "domu", "ansible.builtin.include_role": {"name": "domzero.xen.domu"}}
Play = dict[str, t.Any]


class Lab:
    """Plays that run one after the other on a Xen host of their own."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "guests").mkdir()
        with tarfile.open(folder / "root.tar", "w") as tar:
            for name, text in FILES.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        self.variables: dict[str, t.Any] = {
            "ansible_python_interpreter": sys.executable, "domu_state_dir": str(folder / "state"),
            "domu_defaults": {
                "image_dir": str(folder / "guests"), "boot": "guest", "memory": 64, "wait": "running",
                "install": {"method": "tarball", "tarball": str(folder / "root.tar")},
                "system": {"root_password_hash": "$6$salt$secret"},
            },
        }  # fmt: skip

    def play(self, *guests: dict[str, t.Any], **more: t.Any) -> Play:
        return {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {**self.variables, "domu_guests": list(guests)},
            "tasks": [ROLE],
            **more,
        }

    def __call__(self, *plays: Play, status: int = 0) -> list[int]:
        """How many tasks of each play changed something (items of loops are counted one by one)."""
        book = self.folder / "play.yml"
        book.write_text(json.dumps(plays))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run([str(WITHIN), program, "-v", str(book)], capture_output=True, text=True, check=False)
        self.said = done.stdout + done.stderr
        assert (done.returncode != 0) == bool(status), self.said
        return [part.count("\nchanged: [") for part in done.stdout.split("\nPLAY [localhost]")[1:]]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    if os.geteuid():
        pytest.skip("needs root")
    if told := why_not("btrfs"):
        pytest.skip(told)
    return Lab(tmp_path)


WEB = {"name": "web", "root": {"size": "40 MiB"}, "swap": "8 MiB", "data": [{"name": "data", "size": "32 MiB", "mount": "/srv"}]}


def test_guests_are_made_once_as_predicted(lab: Lab) -> None:
    db = {"name": "db", "root": {"size": "40 MiB"}, "state": "stopped"}
    look = {"ansible.builtin.shell": "xl list; ls /etc/xen", "register": "seen", "changed_when": False}
    predicted, done, again, _seen = lab(
        lab.play(WEB, db, check_mode=True),
        lab.play(WEB, db),
        lab.play(WEB, db),
        lab.play(tasks=[look, {"ansible.builtin.debug": {"var": "seen.stdout"}}]),
    )
    assert predicted == done == 8  # four volumes, two systems, two domains
    assert again == 0
    assert "web.cfg" in lab.said and "db.cfg" in lab.said and "secret" not in lab.said
    assert "would be made" in lab.said


@pytest.mark.slow
def test_more_room_is_used_where_the_guest_is_stopped(lab: Lab) -> None:
    stopped = {**WEB, "state": "stopped"}
    larger = {**stopped, "root": {"size": "80 MiB"}}
    look = {"ansible.builtin.command": f"dumpe2fs -h {lab.folder}/guests/web-root.img"}
    lab(lab.play(stopped), lab.play(larger), lab.play(tasks=[look]))
    blocks = next(line for line in lab.said.replace("\\n", "\n").splitlines() if line.startswith("Block count:"))
    size = next(line for line in lab.said.replace("\\n", "\n").splitlines() if line.startswith("Block size:"))
    assert int(blocks.split()[-1]) * int(size.split()[-1]) == 80 << 20


def test_nothing_is_made_where_something_is_wrong(lab: Lab) -> None:
    lab(lab.play(WEB, {"name": "db", "root": {"size": "40 MiB"}, "nics": [{"bridge": "nobr0"}]}), status=2)
    assert "Guest db: Dom0 has no bridge nobr0." in lab.said
    assert not list((lab.folder / "guests").iterdir())


@pytest.mark.slow
def test_a_guest_goes_with_its_volumes(lab: Lab) -> None:
    gone = {**WEB, "state": "absent", "remove_volumes": True}
    lab(lab.play({**WEB, "state": "stopped"}), lab.play(gone))
    assert not list((lab.folder / "guests").iterdir())
