# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in roles and the permissions they stand for; no table holds them (xen-api: ocaml/xapi/xapi_role.ml)."""

from __future__ import annotations

import uuid

from ..database import Record
from ..dispatch import Call
from ..errors import Fault
from ..schema import Schema
from ..sessions import ROLES, permissions
from . import message

_NAMESPACE = uuid.UUID(ROLES["read-only"])


def _ref(identity: str) -> str:
    return f"OpaqueRef:{identity}"


_TABLES: dict[int, dict[str, Record]] = {}  # by release


def _all(call: Call) -> dict[str, Record]:
    schema = call.world.schema
    if schema.release not in _TABLES:
        _TABLES[schema.release] = _table(schema)
    return _TABLES[schema.release]


def _table(schema: Schema) -> dict[str, Record]:
    """Roles first, then permissions."""
    granted = {name: permissions(schema, frozenset({name})) for name in ROLES}
    every = {p: str(uuid.uuid5(_NAMESPACE, p)) for p in sorted({p for held in granted.values() for p in held})}
    table = {_ref(identity): _record(identity, name, [_ref(every[p]) for p in granted[name]]) for name, identity in ROLES.items()}
    return table | {_ref(identity): _record(identity, name, []) for name, identity in every.items()}


def _record(identity: str, name: str, subroles: list[str]) -> Record:
    kind = "role" if subroles else "permission"
    return {"uuid": identity, "name_label": name, "name_description": f"The {name} {kind}", "subroles": subroles, "is_internal": False}


def _get(call: Call, ref: str) -> Record:
    try:
        return _all(call)[ref]
    except KeyError:
        raise Fault("HANDLE_INVALID", "role", ref) from None


def _roles(call: Call) -> dict[str, Record]:
    return {ref: record for ref, record in _all(call).items() if record["name_label"] in ROLES}


@message("role.get_all")
def get_all(call: Call) -> list[str]:
    """The six roles."""
    return list(_roles(call))


@message("role.get_all_records")
def get_all_records(call: Call) -> dict[str, Record]:
    """The six roles."""
    return _roles(call)


@message("role.get_record")
def get_record(call: Call, ref: str) -> Record:
    """Of a role or permission. Raises HANDLE_INVALID."""
    return _get(call, ref)


@message("role.get_by_uuid")
def get_by_uuid(call: Call, identity: str) -> str:
    """Raises UUID_INVALID."""
    if _ref(identity) not in _all(call):
        raise Fault("UUID_INVALID", "role", identity)
    return _ref(identity)


@message("role.get_by_name_label")
def get_by_name_label(call: Call, label: str) -> list[str]:
    """Roles and permissions."""
    return [ref for ref, record in _all(call).items() if record["name_label"] == label]


@message("role.get_permissions")
def get_permissions(call: Call, ref: str) -> list[str]:
    """References of a role's permissions."""
    return list(_get(call, ref)["subroles"])


@message("role.get_permissions_name_label")
def get_permissions_name_label(call: Call, ref: str) -> list[str]:
    """Names of a role's permissions, lower case."""
    return [_all(call)[permission]["name_label"] for permission in _get(call, ref)["subroles"]]


@message("role.get_by_permission")
def get_by_permission(call: Call, permission: str) -> list[str]:
    """Roles that hold it."""
    return [ref for ref, record in _roles(call).items() if permission in record["subroles"]]


@message("role.get_by_permission_name_label")
def get_by_permission_name_label(call: Call, label: str) -> list[str]:
    """Roles that hold it."""
    return [role for permission in get_by_name_label(call, label.lower()) for role in get_by_permission(call, permission)]


def _getter(field: str) -> None:
    @message(f"role.get_{field}")
    def get_field(call: Call, ref: str) -> object:
        """One field."""
        return _get(call, ref)[field]


for _field in ("uuid", "name_label", "name_description", "subroles", "is_internal"):
    _getter(_field)
