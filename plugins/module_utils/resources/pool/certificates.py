# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trust inside a pool: CA certificates by name, and whether hosts check each other's."""

from __future__ import annotations

import hashlib
import re
import ssl
import typing as t

from ...errors import InvalidChange
from ...plan import Plan
from ...refs import Record
from .side import Side

OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "certificate": {"type": "str"},
    "fingerprint_sha256": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
Rows = list[dict[str, str]]
# xen-api: ocaml/xapi/certificates.ml
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def observed(pool: Side) -> Rows:
    return [{"name": name, "fingerprint_sha256": print_} for name, print_ in sorted(pool.ca_certificates().items())]


def bare(fingerprint: str) -> str:
    return fingerprint.replace(":", "").replace(" ", "").lower()


def fingerprint(name: str, pem: str) -> str:
    """SHA-256 as XenAPI writes it. Raises InvalidChange for text that is no certificate."""
    try:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest().upper()
    except ValueError as e:
        raise InvalidChange(f"The certificate of CA {name!r} is not one in PEM form.", hint="It starts with BEGIN CERTIFICATE.") from e
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


def desired(have: Rows, wanted: t.Sequence[Record] | None) -> Rows:
    """Certificates the task does not name stay. Raises InvalidChange."""
    after = {row["name"]: row["fingerprint_sha256"] for row in have}
    for entry in wanted or ():
        name = entry["name"]
        if entry.get("state") == "absent":
            after.pop(name, None)
            continue
        if not NAME.fullmatch(name):
            raise InvalidChange(f"{name!r} cannot be the name of a CA certificate.", hint="Letters, digits, dots, dashes and underscores.")
        pem, pinned = entry.get("certificate"), entry.get("fingerprint_sha256")
        have_print = after.get(name)
        if pem:
            after[name] = fingerprint(name, pem)
            if pinned and bare(pinned) != bare(after[name]):
                raise InvalidChange(f"The certificate of CA {name!r} has the fingerprint {after[name]}, not {pinned}.")
        elif have_print is None or (pinned and bare(pinned) != bare(have_print)):
            raise InvalidChange(f"CA certificate {name!r} is not installed.", hint="Give its text as certificate.")
    return [{"name": name, "fingerprint_sha256": print_} for name, print_ in sorted(after.items())]


def plan_changes(plan: Plan, have: Rows, want: Rows, wanted: t.Sequence[Record] | None) -> None:
    old = {row["name"]: bare(row["fingerprint_sha256"]) for row in have}
    new = {row["name"]: bare(row["fingerprint_sha256"]) for row in want}
    texts = {entry["name"]: entry.get("certificate") or "" for entry in wanted or ()}
    for name in sorted(name for name in old if old[name] != new.get(name)):
        plan.add("pool.uninstall_ca_certificate", name, what=f"remove CA certificate {name!r}")
    for name in sorted(name for name in new if old.get(name) != new[name]):
        plan.add("pool.install_ca_certificate", name, texts[name], what=f"install CA certificate {name!r}")
