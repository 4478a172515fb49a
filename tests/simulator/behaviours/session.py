# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins (xen-api: ocaml/xapi/xapi_session.ml)."""

from __future__ import annotations

from .. import sessions
from ..clock import epoch
from ..database import new_ref
from ..dispatch import Call
from ..errors import Fault
from ..modeltypes import NULL
from . import message

REFUSAL_SECONDS = 1.8
IDLE_SECONDS = 24 * 3600
MOST_PER_ORIGINATOR = 500
MOST_WITHOUT_USER = 400


@message("session.login_with_password")
def login_with_password(call: Call, uname: str, pwd: str, version: str, originator: str) -> str:
    """A member refuses before it looks at the password; a refusal takes a while."""
    if not call.machine.is_coordinator:
        raise Fault("HOST_IS_SLAVE", call.pool.coordinator.address)
    subject = None if _is_superuser(call, uname, pwd) else _subject(call, uname, pwd)
    _make_room(call, uname, originator)
    now = call.world.clock.iso()
    record = call.db.get("subject", subject) if subject else {}
    roles = sessions.role_names(call.db, subject) if subject else frozenset()
    ref = call.db.create(
        "session", this_host=call.machine.host_ref, last_active=now, validation_time=now, is_local_superuser=not subject,
        auth_user_name=uname, originator=originator, subject=subject or NULL, auth_user_sid=record.get("subject_identifier", ""),
        rbac_permissions=sessions.permissions(call.world.schema, roles),
    )  # fmt: skip
    return ref


def _is_superuser(call: Call, uname: str, pwd: str) -> bool:
    return {"username": uname, "password": pwd} == call.world.credentials


def _subject(call: Call, uname: str, pwd: str) -> str:
    """The subject that logs in; external accounts share the simulator's password. Raises SESSION_AUTHENTICATION_FAILED."""
    named = [ref for ref, r in call.db.all("subject").items() if uname in (r["other_config"].get("subject-name"), r["subject_identifier"])]
    if not named or pwd != call.world.credentials["password"] or not call.machine.host_record()["external_auth_type"]:
        call.sleep(REFUSAL_SECONDS)
        raise Fault("SESSION_AUTHENTICATION_FAILED", uname, "Authentication failure")
    if not call.db.get("subject", named[0])["roles"]:
        raise Fault("RBAC_PERMISSION_DENIED", uname, "Subject has no role")
    return named[0]


def _make_room(call: Call, uname: str, originator: str) -> None:
    """Idle sessions go, and the oldest ones when there are too many."""
    now, mine = call.world.clock.now(), []
    for ref, record in list(call.db.all("session").items()):
        if now - epoch(record["last_active"]) > IDLE_SECONDS:
            call.db.destroy("session", ref)
        elif (record["auth_user_name"], record["originator"]) == (uname, originator):
            mine.append(ref)  # in order of login
    mine.sort(key=lambda ref: str(call.db.get("session", ref)["last_active"]))
    most = MOST_PER_ORIGINATOR if uname else MOST_WITHOUT_USER
    for ref in mine[: max(0, len(mine) + 1 - most)]:
        call.db.destroy("session", ref)


@message("session.slave_local_login_with_password")
def slave_local_login_with_password(call: Call, uname: str, pwd: str) -> str:
    """A session known to this host alone, good for emergency calls."""
    if not _is_superuser(call, uname, pwd):
        call.sleep(REFUSAL_SECONDS)
        raise Fault("SESSION_AUTHENTICATION_FAILED", uname, "Authentication failure")
    ref = new_ref()
    call.machine.local_sessions.add(ref)
    return ref


@message("session.logout")
def logout(call: Call) -> None:
    """Ends the session it is called with."""
    call.db.destroy("session", call.session)


@message("session.local_logout")
def local_logout(call: Call) -> None:
    """Ends a local session."""
    call.machine.local_sessions.discard(call.session)


@message("session.change_password")
def change_password(call: Call, old_pwd: str, new_pwd: str) -> None:
    """Of the superuser, on all hosts."""
    if old_pwd != call.world.credentials["password"]:
        raise Fault("SESSION_AUTHENTICATION_FAILED", call.world.credentials["username"], "Authentication failure")
    call.world.credentials["password"] = new_pwd


@message("session.get_all_subject_identifiers")
def get_all_subject_identifiers(call: Call) -> list[str]:
    """Of the external users who are logged in."""
    return sorted({r["auth_user_sid"] for r in call.db.all("session").values() if r["auth_user_sid"]})


@message("session.logout_subject_identifier")
def logout_subject_identifier(call: Call, subject_identifier: str) -> None:
    """Ends all sessions of an external user, but not the caller's own."""
    for ref in call.db.find("session", auth_user_sid=subject_identifier):
        if ref != call.session:
            call.db.destroy("session", ref)
