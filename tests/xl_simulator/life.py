# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains come and go: create, pause, shutdown, reboot, destroy, rename."""

from __future__ import annotations

import sys
import time
import typing as t
from pathlib import Path

from . import config as xl_cfg
from .building import built, shown
from .commands import command, name_of, read, the_domain
from .creating import begin
from .errors import Failed, NotSimulated
from .state import Host, domain_named

Json = dict[str, t.Any]
POWEROFF, REBOOT, SUSPEND, CRASH = range(4)


def say(line: str) -> None:
    sys.stdout.flush()
    print(line, file=sys.stderr)
    sys.stderr.flush()


@command("create", changing=lambda words: "-n" not in words and "--dryrun" not in words)
def create(host: Host, words: list[str]) -> int:
    return make(host, words)


def make(host: Host, words: list[str], *, half: bool = False) -> int:
    """half: cut off in the middle, which leaves a domain of which libxl knows no configuration."""
    options, rest = read(words, "p c d n q e F V A paused dryrun quiet", "f defconfig")
    path = options.get("f") or options.get("defconfig") or (rest.pop(0) if rest and "=" not in rest[0] else "")
    if not path:
        raise NotSimulated("create without a file")
    if not {"q", "quiet"} & set(options):
        if not Path(path).is_file():
            raise Failed(3, f"Failed to read config file: {path}: No such file or directory")
        say(f"Parsing config from {path}")
    warnings: list[str] = []
    settings = xl_cfg.parse(Path(path).read_text() + "\n" + "\n".join(rest) + "\n", path)
    config = built(settings, path, warnings)
    for line in warnings:
        say(line)
    if {"n", "dryrun"} & set(options):
        print(shown(config))
        return 0
    with host.locked() as state:
        paused = bool({"p", "paused"} & set(options))
        domain = begin(state, config, paused=paused)
        if half:
            domain |= {"paused": True, "half": True}
    return 0


@command("pause", changing=True)
def pause(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        the_domain(state, words[0])["paused"] = True
    return 0


@command("unpause", changing=True)
def unpause(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        the_domain(state, words[0])["paused"] = False
    return 0


@command("console")
def console(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        the_domain(state, words[-1])
    raise NotSimulated("a console")


@command("destroy", changing=True)
def destroy(host: Host, words: list[str]) -> int:
    options, rest = read(words, "f")
    with host.locked() as state:
        if rest[0] in ("0", "Domain-0") and "f" not in options:
            raise Failed(
                1, "Not destroying domain 0; use -f to force.",
                "This can only be done when using a disaggregated hardware domain and toolstack.", "",
            )  # fmt: skip
        remove(state, the_domain(state, rest[0]))
    return 0


def remove(state: Json, domain: Json) -> None:
    del state["domains"][str(domain["domid"])]


@command("rename", changing=True)
def rename(host: Host, words: list[str]) -> int:
    with host.locked() as state:
        domain = the_domain(state, words[0])
        if domain_named(state, words[1]) or words[1] == "Domain-0":
            taken = f'Domain {domain["domid"]}:Domain with name "{words[1]}" already exists.'
            raise Failed(1, f"libxl: error: libxl_domain.c:81:libxl__domain_rename: {taken}", f"Can't rename domain '{words[0]}'.")
        domain["config"]["c_info"]["name"] = words[1]
    return 0


@command("shutdown", changing=True)
def shutdown(host: Host, words: list[str]) -> int:
    options, rest = read(words, "a w F wait")
    with host.locked() as state:
        chosen = [d for d in state["domains"].values() if d["reason"] is None] if "a" in options else [the_domain(state, rest[0])]
        for domain in chosen:
            say(f"Shutting down domain {domain['domid']}")
            asked(state, domain, "shutdown")
            obey(state, domain, POWEROFF)
        numbers = [domain["domid"] for domain in chosen]
    if not {"w", "wait"} & set(options):
        return 0
    say(f"Waiting for {len(numbers)} domains")
    while numbers:
        with host.locked() as state:
            for number in list(numbers):
                domain = domain_named(state, str(number))
                if domain is None or domain["reason"] is not None:
                    say(f"Domain {number} has been shut down, reason code {domain['reason'] if domain else 0}")
                    numbers.remove(number)
        time.sleep(0.05 if numbers else 0)
    return 0


def asked(state: Json, domain: Json, what: str) -> None:
    """Raises Failed where the guest does not take the request; a real one is waited for for a minute."""
    if guest_of(state, domain) == "deaf" or domain["reason"] is not None:
        raise Failed(
            1, "libxl: error: libxl_domain.c:854:pvcontrol_cb: guest didn't acknowledge control request: -9", f"{what} failed (rc=-9)"
        )


def guest_of(state: Json, domain: Json) -> str:
    """obeys, deaf (does not acknowledge), stuck (acknowledges and never goes)."""
    return str(state["guests"].get(name_of(domain), "obeys"))


def obey(state: Json, domain: Json, reason: int) -> None:
    if guest_of(state, domain) == "stuck":
        return
    event = {POWEROFF: "on_poweroff", REBOOT: "on_reboot", CRASH: "on_crash"}[reason]
    action = domain["config"].get(event, "destroy")
    domain["paused"], domain["reason"] = True, reason
    for vcpu in domain["vcpus"]:
        vcpu["online"] = True  # as was seen of a domain that has gone
    if action == "destroy":
        domain["lists_left"] = 1  # the daemon of xl takes it away a moment later
    elif action == "restart":
        remove(state, domain)
        again = begin(state, domain["config"])
        again["fresh"] = True
    elif action == "preserve":
        domain["paused"] = False
    else:
        raise NotSimulated(f"{event}={action}")


@command("reboot", changing=True)
def reboot(host: Host, words: list[str]) -> int:
    _options, rest = read(words, "a w F")
    with host.locked() as state:
        domain = the_domain(state, rest[0])
        say(f"Rebooting domain {domain['domid']}")
        asked(state, domain, "reboot")
        if domain.get("restored") and domain.get("checkpointed"):  # seen on a real host: it hangs, and is destroyed only
            domain["reason"] = REBOOT
            return 0
        obey(state, domain, REBOOT)
    return 0
