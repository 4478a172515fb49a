# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A self-signed certificate for each host, as a fresh xapi makes one."""

from __future__ import annotations

import ipaddress
import ssl
import typing as t
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if t.TYPE_CHECKING:
    from .world import Machine


@dataclass(frozen=True)
class HostCertificate:
    """Certificate and key on disk; fingerprints as xapi writes them (``7B:0E:...``)."""

    cert: Path
    key: Path

    @property
    def _parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.cert.read_bytes())

    def fingerprint(self, algorithm: hashes.HashAlgorithm | None = None) -> str:
        """SHA-256 unless asked for another."""
        return self._parsed.fingerprint(algorithm or hashes.SHA256()).hex(":").upper()

    @property
    def validity(self) -> tuple[datetime, datetime]:
        """From and until, UTC."""
        return self._parsed.not_valid_before_utc, self._parsed.not_valid_after_utc

    def replace(self, certificate: str, key: str) -> None:
        """Writes another one."""
        self.key.write_text(key)
        self.key.chmod(0o600)
        self.cert.write_text(certificate)

    def context(self) -> ssl.SSLContext:
        """What a server needs to listen."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        return context


def of_host(folder: Path, name: str, address: str) -> HostCertificate:
    """The host's certificate in that folder, made there unless it is there already."""
    found = HostCertificate(folder / f"{name}-{address}.crt", folder / f"{name}-{address}.key")
    if not (found.cert.exists() and found.key.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        found.replace(*make(name, address))
    return found


def make(name: str, address: str) -> tuple[str, str]:
    """A new certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(serialization.Encoding.PEM).decode(), plain.decode()


def show(machine: Machine, certificate: HostCertificate) -> None:
    """The machine's pool knows the certificate its host answers with."""
    db = machine.pool.db
    begin, end = (moment.strftime("%Y%m%dT%H:%M:%SZ") for moment in certificate.validity)
    fields = {
        "fingerprint": certificate.fingerprint(), "fingerprint_sha256": certificate.fingerprint(),
        "fingerprint_sha1": certificate.fingerprint(hashes.SHA1()), "not_before": begin, "not_after": end,
    }  # fmt: skip
    for type_ in ("host", "host_internal"):
        held = db.find("Certificate", host=machine.host_ref, type=type_)
        ref = held[0] if held else db.create("Certificate", host=machine.host_ref, type=type_)
        db.set("Certificate", ref, **{name: value for name, value in fields.items() if db.get("Certificate", ref)[name] != value})
