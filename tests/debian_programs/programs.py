# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ifup, ifdown, systemctl; and which program is which."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

State = dict[str, t.Any]
INTERFACES = Path("/etc/network/interfaces")


def main(name: str, arguments: list[str]) -> int:
    path = Path(os.environ["STAND_IN"])
    state: State = json.loads(path.read_text()) if path.exists() else {}
    status = run(name, arguments, state)
    path.write_text(json.dumps(state))
    return status


def run(name: str, arguments: list[str], state: State) -> int:
    from . import iscsi, lvm  # the folder's own, when it is known which is needed

    if name in ("ifup", "ifdown"):
        return (up if name == "ifup" else down)(arguments[-1])
    if name == "iscsiadm":
        return iscsi.run(arguments, state)
    if name in lvm.COMMANDS:
        return lvm.run(name, arguments, state)
    if name == "systemctl":
        return systemctl(arguments, state)
    return 0


def systemctl(arguments: list[str], state: State) -> int:
    enabled = state.setdefault("enabled", [])
    units = [word for word in arguments[1:] if not word.startswith("-")]
    if arguments[0] == "enable":
        enabled += units
    elif arguments[0] == "is-enabled":
        print("\n".join("enabled" if unit in enabled else "disabled" for unit in units))
    elif arguments[0] == "is-active":
        print("\n".join("inactive" for _unit in units))
    return 0


def stanzas(interface: str) -> list[tuple[str, dict[str, str]]]:
    """Method and options of each stanza of a device."""
    texts = [INTERFACES.read_text()]
    if "source /etc/network/interfaces.d/" in texts[0]:
        texts += [path.read_text() for path in sorted(Path("/etc/network/interfaces.d").iterdir())]
    found: list[tuple[str, dict[str, str]]] = []
    mine = False
    for line in "\n".join(texts).splitlines():
        words = line.split("#", 1)[0].split()
        if (words and words[0] in ("auto", "iface", "source")) or (words and words[0].startswith("allow-")):
            mine = words[0] == "iface" and words[1] == interface
            if mine:
                found.append((words[3], {}))
        elif words and mine:
            found[-1][1][words[0]] = " ".join(words[1:])
    return found


def ip(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], check=False, stderr=subprocess.DEVNULL).returncode == 0


def up(interface: str) -> int:
    told = stanzas(interface)
    if not told:
        print(f"ifup: unknown interface {interface}", file=sys.stderr)
        return 1
    for _method, options in told:
        if "bridge_ports" in options:
            ip("link", "add", "name", interface, "type", "bridge")
            for port in re.findall(r"(?!none\b)\S+", options["bridge_ports"]):
                if not ip("link", "set", "dev", port, "master", interface) or not ip("link", "set", "dev", port, "up"):
                    return 1
        if "mtu" in options:
            ip("link", "set", "dev", interface, "mtu", options["mtu"])
        ip("link", "set", "dev", interface, "up")
        if "address" in options:
            ip("address", "replace", options["address"], "dev", interface)
        if "gateway" in options and not ip("route", "replace", "default", "via", options["gateway"], "dev", interface):
            print("ifup: failed to bring up " + interface, file=sys.stderr)
            return 1
    return 0


def down(interface: str) -> int:
    told = stanzas(interface)
    ip("address", "flush", "dev", interface)
    if any("bridge_ports" in options for _method, options in told):
        ip("link", "delete", "dev", interface)
    else:
        ip("link", "set", "dev", interface, "down")
    return 0
