# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest says it is, by the template it came from (VM.reference_label, else the template's name)."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from .database import Record

DEBIAN = {"name": "Debian GNU/Linux 12 (bookworm)", "uname": "6.1.0-18-amd64", "distro": "debian", "major": "12", "minor": "0"}
CODE_NAMES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
# stem of the label -> distro, name, kernel
LINUX = {
    "alma": ("almalinux", "AlmaLinux {}", "5.14.0-427.el9.x86_64"),
    "centos": ("centos", "CentOS Linux {}", "5.14.0-427.el9.x86_64"),
    "centos-stream": ("centos", "CentOS Stream {}", "4.18.0-500.el8.x86_64"),
    "debian": ("debian", "Debian GNU/Linux {}", "6.1.0-18-amd64"),
    "oel": ("oracle", "Oracle Linux Server {}", "5.15.0-200.el9uek.x86_64"),
    "rhel": ("rhel", "Red Hat Enterprise Linux {}", "5.14.0-427.el9.x86_64"),
    "rocky": ("rocky", "Rocky Linux {}", "5.14.0-427.el9.x86_64"),
    "sl": ("scientific", "Scientific Linux {}", "2.6.32-754.el6.x86_64"),
    "sle": ("sles", "SUSE Linux Enterprise Server {}", "5.3.18-22-default"),
    "sled": ("sled", "SUSE Linux Enterprise Desktop {}", "4.4.73-5-default"),
    "sles": ("sles", "SUSE Linux Enterprise Server {}", "4.4.73-5-default"),
    "ubuntu": ("ubuntu", "Ubuntu {} LTS", "6.8.0-31-generic"),
}
WINDOWS = {"10": "19045", "11": "26100", "2016": "14393", "2019": "17763", "2022": "20348", "2025": "26100"}  # version -> build
_LABEL = re.compile(r"(?P<stem>[a-z]+(?:-stream)?)-(?P<major>\d+)(?:\.(?P<minor>\d+)|-sp(?P<pack>\d+))?(?:-(?:32|64)bit)?")
_WINDOWS = re.compile(r"windows-(?P<server>server-)?(?P<version>\d+)(?:-64bit)?")


def os_version(record: Record) -> dict[str, str]:
    """name, uname, distro, major, minor (Windows: build too); Debian where the template tells nothing."""
    label = record["reference_label"] or _as_label(record["other_config"].get("base_template_name", ""))
    return _windows(label) or _linux(label) or dict(DEBIAN)


def _as_label(name: str) -> str:
    """``Debian Bookworm 12`` -> ``debian-12``; ``Windows Server 2022 (64-bit)`` -> ``windows-server-2022-64bit``."""
    words = re.sub(r"[()]", "", name).lower().replace("-bit", "bit").split()
    if words[:1] == ["windows"]:
        return "-".join(words)
    numbers = [word for word in words if word[0].isdigit() and not word.endswith("bit")]
    return f"{words[0]}-{numbers[0]}" if numbers else ""


def _windows(label: str) -> dict[str, str] | None:
    found = _WINDOWS.fullmatch(label)
    if not found:
        return None
    version, build = found["version"], WINDOWS.get(found["version"], "20348")
    name = f"Microsoft Windows Server {version} Standard" if found["server"] else f"Microsoft Windows {version} Pro"
    place = "|C:\\Windows|\\Device\\Harddisk0\\Partition2"
    return {"name": name + place, "distro": "windows", "major": "10", "minor": "0", "build": build, "uname": ""}


def _linux(label: str) -> dict[str, str] | None:
    found = _LABEL.fullmatch(label)
    if not found or found["stem"] not in LINUX:
        return None
    distro, name, kernel = LINUX[found["stem"]]
    minor = found["minor"] or found["pack"] or ""
    version = found["major"] + (f".{minor}" if found["minor"] else f" SP{minor}" if found["pack"] else "")
    code = f" ({CODE_NAMES[version]})" if distro == "debian" and version in CODE_NAMES else ""
    return {"name": name.format(version) + code, "uname": kernel, "distro": distro, "major": found["major"], "minor": minor or "0"}
