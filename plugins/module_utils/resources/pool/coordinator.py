# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another host becomes the coordinator. Rules: xen-api, ocaml/xapi/xapi_pool.ml (designate_new_master)."""

from __future__ import annotations

import typing as t

from ... import hosts
from ...client import Session
from ...errors import ApiError, InvalidChange
from ...plan import Plan
from ...refs import Objects, Record

METHOD = "pool.designate_new_master"


class Succession:
    """What a task remembers of a change it has begun, should it have to plan anew in the middle of it."""

    def __init__(self, session: Session):
        self.session = session
        self.up: set[str] | None = None  # the hosts that were enabled before

    def plan(self, plan: Plan, objects: Objects, params: Record, *, ha: bool) -> str:
        """The coordinator afterwards. Raises InvalidChange, NotFound, Ambiguous."""
        now, text = hosts.coordinator(objects), params.get("coordinator")
        wanted = hosts.resolve(objects, text) if text else now
        label = hosts.name_of(objects, wanted)
        if wanted != now:
            under_way = METHOD.partition(".")[2] in hosts.pool_of(objects)[1].get("current_operations", {}).values()
            if self.up is None:
                _refuse(self.session, objects, label, ha=ha)
                self.up = {ref for ref in objects.all("host") if objects.get("host", ref)["enabled"]}
            if not under_way:
                disruptive = f"make host {label!r} the coordinator, which ends all sessions and running tasks"
                plan.add(METHOD, wanted, what=f"make host {label!r} the coordinator", slow=True, disruptive=disruptive)
        if self.up is not None:
            plan.wait(f"the pool to answer at host {label!r}", _settled(self.session, wanted, self.up), timeout=params["wait_timeout"])
        return wanted


def _refuse(session: Session, objects: Objects, label: str, *, ha: bool) -> None:
    told = f"Host {label!r} cannot become the coordinator"
    if ha:
        raise InvalidChange(f"{told}: high availability is on.", hint="Turn it off first (ha: {enabled: false}).", code="HA_IS_ENABLED")
    if dead := hosts.down(objects):
        raise InvalidChange(
            f"{told}: every host must agree, and these are down: {', '.join(dead)}.", hint="Start them.", code="HOST_OFFLINE"
        )
    if not session.renewable:
        raise InvalidChange(
            f"{told} in a session that was handed over: it ends with the change.", hint="Give username and password beside session."
        )


def _settled(session: Session, wanted: str, enabled: set[str]) -> t.Callable[[], object]:
    """Whether the host that answers is the new coordinator and sees all hosts as they were before."""

    def ready() -> object:
        handle = session.handle
        try:
            here = session.call("session.get_this_host", handle)
        except ApiError:
            if session.handle == handle:
                raise
            return "logged in again"  # meanwhile the session that was asked about has ended
        if here != wanted:
            return "the former coordinator still answers"
        fresh = Objects(session)
        missing = [ref for ref in fresh.all("host") if hosts.not_yet_up(fresh, ref) and (ref in enabled or not hosts.is_live(fresh, ref))]
        names = ", ".join(sorted(hosts.name_of(fresh, ref) for ref in missing))
        return True if not missing else f"not back yet: {names}"

    return ready
