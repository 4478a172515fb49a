# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port on which all hosts of a simulator answer."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.domzero.xen.tests.simulator import server
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conversation import build


def test_simulators_at_the_same_addresses_never_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PORTS", range(19000, 19003))
    with contextlib.ExitStack() as running:
        ports = [running.enter_context(InProcess(build())).hosts[0].port for _simulator in range(3)]
        assert sorted(ports) == [19000, 19001, 19002]
        with pytest.raises(OSError, match="No port from 19000 to 19002 is free"):
            InProcess(build()).start()
    with InProcess(build()) as again:
        assert again.hosts[0].port in ports
