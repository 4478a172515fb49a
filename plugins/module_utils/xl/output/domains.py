# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domains: `xl list`, `xl list -l`, `xl create -n`, `xl vcpu-list`, `xl uptime`, `xl block-list`, `xl network-list`."""

from __future__ import annotations

import json
import re
import typing as t

from ...errors import XenError

Row = dict[str, t.Any]

# printf("%-40s %5d %5lu %5d     %c%c%c%c%c%c  %8.1f") of tools/xl/xl_list.c; the header has tabs.
LIST = re.compile(
    r"(?P<name>.*?) +(?P<domid>\d+) +(?P<memory>\d+) +(?P<vcpus>\d+)\s+(?P<state>[r-][b-][p-][s-].[d-])\s+(?P<time>[\d.]+)(?P<more>.*)"
)
VCPU = re.compile(
    r"(?P<name>.*?) +(?P<domid>\d+) +(?P<vcpu>\d+) +(?P<cpu>\d+|-) +(?P<state>[r-][b-][p-]) +(?P<time>[\d.]+)"
    r" +(?P<hard>\S+) / (?P<soft>\S+)"
)
UPTIME = re.compile(r"(?P<name>.*?) +(?P<domid>\d+) +(?:(?P<days>\d+) days?, +)?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)")
BLOCK = re.compile(r"(\S+) +(\d+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) *")
NETWORK = re.compile(r"(\d+) +(\d+) +([0-9a-fA-F:]{17}) +(\S+) +(\S+) +(\S+) +(\S+)/(\S+) +(\S+) *")
# What the fifth letter of a state says when the fourth is s.
REASONS = {"-": "poweroff", "r": "reboot", "s": "suspend", "c": "crash", "w": "watchdog"}


def domains(text: str) -> list[Row]:
    """`xl list`: name, domid, memory (MiB), vcpus, state ("-b----"), time (seconds of CPU), power_state, in the order of domids.

    A domain whose name cannot be read any more is called "(null)" by xl.
    """
    found = [match for match in map(LIST.fullmatch, text.splitlines()) if match]
    return [
        {
            "name": one["name"], "domid": int(one["domid"]), "memory": int(one["memory"]), "vcpus": int(one["vcpus"]),
            "state": one["state"], "time": float(one["time"]), "power_state": power_state(one["state"]),
        }
        for one in found
    ]  # fmt: skip


def pools_of_domains(text: str) -> dict[str, str]:
    """`xl list -c`: names of domains with that of their pool."""
    return {one["name"]: one["more"].strip() for one in map(LIST.fullmatch, text.splitlines()) if one}


def power_state(flags: str) -> str:
    """Of "-b----": running, paused, shutdown, suspended, crashed or dying. A domain that waits for events runs."""
    if flags[5] == "d":
        return "dying"
    if flags[3] == "s":
        return {"s": "suspended", "c": "crashed"}.get(flags[4], "shutdown")
    return "paused" if flags[2] == "p" else "running"


def shutdown_reason(flags: str) -> str:
    """Of "---sr-": poweroff, reboot, suspend, crash or watchdog; empty while it is not shut down."""
    return REASONS.get(flags[4], "unknown") if flags[3] == "s" else ""


def configurations(text: str) -> list[Row]:
    """`xl list -l`: domid and config of each domain. Raises XenError for what is no JSON."""
    told = loaded(text, "xl list -l") if text.strip() else []
    return told if isinstance(told, list) else [told]


def dry_run(text: str) -> Row:
    """`xl create -n FILE`: the configuration as xl understands the file. Raises XenError for what is no JSON."""
    told = loaded(text, "xl create -n")
    return told if isinstance(told, dict) else {}


def loaded(text: str, command: str) -> t.Any:
    try:
        return json.loads(text)
    except ValueError as e:
        raise XenError(f"{command} printed what is no JSON ({e}): {text.strip()[:80]!r}.") from None


def vcpus(text: str) -> list[Row]:
    """`xl vcpu-list`: name, domid, vcpu, cpu (None while it is not online), state ("-b-"), time, hard and soft ("all", "0-3,5")."""
    return [
        {
            "name": one["name"], "domid": int(one["domid"]), "vcpu": int(one["vcpu"]), "cpu": number(one["cpu"]), "state": one["state"],
            "time": float(one["time"]), "online": one["cpu"] != "-", "hard": one["hard"], "soft": one["soft"],
        }
        for one in map(VCPU.fullmatch, map(str.rstrip, text.splitlines())) if one
    ]  # fmt: skip


def uptimes(text: str) -> dict[str, int]:
    """`xl uptime`: seconds by name."""
    return {
        one["name"]: ((int(one["days"] or 0) * 24 + int(one["hours"])) * 60 + int(one["minutes"])) * 60 + int(one["seconds"])
        for one in map(UPTIME.fullmatch, map(str.rstrip, text.splitlines()))
        if one
    }


def blocks(text: str) -> list[Row]:
    """`xl block-list DOMAIN`: devid (51712 is xvda), backend (domid), handle, state (4: connected), event_channel, ring_ref, path.

    Of a domain that does not exist there are none, and xl calls that a success.
    """
    keys = ("devid", "backend", "handle", "state", "event_channel", "ring_ref", "path")
    return [rowed(keys, one.groups()) for one in map(BLOCK.fullmatch, text.splitlines()[1:]) if one]


def networks(text: str) -> list[Row]:
    """`xl network-list DOMAIN`: as blocks(), with mac, tx_ring_ref and rx_ring_ref."""
    keys = ("devid", "backend", "mac", "handle", "state", "event_channel", "tx_ring_ref", "rx_ring_ref", "path")
    return [rowed(keys, one.groups()) for one in map(NETWORK.fullmatch, text.splitlines()[1:]) if one]


def rowed(keys: t.Iterable[str], words: t.Iterable[str]) -> Row:
    return {key: word if key in ("mac", "path") else number(word) for key, word in zip(keys, words)}


def number(word: str) -> int | None:
    """None for "-", and for -1, which is no channel."""
    return int(word) if re.fullmatch(r"\d+", word) else None
