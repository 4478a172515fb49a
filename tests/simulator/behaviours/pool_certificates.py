# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and revocation lists a pool trusts. Rules: xen-api ocaml/xapi/certificates.ml."""

from __future__ import annotations

import re
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ..clock import ISO, epoch
from ..errors import Fault
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
REVOCATIONS = "crls"  # in Machine.state: name -> PEM


def _fields(call: Call, pem: str, stem: str) -> dict[str, t.Any]:
    """What a certificate object holds. Raises <stem>_INVALID, _NOT_VALID_YET [now, from], _EXPIRED [now, until]."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise Fault(f"{stem}_INVALID") from None
    starts, ends = (d.strftime(ISO) for d in (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
    now = call.world.clock.iso()
    if epoch(now) < epoch(starts):
        raise Fault(f"{stem}_NOT_VALID_YET", now, starts)
    if epoch(now) > epoch(ends):
        raise Fault(f"{stem}_EXPIRED", now, ends)
    sha256, sha1 = (certificate.fingerprint(a()).hex(":").upper() for a in (hashes.SHA256, hashes.SHA1))
    return {"not_before": starts, "not_after": ends, "fingerprint": sha256, "fingerprint_sha256": sha256, "fingerprint_sha1": sha1}


# CA certificates -----------------------------------------------------------------------------------------------------
@message("pool.install_ca_certificate")
def install_ca_certificate(call: Call, name: str, cert: str) -> None:
    """Trusted by every host."""
    if not NAME.fullmatch(name):
        raise Fault("CERTIFICATE_NAME_INVALID", name)
    if call.db.find("Certificate", type="ca", name=name):
        raise Fault("CERTIFICATE_ALREADY_EXISTS", name)
    call.db.create("Certificate", name=name, type="ca", **_fields(call, cert, "CA_CERTIFICATE"))


@message("pool.uninstall_ca_certificate")
def uninstall_ca_certificate(call: Call, name: str, force: bool) -> None:
    """With force a missing one is no error."""
    found = call.db.find("Certificate", type="ca", name=name)
    if not found and not force:
        raise Fault("CERTIFICATE_DOES_NOT_EXIST", name)
    for ref in found:
        call.db.destroy("Certificate", ref)


@message("pool.certificate_install")
def certificate_install(call: Call, name: str, cert: str) -> None:
    """The old name of install_ca_certificate."""
    install_ca_certificate(call, name, cert)


@message("pool.certificate_uninstall")
def certificate_uninstall(call: Call, name: str) -> None:
    """The old name of uninstall_ca_certificate."""
    uninstall_ca_certificate(call, name, False)


@message("pool.certificate_list")
def certificate_list(call: Call) -> list[str]:
    """Names of the CA certificates."""
    return sorted(c["name"] for c in call.db.all("Certificate").values() if c["type"] == "ca")


@message("pool.certificate_sync")
def certificate_sync(call: Call) -> None:
    """The hosts' files follow the coordinator's; nothing to see from outside."""


# trusted certificates ------------------------------------------------------------------------------------------------
@message("pool.install_trusted_certificate")
def install_trusted_certificate(call: Call, self: str, ca: bool, cert: str, purpose: list[str]) -> None:
    """A CA, or one server's certificate for given purposes."""
    if not ca and not purpose:
        raise Fault("CERTIFICATE_LACKS_PURPOSE")
    fields = _fields(call, cert, "TRUSTED_CERTIFICATE")
    kind = "ca" if ca else "pinned"
    if call.db.find("Certificate", type=kind, fingerprint_sha256=fields["fingerprint_sha256"]):
        raise Fault("TRUSTED_CERTIFICATE_ALREADY_EXISTS", fields["fingerprint_sha256"])
    call.db.create("Certificate", type=kind, purpose=purpose, **fields)


@message("pool.uninstall_trusted_certificate")
def uninstall_trusted_certificate(call: Call, self: str, certificate: str) -> None:
    """Raises NOT_TRUSTED_CERTIFICATE [ref] for a host's own."""
    if call.db.get("Certificate", certificate)["type"] not in ("ca", "pinned"):
        raise Fault("NOT_TRUSTED_CERTIFICATE", certificate)
    call.db.destroy("Certificate", certificate)


# revocation lists ----------------------------------------------------------------------------------------------------
def _lists(call: Call) -> dict[str, str]:
    found: dict[str, str] = call.pool.coordinator.state.get(REVOCATIONS, {})
    return dict(found)


def _store(call: Call, lists: dict[str, str]) -> None:
    for machine in call.pool.machines:
        machine.state[REVOCATIONS] = dict(lists)


@message("pool.crl_install")
def crl_install(call: Call, name: str, cert: str) -> None:
    """On every host."""
    if not NAME.fullmatch(name):
        raise Fault("CRL_NAME_INVALID", name)
    lists = _lists(call)
    if name in lists:
        raise Fault("CRL_ALREADY_EXISTS", name)
    try:
        x509.load_pem_x509_crl(cert.encode())
    except ValueError:
        raise Fault("CRL_CORRUPT", name) from None
    _store(call, {**lists, name: cert})


@message("pool.crl_uninstall")
def crl_uninstall(call: Call, name: str) -> None:
    """On every host."""
    lists = _lists(call)
    if name not in lists:
        raise Fault("CRL_DOES_NOT_EXIST", name)
    _store(call, {key: value for key, value in lists.items() if key != name})


@message("pool.crl_list")
def crl_list(call: Call) -> list[str]:
    """Names."""
    return sorted(_lists(call))
