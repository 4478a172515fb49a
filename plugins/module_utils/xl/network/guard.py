# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes the network of the host it runs on, and takes the change back unless somebody confirms it in time.

A copy of this file is kept on the host and run there as a program of its own, which outlives the connection that started it; so it imports
nothing but the standard library. A journal, the folder "pending", has what is needed for the way back before anything is changed:

    plan.json   files, commands, how long to wait
    old/, new/  the texts of the files by number
    state       applying, waiting, confirmed or reverting
    log         what the commands said

Whoever renames the state decides: confirmed and reverting exclude each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t

PATIENCE = 30.0  # seconds in which the addresses have to be there
COMMAND = 120.0  # seconds a command may take
QUIET: dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
APPLYING, WAITING, CONFIRMED, REVERTING = "applying", "waiting", "confirmed", "reverting"


class Journal:
    """A pending change in a folder."""

    def __init__(self, base: str):
        self.base, self.pending = base, os.path.join(base, "pending")

    def path(self, *parts: str) -> str:
        return os.path.join(self.pending, *parts)

    @property
    def plan(self) -> dict[str, t.Any]:
        with open(self.path("plan.json"), encoding="utf-8") as file:
            return dict(json.load(file))

    @property
    def state(self) -> str:
        """ "" if nothing is pending."""
        names = os.listdir(self.pending) if os.path.isdir(self.pending) else []
        return next((name[len("state.") :] for name in names if name.startswith("state.")), "")

    def become(self, before: str, after: str) -> bool:
        """Whether the state was as expected and is the next now; of two who try one wins."""
        try:
            os.rename(self.path(f"state.{before}"), self.path(f"state.{after}"))
        except OSError:
            return False
        sync(self.pending)
        return True

    def log(self, line: str) -> None:
        """On a full disk the way back is more than its log."""
        with contextlib.suppress(OSError), open(self.path("log"), "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")

    def close(self, outcome: str, reason: str) -> None:
        """Nothing is pending any more; the earlier files are kept under the change's id."""
        told = {"id": self.plan["id"], "outcome": outcome, "reason": reason}
        write(os.path.join(self.base, "outcome.json"), json.dumps(told), 0o600)
        kept = os.path.join(self.base, "changes", str(told["id"]))
        os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
        shutil.rmtree(kept, ignore_errors=True)
        os.rename(self.pending, kept)
        sync(self.base)


def sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: str, text: str, mode: int) -> None:
    """The whole file or nothing of it, on disk when this returns."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = f"{path}.domzero-new"
    with open(draft, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, path)
    sync(os.path.dirname(path))


def install(journal: Journal, side: str) -> None:
    """Puts all files of one side (old, new) in place; one that side does not have goes."""
    for number, entry in enumerate(journal.plan["files"]):
        source = journal.path(side, str(number))
        if os.path.exists(source):
            with open(source, encoding="utf-8", errors="surrogateescape") as file:
                write(entry["path"], file.read(), entry["mode"])
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry["path"])
            if os.path.isdir(os.path.dirname(entry["path"])):
                sync(os.path.dirname(entry["path"]))


def run(journal: Journal, commands: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """Runs them all, but stops at one that must not fail; says why, "" if all is well."""
    for command in commands:
        told = " ".join(command["argv"])
        try:
            done = subprocess.run(command["argv"], timeout=COMMAND, check=False, text=True, **QUIET)
            status, said = done.returncode, " ".join(done.stdout.split())
        except subprocess.TimeoutExpired:
            status, said = -1, f"it did not end within {COMMAND:g} seconds"
        except OSError as e:
            status, said = 127, str(e)
        journal.log(f"{told}: {status} {said}")
        if status and command["must"]:
            return f"{told} failed: {said or f'status {status}'}"
    return ""


def missing(plan: t.Mapping[str, t.Any]) -> str:
    """What should be there and is not."""
    for device, address in plan["verify"]:
        told = subprocess.run(
            ["ip", "-o", "address", "show", "dev", device, "scope", "global"], stdout=subprocess.PIPE, text=True, check=False
        )
        if f" {address} " not in told.stdout if address else " inet " not in told.stdout:
            return f"{device} did not get {address or 'an address by DHCP'}"
    return ""


def verified(plan: t.Mapping[str, t.Any]) -> str:
    end = time.monotonic() + float(plan.get("patience", PATIENCE))
    while True:
        lack = missing(plan)
        if not lack or time.monotonic() > end:
            return lack
        time.sleep(0.5)


def revert(journal: Journal, reason: str) -> None:
    """The earlier files, and the earlier network, also where the files cannot be written. May be begun again."""
    plan, back = journal.plan, False
    journal.log(f"taken back: {reason}")
    run(journal, plan["undo_stop"])
    try:
        install(journal, "old")
        back = True
    except OSError as e:
        journal.log(f"the earlier files are not all back: {e}")
    run(journal, plan["undo_start"])
    if back:  # else the next start of the host tries again
        with contextlib.suppress(OSError):
            journal.close("reverted", reason)


def apply(journal: Journal) -> None:
    """The whole change. A journal that was begun already is taken back: whoever began it has died."""
    plan = journal.plan
    if os.path.exists(journal.path("begun")):
        if journal.state == CONFIRMED:
            return journal.close("confirmed", "")
        journal.become(journal.state, REVERTING)
        return revert(journal, "what applied it was stopped")
    write(journal.path("begun"), "", 0o600)
    time.sleep(plan["delay"])
    run(journal, plan["stop"])
    install(journal, "new")
    failed = run(journal, plan["start"]) or verified(plan)
    if failed:
        journal.become(APPLYING, REVERTING)
        return revert(journal, failed)
    journal.become(APPLYING, WAITING)
    end = time.monotonic() + plan["timeout"]
    while time.monotonic() < end or not plan["timeout"]:
        if journal.state == CONFIRMED or (not plan["timeout"] and journal.become(WAITING, CONFIRMED)):
            return journal.close("confirmed", "")
        time.sleep(0.2)
    if not journal.become(WAITING, REVERTING):
        return journal.close("confirmed", "")
    return revert(journal, f"nobody confirmed it over a new connection within {plan['timeout']:g} seconds")


def boot(journal: Journal) -> None:
    """Before the network comes up: a change that was not confirmed leaves the earlier files, and they are what is brought up."""
    if not os.path.isdir(journal.pending):
        return None
    if journal.state == CONFIRMED:
        return journal.close("confirmed", "")
    if os.path.exists(journal.path("begun")):
        install(journal, "old")
        for name, target in journal.plan.get("copies", []):  # databases of services that do not run yet
            shutil.copyfile(journal.path("old", name), target)
    return journal.close("reverted", "the host was started anew before anybody confirmed it")


def confirm(base: str, change: str) -> dict[str, str]:
    """What became of a change; one that waits is confirmed by asking."""
    journal = Journal(base)
    with contextlib.suppress(OSError, ValueError, KeyError):
        if journal.plan["id"] == change:
            if journal.become(WAITING, CONFIRMED) or journal.state == CONFIRMED:
                return {"id": change, "outcome": "confirmed", "reason": ""}
            return {"id": change, "outcome": "pending", "reason": journal.state}
    with contextlib.suppress(OSError, ValueError, KeyError), open(os.path.join(base, "outcome.json"), encoding="utf-8") as file:
        told = dict(json.load(file))
        if told["id"] == change:
            return told
    return {"id": change, "outcome": "unknown", "reason": "the host knows nothing of it"}


def main(arguments: t.Sequence[str]) -> int:
    journal = Journal(arguments[1])
    {"apply": apply, "boot": boot}[arguments[0]](journal)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
