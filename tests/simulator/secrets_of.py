# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords in a device_config become Secret objects (xen-api: ocaml/xapi/xapi_secret.ml).

Every key that ends in ``password`` counts; ``<key>_secret`` then holds the secret's uuid, and no two PBDs share a secret.
"""

from __future__ import annotations

import typing as t

from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Database

PLAIN, KEPT = "password", "password_secret"


def _create(db: Database, value: str) -> str:
    uuid: str = db.get("secret", db.create("secret", value=value))["uuid"]
    return uuid


def value_of(db: Database, uuid: str) -> str:
    """What the secret of that uuid holds. Raises UUID_INVALID ["secret", uuid]."""
    found = db.find("secret", uuid=uuid)
    if not found:
        raise Fault("UUID_INVALID", "secret", uuid)
    value: str = db.get("secret", found[0])["value"]
    return value


def own(db: Database, config: t.Mapping[str, str]) -> dict[str, str]:
    """A device_config whose secrets are nobody else's: plain passwords move into new ones, named ones are copied."""
    out = {}
    for key, value in config.items():
        if key.endswith(KEPT):
            out[key] = _create(db, value_of(db, value))
        elif key.endswith(PLAIN):
            out[f"{key}_secret"] = _create(db, value)
        else:
            out[key] = value
    return out


def clean_out(db: Database, config: t.Mapping[str, str]) -> None:
    """The secrets of something that goes away."""
    for key, uuid in config.items():
        for ref in db.find("secret", uuid=uuid) if key.endswith(KEPT) else []:
            db.destroy("secret", ref)
