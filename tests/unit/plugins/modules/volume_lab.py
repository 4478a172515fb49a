# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with simulated volume groups, a simulated xl and real image files, for the tests of volumes."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.domzero.xen.plugins.module_utils.xl.step import Step, carry_out
from ansible_collections.domzero.xen.plugins.module_utils.xl.tool import Tool
from ansible_collections.domzero.xen.plugins.module_utils.xl.volume import manage
from ansible_collections.domzero.xen.tests.lvm_simulator.running import Groups, lvm
from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused, Result, XlHost

MIB = 1 << 20
MODULES = "ansible_collections.domzero.xen.plugins.modules"
CFG = 'name = "{name}"\ntype = "pvh"\nkernel = "/vmlinuz"\nmemory = 64\ndisk = ["{disk}"]\n'
LACKING = [tool for tool in ("qemu-img", "mkfs.ext4", "mkfs.xfs", "blkid") if not shutil.which(tool)]


def run_module(name: str, /, *, check: bool = False, **options: t.Any) -> Result:
    out = io.StringIO()
    arguments = {"_ansible_check_mode": check, "_ansible_diff": True, **options}
    with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        importlib.import_module(f"{MODULES}.{name}").main()
    result = t.cast("Result", json.loads(out.getvalue()))
    if result.get("failed"):
        raise Refused(result)
    return result


class Cut(BaseException):
    """The machine goes down."""


class VolumeLab:
    """host: its xl; groups: its LVM; images: a folder."""

    def __init__(self, host: XlHost, groups: Groups, images: Path):
        self.host, self.groups, self.images, self.domains = host, groups, images, False
        images.mkdir()

    def run(self, module: str, /, *, check: bool = False, **options: t.Any) -> Result:
        """Raises Refused. There is an xl where a domain runs."""
        with self.host.at_hand() if self.domains else contextlib.nullcontext():
            return run_module(module, check=check, **options)

    def converges(self, module: str = "xl_volume", /, **options: t.Any) -> Result:
        """Check mode, real, again; check mode and the second run touch no volume group and no file."""
        seen = self.seen()
        predicted = self.run(module, check=True, **options)
        assert self.seen() == seen, "check mode changed something"
        done = self.run(module, **options)
        for key in ("changed", "commands", "diff"):
            assert predicted[key] == done[key]
        seen = self.seen()
        assert self.run(module, **options)["changed"] is False
        assert self.seen() == seen, "the second run changed something"
        return done

    def warned(self, module: str = "xl_volume", /, **options: t.Any) -> str:
        """The warnings of a task, which is not run."""
        return str((self.host.module_apart(module, check=True, **options) or {}).get("warnings"))

    def make(self, **options: t.Any) -> Result:
        """What a test needs before."""
        return self.run("xl_volume", **options)

    def seen(self) -> t.Any:
        return self.groups.calls(), sorted((path.name, path.stat().st_mtime_ns) for path in self.images.iterdir())

    def refused(self, module: str = "xl_volume", /, **options: t.Any) -> str:
        """The same sentence in check mode and in a real run, which changes nothing."""
        seen, told = self.seen(), []
        for check in (True, False):
            with pytest.raises(Refused) as caught:
                self.run(module, check=check, **options)
            told.append(str(caught.value))
        assert told[0] == told[1]
        assert self.seen() == seen
        return told[0]

    def image(self, name: str) -> Path:
        return self.images / name

    def domain_with(self, disk: str, name: str = "web") -> None:
        """A running domain."""
        self.domains = True
        cfg = self.images.parent / f"{name}.cfg"
        cfg.write_text(CFG.format(name=name, disk=disk))
        done = self.host.xl("create", str(cfg))
        assert done.returncode == 0, done.stderr

    def cut_hard(self, module: t.Any, after: int, **options: t.Any) -> int:
        """As cut, by what lets a process clean nothing up."""
        child = os.fork()
        if not child:
            count = 99
            try:
                count = self.cut(module, after, hard=True, **options)
            finally:
                os._exit(count)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def cut(self, module: t.Any, after: int, *, hard: bool = False, **options: t.Any) -> int:
        """Runs a task until so many of its steps are done, and then something fails; tells how many it has."""
        defaults = {key: option.get("default") for key, option in module.OPTIONS.items()}
        planned: list[Step] = []

        def some(steps: t.Sequence[Step]) -> list[str]:
            planned.extend(steps)
            carry_out(steps[:after], Tool())
            if hard:
                os._exit(len(planned))
            raise Cut

        with contextlib.suppress(Cut), self.host.at_hand() if self.domains else contextlib.nullcontext():
            module.manage(Tool(), {**defaults, **options}, some, False)
        return len(planned)


@pytest.fixture
def lab(tmp_path: Path) -> t.Iterator[VolumeLab]:
    if LACKING:
        pytest.skip(f"needs {', '.join(LACKING)}")
    with lvm(tmp_path / "lvm") as groups:
        yield VolumeLab(XlHost(tmp_path / "site"), groups, tmp_path / "images")


def said(*command: object) -> str:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout


def kind_of(path: Path) -> str:
    """What blkid says of a raw image or a simulated volume."""
    return subprocess.run(["blkid", "-p", "-s", "TYPE", "-o", "value", path], capture_output=True, text=True, check=False).stdout.strip()


def written(path: Path, text: str = "kept", at: int = 0) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(text.encode())


__all__ = ["LACKING", "MIB", "Cut", "Refused", "VolumeLab", "kind_of", "lab", "manage", "said", "written"]
