# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""iscsiadm(8) of open-iscsi, with two targets on the portal 192.0.2.10:3260: one that asks for CHAP, and one for CHAP both ways."""

from __future__ import annotations

import itertools
import sys
import typing as t

State = dict[str, t.Any]
PORTAL = "192.0.2.10:3260"
BASE = "iqn.2026-11.com.example"
AUTH = "node.session.auth."
TARGETS: dict[str, dict[str, str]] = {
    f"{BASE}:guests": {"username": "xen1", "password": "one-secret-12"},
    f"{BASE}:both": {"username": "xen1", "password": "one-secret-12", "username_in": "target1", "password_in": "other-secret-34"},
}
FRESH = {"node.startup": "manual", f"{AUTH}authmethod": "None", f"{AUTH}username": "", f"{AUTH}password": ""}


def failed(status: int, sentence: str) -> int:
    print(f"iscsiadm: {sentence}", file=sys.stderr)
    return status


def run(arguments: list[str], state: State) -> int:
    options = dict(itertools.pairwise(arguments))
    nodes, sessions = state.setdefault("nodes", {}), state.setdefault("sessions", {})
    mode = options["-m"]
    if mode == "session":
        for key, number in sessions.items():
            target, portal = key.split("|")
            print(f"tcp: [{number}] {portal},1 {target} (non-flash)")
        return 0 if sessions else failed(21, "No active sessions.")
    if mode in ("discovery", "discoverydb"):
        return discovery(mode, arguments, options, nodes)
    return node(arguments, options, nodes, sessions)


def discovery(mode: str, arguments: list[str], options: dict[str, str], nodes: State) -> int:
    if mode == "discoverydb" and "--discover" not in arguments:
        return 0
    if options["-p"] != PORTAL:
        return failed(4, f"cannot make connection to {options['-p']}: Connection refused")
    for target in TARGETS:
        print(f"{PORTAL},1 {target}")
        if options.get("-o") != "nonpersistent":
            nodes.setdefault(f"{target}|{PORTAL}", dict(FRESH))
    return 0


def node(arguments: list[str], options: dict[str, str], nodes: State, sessions: State) -> int:
    key, operation = f"{options['-T']}|{options['-p']}", options.get("-o", "")
    if operation == "new":
        nodes[key] = dict(FRESH)
        return 0
    if key not in nodes:
        return failed(21, "No records found")
    if operation == "show":
        print("# BEGIN RECORD 2.1.8")
        for name, value in nodes[key].items():
            print(f"{name} = {value or '<empty>'}")
        print("# END RECORD")
    elif operation == "update":
        nodes[key][options["-n"]] = options["-v"]
    elif operation == "delete":
        del nodes[key]
    elif "--login" in arguments:
        return login(options, nodes[key], key, sessions)
    elif "--logout" in arguments:
        del sessions[key]
    return 0


def login(options: dict[str, str], record: dict[str, str], key: str, sessions: State) -> int:
    if options["-p"] != PORTAL or options["-T"] not in TARGETS:
        return failed(8, f"Could not login to [iface: default, target: {options['-T']}, portal: {options['-p']}].")
    asked = TARGETS[options["-T"]]
    given = {name: record.get(AUTH + name, "") for name in asked}
    if record.get(f"{AUTH}authmethod") != "CHAP" or given != asked:
        return failed(24, "Could not login: iSCSI login failed due to authorization failure")
    sessions[key] = len(sessions) + 1
    return 0
