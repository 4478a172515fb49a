# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The iSCSI initiator of a host (open-iscsi): a target with its record, its session, and how it logs in."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ...errors import InvalidChange, NotFound, XenError
from ..step import Step
from ..tool import Tool

NAME_FILE = "/etc/iscsi/initiatorname.iscsi"
# RFC 3720, 3.2.6.3; LIO takes no other either
LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
IQN = re.compile(rf"iqn\.\d{{4}}-\d{{2}}\.{LABEL}(?:\.{LABEL})+(?::\S+)?|eui\.[0-9A-Fa-f]{{16}}|naa\.[0-9A-Fa-f]{{16,32}}")
NOTHING = 21  # iscsiadm(8), EXIT STATUS: no records, targets, sessions or portals found
SECRETS = ("node.session.auth.password", "node.session.auth.password_in", "discovery.sendtargets.auth.password")
HIDDEN = "********"
# what iscsiadm's status means, where its words do not say it
REASONS = {
    4: "the portal cannot be reached", 8: "the portal did not answer in time", 12: "the target refused the login",
    19: "the target could not be reached",
    24: "the target refused the login: user name, password or initiator name are not the ones it knows",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """portal as ADDRESS:PORT. record: the keys of the node's record that are managed."""

    portal: str
    target: str = ""
    initiator: str = ""
    record: t.Mapping[str, str] = field(default_factory=dict)
    discovery: t.Mapping[str, str] = field(default_factory=dict)
    absent: bool = False


@dataclass(frozen=True)
class Session:
    number: str
    portal: str
    target: str


@dataclass(frozen=True)
class Found:
    """What the host has: the initiator's name, the record (None if there is none), the sessions, units that start by themselves."""

    initiator: str = ""
    record: t.Mapping[str, str] | None = None
    sessions: tuple[Session, ...] = ()
    enabled: bool = True

    def session(self, wanted: Wanted) -> Session | None:
        return next((one for one in self.sessions if (one.portal, one.target) == (wanted.portal, wanted.target)), None)


def wanted_of(options: t.Mapping[str, t.Any]) -> Wanted:
    """Raises InvalidChange."""
    for key, what in (("target", "target"), ("initiator_name", "initiator_name")):
        if options.get(key) and not IQN.fullmatch(options[key]):
            raise InvalidChange(
                f"{what} {options[key]!r} is no iSCSI name.",
                hint="Such as iqn.2026-11.com.example:disks: a date, a domain backwards, a name.",
            )
    if options.get("state") == "absent":
        return Wanted(portal(options["portal"]), options.get("target") or "", absent=True)
    username, password = options.get("username") or "", options.get("password") or ""
    back, back_password = options.get("username_in") or "", options.get("password_in") or ""
    if bool(username) != bool(password) or bool(back) != bool(back_password):
        raise InvalidChange("CHAP needs both a user name and a password.")
    if back and not username:
        raise InvalidChange("username_in, with which the target proves itself, needs username as well.")
    if back and back_password == password:
        raise InvalidChange("password and password_in are the same.", hint="CHAP in both directions needs two secrets (RFC 3720, 8.2.1).")
    if "" in (options.get("username"), options.get("username_in")):
        chap = {"node.session.auth.authmethod": "None"}
    else:
        chap = {"node.session.auth.authmethod": "CHAP"} if username else {}
    keys = ("username", "password", "username_in", "password_in")
    chap |= {f"node.session.auth.{key}": value for key, value in zip(keys, (username, password, back, back_password)) if value}
    startup = {"node.startup": options["startup"]} if options.get("startup") else {}
    asked = {"username": options.get("discovery_username") or "", "password": options.get("discovery_password") or ""}
    if bool(asked["username"]) != bool(asked["password"]):
        raise InvalidChange("CHAP at the discovery needs both a user name and a password.")
    discovery = {f"discovery.sendtargets.auth.{key}": value for key, value in asked.items() if value}
    discovery = {"discovery.sendtargets.auth.authmethod": "CHAP", **discovery} if discovery else {}
    return Wanted(
        portal(options["portal"]), options.get("target") or "", options.get("initiator_name") or "", {**startup, **chap}, discovery,
    )  # fmt: skip


def portal(text: str) -> str:
    """ADDRESS:PORT, the port 3260 if none is given. Raises InvalidChange."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?", text.strip())
    if not match or not 0 < int(match[2] or 3260) < 65536:
        raise InvalidChange(f"{text!r} is no portal.", hint="ADDRESS or ADDRESS:PORT.")
    return f"{match[1]}:{match[2] or 3260}"


def initiator_of(text: str) -> str:
    """Of /etc/iscsi/initiatorname.iscsi."""
    found = re.findall(r"^\s*InitiatorName\s*=\s*(\S+)", text, re.MULTILINE)
    return str(found[-1]) if found else ""


def with_initiator(text: str, name: str) -> str:
    kept = [line for line in text.splitlines() if not re.match(r"\s*InitiatorName\s*=", line)]
    return "\n".join([*kept, f"InitiatorName={name}"]) + "\n"


def record_of(text: str) -> dict[str, str]:
    """Of "iscsiadm -m node -o show"."""
    pairs = [line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith("#")]
    return {key.strip(): "" if value.strip() == "<empty>" else value.strip() for key, value in pairs}


def sessions_of(text: str) -> tuple[Session, ...]:
    """Of "iscsiadm -m session": "tcp: [1] 127.0.0.1:3260,1 iqn.2026-11.lab.test:t1 (non-flash)"."""
    return tuple(Session(*found) for found in re.findall(r"^\w+: \[(\d+)\] (\S+?),-?\d+ (\S+)", text, re.MULTILINE))


def targets_of(text: str) -> list[tuple[str, str]]:
    """Portals and names of "iscsiadm -m discovery": "127.0.0.1:3260,1 iqn.2026-11.lab.test:t1"."""
    return re.findall(r"^(\S+?),-?\d+ (\S+)$", text, re.MULTILINE)


def chosen(wanted: Wanted, offered: t.Sequence[tuple[str, str]]) -> str:
    """The name of the target, where the portal was asked. Raises NotFound."""
    names = sorted({name for _portal, name in offered})
    told = f"It offers {', '.join(names)}." if names else "It offers none to this initiator."
    if wanted.target:
        if wanted.target not in names:
            raise NotFound(f"{wanted.portal} has no target {wanted.target}.", hint=told)
        return wanted.target
    if len(names) != 1:
        raise InvalidChange(f"{wanted.portal} does not offer exactly one target.", hint=f"{told} Name one.")
    return names[0]


def node(wanted: Wanted) -> tuple[str, ...]:
    return ("iscsiadm", "-m", "node", "-T", wanted.target, "-p", wanted.portal)


def plan(wanted: Wanted, found: Found, tool: Tool) -> list[Step]:
    """The commands; secrets are not in their words. Raises InvalidChange."""
    if wanted.absent:
        return removal(wanted, found, tool)
    steps: list[Step] = []
    session = found.session(wanted)
    if wanted.initiator and wanted.initiator != found.initiator:
        if found.sessions:
            raise InvalidChange(
                f"The initiator is {found.initiator} and is logged in at {found.sessions[0].target}.",
                hint="Log out of all targets (state: absent) before it gets another name.",
            )
        steps.append(Step(("systemctl", "restart", "iscsid.service"), f"call the initiator {wanted.initiator}"))
    if found.record is None:
        steps += [secretly(step, tool) for step in discovery(wanted)]
        if not wanted.discovery:
            steps.append(command(tool, *node(wanted), "-o", "new", what=f"know {wanted.target}"))
    had = found.record or {}
    for key, value in wanted.record.items():
        if had.get(key, "") != value:
            steps.append(secretly(Step((*node(wanted), "-o", "update", "-n", key, "-v", value), f"set {key}"), tool))
    if not found.enabled:
        steps.append(Step(("systemctl", "enable", "open-iscsi.service", "iscsid.service"), "log in when the host starts"))
    if not session:
        steps.append(command(tool, *node(wanted), "--login", what=f"log in at {wanted.target}"))
    return steps


def discovery(wanted: Wanted) -> list[Step]:
    """For a portal that asks for CHAP before it tells its targets; it leaves a record of each."""
    if not wanted.discovery:
        return []
    base = ("iscsiadm", "-m", "discoverydb", "-t", "sendtargets", "-p", wanted.portal)
    keys = [Step((*base, "-o", "update", "-n", key, "-v", value), f"set {key}") for key, value in wanted.discovery.items()]
    return [Step((*base, "-o", "new"), f"know {wanted.portal}"), *keys, Step((*base, "--discover"), f"ask {wanted.portal}")]


def removal(wanted: Wanted, found: Found, tool: Tool) -> list[Step]:
    steps = []
    if found.session(wanted):
        steps.append(command(tool, *node(wanted), "--logout", what=f"log out of {wanted.target}"))
    if found.record is not None:
        steps.append(command(tool, *node(wanted), "-o", "delete", what=f"forget {wanted.target}"))
    return steps


def secretly(step: Step, tool: Tool) -> Step:
    """The same step with words that tell no secret."""
    secret = any(key in step.argv for key in SECRETS)
    return Step((*step.argv[:-1], HIDDEN) if secret else step.argv, step.what, run=lambda: ask(tool, step.argv, secret=secret))


def command(tool: Tool, *argv: str, what: str) -> Step:
    return Step(argv, what, run=lambda: ask(tool, argv))


def ask(tool: Tool, argv: t.Sequence[str], *, secret: bool = False) -> None:
    """Raises XenError that says what iscsiadm's status means."""
    done = tool.command(argv, check=False)
    if done.status:
        told = " ".join([*argv[:-1], HIDDEN] if secret else argv)
        said = " ".join(line for line in done.err.splitlines() if line.strip())
        raise XenError(f"{told} failed: {REASONS.get(done.status) or said or f'status {done.status}'}.")
