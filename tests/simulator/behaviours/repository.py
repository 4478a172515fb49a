# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where updates come from (xen-api: ocaml/xapi/repository.ml)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..dispatch import Call
from ..errors import Fault
from . import message

_KEY_FILE = re.compile(r"[A-Za-z0-9_.-]*")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Fault("INVALID_BASE_URL", url)


def _check_new(call: Call, name_label: str, binary_url: str) -> None:
    for ref, record in call.db.all("Repository").items():
        if name_label == record["name_label"] or (binary_url and binary_url == record["binary_url"]):
            raise Fault("REPOSITORY_ALREADY_EXISTS", ref)


def _check_key(gpgkey_path: str) -> None:
    if not _KEY_FILE.fullmatch(gpgkey_path) or gpgkey_path.startswith("."):
        raise Fault("INVALID_GPGKEY_PATH", gpgkey_path)


@message("Repository.introduce")
def introduce(call: Call, name_label: str, name_description: str, binary_url: str, source_url: str, update: bool, gpgkey_path: str) -> str:
    """Raises INVALID_BASE_URL [url], INVALID_GPGKEY_PATH [path], REPOSITORY_ALREADY_EXISTS [ref]."""
    _check_url(binary_url)
    if source_url:
        _check_url(source_url)
    _check_key(gpgkey_path)
    _check_new(call, name_label, binary_url)
    return call.db.create(
        "Repository", name_label=name_label, name_description=name_description, binary_url=binary_url, source_url=source_url,
        update=update, gpgkey_path=gpgkey_path, origin="remote",
    )  # fmt: skip


@message("Repository.introduce_bundle")
def introduce_bundle(call: Call, name_label: str, name_description: str) -> str:
    """One at most. Raises BUNDLE_REPOSITORY_ALREADY_EXISTS [ref]."""
    for ref in call.db.find("Repository", origin="bundle"):
        raise Fault("BUNDLE_REPOSITORY_ALREADY_EXISTS", ref)
    _check_new(call, name_label, "")
    return call.db.create("Repository", name_label=name_label, name_description=name_description, update=True, origin="bundle")


@message("Repository.introduce_remote_pool")
def introduce_remote_pool(call: Call, name_label: str, name_description: str, binary_url: str, certificate: str) -> str:
    """Raises INVALID_BASE_URL [url], REPOSITORY_ALREADY_EXISTS [ref]."""
    _check_url(binary_url)
    _check_new(call, name_label, binary_url)
    return call.db.create(
        "Repository", name_label=name_label, name_description=name_description, binary_url=binary_url, update=True,
        certificate=certificate, origin="remote_pool",
    )  # fmt: skip


@message("Repository.forget")
def forget(call: Call, ref: str) -> None:
    """Raises REPOSITORY_IS_IN_USE while the pool has it enabled."""
    call.db.get("Repository", ref)
    if ref in call.pool.pool["repositories"]:
        raise Fault("REPOSITORY_IS_IN_USE")
    call.db.destroy("Repository", ref)


@message("Repository.set_gpgkey_path")
def set_gpgkey_path(call: Call, ref: str, value: str) -> None:
    """Raises INVALID_GPGKEY_PATH [path]."""
    call.db.get("Repository", ref)
    _check_key(value)
    call.db.set("Repository", ref, gpgkey_path=value)
