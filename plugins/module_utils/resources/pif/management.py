# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface a host is managed through, and how a task goes on when the coordinator's address changes under it."""

from __future__ import annotations

import time
import typing as t

from ... import tasks
from ...client import Session
from ...errors import ApiError, InvalidChange, Untrusted, XenError
from ...plan import Plan
from ...wiring import Wiring, quoted

# calls after which the pool may answer at another address: of the present management interface, and to another one
READDRESSING = ("PIF.reconfigure_ip", "PIF.reconfigure_ipv6")
MOVING = ("host.management_reconfigure", "pool.management_reconfigure")
ANSWERS = 120.0  # seconds until the pool must answer again
STAYS = 3.0  # seconds after which an old address that still answers is good enough (port forwarding, a name)
KNOCK, ANSWER = 2.0, 10.0  # seconds to wait for a connection and for an answer


def refuse(wiring: Wiring, pif: str) -> None:
    """Raises InvalidChange when a PIF cannot become the management interface of its host now (xen-api: xapi_host.ml, xapi_pool.ml)."""
    objects, host = wiring.objects, wiring.pif(pif)["host"]
    if next(iter(objects.all("pool").values()))["ha_enabled"]:
        raise InvalidChange(
            f"The management of host {wiring.host(host)!r} cannot move while high availability is on.",
            hint="Turn it off first (xen_pool with ha: {enabled: false}).",
        )
    if host != wiring.coordinator():
        return
    here = wiring.on(wiring.pif(pif)["network"])
    elsewhere = (
        [wiring.host(other) for other in wiring.hosts() if other != host and not wiring.pif(here[other])["management"]] if here else []
    )
    if elsewhere:
        raise InvalidChange(
            f"The members {quoted(elsewhere)} would lose the coordinator: "
            f"they are not managed through network {wiring.network(wiring.pif(pif)['network'])!r}.",
            hint="Move the members first, the coordinator last.",
        )


def plan(wiring: Wiring, plan: Plan, pif: str) -> None:
    """The members are told where the coordinator is, which only the call for the whole pool does."""
    where = wiring.place(pif)
    if wiring.pif(pif)["host"] == wiring.coordinator() and len(wiring.hosts()) > 1:
        plan.add("pool.management_reconfigure", wiring.pif(pif)["network"], what=f"manage the pool through {where}")
    else:
        plan.add("host.management_reconfigure", pif, what=f"manage the host through {where}")


def follow(session: Session, address: str) -> None:
    """Goes on where the coordinator answers now. address: "" if nobody knows the new one. Raises Timeout, Untrusted.

    The old address is not asked at once: it may take a connection and close before it answers. Seen from here the new one may be nobody's,
    or that of another machine: one whose certificate is not trusted, or that does not know the session and is told no password.
    """
    here, patience = session.endpoint.host, time.monotonic() + STAYS

    def ready() -> bool | str:
        seen: XenError | None = None
        for host in dict.fromkeys([address or here, here]):
            settled = host != here or address in ("", here) or time.monotonic() > patience
            if not (settled and session.endpoint.at(host).listens(KNOCK)):
                continue
            session.move_to(host)
            try:
                return bool(session.call("pool.get_all", timeout=ANSWER, renew=host == here))
            except (Untrusted, ApiError) as e:
                seen = e
                session.move_to(here)
        if seen and time.monotonic() > patience:
            raise seen
        return seen.message if seen else "nobody takes a connection"

    tasks.wait_until(f"the pool to answer at {address or here}", ready, timeout=ANSWERS)


def address_of(session: Session, pif: str) -> str:
    """The address a PIF has now; "" for none."""
    record: dict[str, t.Any] = session.call("PIF.get_record", pif)
    if record.get("primary_address_type", "IPv4") == "IPv4":
        return str(record["IP"])
    return next((cidr.partition("/")[0] for cidr in record["IPv6"] if cidr), "")
