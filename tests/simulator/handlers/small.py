# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers that have little to tell, and those that are not simulated, which say so by name."""

from __future__ import annotations

import json

from .. import repository_updates
from . import ROUTES, Exchange, Refused, Reply, handler

# method, path, lowest role; not simulated unless another file registers them (xen-api: ocaml/idl/datamodel.ml, http_actions)
KNOWN = (
    ("PUT", "/import", "vm-admin"), ("PUT", "/import_metadata", "vm-admin"), ("PUT", "/import_raw_vdi", "vm-admin"),
    ("GET", "/export", "vm-admin"), ("GET", "/export_metadata", "vm-admin"), ("GET", "/export_raw_vdi", "vm-admin"),
    ("CONNECT", "/console", "vm-operator"), ("GET", "/console", "vm-operator"), ("GET", "/host_logs_download", "pool-operator"),
    ("PUT", "/pool_patch_upload", "pool-operator"),
    ("GET", "/vncsnapshot", "vm-operator"), ("GET", "/sync_config_files/2", "pool-admin"), ("GET", "/system-status", "pool-operator"),
    ("PUT", "/rrd", "pool-admin"), ("PUT", "/messages", "vm-power-admin"), ("CONNECT", "/remotecmd", "pool-admin"),
    ("GET", "/wlb_report", "read-only"), ("GET", "/wlb_diagnostics", "read-only"), ("PUT", "/services", "pool-admin"),
    ("POST", "/services", "pool-admin"), ("GET", "/update", None), ("GET", "/repository/enabled", "pool-operator"),
    ("GET", "/host_updates", "pool-operator"), ("PUT", "/bundle", "pool-operator"),
    ("POST", "/cli", None),
)  # fmt: skip
STORAGE_SERVICE = {
    "smapi_version": "SMAPIv2", "supported_image_formats": [], "required_cluster_stack": [], "configuration": {},
    "features": ["/services/SM"], "required_api_version": "2.0", "version": "2.0", "copyright": "see the source code", "vendor": "XCP",
    "description": "forwards calls to other plugins", "name": "storage multiplexor", "driver": "mux",
}  # fmt: skip


@handler("GET", "/audit_log", "read-only")
def audit_log(exchange: Exchange) -> Reply:
    """Nothing is written to it."""
    return Reply(headers={"Content-Type": "text/plain"})


@handler("GET", "/services", "read-only")
def services(exchange: Exchange) -> Reply:
    """The storage service."""
    return Reply(body=json.dumps(STORAGE_SERVICE).encode())


@handler("GET", "/updates", "pool-operator")
def updates(exchange: Exchange) -> Reply:
    """400 for hosts nobody knows, 404 while no repository is enabled and synchronised."""
    refs = [ref for ref in exchange.query.get("host_refs", "").split(";") if ref]
    if not refs or not all(exchange.db.exists("host", ref) for ref in refs):
        raise Refused(400)
    pool = exchange.machine.pool
    with exchange.world.lock:
        if not pool.pool["repositories"] or not repository_updates.synced_hash(pool):
            raise Refused(404)
        return Reply(body=json.dumps(repository_updates.described(pool, refs)).encode(), headers={"Content-Type": "application/json"})


def not_simulated(exchange: Exchange) -> Reply:
    """Always refused."""
    raise Refused(500, f"NOT_IMPLEMENTED: [ {exchange.method} {exchange.path} is not simulated ]")


for _method, _path, _role in KNOWN:
    if (_method, _path) not in ROUTES:
        handler(_method, _path, _role)(not_simulated)
