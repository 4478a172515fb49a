# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that closes while clients come."""

from __future__ import annotations

import http.client
import threading
import time

from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conversation import build
from .wired import trusting


def test_whoever_connects_while_the_port_closes_is_answered_or_ended_and_never_left_hanging() -> None:
    world = build()
    with InProcess(world) as simulator:
        host, endpoint = simulator.hosts[0], next(iter(world.machines.values())).endpoint
        assert endpoint
        ended: list[str] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                connection = http.client.HTTPSConnection(host.address, host.port, context=trusting(), timeout=5)
                try:
                    connection.request("GET", "/")
                    ended.append(str(connection.getresponse().status))
                except OSError as e:
                    ended.append(type(e).__name__)
                except http.client.HTTPException:
                    ended.append("cut")
                finally:
                    connection.close()

        clients = [threading.Thread(target=ask) for _client in range(8)]
        for client in clients:
            client.start()
        for _again in range(40):
            endpoint.close()
            time.sleep(0.02)
            endpoint.open()
            time.sleep(0.03)
        over.set()
        for client in clients:
            client.join()
        assert "TimeoutError" not in ended
        assert {"403", "ConnectionRefusedError"} <= set(ended)
