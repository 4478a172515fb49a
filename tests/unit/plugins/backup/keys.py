# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of age and gpg, made for a test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

Encryption = dict[str, t.Any]
needs_age = pytest.mark.skipif(not shutil.which("age-keygen"), reason="age is missing (Debian: age)")
needs_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is missing (Debian: gnupg)")


def age_key(folder: Path, name: str = "key.txt") -> tuple[Encryption, str]:
    """The encryption for a new key, and the file of the private one."""
    file = folder / name
    subprocess.run(["age-keygen", "-o", str(file)], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", str(file)], check=True, capture_output=True, text=True).stdout.strip()
    return {"tool": "age", "recipients": [public]}, str(file)


@contextlib.contextmanager
def gpg_home() -> t.Iterator[Encryption]:
    """A keyring with one key, as that of the user meanwhile. Its sockets do not like long paths."""
    with tempfile.TemporaryDirectory(prefix="gpg", dir="/tmp") as home:
        before = os.environ.get("GNUPGHOME")
        os.environ["GNUPGHOME"] = home
        try:
            new = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "Backups <backups@example.com>", "future-default"]
            subprocess.run(new, check=True, capture_output=True)
            listed = subprocess.run(["gpg", "--list-keys", "--with-colons"], check=True, capture_output=True, text=True).stdout
            fingerprints = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")]  # its own, its subkey's
            yield {"tool": "gpg", "recipients": fingerprints[:1]}
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)
            os.environ.pop("GNUPGHOME")
            if before is not None:
                os.environ["GNUPGHOME"] = before
