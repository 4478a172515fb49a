# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of a VDI is served over NBD (xen-api: ocaml/xapi/xapi_vdi.ml, _get_nbd_info)."""

from __future__ import annotations

import typing as t

from cryptography import x509

from .. import sr_operations, vdi_operations
from ..errors import Fault
from ..nbd import INSECURE, NBD
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("VDI.get_nbd_info")
def get_nbd_info(call: Call, self: str) -> list[dict[str, t.Any]]:
    """Each address a host with the SR has on a network for NBD; nothing where there is no such network."""
    record = call.db.get("VDI", self)
    if record["type"] == "cbt_metadata":
        raise Fault("VDI_INCOMPATIBLE_TYPE", self, vdi_operations.type_name(record["type"]))
    export = f"/{record['uuid']}?session_id={call.session}"
    hosts = [call.db.get("PBD", pbd)["host"] for pbd in sr_operations.attached_pbds(call.db, record["SR"])]
    return [{"exportname": export, **server} for host in hosts for server in _servers(call, host)]


def _servers(call: Call, host: str) -> list[dict[str, t.Any]]:
    addresses = _addresses(call, host)
    if not addresses:
        return []
    cert = call.call("host.get_server_certificate", host)
    endpoint = call.world.machine_of(call.pool, host).endpoint
    shown = {"port": endpoint.nbd.port if endpoint else 0, "cert": cert, "subject": _subject(cert)}
    return [{"address": address, **shown} for address in addresses]


def _addresses(call: Call, host: str) -> list[str]:
    """Of its plugged interfaces on such networks."""
    networks = {ref for ref, record in call.db.all("network").items() if {NBD, INSECURE} & set(record["purpose"])}
    pifs = (call.db.get("PIF", pif) for pif in call.db.find("PIF", host=host, currently_attached=True))
    return [address for pif in pifs if pif["network"] in networks for address in (pif["IP"], *pif["IPv6"]) if address]


def _subject(cert: str) -> str:
    """The first name in the certificate that stands for one host."""
    extensions = x509.load_pem_x509_certificate(cert.encode()).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    return next((name for name in names if "*" not in name), names[-1] if names else "")
