# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole database as XML (xen-api: ocaml/xapi/pool_db_backup.ml)."""

from __future__ import annotations

from .. import dump_db, load_db
from . import Exchange, Refused, Reply, handler


@handler("GET", "/pool/xmldbdump", "pool-admin", "get_pool_xml_db_sync")
def get(exchange: Exchange) -> Reply:
    """As the coordinator holds it now."""
    with exchange.world.lock:
        text = dump_db.dump(exchange.db)
    return Reply(body=iter([text.encode()]))


@handler("PUT", "/pool/xmldbdump", "pool-admin", "put_pool_xml_db_sync")
def put(exchange: Exchange) -> Reply:
    """A check with ``dry_run``; a real restore is not simulated."""
    if "Content-Length" not in exchange.headers:
        raise Refused(400)
    body = b"".join(exchange.body)
    try:
        load_db.parse(body)
    except load_db.NoDatabase as e:
        raise Refused(500, f"RESTORE_INCOMPATIBLE_VERSION: [ {e} ]") from e
    if exchange.query.get("dry_run") != "true":
        raise Refused(500, "NOT_IMPLEMENTED: [ a restore of the database is not simulated ]")
    return Reply()
