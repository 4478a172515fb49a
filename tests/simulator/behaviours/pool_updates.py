# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool's repositories and its hosts' updates. Rules: xen-api ocaml/xapi/xapi_pool.ml, xapi_host.ml, repository.ml."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from .. import agent, evacuation, leaving, operations, repository_updates, updates
from ..errors import Fault
from ..hosts import at_host, is_live
from ..modeltypes import EPOCH, NULL
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

SYNC, APPLY, EACH = 60.0, 60.0, 30.0  # virtual seconds: to synchronise, to apply, for each update
SYNCABLE = ("remote", "remote_pool")
ALONE = ("bundle", "remote_pool")
LAST_DAY = 6


@message("pool.set_repositories")
def set_repositories(call: Call, self: str, value: list[str]) -> None:
    """Raises REPO_SHOULD_BE_SINGLE_ONE_ENABLED for a bundle or a remote pool beside another."""
    db = call.db
    with operations.running_in_pool(call, "configure_repositories"):
        origins = [db.get("Repository", ref)["origin"] for ref in value]
        if len(value) > 1 and any(origin in ALONE for origin in origins):
            raise Fault("REPO_SHOULD_BE_SINGLE_ONE_ENABLED")
        before = db.get("pool", self)["repositories"]
        changed = set(before) ^ set(value)
        db.set("pool", self, repositories=list(dict.fromkeys(value)))
        for ref in changed:
            if db.exists("Repository", ref):
                db.set("Repository", ref, hash="")
        if changed:
            db.set("pool", self, last_update_sync=EPOCH)
        if not value:
            for host in db.all("host"):
                db.set("host", host, latest_synced_updates_applied="unknown")
        if "remote" not in origins:
            db.set("pool", self, update_sync_enabled=False)


@message("pool.add_repository")
def add_repository(call: Call, self: str, value: str) -> None:
    """One more."""
    held = call.db.get("pool", self)["repositories"]
    call.db.get("Repository", value)
    if value not in held:
        set_repositories(call, self, [*held, value])


@message("pool.remove_repository")
def remove_repository(call: Call, self: str, value: str) -> None:
    """One less."""
    held = call.db.get("pool", self)["repositories"]
    if value in held:
        set_repositories(call, self, [ref for ref in held if ref != value])


@message("pool.sync_updates")
def sync_updates(call: Call, self: str, force: bool, token: str, token_id: str, username: str, password: str) -> str:
    """The hash of what is offered now. Raises NO_REPOSITORY_ENABLED, CAN_NOT_SYNC_UPDATES, REPOSYNC_FAILED."""
    db = call.db
    with operations.running_in_pool(call, "sync_updates"):
        records = {ref: db.get("Repository", ref) for ref in db.get("pool", self)["repositories"]}
        if not records:
            raise Fault("NO_REPOSITORY_ENABLED")
        if any(record["origin"] not in SYNCABLE for record in records.values()):
            raise Fault("CAN_NOT_SYNC_UPDATES")
        call.sleep(SYNC)
        for record in records.values():
            if record["origin"] == "remote" and call.world.updates.channel(record["binary_url"]) is None:
                raise Fault("REPOSYNC_FAILED")
        for ref, record in records.items():
            db.set("Repository", ref, hash=updates.hash_of(call.world, record["binary_url"]))
        db.set("pool", self, last_update_sync=call.world.clock.iso())
        for machine in call.pool.machines:
            state = "no" if repository_updates.missing(machine) else "yes"
            db.set("host", machine.host_ref, latest_synced_updates_applied=state)
        return repository_updates.synced_hash(call.pool)


@message("pool.configure_update_sync")
def configure_update_sync(call: Call, self: str, update_sync_frequency: str, update_sync_day: int) -> None:
    """Day 0 for daily, 0 (Sunday) to 6 for weekly. Raises INVALID_UPDATE_SYNC_DAY [day]."""
    if not 0 <= update_sync_day <= (LAST_DAY if update_sync_frequency == "weekly" else 0):
        raise Fault("INVALID_UPDATE_SYNC_DAY", str(update_sync_day))
    call.db.set("pool", self, update_sync_frequency=update_sync_frequency, update_sync_day=update_sync_day)


@message("pool.set_update_sync_enabled")
def set_update_sync_enabled(call: Call, self: str, value: bool) -> None:
    """Raises NO_REPOSITORIES_CONFIGURED, CAN_NOT_PERIODIC_SYNC_UPDATES. Nothing is synchronised by itself here."""
    held = call.db.get("pool", self)["repositories"]
    if value and not held:
        raise Fault("NO_REPOSITORIES_CONFIGURED")
    if value and not any(call.db.get("Repository", ref)["origin"] == "remote" for ref in held):
        raise Fault("CAN_NOT_PERIODIC_SYNC_UPDATES")
    call.db.set("pool", self, update_sync_enabled=value)


@message("pool.configure_repository_proxy")
def configure_repository_proxy(call: Call, self: str, url: str, username: str, password: str) -> None:
    """Raises INVALID_REPOSITORY_PROXY_URL [url], INVALID_REPOSITORY_PROXY_CREDENTIAL for a name without password or the other way round."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Fault("INVALID_REPOSITORY_PROXY_URL", url)
    if bool(username) != bool(password) or "\n" in username + password:
        raise Fault("INVALID_REPOSITORY_PROXY_CREDENTIAL")
    _set_proxy(call, self, url, username, password)


@message("pool.disable_repository_proxy")
def disable_repository_proxy(call: Call, self: str) -> None:
    """Its secret goes."""
    _set_proxy(call, self, "", "", "")


def _set_proxy(call: Call, pool: str, url: str, username: str, password: str) -> None:
    old = call.db.get("pool", pool)["repository_proxy_password"]
    secret = call.db.create("secret", value=password) if password else NULL
    call.db.set("pool", pool, repository_proxy_url=url, repository_proxy_username=username, repository_proxy_password=secret)
    if call.db.exists("secret", old):
        call.db.destroy("secret", old)


@message("pool.check_update_readiness")
def check_update_readiness(call: Call, self: str, requires_reboot: bool) -> list[list[str]]:
    """What stands in the way, as errors would say it."""
    db = call.db
    out = [["HA_IS_ENABLED"]] if db.get("pool", self)["ha_enabled"] else []
    for host in db.all("host"):
        if not is_live(db, host):
            out.append(["HOST_OFFLINE", host])
        elif requires_reboot:
            plan = leaving.make_plan(call, host, with_ha=False)
            out += [fate.description for fate in plan.values() if isinstance(fate, Fault)]
    return out


# hosts ---------------------------------------------------------------------------------------------------------------
@message("host.apply_updates")
def apply_updates(call: Call, self: str, hash: str) -> list[list[str]]:
    """Warnings about live patches; checks in xapi's order."""
    db = call.db
    machine = at_host(call, self)
    if call.pool.pool["restrictions"].get("restrict_updates") == "true":
        raise Fault("LICENCE_RESTRICTION", "Updates")
    with operations.running_in_pool(call, "apply_updates"):
        if call.pool.pool["ha_enabled"]:
            raise Fault("HA_IS_ENABLED")
        was_enabled = db.get("host", self)["enabled"]
        db.set("host", self, enabled=False)
        operations.refresh_host(db, self)
        try:
            with operations.running_on_host(call, self, "apply_updates"):
                warnings = _apply(call, self, hash)
        finally:
            if was_enabled and not db.get("host", self)["pending_guidances"] and machine.power == "on":
                db.set("host", self, enabled=not machine.state.get(agent.STARTING))
            operations.refresh_host(db, self)
    db.set("host", self, last_software_update=call.world.clock.iso(), latest_synced_updates_applied="yes", last_update_hash=hash)
    return warnings


def _apply(call: Call, host: str, hash_: str) -> list[list[str]]:
    db = call.db
    if db.get("host", host)["pending_guidances"]:
        raise Fault("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host)
    if not hash_ or hash_ != repository_updates.synced_hash(call.pool):
        raise Fault("UPDATEINFO_HASH_MISMATCH")
    machine = call.world.machine_of(call.pool, host)
    found = repository_updates.missing(machine)
    if not found:
        return []
    if repository_updates.needs_empty_host(found) and evacuation.guests(db, host):
        raise Fault("HOST_EVACUATION_IS_REQUIRED", host)
    for step in range(1, len(found) + 1):
        call.sleep(EACH + (APPLY if step == 1 else 0.0))
        call.progress(0.9 * step / len(found))
    if machine.power != "on":
        raise Fault("APPLY_UPDATES_FAILED", host)
    return repository_updates.apply(machine, found)
