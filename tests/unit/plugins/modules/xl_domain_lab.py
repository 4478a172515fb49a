# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated Xen host with folders of its own, and a domain to begin with."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.xl_simulator.running import Result, XlHost, xl_host

UUID = "6b0c4a5e-8d1f-4c3a-9e57-0d1a2b3c4d5e"


class Lab:
    """Attributes: host, folder (with the files vmlinuz, initrd, web.img, data.img), etc (config_dir)."""

    def __init__(self, host: XlHost, folder: Path):
        self.host, self.folder, self.etc = host, folder, folder / "xen"
        self.etc.mkdir()
        for name in ("vmlinuz", "vmlinuz-new", "initrd", "web.img", "data.img"):
            (folder / name).touch()
        with host.change() as state:
            state["bridges"].append("lo")  # the interface that every machine has stands for a bridge

    @property
    def fixed(self) -> dict[str, t.Any]:
        return {"config_dir": str(self.etc), "save_path": str(self.folder / "saved" / "web")}

    @property
    def web(self) -> dict[str, t.Any]:
        """What describes the domain web."""
        return {
            "name": "web", "uuid": UUID, "type": "pvh", "kernel": str(self.folder / "vmlinuz"), "ramdisk": str(self.folder / "initrd"),
            "extra": "console=hvc0", "memory": 128, "maxmem": 256, "vcpus": 1, "maxvcpus": 2, "disk": [self.disk("web", "xvda")],
            "vif": [{"mac": "00:16:3e:10:00:01", "bridge": "lo"}],
        }  # fmt: skip

    def disk(self, name: str, vdev: str) -> dict[str, t.Any]:
        return {"target": str(self.folder / f"{name}.img"), "vdev": vdev, "format": "raw", "access": "rw"}

    def do(self, **options: t.Any) -> Result:
        """What a task has to do: predict, do, and then do nothing."""
        return self.host.converges("xl_domain", **{**self.fixed, "name": "web", **options})

    def once(self, **options: t.Any) -> Result:
        return self.host.module("xl_domain", **{**self.fixed, "name": "web", **options})

    def cut(self, **options: t.Any) -> Result | None:
        """In a process of its own; None where it was killed."""
        return self.host.module_apart("xl_domain", **{**self.fixed, "name": "web", **options})

    def xl(self, result: Result) -> list[str]:
        """The commands of xl in it, with the folder of the test left out."""
        return [line.replace(f"{self.folder}/", "") for line in result["commands"] if line.startswith("xl ")]

    @property
    def file(self) -> str:
        return (self.etc / "web.cfg").read_text()


@contextlib.contextmanager
def lab(folder: Path) -> t.Iterator[Lab]:
    with xl_host(folder / "site") as host:
        yield Lab(host, folder)
