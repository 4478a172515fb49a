# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call what: sessions, roles, and what a member refuses (xen-api: ocaml/xapi/session_check.ml, rbac.ml)."""

from __future__ import annotations

import typing as t

from .errors import Fault
from .schema import Schema

if t.TYPE_CHECKING:
    from .database import Database
    from .schema import MessageType
    from .world import Machine

# xapi's built-in roles; their references bear these uuids in every pool
ROLES = {
    "pool-admin": "0165f154-ba3e-034e-6b27-5d271af109ba",
    "pool-operator": "b9ce9791-0604-50cd-0649-09b3284c7dfd",
    "vm-power-admin": "7955168d-7bec-10ed-105f-c6a7e6e63249",
    "vm-admin": "aaa00ab5-7340-bfbc-0d1b-7cf342639a6e",
    "vm-operator": "fb8d4ff9-310c-a959-0613-54101535d3d5",
    "read-only": "7233b8e3-eacb-d7da-2c95-f2e581cdbf4e",
}
NAMES = {f"OpaqueRef:{uuid}": name for name, uuid in ROLES.items()}


def role_names(db: Database, subject: str) -> frozenset[str]:
    """The roles a subject has been given."""
    return frozenset(NAMES[ref] for ref in db.get("subject", subject)["roles"] if ref in NAMES)


def permissions(schema: Schema, roles: frozenset[str]) -> list[str]:
    """Names of the messages these roles may send, lower case as xapi keeps them."""
    every = (m for c in schema.classes.values() for m in c.messages.values())
    return [m.method.lower() for m in every if m.roles is not None and m.roles & roles] if roles else []


def check(machine: Machine, session: str, message: MessageType) -> None:
    """Raises SESSION_INVALID, HOST_IS_SLAVE or RBAC_PERMISSION_DENIED."""
    if session in machine.local_sessions:
        if message.method in machine.world.schema.emergency or message.method in ("session.local_logout", "session.get_uuid"):
            return
        raise Fault("SESSION_INVALID", session)
    db = machine.pool.db
    if not db.exists("session", session):
        raise Fault("SESSION_INVALID", session)
    record = db.get("session", session)
    if not machine.is_coordinator and not record["pool"]:
        raise Fault("HOST_IS_SLAVE", machine.pool.coordinator.address)
    now = machine.world.clock.iso()
    if record["last_active"] != now:
        db.note("session", session, last_active=now)
    if record["is_local_superuser"] or message.roles is None or message.method.lower() in record["rbac_permissions"]:
        return
    allowed = ", ".join(name for name in ROLES if name in message.roles)
    raise Fault("RBAC_PERMISSION_DENIED", message.method.lower(), f"No permission in user session. (Roles with this permission: {allowed})")
