# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file served over NBD by qemu-nbd, with TLS and without, and how a client gets there."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.nbd import Server
from ansible_collections.domzero.xen.tests.simulator import certs

NAME = "the disk"
ADDRESS = "127.0.0.1"


def needed(*tools: str) -> pytest.MarkDecorator:
    """Left out, and said so, where a tool of others is missing."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@contextlib.contextmanager
def qemu_nbd(image: Path, *, tls: bool) -> t.Iterator[Server]:
    """qemu-nbd with this raw image, read only."""
    with socket.create_server((ADDRESS, 0)) as probe:
        port = probe.getsockname()[1]
    options, cert = [], ""
    if tls:
        cert, key = certs.make("qemu", ADDRESS)
        folder = image.with_suffix(".certs")
        folder.mkdir()
        for name, text in (("ca-cert.pem", cert), ("server-cert.pem", cert), ("server-key.pem", key)):
            (folder / name).write_text(text)
        options = ["--object", f"tls-creds-x509,id=tls0,endpoint=server,dir={folder},verify-peer=no,sanity-check=no", "--tls-creds", "tls0"]
    command = ["qemu-nbd", "--read-only", "--format=raw", f"--port={port}", f"--bind={ADDRESS}", f"--export-name={NAME}", "--shared=8"]
    with subprocess.Popen([*command, "--persistent", *options, str(image)]) as process:
        try:
            _wait(port)
            yield Server(ADDRESS, port, NAME, cert, "qemu", timeout=10)
        finally:
            process.kill()


def _wait(port: int) -> None:
    for _attempt in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection((ADDRESS, port), 1).close()
            return
        time.sleep(0.02)
    raise TimeoutError("qemu-nbd does not listen")
