# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there has to be before the network of a host is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.network import pending
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.change import Change


def test_nothing_is_begun_without_a_way_back_for_a_host_that_is_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, programs = tmp_path / "base", tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text('#!/bin/sh\n[ "$1" != enable ] || { echo "no unit can be enabled" >&2; exit 1; }\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(pending, "BASE", str(base))
    monkeypatch.setattr(pending, "UNIT_PATH", str(tmp_path / "guard.service"))
    monkeypatch.setattr(pending, "with_systemd", lambda: True)
    with pytest.raises(XenError, match="no unit can be enabled"):
        pending.begin(Change(files={str(tmp_path / "interfaces"): "new"}), {}, 60)
    assert [path.name for path in base.iterdir()] == ["guard.py"]
