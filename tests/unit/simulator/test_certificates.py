# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and revocation lists of a simulated pool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .conversation import Asked, build


@pytest.fixture
def pool() -> Asked:
    return Asked(build(2, joined=True).machines["xcp00"])


def _pem(starts: int = -1, days: int = 30) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    begin = datetime.now(UTC) + timedelta(days=starts)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    signed = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=days)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_ca_certificates(pool: Asked) -> None:
    pem = _pem()
    pool("pool.install_ca_certificate", "lab.pem", pem)
    assert pool("pool.certificate_list") == ["lab.pem"]
    [record] = [c for c in pool.db.all("Certificate").values() if c["type"] == "ca"]
    expected = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex(":").upper()
    assert record["fingerprint_sha256"] == expected
    assert pool.refused("pool.install_ca_certificate", "lab.pem", pem) == ["CERTIFICATE_ALREADY_EXISTS", "lab.pem"]
    assert pool.refused("pool.install_ca_certificate", "../x", pem) == ["CERTIFICATE_NAME_INVALID", "../x"]
    assert pool.refused("pool.install_ca_certificate", "other.pem", "nonsense") == ["CA_CERTIFICATE_INVALID"]
    assert pool.refused("pool.install_ca_certificate", "other.pem", _pem(10))[0] == "CA_CERTIFICATE_NOT_VALID_YET"
    assert pool.refused("pool.install_ca_certificate", "other.pem", _pem(-60))[0] == "CA_CERTIFICATE_EXPIRED"
    pool("pool.uninstall_ca_certificate", "lab.pem")
    assert pool.refused("pool.uninstall_ca_certificate", "lab.pem") == ["CERTIFICATE_DOES_NOT_EXIST", "lab.pem"]
    pool("pool.uninstall_ca_certificate", "lab.pem", True)


def test_trusted_certificates(pool: Asked) -> None:
    ref, pem = pool.machine.pool.pool_ref, _pem()
    assert pool.refused("pool.install_trusted_certificate", ref, False, pem, []) == ["CERTIFICATE_LACKS_PURPOSE"]
    pool("pool.install_trusted_certificate", ref, False, pem, ["ldaps"])
    [pinned] = pool.db.find("Certificate", type="pinned")
    assert pool.refused("pool.install_trusted_certificate", ref, False, pem, ["ldaps"])[0] == "TRUSTED_CERTIFICATE_ALREADY_EXISTS"
    own = pool.db.create("Certificate", type="host", host=pool.host)
    assert pool.refused("pool.uninstall_trusted_certificate", ref, own) == ["NOT_TRUSTED_CERTIFICATE", own]
    pool("pool.uninstall_trusted_certificate", ref, pinned)
    assert not pool.db.find("Certificate", type="pinned")


def test_revocation_lists(pool: Asked) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now).next_update(now + timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    pool("pool.crl_install", "lab.crl", pem)
    assert pool("pool.crl_list") == ["lab.crl"]
    assert pool.refused("pool.crl_install", "lab.crl", pem) == ["CRL_ALREADY_EXISTS", "lab.crl"]
    assert pool.refused("pool.crl_install", "other.crl", "x") == ["CRL_CORRUPT", "other.crl"]
    assert pool.refused("pool.crl_install", "a/b", pem) == ["CRL_NAME_INVALID", "a/b"]
    pool("pool.crl_uninstall", "lab.crl")
    assert pool.refused("pool.crl_uninstall", "lab.crl") == ["CRL_DOES_NOT_EXIST", "lab.crl"]
