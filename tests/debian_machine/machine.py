# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine: made, changed, booted, and modules run on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.xl.boot.menu import Item, Menu, environment

HERE = Path(__file__).parent
PROGRAMS = HERE / "bin"
MODULES = "ansible_collections.domzero.xen.plugins.modules"
Result = dict[str, t.Any]
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
FLAGS = "fpu lm svm nx sse2"
# what is put where, in a namespace of its own
MOUNTS = """
set -e
mount --bind "$0/boot" /boot
mount --bind "$0/etc" /etc
mount --bind "$0/cmdline" /proc/cmdline
mount --bind "$0/cpuinfo" /proc/cpuinfo
mount --bind "$0/meminfo" /proc/meminfo
mount --bind "$0/status" /var/lib/dpkg/status
mount --bind "$0/sys" /sys
mount --bind "$0/run" /run
exec "$@"
"""


class Machine:
    """Attributes: folder (its files), first_on_path (a folder of programs that stand for others)."""

    def __init__(self, folder: Path):
        """The machine of a folder, which is made if it is not there."""
        self.folder = folder
        self.first_on_path: Path | None = None
        if not (folder / "boot").exists():
            self._make()

    def _make(self) -> None:
        folder = self.folder
        for name in ("boot/grub", "sys", "run/systemd/system"):
            (folder / name).mkdir(parents=True)
        # with users, certificates and what else programs look for, but nothing of GRUB and Xen
        subprocess.run(["cp", "-a", "/etc", str(folder / "etc")], check=True)
        for place in ("default", "xen", "os-release"):
            subprocess.run(["rm", "-rf", str(folder / "etc" / place)], check=True)
        self.write("etc/os-release", OS_RELEASE)
        self.write("cpuinfo", f"processor\t: 0\nflags\t\t: {FLAGS}\n")
        self.write("meminfo", "MemTotal:       16384000 kB\nMemFree:        16000000 kB\n")
        self.write("boot/vmlinuz-6.1.0-56-amd64", "")
        self.write("boot/config-6.1.0-56-amd64", "CONFIG_XEN_DOM0=y\n")
        self.write("boot/xen-4.17-amd64.gz", "")
        self.write("boot/grub/grub.cfg", (HERE / "grub.cfg").read_text())
        self.write("boot/grub/grubenv", "# GRUB Environment Block\n")
        self.write("etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX="console=ttyS0"\n')
        self.write("etc/xen/xl.conf", '## Global XL config file ##\n\n#autoballoon="auto"\n')
        self.write(
            "etc/default/xendomains",
            "# where to\nXENDOMAINS_SAVE=/var/lib/xen/save\nXENDOMAINS_RESTORE=true\nXENDOMAINS_STOP_MAXWAIT=300\n",
        )
        self.write("filesystem", "ext2")
        self.installed("xen-system-amd64", "python3-apt")
        self.boot("0")
        subprocess.run(self.command(["update-grub"]), env=self.env, check=True)  # as the packages do

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def installed(self, *packages: str) -> None:
        self.write("status", "".join(f"Package: {name}\nStatus: install ok installed\n\n" for name in packages))

    @property
    def menu(self) -> Menu:
        return Menu(self.read("boot/grub/grub.cfg"))

    @property
    def grubenv(self) -> dict[str, str]:
        return environment(self.read("boot/grub/grubenv"))

    def reboot(self, crashes: t.Callable[[Item], bool] = lambda entry: False) -> Item:
        """What GRUB does (its 00_header): the entry for once, else the default; after a crash of it, the default."""
        known = self.grubenv
        once = known.pop("next_entry", "")
        self.write("boot/grub/grubenv", "".join(f"{name}={value}\n" for name, value in known.items()))
        # the record has an entry as its default where none is saved
        default = known.get("saved_entry", "") if self.menu.saved else "Debian GNU/Linux, with Xen hypervisor"
        entry = self.menu.find(once or default)
        assert entry, once or default
        if crashes(entry):
            assert once, "it would crash again"
            return self.reboot(crashes)
        return self.boot(entry.path)

    def boot(self, path: str) -> Item:
        """Run this entry."""
        entry = self.menu.find(path)
        assert entry and entry.kernel is not None
        shutil.rmtree(self.folder / "sys")
        (self.folder / "sys").mkdir()
        self.write(
            "cmdline", " ".join(["placeholder" if entry.hypervisor is not None else "BOOT_IMAGE=/boot/vmlinuz", *entry.kernel]) + "\n"
        )
        if entry.hypervisor is not None:
            self.write("sys/hypervisor/type", "xen\n")
            self.write("sys/hypervisor/properties/features", "000228f0\n")
            self.write("hypervisor", " ".join(["placeholder", *entry.hypervisor]))
        return entry

    @property
    def env(self) -> dict[str, str]:
        places = [*filter(None, [self.first_on_path]), PROGRAMS, Path(sys.executable).parent, os.environ["PATH"]]
        return {**os.environ, "PATH": os.pathsep.join(map(str, places)), "DEBIAN_MACHINE": str(self.folder)}

    def command(self, words: t.Sequence[str]) -> list[str]:
        """As it is run on the machine."""
        return ["unshare", "--mount", "bash", "-c", MOUNTS, str(self.folder), *words]

    def module(self, name: str, *, check: bool = False, **options: t.Any) -> Result:
        """What it returns, as Ansible gets it. Warnings are in "warnings"."""
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True, "_ansible_remote_tmp": str(self.folder)}
        words = [sys.executable, "-m", f"{MODULES}.{name}"]
        given = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
        done = subprocess.run(self.command(words), env=self.env, input=given, capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.strip().startswith("{"), done.stdout + done.stderr
        result: Result = json.loads(done.stdout)
        # newer releases of ansible-core have more to say of a warning than its text
        result["warnings"] = [told["event"]["msg"] if isinstance(told, dict) else told for told in result.get("warnings", [])]
        return result


def why_not() -> str:
    """Why there cannot be such a machine here; "" where there can."""
    if os.geteuid() != 0:
        return "only root can make mount namespaces"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""
