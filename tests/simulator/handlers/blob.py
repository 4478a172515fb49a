# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs are read and written here; a public one by anybody (xen-api: ocaml/xapi/xapi_blob.ml)."""

from __future__ import annotations

from . import Exchange, Refused, Reply, handler


@handler("GET", "/blob", None)
def get(exchange: Exchange) -> Reply:
    """Its bytes; 404 for an unknown one, 401 for a private one without a session."""
    blob = exchange.db.get("blob", exchange.object("blob"))
    if not blob["public"] and not exchange.session:
        raise Refused(401)
    path = exchange.world.folder / "blobs" / blob["uuid"]
    data = path.read_bytes() if path.exists() else b""
    return Reply(body=data, headers={"Content-Type": blob["mime_type"]})


@handler("PUT", "/blob", None)
def put(exchange: Exchange) -> Reply:
    """New bytes; size and date follow."""
    if not exchange.session:
        raise Refused(401)
    ref = exchange.object("blob")
    path = exchange.world.folder / "blobs" / exchange.db.get("blob", ref)["uuid"]
    path.parent.mkdir(exist_ok=True)
    data = b"".join(exchange.body)
    path.write_bytes(data)
    with exchange.world.lock:
        exchange.db.set("blob", ref, size=len(data), last_updated=exchange.world.clock.iso())
        exchange.world.save()
    return Reply()
