# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for a guest: until its SSH server, its console or nothing of it answers."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
import typing as t

from ...errors import Timeout, XenError
from .machine import Machine, environment

LEASES = ("/var/lib/misc/dnsmasq.leases", "/var/lib/dnsmasq/dnsmasq.leases", "/var/lib/NetworkManager/dnsmasq.leases")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b-\x1f\x7f]")
LOGS = "/var/log/xen/console"  # where xenconsoled(8) keeps what guests say, if it was started with --log=guest
LOGIN = re.compile(r"login: ?$", re.MULTILINE)


def domain_id(machine: Machine, name: str) -> str:
    """ "" if no domain of that name is there."""
    status, out = machine.ask("xl", "domid", name)
    return out.strip() if status == 0 else ""


def addresses(machine: Machine, macs: t.Iterable[str], leases: t.Iterable[str] = LEASES) -> list[str]:
    """What Dom0 knows of who has these MAC addresses: leases of its DHCP server, then its neighbours."""
    wanted = {mac.lower() for mac in macs}
    found = []
    for path in leases:
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                rows = [line.split() for line in file]
            found += [row[2] for row in rows if len(row) > 2 and row[1].lower() in wanted]
    _status, out = machine.ask("ip", "neighbour")
    for line in out.splitlines():
        words = line.split()
        if "lladdr" in words and words[words.index("lladdr") + 1].lower() in wanted and words[-1] not in ("FAILED", "INCOMPLETE"):
            found.append(words[0])
    return [one for one in dict.fromkeys(found) if not one.startswith("fe80:")]


def greets(address: str, port: int, timeout: float = 5) -> bool:
    """Whether an SSH server says who it is there."""
    try:
        with socket.create_connection((address, port), timeout) as made:
            made.settimeout(timeout)
            return made.recv(4) == b"SSH-"
    except OSError:
        return False


def console(name: str, seconds: float = 5, program: str = "xl") -> str:
    """What the guest's console says when somebody presses Enter, without what moves the cursor. Empty if it says nothing."""
    master, slave = pty.openpty()
    try:
        child = subprocess.Popen(
            [program, "console", name], stdin=slave, stdout=slave, stderr=subprocess.STDOUT, env=environment(), start_new_session=True
        )
        os.close(slave)
        try:
            return _read(master, seconds)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    finally:
        os.close(master)


def _read(master: int, seconds: float) -> str:
    end, told, pressed = time.monotonic() + seconds, b"", False
    while time.monotonic() < end:
        ready, _w, _x = select.select([master], [], [], 0.5)
        if ready:
            try:
                told += os.read(master, 65536)
            except OSError:
                break
        elif not pressed:
            os.write(master, b"\r")
            pressed = True
    return _plain(told)


def _plain(told: bytes) -> str:
    text = ESCAPES.sub("", told.decode("utf-8", errors="replace").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def logged(name: str, folder: str = LOGS, lines: int = 15) -> str:
    """What the guest said last, if Dom0 keeps it."""
    try:
        with open(os.path.join(folder, f"guest-{name}.log"), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            return "\n".join(_plain(file.read()).splitlines()[-lines:])
    except OSError:
        return ""


def await_guest(
    machine: Machine, name: str, wait_for: str, timeout: float, *, address: str = "", macs: t.Sequence[str] = (), port: int = 22
) -> dict[str, t.Any]:
    """Raises Timeout and XenError, with what the console last said."""
    begun = time.monotonic()
    while True:
        there = bool(domain_id(machine, name))
        if wait_for == "off" or wait_for == "none":
            if not there or wait_for == "none":
                return {"address": address, "waited": round(time.monotonic() - begun)}
        elif not there:
            raise _gone(name)
        elif wait_for == "running" or (wait_for == "console" and LOGIN.search(console(name))):
            return {"address": address, "waited": round(time.monotonic() - begun)}
        elif wait_for == "ssh":
            for place in [address] if address else addresses(machine, macs):
                if greets(place, port):
                    return {"address": place, "waited": round(time.monotonic() - begun)}
        if time.monotonic() - begun > timeout:
            raise _late(name, wait_for, timeout, address)
        time.sleep(2)


def _gone(name: str) -> XenError:
    said = logged(name)
    told = f"Domain {name} is not there any more: it has stopped or crashed while it was waited for."
    if said:
        return XenError(f"{told} Its console said last: {said}", facts={"console": said})
    return XenError(told, hint="Dom0's /var/log/xen tells of it, and what its console says where xenconsoled has --log=guest.")


def _late(name: str, wait_for: str, timeout: float, address: str) -> Timeout:
    what = {
        "ssh": f"has no SSH server that answers{f' at {address}' if address else ', and Dom0 knows no address of it'}",
        "console": "has not asked for a login on its console", "off": "has not switched itself off",
    }[wait_for]  # fmt: skip
    said = console(name) if wait_for != "off" else console(name, 3)
    shown = "\n".join(said.splitlines()[-15:])
    told = f"Domain {name} {what} within {timeout:g} seconds. Its console says: {shown or 'nothing'}"
    return Timeout(told, hint="Running this again goes on waiting.", facts={"console": said})
