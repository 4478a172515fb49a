# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate a host shows (xen-api: ocaml/gencert/lib.ml, ocaml/xapi/xapi_host.ml)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from ..clock import epoch, iso
from ..dispatch import Call
from ..errors import Fault
from ..hosts import at_host
from . import message

KEY_BITS = range(2048, 4097)
ELLIPTIC = "1.2.840.10045.2.1"  # the only other algorithm that is worth its own name


def _check_key(pem: str) -> rsa.RSAPrivateKey:
    """Raises SERVER_CERTIFICATE_KEY_INVALID, ..._KEY_ALGORITHM_NOT_SUPPORTED [oid], ..._KEY_RSA_LENGTH_NOT_SUPPORTED [bits]."""
    try:
        key: PrivateKeyTypes = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise Fault("SERVER_CERTIFICATE_KEY_INVALID") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Fault("SERVER_CERTIFICATE_KEY_ALGORITHM_NOT_SUPPORTED", ELLIPTIC)
    if key.key_size not in KEY_BITS:
        raise Fault("SERVER_CERTIFICATE_KEY_RSA_LENGTH_NOT_SUPPORTED", str(key.key_size))
    return key


def _check_chain(pem: str) -> None:
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise Fault("SERVER_CERTIFICATE_CHAIN_INVALID") from None


def _check_certificate(call: Call, pem: str, key: rsa.RSAPrivateKey) -> None:
    """Raises SERVER_CERTIFICATE_INVALID, _KEY_MISMATCH, _NOT_VALID_YET [now, from], _EXPIRED [now, until], _SIGNATURE_NOT_SUPPORTED."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise Fault("SERVER_CERTIFICATE_INVALID") from None
    if certificate.public_key() != key.public_key():
        raise Fault("SERVER_CERTIFICATE_KEY_MISMATCH")
    now = call.world.clock.iso()
    begin, end = (iso(d.timestamp()) for d in (certificate.not_valid_before_utc, certificate.not_valid_after_utc))
    if epoch(now) < epoch(begin):
        raise Fault("SERVER_CERTIFICATE_NOT_VALID_YET", now, begin)
    if epoch(now) > epoch(end):
        raise Fault("SERVER_CERTIFICATE_EXPIRED", now, end)
    if not isinstance(certificate.signature_hash_algorithm, (hashes.SHA256, hashes.SHA512)):
        raise Fault("SERVER_CERTIFICATE_SIGNATURE_NOT_SUPPORTED")


@message("host.install_server_certificate")
def install_server_certificate(call: Call, host: str, certificate: str, private_key: str, certificate_chain: str) -> None:
    """Shown from the next connection on."""
    machine = at_host(call, host)
    key = _check_key(private_key)
    if certificate_chain:
        _check_chain(certificate_chain)
    _check_certificate(call, certificate, key)
    if machine.endpoint:
        machine.endpoint.present(certificate + certificate_chain, private_key)


def _reset(call: Call, host: str) -> None:
    endpoint = at_host(call, host).endpoint
    if endpoint:
        endpoint.present_fresh()


@message("host.reset_server_certificate")
def reset_server_certificate(call: Call, host: str) -> None:
    """A new self-signed one."""
    _reset(call, host)


@message("host.refresh_server_certificate")
def refresh_server_certificate(call: Call, host: str) -> None:
    """A new one for the pool's own traffic; this simulator shows the same one to everybody."""
    _reset(call, host)


@message("host.emergency_reset_server_certificate")
def emergency_reset_server_certificate(call: Call) -> None:
    """Of the host that is asked."""
    _reset(call, call.machine.host_ref)
