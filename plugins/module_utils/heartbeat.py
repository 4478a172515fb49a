# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps high availability from being turned on. Rules: xen-api, ocaml/xapi/xapi_ha.ml, xha_statefile.ml."""

from __future__ import annotations

import typing as t

from . import hosts
from .errors import InvalidChange
from .refs import Objects


def refuse(objects: Objects, srs: t.Iterable[str]) -> None:
    """Raises InvalidChange for a licence, hosts or heartbeat SRs (references) it could not work with."""
    _refuse_licence(objects)
    _refuse_dead_hosts(objects)
    for sr in srs:
        _refuse_sr(objects, sr)


def _refuse_licence(objects: Objects) -> None:
    if hosts.pool_of(objects)[1].get("restrictions", {}).get("enable_xha", "true") != "true":
        raise InvalidChange("The pool's licence does not include high availability.", code="LICENCE_RESTRICTION")


def _refuse_dead_hosts(objects: Objects) -> None:
    if dead := hosts.down(objects):
        raise InvalidChange(
            f"High availability cannot be turned on while hosts are down: {', '.join(dead)}.", hint="Start them first.", code="HOST_OFFLINE"
        )


def _refuse_sr(objects: Objects, ref: str) -> None:
    sr = objects.get("SR", ref)
    label = objects.label("SR", ref)
    if not sr["shared"]:
        raise InvalidChange(f"SR {label!r} cannot carry the heartbeat: it is not shared.", hint="Name a shared SR in ha.heartbeat_srs.")
    attached = {pbd["host"] for pbd in objects.all("PBD").values() if pbd["SR"] == ref and pbd["currently_attached"]}
    if missing := sorted(hosts.name_of(objects, host) for host in objects.all("host") if host not in attached):
        raise InvalidChange(
            f"SR {label!r} cannot carry the heartbeat: it is not attached on {', '.join(missing)}.",
            hint="Attach it on every host (xen_sr repairs it).",
        )
    # the daemon attaches the statefile without xapi (xen-api: ocaml/xapi/xha_statefile.ml)
    driver = next((sm for sm in objects.all("SM").values() if sm["type"] == sr["type"]), None)
    if driver and "features" in driver and not {"VDI_GENERATE_CONFIG", "VDI_ATTACH_OFFLINE"} & set(driver["features"]):
        raise InvalidChange(f"SR {label!r} cannot carry the heartbeat: SRs of type {sr['type']} do not support it.")
