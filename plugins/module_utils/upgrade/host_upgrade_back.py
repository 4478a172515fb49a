# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts on their way back: whether they can be looked at, and storage that did not come with them."""

from __future__ import annotations

import time
import typing as t

from .. import hosts, tasks
from ..client import Session
from ..errors import ApiError, XenError
from ..host_return import Leaving, returned, unplugged
from ..refs import Objects

ALONE = ("apply_updates", "evacuate", "power_on", "reboot", "shutdown")  # operations that are to end first
GRACE = 120.0  # seconds a host has to attach its storage, before it is helped


def away(session: Session, objects: Objects, ref: str) -> str:
    """What is missing until a host can be looked at; "" for nothing. One that left without a word counts as live for some minutes."""
    if not hosts.is_live(objects, ref):
        return "it is not live"
    if hosts.is_starting(objects, ref):
        return "its start-up is not over"
    if busy := sorted(set(objects.get("host", ref)["current_operations"].values()) & set(ALONE)):
        return f"{', '.join(busy)} is under way"
    try:
        session.call("host.get_servertime", ref)
    except ApiError as e:
        if e.code not in tasks.NOT_YET:
            raise
        return "it does not answer"
    return ""


def missing_storage(objects: Objects, ref: str) -> dict[str, str]:
    """What a start of the host would have attached, and did not: shared SRs that other hosts have, its own for disks. Reference of
    the PBD -> name.
    """
    pbds = objects.all("PBD")
    elsewhere = {pbd["SR"] for pbd in pbds.values() if pbd["host"] != ref and pbd["currently_attached"]}

    def belongs(sr: str) -> bool:
        record = objects.get("SR", sr)
        return sr in elsewhere if record["shared"] else record["content_type"] == "user"

    missing = {pbd: record["SR"] for pbd, record in pbds.items() if record["host"] == ref and not record["currently_attached"]}
    return {pbd: objects.label("SR", sr) for pbd, sr in missing.items() if belongs(sr)}


class Back:
    """Waits for a host; what it does not attach by itself is attached once. plugged: SRs for which that was done."""

    def __init__(self, session: Session):
        self.session = session
        self.plugged: list[str] = []
        self._tried: dict[str, str] = {}  # reference of a PBD -> why it could not be attached
        self._seen = 0.0  # since when it is there without its storage

    def ready(self, then: t.Callable[[], Leaving | None]) -> t.Callable[[], object]:
        def ready() -> object:
            before = then()
            if before is None:
                return True
            state = returned(self.session, before)
            if isinstance(state, str) and state.startswith("not attached"):
                self._help(before)
                why = "; ".join(sorted({text for text in self._tried.values() if text}))
                return f"{state} ({why})" if why else state
            return state

        return ready

    def _help(self, then: Leaving) -> None:
        fresh = Objects(self.session)
        ref = fresh.resolve("host", then.uuid)
        self._seen = self._seen or time.monotonic()
        if not fresh.get("host", ref)["enabled"] and time.monotonic() - self._seen < GRACE:
            return
        for pbd, sr in unplugged(fresh, ref, then.attached).items():
            if pbd in self._tried:
                continue
            self._tried[pbd] = ""
            try:
                self.session.call("PBD.plug", pbd)
                self.plugged.append(sr)
            except XenError as e:
                self._tried[pbd] = fresh.readable(e.message)
