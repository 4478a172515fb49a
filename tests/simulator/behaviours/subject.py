# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""External users and their roles, and the switch that turns them on (xen-api: ocaml/xapi/xapi_subject.ml, xapi_pool.ml).

The directory is simulated: every subject may log in, with the simulator's password.
"""

from __future__ import annotations

import typing as t

from .. import sessions
from ..dispatch import Call
from ..errors import Fault
from . import message

AUTH_TYPES = ("AD",)


def enable_on(call: Call, host: str, config: dict[str, str], service_name: str, auth_type: str) -> None:
    """One host joins the directory. Raises AUTH_UNKNOWN_TYPE [type], AUTH_ALREADY_ENABLED [type, service]."""
    record = call.db.get("host", host)
    if record["external_auth_type"]:
        raise Fault("AUTH_ALREADY_ENABLED", record["external_auth_type"], record["external_auth_service_name"])
    if auth_type not in AUTH_TYPES:
        raise Fault("AUTH_UNKNOWN_TYPE", auth_type)
    kept = {k: v for k, v in config.items() if k not in ("pass", "password")}
    call.db.set("host", host, external_auth_type=auth_type, external_auth_service_name=service_name, external_auth_configuration=kept)


@message("pool.enable_external_auth")
def enable(call: Call, pool: str, config: dict[str, str], service_name: str, auth_type: str) -> None:
    """On every host. Raises POOL_AUTH_ALREADY_ENABLED [host]."""
    hosts = call.db.all("host")
    for ref, record in hosts.items():
        if record["external_auth_type"]:
            raise Fault("POOL_AUTH_ALREADY_ENABLED", ref)
    for ref in hosts:
        enable_on(call, ref, config, service_name, auth_type)


@message("pool.disable_external_auth")
def disable(call: Call, pool: str, config: dict[str, str]) -> None:
    """On every host; subjects stay, their sessions end."""
    for ref in call.db.all("host"):
        call.db.set("host", ref, external_auth_type="", external_auth_service_name="", external_auth_configuration={})
    for session in call.db.find("session", is_local_superuser=False):
        if session != call.session:
            call.db.destroy("session", session)


def _assert_enabled(call: Call) -> None:
    if not call.db.get("host", call.pool.pool["master"])["external_auth_type"]:
        raise Fault("AUTH_IS_DISABLED")


@message("subject.create")
def create(call: Call, record: dict[str, t.Any]) -> str:
    """Without roles at first. Raises AUTH_IS_DISABLED, SUBJECT_ALREADY_EXISTS."""
    _assert_enabled(call)
    if call.db.find("subject", subject_identifier=record["subject_identifier"]):
        raise Fault("SUBJECT_ALREADY_EXISTS")
    return call.db.create("subject", **record, roles=[])


@message("subject.destroy")
def destroy(call: Call, ref: str) -> None:
    """Its sessions end."""
    identifier = call.db.get("subject", ref)["subject_identifier"]
    call.db.destroy("subject", ref)
    for session in call.db.find("session", auth_user_sid=identifier):
        call.db.destroy("session", session)


@message("subject.add_to_roles")
def add_to_roles(call: Call, ref: str, role: str) -> None:
    """Counts from the subject's next login. Raises ROLE_NOT_FOUND, ROLE_ALREADY_EXISTS."""
    held = call.db.get("subject", ref)["roles"]
    if role not in sessions.NAMES:
        raise Fault("ROLE_NOT_FOUND")
    if role in held:
        raise Fault("ROLE_ALREADY_EXISTS")
    call.db.set("subject", ref, roles=[*held, role])


@message("subject.remove_from_roles")
def remove_from_roles(call: Call, ref: str, role: str) -> None:
    """Counts from the subject's next login. Raises ROLE_NOT_FOUND."""
    held = call.db.get("subject", ref)["roles"]
    if role not in held:
        raise Fault("ROLE_NOT_FOUND")
    call.db.set("subject", ref, roles=[r for r in held if r != role])


@message("subject.get_permissions_name_label")
def get_permissions_name_label(call: Call, ref: str) -> list[str]:
    """Of all its roles."""
    return sessions.permissions(call.world.schema, sessions.role_names(call.db, ref))


# the directory -------------------------------------------------------------------------------------------------------
def _known(call: Call, **where: str) -> dict[str, t.Any]:
    _assert_enabled(call)
    for record in call.db.all("subject").values():
        if where.get("identifier") == record["subject_identifier"] or where.get("name") == record["other_config"].get("subject-name"):
            return record
    raise Fault("SUBJECT_CANNOT_BE_RESOLVED")


@message("auth.get_subject_identifier")
def get_subject_identifier(call: Call, subject_name: str) -> str:
    """Of the subjects the pool has; the directory knows no others."""
    return str(_known(call, name=subject_name)["subject_identifier"])


@message("auth.get_subject_information_from_identifier")
def get_subject_information_from_identifier(call: Call, subject_identifier: str) -> dict[str, str]:
    """What was given when the subject was made."""
    return dict(_known(call, identifier=subject_identifier)["other_config"])


@message("auth.get_group_membership")
def get_group_membership(call: Call, subject_identifier: str) -> list[str]:
    """Nobody is in a group."""
    _known(call, identifier=subject_identifier)
    return []
