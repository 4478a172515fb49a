# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that go away and come back: when they started, why they are to start anew, what is missing until they are back.

Rules: xen-api, ocaml/xapi/dbsync_slave.ml (boot_time, agent_start_time), xapi_host_helpers.ml.
"""

from __future__ import annotations

import typing as t

from . import hosts
from .client import Session
from .refs import Objects, Record

BOOT, AGENT = "boot_time", "agent_start_time"  # in other_config: when the host booted, when its toolstack started
INSTALLED = "rpm_patch_installation_time"  # XCP-ng: Xen Orchestra notes there when it has installed packages, and so do we
PENDING = ("pending_guidances", "pending_guidances_recommended")


def seconds(text: str | None) -> float:
    """As other_config has it; 0 for nothing, or for what is no number."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def boot_time(record: Record) -> float:
    """Seconds since the epoch; 0 for a host that never told."""
    return seconds(record["other_config"].get(BOOT))


def agent_time(record: Record) -> float:
    """When its toolstack started, as boot_time."""
    return seconds(record["other_config"].get(AGENT))


def wants_reboot(record: Record) -> list[str]:
    """Why a host is to be rebooted: guidance of its updates, or packages that came after its last boot."""
    out = [f"{field}: reboot_host" for field in PENDING if "reboot_host" in record.get(field, ())]
    if record.get("updates_requiring_reboot"):
        out.append("updates_requiring_reboot")
    if seconds(record["other_config"].get(INSTALLED)) > boot_time(record) > 0:
        out.append(INSTALLED)
    return out


class Leaving(t.NamedTuple):
    """A host as it was before it was told to go. key: which time tells that it started anew; attached: uuids of its PBDs."""

    uuid: str
    key: str
    started: float
    attached: tuple[str, ...] = ()


def leaving(objects: Objects, ref: str, key: str = BOOT) -> Leaving:
    record = objects.get("host", ref)
    return Leaving(record["uuid"], key, seconds(record["other_config"].get(key)), tuple(hosts.attached(objects, ref)))


def has_left(record: Record, then: Leaving) -> bool:
    """Whether it has started anew since."""
    return seconds(record["other_config"].get(then.key)) != then.started


def unplugged(objects: Objects, ref: str, attached: t.Iterable[str]) -> dict[str, str]:
    """Of PBDs (uuids) of a host those that are not attached now: reference -> name of the SR."""
    missing = set(attached) - set(hosts.attached(objects, ref))
    return {pbd: objects.label("SR", record["SR"]) for pbd, record in objects.all("PBD").items() if record["uuid"] in missing}


def returned(session: Session, then: Leaving) -> object:
    """True for a host that is live, has started anew and has its storage; else what is missing."""
    fresh = Objects(session)
    ref = fresh.resolve("host", then.uuid)
    if not hosts.is_live(fresh, ref):
        return "it is not live"
    if not has_left(fresh.get("host", ref), then):
        return "it has not booted" if then.key == BOOT else "its toolstack has not started anew"
    srs = unplugged(fresh, ref, then.attached)
    return f"not attached: SR {', '.join(sorted(srs.values()))}" if srs else True
