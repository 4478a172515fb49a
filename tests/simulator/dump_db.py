# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool's database as ``GET /pool/xmldbdump`` gives it (xen-api: ocaml/database/db_xml.ml)."""

from __future__ import annotations

import typing as t
from xml.sax.saxutils import quoteattr

from .db_text import column, protect, write
from .store import FLEETING

if t.TYPE_CHECKING:
    from .database import Database


def dump(db: Database) -> str:
    """The whole database as XML text."""
    major, minor = version(db)
    manifest = (("schema_major_vsn", major), ("schema_minor_vsn", minor), ("generation_count", db.generation))
    pairs = "".join(f'<pair key="{key}" value="{value}"/>' for key, value in manifest)
    tables = "".join(_table(db, cls) for cls in sorted(db.tables))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<database><manifest>{pairs}</manifest>{tables}</database>'


def version(db: Database) -> tuple[int, int]:
    """Major and minor version of the schema: that of the coordinator's release, as far as it tells."""
    pool = next(iter(db.all("pool").values()), {"master": ""})
    told = db.all("host").get(pool["master"], {}).get("software_version", {}).get("db_schema", "")
    major, _dot, minor = told.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else db.schema.version


def _table(db: Database, cls: str) -> str:
    rows = "" if cls in FLEETING else "".join(_row(db, cls, ref) for ref in db.all(cls))
    return f'<table name="{cls}">{rows}</table>' if rows else f'<table name="{cls}"/>'


def _row(db: Database, cls: str, ref: str) -> str:
    stamp = db.stamps[cls][ref]
    visible = db.schema.visible(cls) or db.schema.classes[cls].fields
    columns = {column(cls, name): write(db.get(cls, ref)[name]) for name in visible}
    fields = "".join(f" {name}={quoteattr(protect(value))}" for name, value in sorted({**columns, "_ref": ref}.items()))
    return f'<row ref="{ref}" __ctime="{stamp.created}" __mtime="{stamp.modified}"{fields}/>'
