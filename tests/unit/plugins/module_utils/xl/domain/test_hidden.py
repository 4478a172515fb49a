# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No password of a display is told, however it is written."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.xl.cfg import Cfg
from ansible_collections.domzero.xen.plugins.module_utils.xl.domain import files, settings

WRITTEN = [
    'vncpasswd = "ge,heim"', "vncpasswd='ge\"heim'", 'vncpasswd = "ge\'heim" # why', "spicepasswd=\"ge heim\"\nmemory = 64",
    "vfb = [ 'vnc=1,vncpasswd=ge heim' ]", 'vfb = [ "vncpasswd=geheim,vnc=1" ]', "vfb = [ 'type=vnc,vncpasswd=ge\"heim' ]",
    "# vncpasswd=geheim", 'vncpasswd = "ge\\"heim"',
]  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_a_difference_shows_no_password(text: str) -> None:
    shown = files.shown(f'name = "web"\n{text}\nmemory = 64\n')
    assert "ge" not in shown.replace("memory", "") and "heim" not in shown
    assert shown.startswith('name = "web"\n') and shown.endswith("\nmemory = 64\n")


def test_the_passwords_of_a_file_are_known() -> None:
    cfg = Cfg.parse('vncpasswd = "one"\nspicepasswd = "two"\nvfb = [ "vnc=1,vncpasswd=three" ]\nmemory = 64\n')
    assert sorted(settings.secrets(cfg)) == ["one", "three", "two"]
    assert settings.secrets(None) == settings.secrets(Cfg.parse("memory = 64\n")) == []
