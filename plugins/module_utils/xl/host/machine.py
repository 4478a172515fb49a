# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine is, as its files say: the part that a Dom0 needs."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import typing as t
from pathlib import Path

# of the namespace of global variables (UEFI specification, 3.3); four bytes of attributes come before the value
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@dataclasses.dataclass(frozen=True)
class Machine:
    """Attributes: distribution ("debian"), version ("12"), name (both, as people say it), flags (of the first processor), memory (bytes the
    kernel has), free (bytes by folder), grub (its menu is there), dom0_kernels (those that can be Dom0), hypervisor (what this machine is
    itself a guest of, or ""), dom0 (runs under Xen as Dom0), kvm (users of the module kvm), packages (installed).
    """

    distribution: str = ""
    version: str = ""
    name: str = "an unknown system"
    architecture: str = ""
    flags: frozenset[str] = frozenset()
    memory: int = 0
    free: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    secure_boot: bool = False
    efi: bool = False
    grub: bool = False
    dom0_kernels: tuple[str, ...] = ()
    container: bool = False
    hypervisor: str = ""
    dom0: bool = False
    kvm: int = 0
    systemd: bool = False
    packages: frozenset[str] = frozenset()


def read(root: Path, *, dom0: bool, update_grub: bool) -> Machine:
    """The machine whose files are below `root`; only reads. dom0: whether it runs as Dom0; update_grub: whether it has that program."""
    system = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _text(root / "etc/os-release"), re.MULTILINE))
    processor = _text(root / "proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", processor, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    words = frozenset(flags[1].split()) if flags else frozenset()
    return Machine(
        distribution=system.get("ID", ""),
        version=system.get("VERSION_ID", ""),
        name=system.get("PRETTY_NAME") or system.get("ID") or "an unknown system",
        architecture=platform.machine(),
        flags=words,
        memory=int(memory[1]) * 1024 if memory else 0,
        free={folder: _free(root / folder.lstrip("/")) for folder in ("/", "/boot", "/usr", "/var")},
        secure_boot=_bytes(root / SECURE_BOOT)[4:5] == b"\x01",
        efi=(root / "sys/firmware/efi").exists(),
        grub=(root / "boot/grub/grub.cfg").exists() and update_grub,
        dom0_kernels=_dom0_kernels(root),
        container=(root / "run/systemd/container").exists(),
        hypervisor="" if dom0 else _guest_of(root, words),
        dom0=dom0,
        kvm=max((_number(root / f"sys/module/{name}/refcnt") for name in ("kvm_intel", "kvm_amd")), default=0),
        systemd=(root / "run/systemd/system").exists(),
        packages=_packages(_text(root / "var/lib/dpkg/status")),
    )


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0


def _free(path: Path) -> int:
    try:
        told = os.statvfs(path)
    except OSError:
        return 0
    return told.f_bavail * told.f_frsize


def _dom0_kernels(root: Path) -> tuple[str, ...]:
    """Those that GRUB's script makes entries of Xen for (20_linux_xen)."""
    names = sorted(path.name.partition("-")[2] for path in (root / "boot").glob("vmlinuz-*"))
    asks = ("CONFIG_XEN_DOM0=y", "CONFIG_XEN_PRIVILEGED_GUEST=y")
    return tuple(name for name in names if any(line in asks for line in _text(root / f"boot/config-{name}").splitlines()))


def _guest_of(root: Path, flags: frozenset[str]) -> str:
    if _text(root / "sys/hypervisor/type").strip() == "xen":
        return "Xen"
    if "hypervisor" not in flags:
        return ""
    maker = _text(root / "sys/class/dmi/id/sys_vendor").strip()
    return maker or "a hypervisor"


def _packages(status: str) -> frozenset[str]:
    """The packages that are installed, of dpkg's status file."""
    found = set()
    for paragraph in status.split("\n\n"):
        name = re.search(r"^Package: (\S+)$", paragraph, re.MULTILINE)
        if name and re.search(r"^Status: \S+ ok installed$", paragraph, re.MULTILINE):
            found.add(name[1])
    return frozenset(found)
