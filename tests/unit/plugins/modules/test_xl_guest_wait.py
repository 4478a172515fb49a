# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.xl_simulator.running import Refused, XlHost, xl_host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the modules of a Xen host need root")


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[XlHost]:
    """A host on which the domain web runs."""
    (tmp_path / "vmlinuz").write_bytes(bytes(100))
    (tmp_path / "web.cfg").write_text(f'name = "web"\ntype = "pvh"\nkernel = "{tmp_path}/vmlinuz"\nmemory = 64\n')
    with xl_host(tmp_path / "site") as made:
        assert made.xl("create", str(tmp_path / "web.cfg")).returncode == 0
        yield made


@pytest.fixture
def server() -> t.Iterator[int]:
    """The port of something that greets as an SSH server does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            while True:
                try:
                    made, _address = listening.accept()
                except OSError:
                    return
                with made:
                    made.sendall(b"SSH-2.0-test\r\n")

        threading.Thread(target=greet, daemon=True).start()
        yield listening.getsockname()[1]


def test_a_guest_that_answers_is_not_waited_for(host: XlHost, server: int) -> None:
    done = host.module("xl_guest_wait", name="web", address="127.0.0.1", port=server, wait_timeout=60)
    assert (done["changed"], done["address"], done["waited"]) == (False, "127.0.0.1", 0)


def test_one_that_does_not_answer_is_told(host: XlHost) -> None:
    with pytest.raises(Refused, match=r"Domain web has no SSH server that answers at 127\.0\.0\.1 within 0 seconds"):
        host.module("xl_guest_wait", name="web", address="127.0.0.1", port=9, wait_timeout=0)


def test_one_that_is_gone_is_not_waited_for(host: XlHost) -> None:
    with pytest.raises(Refused, match="Domain db is not there any more"):
        host.module("xl_guest_wait", name="db", address="127.0.0.1", wait_timeout=60)


def test_one_that_is_to_be_gone(host: XlHost) -> None:
    assert host.module("xl_guest_wait", name="db", wait_for="off")["waited"] == 0
    assert host.module("xl_guest_wait", name="web", wait_for="running")["waited"] == 0
    with pytest.raises(Refused, match="has not switched itself off within 0 seconds"):
        host.module("xl_guest_wait", name="web", wait_for="off", wait_timeout=0)


def test_check_mode_does_not_wait(host: XlHost) -> None:
    assert host.module("xl_guest_wait", name="db", address="192.0.2.1", check=True)["waited"] == 0
